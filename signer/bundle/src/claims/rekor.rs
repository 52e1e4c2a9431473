//! What the bodies of Rekor's leaves claim, by kind and version.
use super::collect::{Collector, Failure};
use super::head::Head;
use super::scratch::Scratch;
use super::{Claims, ClaimsError, Unreadable, rekor_v1, rekor_v2, scan};
use std::borrow::Cow;

/// Reads the fields of one kind.
type Read = for<'a> fn(&'a [u8], &mut Collector<'a>) -> Result<(), Failure>;

const KINDS: [(&str, &str, Read); 7] = [
    ("hashedrekord", "0.0.2", rekor_v2::hashedrekord),
    ("hashedrekord", "0.0.1", rekor_v1::hashedrekord),
    ("dsse", "0.0.1", rekor_v1::dsse),
    ("intoto", "0.0.2", rekor_v1::intoto),
    ("dsse", "0.0.2", rekor_v2::dsse),
    ("intoto", "0.0.1", rekor_v1::intoto_older),
    ("rekord", "0.0.1", rekor_v1::rekord),
];

/// For short bodies, and for keys that are longer in their canonical encoding.
const SPARE: usize = 4096;

pub(super) fn claims<'a>(body: &'a [u8], scratch: &'a mut Scratch) -> Result<Claims<'a>, ClaimsError> {
    let head = Head::read(body)?;
    let (fields, search) = scratch.rooms();
    let known = KINDS.iter().find(|(kind, version, _)| *kind == head.kind && *version == head.version);
    let mut earlier = None;
    let failure = match known {
        None => None,
        Some((kind, version, read)) => {
            // Base64 shrinks, and PEM is copied once before it is decoded again.
            let mut collector = Collector::new(fields.arena(body.len() * 3 + SPARE));
            match read(body, &mut collector) {
                Ok(()) => return collector.claimed(kind, version, true),
                Err(Failure::TooDeep) => {
                    collector.cannot_read(Unreadable::TooDeep);
                    return collector.claimed(kind, version, true);
                }
                Err(Failure::Field(field)) => {
                    earlier = collector.unreadable();
                    Some(ClaimsError::Field { kind, version, field })
                }
            }
        }
    };
    let mut collector = Collector::new(search.arena(body.len() * scan::ROOM + SPARE));
    scan::body(body, &mut collector)?;
    if let Some(unreadable) = earlier {
        collector.cannot_read(unreadable);
    }
    if let Some(failure) = failure
        && collector.unreadable().is_none()
        && !collector.names_anybody()
    {
        return Err(failure);
    }
    let (kind, version) = (word(head.kind, &mut collector)?, word(head.version, &mut collector)?);
    collector.claimed(kind, version, false)
}

fn word<'a>(text: Cow<'a, str>, collector: &mut Collector<'a>) -> Result<&'a str, ClaimsError> {
    match text {
        Cow::Borrowed(text) => Ok(text),
        Cow::Owned(text) => {
            let copy = collector.arena.copy(text.as_bytes()).map_err(|_| Unreadable::TooDeep)?;
            std::str::from_utf8(copy).map_err(|_| ClaimsError::NoKind)
        }
    }
}
