//! Storm control: whoever floods a log under one name of ours raises so many findings a day, and then one more.
//!
//! From an ECDSA public key alone anybody can compute digests and signatures that verify (choose a and b, let R = aG + bQ,
//! r = R.x, s = r/b, digest = ar/b), and each of them looks like a use of the key. Told one by one they would bury a real
//! one, and whoever is paged for each stops reading. Nothing is dropped: what is beyond the limit is an occurrence of one
//! finding, with its evidence.

use std::collections::{HashMap, HashSet};

use sha2::{Digest as _, Sha256};
use store::NewFinding;

use crate::finding;

const DAY_MS: i64 = 86_400_000;

/// What was told apart today.
#[derive(Debug)]
pub(crate) struct Storms {
    told_apart: usize,
    /// Days since 1970.
    day: i64,
    /// Hashes of fingerprints, by name.
    told: HashMap<String, HashSet<[u8; 32]>>,
}

impl Storms {
    /// So many findings of one name a day are told apart.
    pub(crate) fn new(told_apart: usize) -> Self {
        Self { told_apart, day: 0, told: HashMap::new() }
    }

    /// The finding as it is told: itself, or, beyond the limit, as one more occurrence of the day's flood under that name.
    pub(crate) fn tell(&mut self, name: &str, found: NewFinding, now: i64) -> NewFinding {
        let day = now.div_euclid(DAY_MS);
        if day != self.day {
            self.day = day;
            self.told.clear();
        }
        let told = self.told.entry(format!("{}/{name}", found.kind)).or_default();
        let print: [u8; 32] = Sha256::digest(&found.fingerprint).into();
        if told.contains(&print) || told.len() < self.told_apart {
            told.insert(print);
            return found;
        }
        self.flood(name, found, day)
    }

    fn flood(&self, name: &str, found: NewFinding, day: i64) -> NewFinding {
        let date = jiff::Timestamp::from_millisecond(day.saturating_mul(DAY_MS))
            .map_or_else(|_| day.to_string(), |midnight| midnight.strftime("%Y-%m-%d").to_string());
        let many = self.told_apart;
        NewFinding {
            fingerprint: finding::fingerprint(found.kind, None, &format!("flood/{name}/{date}")),
            log_origin: None,
            title: format!("{}, more than {many} times on {date}", found.title),
            detail: format!(
                "More than {many} findings like this one on {date} (UTC): those beyond are counted here, each an occurrence \
                 with its evidence. Anybody can flood a log with entries that only look like uses of an ECDSA key, and a \
                 real use may be among them: export the evidence, and look whether anything has these digests. The first \
                 of them: {}",
                found.detail
            ),
            ..found
        }
    }
}

#[cfg(test)]
mod tests {
    use store::{FindingKind, Severity};

    use super::*;

    fn found(cause: &str, index: u64) -> NewFinding {
        NewFinding {
            kind: FindingKind::KeyUsedOutside,
            severity: Severity::Critical,
            fingerprint: finding::fingerprint(FindingKind::KeyUsedOutside, None, cause),
            log_origin: Some("log.test".to_owned()),
            title: "our key \"release\" was used outside of our signer".to_owned(),
            detail: "Entry 1.".to_owned(),
            occurrence: format!("log.test/{index}"),
            evidence: Some(vec![1]),
            at: 0,
        }
    }

    #[test]
    fn what_is_beyond_the_limit_is_one_finding_a_day_and_loses_nothing() {
        let mut storms = Storms::new(3);
        let now = 20_000 * DAY_MS + 5;
        let told: Vec<_> = (0..10).map(|n| storms.tell("key/a", found(&format!("a/{n}"), n), now)).collect();
        assert!((0..3).all(|n| told[n] == found(&format!("a/{n}"), n as u64)), "{told:?}");
        let floods: HashSet<_> = told[3..].iter().map(|it| it.fingerprint.clone()).collect();
        assert_eq!(floods.into_iter().collect::<Vec<_>>(), ["key_used_outside//flood/key/a/2024-10-04"]);
        for (n, flood) in told.iter().enumerate().skip(3) {
            assert_eq!(flood.occurrence, format!("log.test/{n}"));
            assert_eq!((flood.severity, &flood.evidence), (Severity::Critical, &Some(vec![1])));
            assert!(flood.title.ends_with(", more than 3 times on 2024-10-04"), "{}", flood.title);
        }
        // A copy of what was told apart is still that finding, and other names have limits of their own.
        assert_eq!(storms.tell("key/a", found("a/1", 77), now), found("a/1", 77));
        assert_eq!(storms.tell("key/b", found("b/1", 78), now), found("b/1", 78));
        // The next day begins anew.
        let tomorrow = now + DAY_MS;
        assert_eq!(storms.tell("key/a", found("a/9", 79), tomorrow), found("a/9", 79));
    }
}
