//! Leaves of a log, judged and settled against a store.

use std::sync::Arc;
use std::time::Duration;

use bundle::TrustRoot;
use bundle::trust_root::ValidFor;
use sandbox::leaves::{By, hashed_rekord_v1, hashed_rekord_v2};
use sandbox::{CaOptions, SandboxCa};
use store::{FindingFilter, FindingKind, FindingRow, NewSuspect, Severity};

use super::ground::{GRACE, Ground, NOW};
use super::leaves::*;
use super::scene::workflow;
use super::*;
use crate::evidence;
use crate::inclusion::FollowedTree;
use crate::log::LeafFormat;

use crate::watchlist::{DigestFilter, Watchlist};

fn hits(log: &sandbox::SandboxLog, watchlist: &Watchlist) -> Vec<Hit> {
    let mut hits = Vec::new();
    for index in 0..log.size() {
        let leaf = log.entry(index).unwrap();
        let mut scratch = bundle::claims::Scratch::new();
        let claims = judge::read(LeafFormat::Rekor, &leaf, &mut scratch).unwrap();
        let mut matches = Vec::new();
        watchlist.matches(&claims, &DigestFilter::new(), &mut matches);
        if !matches.is_empty() {
            hits.push(Hit { index, leaf: leaf.clone(), leaf_format: LeafFormat::Rekor, matches });
        }
    }
    hits
}

/// Judges all leaves of a log and writes what they came to, as a step along the log does.
async fn read_all(ground: &Ground, tree: &FollowedTree, log: &sandbox::SandboxLog, now: i64) -> Judged {
    let watchlist = ground.side.with_keys(&Watchlist::compile(&[]).unwrap(), now).await.unwrap();
    let hits = hits(log, &watchlist);
    let judged = ground.side.judge(tree.reader.as_ref(), &tree.head, &watchlist, hits, now).await.unwrap();
    ground.advance(tree, &judged, now).await;
    judged
}

async fn settle(ground: &Ground, forest: &[FollowedTree], now: i64) -> Settled {
    let watchlist = Watchlist::compile(&[]).unwrap();
    ground.side.settle_due(forest, &watchlist, now).await.unwrap()
}

async fn findings(ground: &Ground) -> Vec<FindingRow> {
    ground.store.findings(&FindingFilter::default()).await.unwrap()
}

#[tokio::test]
async fn a_rogue_signature_is_found_after_the_grace_period_with_evidence_that_convinces() {
    let ground = Ground::new().await;
    let ours = ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    let key = By::Key(ground.key.spki());
    log.append(hashed_rekord_v2(&sha256(b"ours"), &ours, &key)).await;
    log.append(hashed_rekord_v2(&sha256(b"ours"), &negated(&ours), &key)).await;
    log.append(hashed_rekord_v2(&sha256(b"rogue"), &ground.key.sign(b"rogue"), &key)).await;
    let tree = ground.tree(&log).await;
    let judged = read_all(&ground, &tree, &log, NOW).await;
    assert_eq!(judged.counted, [("ours".to_owned(), 1), ("derived".to_owned(), 1)]);
    let [NewSuspect { log_index: 2, due_at, .. }] = judged.suspects.as_slice() else { panic!("{judged:?}") };
    assert_eq!(*due_at, NOW + GRACE);

    let forest = [tree];
    assert_eq!(settle(&ground, &forest, NOW + GRACE - 1).await, Settled::default());
    assert_eq!(settle(&ground, &forest, NOW + GRACE).await, Settled { found: 1, ..Settled::default() });
    assert_eq!(settle(&ground, &forest, NOW + 2 * GRACE).await, Settled::default());
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!((finding.kind, finding.severity), (FindingKind::KeyUsedOutside, Severity::Critical));
    assert!(finding.detail.contains(&hex::encode(sha256(b"rogue"))), "{}", finding.detail);
    let proof = ground.store.evidence(finding.id).await.unwrap();
    let verdict = evidence::verify(proof[0].evidence.as_deref().unwrap()).unwrap();
    assert!(verdict.holds && verdict.attributable, "{:?}", verdict.says);
}

#[tokio::test]
async fn a_key_that_the_ledger_names_no_more_is_watched_and_told_of() {
    let ground = Ground::new().await;
    let hidden = Key::new();
    let seen = store::LedgerKeySeen {
        spki: hidden.spki(),
        identity: hidden.public().fingerprint(),
        certified: false,
        seen_at: 0,
        backdated: false,
    };
    ground.store.record_ledger_keys_seen(&[seen]).await.unwrap();
    let log = ground.log("log.example.com").await;
    log.append(hashed_rekord_v2(&sha256(b"rogue"), &hidden.sign(b"rogue"), &By::Key(hidden.spki()))).await;
    let forest = [ground.tree(&log).await];
    assert_eq!(read_all(&ground, &forest[0], &log, NOW).await.suspects.len(), 1);
    assert_eq!(settle(&ground, &forest, NOW + GRACE).await, Settled { found: 1, ..Settled::default() });
    ground.side.look_at_intents(NOW + GRACE).await.unwrap();
    let found = findings(&ground).await;
    let lost: Vec<_> = found.iter().filter(|finding| finding.kind == FindingKind::StateLost).collect();
    let [lost] = lost[..] else { panic!("{found:?}") };
    assert!(lost.detail.contains(&hidden.public().fingerprint()), "{}", lost.detail);
}

#[tokio::test]
async fn of_many_rogue_signatures_each_is_told_of_at_once_and_the_first_with_a_proof() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    let key = By::Key(ground.key.spki());
    log.extend((0..70_u8).map(|number| hashed_rekord_v2(&sha256(&[number]), &ground.key.sign(&[number]), &key)));
    let forest = [ground.tree(&log).await];
    read_all(&ground, &forest[0], &log, NOW).await;
    assert_eq!(settle(&ground, &forest, NOW + GRACE).await, Settled { found: 70, ..Settled::default() });
    let mut convincing = 0;
    for finding in ground.store.findings(&FindingFilter { limit: 100, ..FindingFilter::default() }).await.unwrap() {
        let proof = ground.store.evidence(finding.id).await.unwrap();
        let verdict = evidence::verify(proof[0].evidence.as_deref().unwrap()).unwrap();
        assert!(verdict.holds, "{:?}", verdict.says);
        convincing += u32::from(verdict.attributable);
    }
    assert_eq!(convincing, 64);
}

#[tokio::test]
async fn copies_of_one_rogue_signature_in_two_logs_are_one_finding() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let (one, two) = (ground.log("one.example.com").await, ground.log("two.example.com").await);
    let (key, rogue) = (By::Key(ground.key.spki()), ground.key.sign(b"rogue"));
    one.append(hashed_rekord_v2(&sha256(b"rogue"), &rogue, &key)).await;
    one.append(hashed_rekord_v1(&sha256(b"rogue"), &negated(&rogue), &key)).await;
    two.append(hashed_rekord_v1(&sha256(b"rogue"), &rogue, &key)).await;
    two.append(hashed_rekord_v1(&sha256(b"rogue"), &halves(&rogue, 0), &key)).await;
    two.append(dsse_v1(b"rogue", &[(&halves(&negated(&rogue), 20), &ground.key)])).await;
    let forest = [ground.tree(&one).await, ground.tree(&two).await];
    read_all(&ground, &forest[0], &one, NOW).await;
    read_all(&ground, &forest[1], &two, NOW).await;
    assert_eq!(settle(&ground, &forest, NOW + GRACE).await.found, 5);
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!(finding.occurrences, 5);
}

#[tokio::test]
async fn whatever_nobody_can_read_under_our_key_is_one_finding() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    let key = By::Key(ground.key.spki());
    log.extend([[1; 65], [2; 65], [3; 65]].map(|junk| hashed_rekord_v2(&sha256(b"rogue"), &junk, &key)));
    let forest = [ground.tree(&log).await];
    read_all(&ground, &forest[0], &log, NOW).await;
    assert_eq!(settle(&ground, &forest, NOW + GRACE).await.found, 3);
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!(finding.occurrences, 3);
    assert!(finding.detail.contains("no encoding that we can read"), "{}", finding.detail);
}

#[tokio::test]
async fn a_flood_under_one_key_is_a_few_findings_and_one_with_all_the_rest_and_their_evidence() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let ground = Ground { side: ground.side.telling_apart(3), ..ground };
    let log = ground.log("log.example.com").await;
    for n in 0u64..20 {
        let (message, key) = (n.to_be_bytes(), By::Key(ground.key.spki()));
        log.append(hashed_rekord_v2(&sha256(&message), &ground.key.sign(&message), &key)).await;
    }
    let forest = [ground.tree(&log).await];
    read_all(&ground, &forest[0], &log, NOW).await;
    assert_eq!(settle(&ground, &forest, NOW + GRACE).await.found, 20);
    let found = findings(&ground).await;
    let occurrences: Vec<u64> = found.iter().rev().map(|finding| finding.occurrences).collect();
    assert_eq!(occurrences, [1, 1, 1, 17], "{found:?}");
    let flood = &found[0];
    assert_eq!((flood.kind, flood.severity), (FindingKind::KeyUsedOutside, Severity::Critical));
    assert!(flood.title.contains("more than 3 times on "), "{}", flood.title);
    // The pager hears of it when it begins, and at 2, 5 and 10.
    assert_eq!(flood.alerts, 4);
    let proofs = ground.store.evidence(flood.id).await.unwrap();
    assert_eq!(proofs.len(), 17);
    for proof in proofs {
        assert!(evidence::verify(proof.evidence.as_deref().unwrap()).unwrap().holds, "{}", proof.occurrence);
    }
}

#[tokio::test]
async fn a_suspect_of_a_log_that_somebody_else_follows_is_left_to_him() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    log.append(hashed_rekord_v2(&sha256(b"rogue"), &ground.key.sign(b"rogue"), &By::Key(ground.key.spki()))).await;
    let tree = ground.tree(&log).await;
    read_all(&ground, &tree, &log, NOW).await;
    let other = ground.log("other.example.com").await;
    other.append(b"{}".to_vec()).await;
    let others = [ground.tree(&other).await];
    for now in [NOW + GRACE, NOW + 5 * GRACE - 1] {
        // Nothing is written either: each word about it would put off whoever can settle it.
        assert_eq!(settle(&ground, &others, now).await, Settled::default());
    }
    let due = ground.store.due_suspects(NOW + GRACE, 10).await.unwrap();
    assert_eq!(due.iter().map(|suspect| suspect.due_at).collect::<Vec<_>>(), [NOW + GRACE]);
    assert_eq!(settle(&ground, &[tree], NOW + 5 * GRACE - 1).await.found, 1);
    let finding = findings(&ground).await.remove(0);
    let proof = ground.store.evidence(finding.id).await.unwrap();
    assert!(evidence::verify(proof[0].evidence.as_deref().unwrap()).unwrap().attributable);
}

#[tokio::test]
async fn a_row_that_comes_within_the_grace_period_explains_the_leaf() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    ground.side.look_at_intents(NOW - 1_000).await.unwrap();
    let log = ground.log("log.example.com").await;
    let late = ground.key.sign(b"late");
    log.append(hashed_rekord_v2(&sha256(b"late"), &late, &By::Key(ground.key.spki()))).await;
    let forest = [ground.tree(&log).await];
    assert_eq!(read_all(&ground, &forest[0], &log, NOW).await.suspects.len(), 1);
    ground.record(2, b"late", &late, NOW).await;
    assert_eq!(settle(&ground, &forest, NOW + GRACE).await, Settled { explained: 1, ..Settled::default() });
    assert!(findings(&ground).await.is_empty());
}

#[tokio::test]
async fn a_row_that_is_dated_back_explains_nothing_and_is_told_of() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 3_600_000).await;
    ground.side.look_at_intents(NOW).await.unwrap();
    // The thief signs and logs; nobody reads the log for an hour. Then he writes the row, as of before.
    let rogue = ground.key.sign(b"rogue");
    let log = ground.log("log.example.com").await;
    log.append(hashed_rekord_v2(&sha256(b"rogue"), &rogue, &By::Key(ground.key.spki()))).await;
    let later = NOW + 3_600_000;
    ground.side.look_at_intents(later).await.unwrap();
    ground.record(2, b"rogue", &rogue, NOW + 1_000).await;
    let forest = [ground.tree(&log).await];
    // Judged before and after the monitor looked at the ledger again: the same.
    let judged = read_all(&ground, &forest[0], &log, later + 1_000).await;
    assert_eq!(judged.suspects.len(), 1, "{judged:?}");
    let looked = ground.side.look_at_intents(later + 2_000).await.unwrap();
    assert_eq!((looked.new, looked.backdated), (1, 1));
    assert_eq!(settle(&ground, &forest, later + 1_000 + GRACE).await.found, 1);
    let findings = findings(&ground).await;
    let kinds: Vec<FindingKind> = findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::KeyUsedOutside, FindingKind::StateLost]);
    assert!(findings[0].detail.contains("written afterwards"), "{}", findings[0].detail);
}

#[tokio::test]
async fn what_is_written_after_a_look_that_began_after_the_leaf_explains_nothing() {
    // A new row, and an old one that was parked: each says that it is of a moment before the leaf.
    for parked in [false, true] {
        let ground = Ground::new().await;
        ground.signed(1, b"ours", NOW - 3_600_000).await;
        let row = if parked { Some(ground.intended(2, NOW - 3_600_000).await) } else { None };
        ground.side.look_at_intents(NOW - 1_000).await.unwrap();
        let rogue = ground.key.sign(b"rogue");
        let log = ground.log("log.example.com").await;
        log.append(hashed_rekord_v2(&sha256(b"rogue"), &rogue, &By::Key(ground.key.spki()))).await;
        let forest = [ground.tree(&log).await];
        assert_eq!(read_all(&ground, &forest[0], &log, NOW).await.suspects.len(), 1);
        ground.side.look_at_intents(NOW + GRACE + 1).await.unwrap();
        match row {
            Some(row) => ground.sign_row(row, b"rogue", b"rogue", &rogue, NOW - 1).await,
            None => drop(ground.record(3, b"rogue", &rogue, NOW - 1).await),
        }
        // Settled before and after it is seen.
        if parked {
            ground.side.look_at_intents(NOW + GRACE + 2).await.unwrap();
        }
        assert_eq!(settle(&ground, &forest, NOW + GRACE + 3).await.found, 1, "{parked}");
        let findings = findings(&ground).await;
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert!(finding.detail.contains("written afterwards"), "{}", finding.detail);
    }
}

#[tokio::test]
async fn a_row_that_says_that_it_is_younger_than_the_leaf_explains_nothing() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 3_600_000).await;
    let rogue = ground.key.sign(b"rogue");
    let log = ground.log("log.example.com").await;
    log.append(hashed_rekord_v2(&sha256(b"rogue"), &rogue, &By::Key(ground.key.spki()))).await;
    let forest = [ground.tree(&log).await];
    // Its head was seen now, its leaves are read an hour later, and the row is honest about its time.
    ground.note(&forest[0], NOW).await;
    ground.record(2, b"rogue", &rogue, NOW + 3_000_000).await;
    let judged = read_all(&ground, &forest[0], &log, NOW + 3_600_000).await;
    assert_eq!((judged.suspects.len(), judged.suspects[0].noted_at), (1, NOW));
    assert_eq!(settle(&ground, &forest, NOW + 3_600_000 + GRACE).await.found, 1);
}

#[tokio::test]
async fn the_same_leaf_at_a_second_index_is_ours() {
    let ground = Ground::new().await;
    let ours = ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    let leaf = hashed_rekord_v2(&sha256(b"ours"), &ours, &By::Key(ground.key.spki()));
    log.extend([leaf.clone(), leaf]);
    let tree = ground.tree(&log).await;
    let judged = read_all(&ground, &tree, &log, NOW).await;
    assert_eq!((judged.counted, judged.suspects.len()), (vec![("ours".to_owned(), 2)], 0));
}

#[tokio::test]
async fn an_envelope_without_a_signature_is_explained_by_a_walk_through_the_ledger() {
    let ground = Ground::new().await;
    let ours = ground.key.sign(b"message");
    ground.record_payload(1, b"payload", b"message", &ours, NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    log.extend([intoto_v1(b"payload", &ground.key), intoto_v1(b"rogue", &ground.key)]);
    let forest = [ground.tree(&log).await];
    assert_eq!(read_all(&ground, &forest[0], &log, NOW).await.suspects.len(), 2);
    // One walk is for both: who logs our envelopes again makes no queue for what is not ours.
    let settled = settle(&ground, &forest, NOW + GRACE).await;
    assert_eq!(settled, Settled { explained: 1, found: 1, postponed: 0 });
    // And it is not repeated at once.
    log.extend([intoto_v1(b"another", &ground.key)]);
    let forest = [ground.tree(&log).await];
    read_all(&ground, &forest[0], &log, NOW + GRACE).await;
    assert_eq!(settle(&ground, &forest, NOW + 2 * GRACE).await.postponed, 1);
    assert_eq!(settle(&ground, &forest, NOW + 11 * 60_000).await.found, 1);
}

#[tokio::test]
async fn an_expected_and_a_rogue_identity_are_sighted_and_the_junk_is_not() {
    use crate::watchlist::{IdentityRule, Pattern, WatchKind, WatchMode, WatchRule};
    let ground = Ground::new().await;
    let (trusted, homemade) =
        (SandboxCa::start(CaOptions::default()).await.unwrap(), SandboxCa::start(CaOptions::default()).await.unwrap());
    let mut trust = TrustRoot::empty();
    trust.add_certificate_authority(trusted.url(), trusted.chain_der().to_vec(), ValidFor::default());
    ground.side.set_trust(Arc::new(trust));
    let rule = |name: &str, mode, subject: &str| WatchRule {
        name: name.to_owned(),
        mode,
        kind: WatchKind::Identity(IdentityRule {
            subject: Some(Pattern::exact_or_glob(subject)),
            ..IdentityRule::default()
        }),
    };
    let watchlist = Watchlist::compile(&[
        rule("ours", WatchMode::Alert, "https://github.com/acme/*"),
        rule("friends", WatchMode::Observe, "https://github.com/friend/*"),
        rule("foes", WatchMode::Alert, "https://github.com/foe/*"),
    ])
    .unwrap();
    let log = ground.log("log.example.com").await;
    let signed = |ca: &SandboxCa, repository: &str| {
        let key = Key::new();
        let certificate = ca.issue(&workflow(repository, "release.yml"), &key.spki()).unwrap().certificate;
        hashed_rekord_v2(&sha256(b"x"), &key.sign(b"x"), &By::Certificate(certificate))
    };
    log.extend([
        signed(&trusted, "acme/app"),
        signed(&trusted, "friend/app"),
        signed(&trusted, "friend/app"),
        signed(&homemade, "foe/app"),
        signed(&trusted, "acrne/app"),
        signed(&trusted, "acrne/app"),
    ]);
    let tree = ground.tree(&log).await;
    let hits = hits(&log, &watchlist);
    let judged = ground.side.judge(tree.reader.as_ref(), &tree.head, &watchlist, hits, NOW).await.unwrap();
    let matchers: Vec<&str> = judged.sightings.iter().map(|sighting| sighting.matcher.as_str()).collect();
    assert_eq!(matchers, ["friends", "ours"]);
    let [observed] = judged.observed.as_slice() else { panic!("{:?}", judged.observed) };
    assert_eq!((observed.watch.as_str(), observed.times), ("friends", 2));
    assert!(crate::observe::draft(&judged.observed).contains("friend/app"));
    ground.advance(&tree, &judged, NOW).await;
    let settled = ground.side.settle_due(&[tree], &watchlist, NOW + GRACE).await.unwrap();
    assert_eq!(settled.found, 3);
    let found = findings(&ground).await;
    // However often a look-alike signs.
    let near: Vec<&FindingRow> = found.iter().filter(|finding| finding.kind == FindingKind::NearMiss).collect();
    assert_eq!(near.iter().map(|finding| finding.occurrences).collect::<Vec<_>>(), [2]);
    let [finding] = &found.iter().filter(|finding| finding.kind != FindingKind::NearMiss).collect::<Vec<_>>()[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!(finding.kind, FindingKind::UnexpectedIdentity);
    let proof = ground.store.evidence(finding.id).await.unwrap();
    let verdict = evidence::verify(proof[0].evidence.as_deref().unwrap()).unwrap();
    assert!(verdict.holds && verdict.attributable, "{:?}", verdict.says);
}

#[tokio::test]
async fn a_log_that_gives_no_proof_delays_a_finding_for_a_while_only() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    log.append(hashed_rekord_v2(&sha256(b"rogue"), &ground.key.sign(b"rogue"), &By::Key(ground.key.spki()))).await;
    log.append(b"{}".to_vec()).await;
    let forest = [ground.tree(&log).await];
    let watchlist = ground.side.with_keys(&Watchlist::compile(&[]).unwrap(), NOW).await.unwrap();
    let hit = Hit {
        index: 0,
        leaf: log.entry(0).unwrap(),
        leaf_format: LeafFormat::Rekor,
        matches: vec![crate::watchlist::Match {
            claim: 0,
            matcher: None,
            what: crate::watchlist::Matched::Key { fingerprint: String::new(), retired: false },
        }],
    };
    let judged = ground.side.judge(forest[0].reader.as_ref(), &forest[0].head, &watchlist, vec![hit], NOW).await;
    ground.advance(&forest[0], &judged.unwrap(), NOW).await;
    log.shutdown();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(settle(&ground, &forest, NOW + GRACE).await, Settled { postponed: 1, ..Settled::default() });
    assert_eq!(settle(&ground, &forest, NOW + 5 * GRACE).await.found, 1);
    let finding = findings(&ground).await.remove(0);
    let proof = ground.store.evidence(finding.id).await.unwrap();
    let verdict = evidence::verify(proof[0].evidence.as_deref().unwrap()).unwrap();
    assert!(verdict.holds && !verdict.attributable, "{:?}", verdict.says);
}

#[tokio::test]
async fn a_suspect_of_a_log_that_nobody_reads_any_more_is_told_of_all_the_same() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    log.append(hashed_rekord_v2(&sha256(b"rogue"), &ground.key.sign(b"rogue"), &By::Key(ground.key.spki()))).await;
    read_all(&ground, &ground.tree(&log).await, &log, NOW).await;
    // It went down, or was dropped from the trust material, between reading and settling.
    for grace_periods in [1, 2, 4] {
        let settled = settle(&ground, &[], NOW + grace_periods * GRACE).await;
        assert_eq!(settled, Settled::default(), "{grace_periods}");
    }
    assert_eq!(settle(&ground, &[], NOW + 5 * GRACE).await, Settled { found: 1, ..Settled::default() });
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!((finding.kind, finding.log_origin.as_deref()), (FindingKind::KeyUsedOutside, Some("log.example.com")));
}

#[tokio::test]
async fn another_leaf_at_the_index_of_one_that_was_settled_is_found() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    // The log is lost, restored from nothing, and trusted anew.
    for (message, now) in [(b"first", NOW), (b"later", NOW + 10 * GRACE)] {
        let log = ground.log("log.example.com").await;
        log.append(hashed_rekord_v2(&sha256(message), &ground.key.sign(message), &By::Key(ground.key.spki()))).await;
        let forest = [ground.tree(&log).await];
        assert_eq!(read_all(&ground, &forest[0], &log, now).await.suspects.len(), 1);
        assert_eq!(settle(&ground, &forest, now + GRACE).await.found, 1, "{now}");
    }
    assert_eq!(findings(&ground).await.len(), 2);
}

#[tokio::test]
async fn a_leaf_that_names_our_key_a_thousand_times_is_kept_once() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    let key = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(ground.key.spki())
    };
    let leaf = serde_json::json!({"apiVersion": "0.0.1", "kind": "tuf", "spec": vec![key; 1_000]});
    log.append(leaf.to_string().into_bytes()).await;
    let judged = read_all(&ground, &ground.tree(&log).await, &log, NOW).await;
    assert_eq!(judged.suspects.len(), 1);
}

#[tokio::test]
async fn our_key_behind_anothers_wakes_nobody_however_often() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    let stranger = Key::new();
    let behind = format!("{}{}", stranger.public().pem(), ground.key.public().pem());
    log.extend([b"one", b"two"].map(|payload| chained_dsse(payload, &[(&stranger.sign(payload), behind.clone())])));
    let forest = [ground.tree(&log).await];
    read_all(&ground, &forest[0], &log, NOW).await;
    assert_eq!(settle(&ground, &forest, NOW + GRACE).await.found, 2);
    let [finding] = &findings(&ground).await[..] else { panic!() };
    assert_eq!((finding.severity, finding.occurrences), (Severity::Warning, 2));
    assert!(finding.detail.contains("behind another key"), "{}", finding.detail);
}

/// A leaf that the log checks against keys of a stranger, each with ours behind it, under another signature each.
fn crowded(ours: &[&Key], times: usize) -> Vec<u8> {
    let stranger = Key::new();
    let behind: String = ours.iter().map(|key| key.public().pem()).collect();
    let signatures: Vec<Vec<u8>> = (0..times).map(|time| stranger.sign(&time.to_be_bytes())).collect();
    let pem = format!("{}{behind}", stranger.public().pem());
    let signed: Vec<(&[u8], String)> = signatures.iter().map(|signature| (&signature[..], pem.clone())).collect();
    chained_dsse(b"payload of a stranger", &signed)
}

#[tokio::test]
async fn a_leaf_with_our_key_behind_a_thousand_signatures_is_kept_once() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    log.append(crowded(&[&ground.key], 300)).await;
    let judged = read_all(&ground, &ground.tree(&log).await, &log, NOW).await;
    assert_eq!((judged.suspects.len(), judged.counted), (1, Vec::new()));
}

#[tokio::test]
async fn a_leaf_has_few_suspects_the_worst_first_and_says_how_many_are_left_out() {
    let ground = Ground::new().await;
    ground.signed(1, b"ours", NOW - 2_000).await;
    let log = ground.log("log.example.com").await;
    let others: Vec<Key> = (0..20).map(|_| Key::new()).collect();
    let ours: Vec<&Key> = others.iter().collect();
    // Twenty keys of ours where nobody checks, and behind all of them, in the last place, a use of one.
    let mut leaf: serde_json::Value = serde_json::from_slice(&crowded(&ours, 1)).unwrap();
    let rogue: serde_json::Value =
        serde_json::from_slice(&dsse_v1(b"", &[(&ground.key.sign(b"rogue"), &ground.key)])).unwrap();
    leaf["spec"]["signatures"].as_array_mut().unwrap().push(rogue["spec"]["signatures"][0].clone());
    log.append(leaf.to_string().into_bytes()).await;
    let tree = ground.tree(&log).await;
    let keys: Vec<(Vec<u8>, String)> = ours.iter().map(|key| (key.spki(), String::new())).collect();
    let mut watchlist = ground.side.with_keys(&Watchlist::compile(&[]).unwrap(), NOW).await.unwrap();
    watchlist.add_keys(&keys);
    let hits = hits(&log, &watchlist);
    let held = hits[0].held_bytes();
    let judged = ground.side.judge(tree.reader.as_ref(), &tree.head, &watchlist, hits, NOW).await.unwrap();
    assert_eq!((judged.suspects.len(), &judged.counted[..]), (8, &[("left_out".to_owned(), 13)][..]));
    assert!(judged.suspects[0].why.starts_with("claim 21 "), "{}", judged.suspects[0].why);
    let copies: usize = judged.suspects.iter().map(|suspect| suspect.leaf.len()).sum();
    assert!(held > copies + 21 * size_of::<crate::watchlist::Match>());
}
