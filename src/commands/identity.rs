//! `identity rezone`: an identity signs in one trust zone; where a zone was renamed, a person says so.

use anyhow::Context as _;
use store::Store;
use watcher::WatcherConfig;

use super::CLEAN;
use crate::config::Config;
use crate::ended::Ended;
use crate::{rooms, run, say};

/// Gives an identity the zone that the configuration's rules ask for.
pub(crate) async fn rezone(config: &Config, name: &str, because: &str) -> anyhow::Result<u8> {
    if because.trim().is_empty() {
        return Err(Ended::usage("--because needs a reason: it is recorded with the change"));
    }
    let room = rooms::worker(config, run::now_ms())?;
    let asked = zones(&room).into_iter().find(|asked| asked.name == name);
    let asked = asked.with_context(|| format!("no rule signs with an identity {name:?}: name one of [identity.…]"))?;
    let store = rooms::store_beside(config).await?;
    let before = store.zones_of(std::slice::from_ref(&asked.fingerprint)).await?;
    let by = run::who();
    if store.rezone(&asked.fingerprint, &asked.zone, because, &by, run::now_ms()).await? {
        let from = before.first().map_or("", |zone| zone.trust_zone.as_str());
        say!("identity {name} ({}) was in trust zone {from:?} and is in {:?} now", asked.fingerprint, asked.zone);
    } else {
        say!(
            "identity {name} ({}) has nothing to change: it is in {:?}, or has never signed",
            asked.fingerprint,
            asked.zone
        );
    }
    Ok(CLEAN)
}

/// Refuses a configuration that asks for another trust zone than an identity has signed in: every push would be parked.
pub(crate) async fn zones_fit(room: &WatcherConfig, store: &dyn Store) -> anyhow::Result<()> {
    let asked = zones(room);
    let fingerprints: Vec<String> = asked.iter().map(|asked| asked.fingerprint.clone()).collect();
    for recorded in store.zones_of(&fingerprints).await? {
        let Some(asked) = asked.iter().find(|asked| asked.fingerprint == recorded.identity) else { continue };
        if asked.zone != recorded.trust_zone {
            return Err(Ended::usage(format!(
                "identity {} signs in trust zone {:?} by the rules, and has signed in {:?} until now: if the zone was renamed, run \
                 `sealwatch identity rezone {} --because \"…\"`; if not, give the new zone a key of its own",
                asked.name, asked.zone, recorded.trust_zone, asked.name
            )));
        }
    }
    Ok(())
}

/// An identity and the zone of the rules that sign with it.
struct Asked {
    name: String,
    fingerprint: String,
    zone: String,
}

fn zones(room: &WatcherConfig) -> Vec<Asked> {
    let of = |name: &str| room.rules.iter().find(|rule| rule.sign_with.iter().any(|with| with == name));
    room.identities
        .iter()
        .filter_map(|(name, identity)| {
            let fingerprint = identity.key.public_key().fingerprint();
            Some(Asked { name: name.clone(), fingerprint, zone: of(name)?.trust_zone.clone() })
        })
        .collect()
}
