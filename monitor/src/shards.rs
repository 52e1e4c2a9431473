//! Which logs there are to follow now: each shard of a Rekor v1 server is one; logs appear, rotate and retire without a
//! gap, and what changes in the trust material is told.

use std::collections::BTreeMap;

use store::FollowedLog;

use crate::config::{LogKind, LogSpec, TrustMaterial};
use crate::log::Readers;
use crate::log::rekor_v1::{Shard, tree_id_of};

/// The logs of the trust material, with each server's shards as logs of their own.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    /// One for each log or shard.
    pub(crate) logs: Vec<LogSpec>,
    /// Origins of shards that a server lists, and of which it showed no head that the pinned key has signed, each with
    /// the origin of its server: a list can invent as many as it likes. Those that are followed are among the logs.
    pub(crate) unsigned: BTreeMap<String, String>,
    /// Servers whose shards could not be listed: the origin and why. Of these, what is followed already is among the logs.
    pub(crate) unlisted: Vec<(String, String)>,
}

/// Lists the logs. A server that does not answer keeps the shards of it that are followed.
pub(crate) async fn expand(readers: &Readers, material: &[LogSpec], followed: &[FollowedLog]) -> Expanded {
    let mut expanded = Expanded::default();
    for spec in material {
        if spec.kind != LogKind::RekorV1 || is_shard_of(&spec.origin, None) {
            expanded.logs.push(spec.clone());
            continue;
        }
        let listed = match readers.shards(spec).await {
            Ok(Ok(shards)) => Ok(shards),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match listed {
            Ok(shards) => {
                let shards: Vec<(Shard, String)> =
                    shards.into_iter().map(|it| (it.clone(), name(spec, &it, followed))).collect();
                // The list is the server's word, unsigned. That a shard is retired is believed where the key has signed
                // heads of it and of the one that takes its place, and that one is not itself known to be closed: if it
                // is not what it is called, it does not grow, and that is told. Otherwise a lie would silence the log.
                let is_closed =
                    |origin: &String| followed.iter().any(|log| log.origin == *origin && log.frozen_at.is_some());
                let succeeded =
                    shards.iter().any(|(it, origin)| it.active && it.is_signed(&spec.key) && !is_closed(origin));
                let shard = |origin: String, closed: bool| LogSpec {
                    origin,
                    closed: spec.closed || closed,
                    // The server announces its shards, and signs their heads with the one key.
                    announced: true,
                    ..spec.clone()
                };
                for (it, origin) in shards {
                    let signed = it.is_signed(&spec.key);
                    if !signed {
                        expanded.unsigned.insert(origin.clone(), spec.origin.clone());
                    }
                    expanded.logs.push(shard(origin, !it.active && signed && succeeded));
                }
                // A shard that is listed no more is still looked at: it must stay as it was.
                let listed: Vec<String> = expanded.logs.iter().map(|log| log.origin.clone()).collect();
                let gone = known_shards(spec, followed).filter(|log| !listed.contains(&log.origin));
                expanded.logs.extend(gone.map(|log| shard(log.origin.clone(), false)));
            }
            Err(error) => {
                let shard = |log: &FollowedLog| LogSpec { origin: log.origin.clone(), announced: true, ..spec.clone() };
                expanded.logs.extend(known_shards(spec, followed).map(shard));
                expanded.unlisted.push((spec.origin.clone(), error));
            }
        }
    }
    expanded
}

fn known_shards<'a>(spec: &'a LogSpec, followed: &'a [FollowedLog]) -> impl Iterator<Item = &'a FollowedLog> {
    followed.iter().filter(|log| {
        let of_server = is_shard_of(&log.origin, Some(&spec.origin));
        let of_key = spec.is_named_by_url() && log.public_key == spec.key.spki() && is_shard_of(&log.origin, None);
        log.kind == spec.kind.as_str() && (of_server || of_key)
    })
}

/// The origin of a listed shard. Where the server is named by what it signs, a tree that is followed keeps its name: its
/// heads must go on to bear it, and a head that another key signed does not make another log of it.
fn name(spec: &LogSpec, shard: &Shard, followed: &[FollowedLog]) -> String {
    let unsigned = is_shard_of(&shard.origin, Some(&spec.origin));
    let known = followed.iter().filter(|_| spec.is_named_by_url()).find(|log| {
        let same_tree = log.kind == spec.kind.as_str() && tree_id_of(&log.origin) == Some(shard.tree_id);
        same_tree && (unsigned || log.public_key == spec.key.spki())
    });
    known.map_or_else(|| shard.origin.clone(), |log| log.origin.clone())
}

/// Whether an origin is that of a shard of Rekor v1, `<server> - <tree id>`, and of this server.
pub(crate) fn is_shard_of(origin: &str, server: Option<&str>) -> bool {
    origin.rsplit_once(" - ").is_some_and(|(name, id)| {
        server.is_none_or(|server| server == name) && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// What to do about a log that is named now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Naming {
    /// It is followed already.
    Known,
    /// A successor, named by verified trust material beside logs of its kind that are followed: it is read from zero (I10).
    Successor,
    /// Nobody has trusted it.
    Untrusted,
    /// It is followed with another key: whoever changed it must say so.
    OtherKey,
}

/// See [`Naming`]. Pure.
pub(crate) fn naming(spec: &LogSpec, followed: &[FollowedLog]) -> Naming {
    let kind = spec.kind.as_str();
    match followed.iter().find(|log| log.origin == spec.origin) {
        Some(log) if log.public_key == spec.key.spki() => Naming::Known,
        Some(_) => Naming::OtherKey,
        None if spec.announced && followed.iter().any(|log| log.kind == kind) => Naming::Successor,
        None => Naming::Untrusted,
    }
}

/// What changed between two readings of the trust material: the origin that it is about, and a whole sentence. Pure.
pub(crate) fn changes(before: &TrustMaterial, after: &TrustMaterial) -> Vec<(String, String)> {
    let by_origin = |material: &TrustMaterial| -> BTreeMap<String, LogSpec> {
        material.logs.iter().map(|spec| (spec.origin.clone(), spec.clone())).collect()
    };
    let (old, new) = (by_origin(before), by_origin(after));
    let mut changes = Vec::new();
    for (origin, spec) in &new {
        let key = hex::encode(spec.key.key_id());
        let words = match old.get(origin) {
            None => format!("The trust material names a new log, {origin}, with the key {key}."),
            Some(old) if old.key.spki() != spec.key.spki() => {
                let before = hex::encode(old.key.key_id());
                format!("The trust material names the key {key} for the log {origin}, and named {before} before.")
            }
            Some(old) if old.closed != spec.closed => {
                let now = if spec.closed { "closed" } else { "open again" };
                format!("The trust material says that the log {origin} is {now}.")
            }
            Some(_) => continue,
        };
        changes.push((origin.clone(), words));
    }
    for origin in old.keys().filter(|origin| !new.contains_key(*origin)) {
        changes.push((origin.clone(), format!("The trust material does not name the log {origin} any more.")));
    }
    if before.trust.certificate_authorities != after.trust.certificate_authorities {
        let (was, is) = (before.trust.certificate_authorities.len(), after.trust.certificate_authorities.len());
        let words = format!("The trust material names other certificate authorities: {was} before, {is} now.");
        changes.push(("certificate authorities".to_owned(), words));
    }
    changes
}

#[cfg(test)]
mod tests;
