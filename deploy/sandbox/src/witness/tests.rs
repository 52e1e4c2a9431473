//! Cosignatures, and when there are none.

use super::*;
use crate::testing::{ask, get};
use crate::{LogOptions, SandboxLog};
use http::Method;
use signature::Verifier as _;
use tlog::{SignedNote, WitnessKey, WitnessPolicy};

async fn start() -> (SandboxLog, SandboxWitness) {
    let log = SandboxLog::start(LogOptions::default()).await.unwrap();
    let witness = SandboxWitness::start(WitnessOptions::default()).await.unwrap();
    log.set_witnesses(std::slice::from_ref(&witness));
    (log, witness)
}

fn extend(log: &SandboxLog, name: &str, count: u32) {
    log.extend((0..count).map(|number| format!("{name} {number}").into_bytes()));
}

/// The time of the witness's cosignature under a note, where there is one; it must verify.
fn cosigned(witness: &SandboxWitness, note: &str) -> Option<i64> {
    let vkey = witness.vkey();
    let mut parts = vkey.split('+');
    let (name, hash) = (parts.next().unwrap(), hex::decode(parts.next().unwrap()).unwrap());
    // Base64 may have a plus sign too.
    let key = STANDARD.decode(parts.collect::<Vec<_>>().join("+")).unwrap();
    assert_eq!(key[0], 4);
    let parsed = SignedNote::parse(note).unwrap();
    let line = parsed.signatures().iter().find(|line| line.name == name && line.key_hash == hash[..])?;
    let (time, signature) = line.signature.split_first_chunk::<8>().unwrap();
    let time = i64::try_from(u64::from_be_bytes(*time)).unwrap();
    let message = format!("cosignature/v1\ntime {time}\n{}", parsed.text());
    let key = ed25519_dalek::VerifyingKey::from_bytes(key[1..].try_into().unwrap()).unwrap();
    key.verify(message.as_bytes(), &ed25519_dalek::Signature::from_slice(signature).unwrap()).unwrap();
    // The product agrees.
    assert_eq!(WitnessKey::from_vkey(&vkey).unwrap().verify(&parsed).unwrap(), Some(time));
    let policy = format!("witness w {vkey} {}\nquorum w\n", witness.url());
    assert!(WitnessPolicy::parse(&policy).unwrap().check(note).satisfied);
    Some(time)
}

#[tokio::test]
async fn every_checkpoint_of_a_log_that_grows_is_cosigned() {
    let (log, witness) = start().await;
    for size in [0, 3, 5, 300] {
        extend(&log, "leaf", size);
        let note = get(log.addr(), "/checkpoint").await.text();
        let checkpoint = Checkpoint::open(&note, log.key()).unwrap();
        assert_eq!(checkpoint.size(), log.size());
        let time = cosigned(&witness, &note).unwrap();
        assert!((clock::unix_seconds() - time).abs() < 60);
        let path = format!("/{}/checkpoint", hex::encode(Sha256::digest(log.origin())));
        assert_eq!(get(witness.addr(), &path).await.text(), note);
        assert_eq!(witness.checkpoint(log.origin()), Some(note));
    }
    assert_eq!(get(witness.addr(), "/00/checkpoint").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_witness_that_is_absent_or_down_is_missing_from_new_checkpoints() {
    let (log, witness) = start().await;
    witness.set_absent(true);
    extend(&log, "a", 1);
    assert_eq!(cosigned(&witness, &log.checkpoint()), None);
    witness.set_absent(false);
    log.republish();
    assert!(cosigned(&witness, &log.checkpoint()).is_some());
    witness.faults().set_down(true);
    extend(&log, "b", 1);
    assert_eq!(cosigned(&witness, &log.checkpoint()), None);
    log.set_witnesses(&[]);
    assert_eq!(cosigned(&witness, &log.checkpoint()), None);
}

#[tokio::test]
async fn an_honest_witness_sees_one_side_of_a_fork_and_a_dishonest_one_both() {
    let (log, witness) = start().await;
    extend(&log, "leaf", 10);
    let fork = log.fork_at(7).await.unwrap();
    extend(&fork, "other", 5);
    fork.set_witnesses(std::slice::from_ref(&witness));
    assert_eq!(cosigned(&witness, &fork.checkpoint()), None);
    log.roll_back(3).await.unwrap().set_witnesses(std::slice::from_ref(&witness));
    assert_eq!(cosigned(&witness, &get(log.addr(), "/checkpoint").await.text()), None);
    witness.set_dishonest(true);
    fork.republish();
    assert!(cosigned(&witness, &fork.checkpoint()).is_some());
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_in_the_cosignature() {
    let (log, witness) = start().await;
    witness.set_clock_offset(7_200);
    log.republish();
    assert!(cosigned(&witness, &log.checkpoint()).unwrap() > clock::unix_seconds() + 7_000);
}

#[tokio::test]
async fn the_protocol_answers_as_its_specification_says() {
    let (log, witness) = start().await;
    let fork = log.fork().await.unwrap();
    extend(&log, "leaf", 5);
    extend(&fork, "other", 9);
    let add = async |old: u64, proof: &[Hash], note: &str| {
        let proof: String = proof.iter().map(|hash| format!("{}\n", STANDARD.encode(hash.as_bytes()))).collect();
        let body = format!("old {old}\n{proof}\n{note}");
        ask(witness.addr(), Method::POST, "/add-checkpoint", &[], body).await.unwrap()
    };
    let other =
        SandboxWitness::start(WitnessOptions { name: "other".to_owned(), ..WitnessOptions::default() }).await.unwrap();
    // Forks have no witnesses, and so no cosignatures.
    let note = log.fork().await.unwrap().checkpoint();
    assert_eq!(cosigned(&other, &note), None);
    let accepted = add(5, &[], &note).await;
    assert_eq!(accepted.status, StatusCode::OK);
    assert!(cosigned(&witness, &format!("{note}{}", accepted.text())).is_some());
    let stale = add(4, &[], &note).await;
    assert_eq!((stale.status, stale.text().as_str()), (StatusCode::CONFLICT, "5\n"));
    assert_eq!(stale.header("content-type"), "text/x.tlog.size");
    let proof = fork.consistency(5, 9).unwrap();
    assert_eq!(add(5, &proof, &fork.checkpoint()).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(add(5, &[], &log.fork_at(2).await.unwrap().checkpoint()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(add(0, &[], &note.replace("sandbox", "elsewhere")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(add(5, &[], &note.replace("\n5\n", "\n6\n")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(add(5, &[], "nothing").await.status, StatusCode::NOT_FOUND);
}
