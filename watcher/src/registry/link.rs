//! `Link: …; rel="next"`: where the next page is; pure.

use http::HeaderMap;
use http::header::LINK;
use url::Url;

/// The next page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// This was the last page.
    None,
    /// There, on the same host.
    Page(Url),
    /// There may be a page that we do not ask for, and why not: what it holds is unknown.
    Unknown(&'static str),
}

/// Reads the `Link` headers of an answer from `here`.
pub(super) fn next(headers: &HeaderMap, here: &Url) -> Next {
    let mut target = None;
    for link in headers.get_all(LINK) {
        let Ok(link) = link.to_str() else { return Next::Unknown("its Link header is not readable text") };
        target = target.or_else(|| next_target(link));
    }
    let Some(target) = target else { return Next::None };
    match here.join(target) {
        Ok(url) if url.origin() == here.origin() && url.username().is_empty() && url.password().is_none() => {
            Next::Page(url)
        }
        _ => Next::Unknown("its next page is on another host"),
    }
}

/// The target of the first link with the relation `next`.
fn next_target(mut rest: &str) -> Option<&str> {
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let (parameters, more) = after.split_once('<').map_or((after, ""), |(p, _)| (p, &after[p.len()..]));
        let is_next = parameters.split([';', ',']).filter_map(|p| p.split_once('=')).any(|(name, value)| {
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel") && value.split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target);
        }
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read_all(links: &[&[u8]]) -> Next {
        let mut headers = HeaderMap::new();
        for link in links {
            headers.append(LINK, HeaderValue::from_bytes(link).expect("a header"));
        }
        next(&headers, &Url::parse("https://r.example/v2/a/tags/list?n=2").expect("a URL"))
    }

    fn read(link: &str) -> Next {
        read_all(&[link.as_bytes()])
    }

    #[test]
    fn every_link_header_is_read() {
        let found = read_all(&[b"</x>; rel=prev", b"</docs>; rel=help", b"</v2/a/tags/list?last=b>; rel=next"]);
        let page = Url::parse("https://r.example/v2/a/tags/list?last=b").expect("a URL");
        assert_eq!(found, Next::Page(page));
        assert_eq!(read_all(&[]), Next::None);
    }

    #[test]
    fn a_link_header_that_cannot_be_read_is_not_the_end() {
        for links in [&[&b"</\xff>; rel=next"[..]][..], &[b"</x>; rel=prev", b"\xff"], &[b"</y>; rel=next", b"\xff"]] {
            assert!(matches!(read_all(links), Next::Unknown(why) if why.contains("Link")), "{links:?}");
        }
    }

    #[test]
    fn the_next_page_is_found_in_every_spelling() {
        for link in [
            r#"</v2/a/tags/list?n=2&last=b>; rel="next""#,
            r#"<https://r.example/v2/a/tags/list?n=2&last=b>;rel=next"#,
            r#"</x>; rel="prev", </v2/a/tags/list?n=2&last=b>; title="a"; rel="last next""#,
            r#"<list?n=2&last=b>; REL=NEXT"#,
        ] {
            let page = Url::parse("https://r.example/v2/a/tags/list?n=2&last=b").expect("a URL");
            assert_eq!(read(link), Next::Page(page), "{link}");
        }
    }

    #[test]
    fn a_page_on_another_host_is_unknown_and_not_the_end() {
        for link in [
            "<https://evil.example/v2/>; rel=next",
            "<http://r.example/v2/>; rel=next",
            "<//evil.example/>; rel=next",
            "<https://u:p@r.example/>; rel=next",
            "<http://[>; rel=next",
        ] {
            assert!(matches!(read(link), Next::Unknown(_)), "{link}");
        }
    }

    #[test]
    fn without_a_next_link_this_was_the_last_page() {
        for link in ["", "</x>; rel=prev", "next", "</x", "</x>", "<", "<>; rel=\"nextish\""] {
            assert_eq!(read(link), Next::None, "{link}");
        }
    }
}
