//! One signature in every encoding that a log keeps.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sandbox::leaves::{By, hashed_rekord_v1, hashed_rekord_v2};

use super::leaves::*;
use super::scene::Scene;
use super::*;
use crate::log::LeafFormat;

/// DER or halves, low or high s, zeros before each half.
type Encoding = (bool, bool, usize);

fn encoded(signature: &[u8], (in_halves, high, zeros): Encoding) -> Vec<u8> {
    let signature = if high { negated(signature) } else { signature.to_vec() };
    if in_halves { halves(&signature, zeros) } else { signature }
}

fn leaves(message: &[u8], payload: &[u8], signature: &[u8], key: &Key) -> [Vec<u8>; 3] {
    let (digest, by) = (sha256(message), By::Key(key.spki()));
    [
        hashed_rekord_v1(&digest, signature, &by),
        hashed_rekord_v2(&digest, signature, &by),
        dsse_v1(payload, &[(signature, key)]),
    ]
}

#[tokio::test]
async fn every_encoding_of_our_signature_is_ours_and_of_a_rogue_one_is_found() {
    let scene = Scene::new().await;
    let mut runner = TestRunner::new(Config { cases: 48, ..Config::default() });
    let every = (any::<bool>(), any::<bool>(), 0_usize..=34);
    let held = runner.run(&(every, any::<[u8; 8]>()), |(encoding, rogue)| {
        for leaf in leaves(b"message", b"payload", &encoded(&scene.signature(1), encoding), &scene.ours) {
            let verdicts = scene.verdicts(&leaf, LeafFormat::Rekor, &[]);
            let derived = encoding.0 || encoding.1;
            let expected = if derived { Reason::Derived } else { Reason::Ours };
            prop_assert_eq!(verdicts, [Verdict::Counted(expected)]);
        }
        for leaf in leaves(&rogue, &rogue, &encoded(&scene.ours.sign(&rogue), encoding), &scene.ours) {
            let verdicts = scene.verdicts(&leaf, LeafFormat::Rekor, &[]);
            prop_assert_eq!(verdicts, [Verdict::KeyUsed(KeyUse::Unknown)]);
        }
        // Somebody else's, and ours beside another digest.
        let strangers = encoded(&scene.stranger.sign(b"message"), encoding);
        for signature in [strangers, encoded(&scene.ours.sign(b"other"), encoding)] {
            let leaf = hashed_rekord_v2(&sha256(b"message"), &signature, &By::Key(scene.ours.spki()));
            let verdicts = scene.verdicts(&leaf, LeafFormat::Rekor, &[]);
            prop_assert_eq!(verdicts, [Verdict::Counted(Reason::DoesNotVerify)]);
        }
        Ok(())
    });
    held.unwrap();
}

#[tokio::test]
async fn a_signature_that_nobody_here_can_read_is_not_said_to_be_none() {
    let scene = Scene::new().await;
    let by = By::Key(scene.ours.spki());
    for junk in [vec![7; 65], vec![7; 134], b"\x30\x46\x02\x01\x01".to_vec()] {
        let leaf = hashed_rekord_v2(&sha256(b"rogue"), &junk, &by);
        assert_eq!(scene.verdicts(&leaf, LeafFormat::Rekor, &[]), [Verdict::KeyUsed(KeyUse::Unknown)]);
    }
}
