//! Cosignatures: what they cover, and whose they are.

use super::*;
use crate::note::format_note;

const TEXT: &str = "log.example\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

fn witness(name: &str, seed: u8) -> WitnessKey {
    let raw = SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes();
    WitnessKey::from_raw(name, &raw).unwrap()
}

fn verify(key: &WitnessKey, text: &str, lines: &[NoteSignature]) -> Result<Option<i64>, CosignatureError> {
    key.verify(&SignedNote::parse(&format_note(text, lines)).unwrap())
}

// The example of c2sp.org/tlog-cosignature is signed by a key that it does not give; this is a key hash that others use.
#[test]
fn a_verifier_key_reads_back_and_its_hash_is_over_name_and_type() {
    let vkey = "witness.hp.test/w1+4c003885+BC31xIi/B+DZ5cmUWZ7pqK+4t6uFNpl3MiN+a1fyxhEC";
    let key = WitnessKey::from_vkey(vkey).unwrap();
    assert_eq!((key.name(), key.to_vkey().as_str()), ("witness.hp.test/w1", vkey));
    assert_eq!(format!("{key:?}"), format!("WitnessKey({vkey:?})"));
    for bad in [
        "",
        "w1",
        &vkey.replace("w1", "w2"),
        &vkey.replace("4c003885", "4c003886"),
        &vkey.replace("+BC31", "+AC31"),
        &vkey.replace("YRhEC", "YRhED"),
        &vkey[..vkey.len() - 4],
    ] {
        if bad != vkey {
            assert_eq!(WitnessKey::from_vkey(bad), Err(CosignatureError::BadVerifierKey), "{bad:?}");
        }
    }
    // The neutral element: one signature would fit many texts.
    let mut weak = [0; 32];
    weak[0] = 1;
    assert_eq!(WitnessKey::from_raw("w", &weak), Err(CosignatureError::BadPoint));
    assert_eq!(WitnessKey::from_raw("w 1", &[9; 32]), Err(CosignatureError::BadVerifierKey));
}

#[test]
fn a_cosignature_covers_the_text_and_the_time() {
    let key = witness("w/1", 3);
    let line = cosign(TEXT, "w/1", &[3; 32], 1_700_000_000);
    assert_eq!(verify(&key, TEXT, std::slice::from_ref(&line)), Ok(Some(1_700_000_000)));
    let extended = format!("{TEXT}one more line\n");
    assert_eq!(verify(&key, &extended, std::slice::from_ref(&line)), Err(CosignatureError::Invalid));
    for at in 0..line.signature.len() {
        let mut changed = line.clone();
        changed.signature[at] ^= 1;
        let verdict = verify(&key, TEXT, &[changed]);
        assert_eq!(verdict, Err(CosignatureError::Invalid), "byte {at}");
    }
    for length in [0, 7, 8, 63, 71] {
        let cut = NoteSignature { signature: line.signature[..length].to_vec(), ..line.clone() };
        // A line without any signature is no signature line, so that no note can have it.
        if length > 0 {
            assert_eq!(verify(&key, TEXT, &[cut]), Err(CosignatureError::Malformed), "{length}");
        }
    }
    let mut beyond = line;
    beyond.signature[0] = 0x80;
    assert_eq!(verify(&key, TEXT, &[beyond]), Err(CosignatureError::Malformed));
}

#[test]
fn lines_by_others_are_left_alone_and_the_newest_of_ours_counts() {
    let key = witness("w/1", 3);
    let ours = |time| cosign(TEXT, "w/1", &[3; 32], time);
    let other = cosign(TEXT, "w/2", &[4; 32], 99);
    let mut stranger = cosign(TEXT, "w/1", &[5; 32], 99);
    assert_eq!(verify(&key, TEXT, &[other.clone(), stranger.clone()]), Ok(None));
    assert_eq!(verify(&key, TEXT, &[other, ours(7), ours(9), ours(8)]), Ok(Some(9)));
    stranger.key_hash = key.key_hash;
    assert_eq!(verify(&key, TEXT, &[ours(7), stranger]), Err(CosignatureError::Invalid));
    // A log's own signature by the same key is no cosignature: there is no time in it.
    let signer = SigningKey::from_bytes(&[3; 32]);
    let plain = NoteSignature {
        name: "w/1".into(),
        key_hash: key.key_hash,
        signature: signer.sign(TEXT.as_bytes()).to_bytes().to_vec(),
    };
    assert!(verify(&key, TEXT, &[plain]).is_err());
}
