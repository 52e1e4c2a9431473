//! Ten thousand real and own entries, each changed: a reader that stops at one of them is blind from there on.
use super::{own_leaves, real_bodies};
use crate::claims::{ClaimedBy, Scratch, claims, ct_claims};

const ENTRIES: usize = 10_000;

/// The same numbers in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

fn changed(entry: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = entry.to_vec();
    for _ in 0..=dice.throw(3) {
        let at = dice.throw(bytes.len());
        match dice.throw(8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, dice.throw(256) as u8),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 => {
                let until = at + dice.throw(bytes.len() - at + 1);
                let piece = bytes[at..until].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let from = dice.throw(other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
            5 => {
                let signs = b"\"{}[],:\\=-\n\0";
                bytes.insert(at, signs[dice.throw(signs.len())]);
            }
            _ if !bytes.is_empty() => bytes[at] ^= 1 << dice.throw(8),
            _ => {}
        }
    }
    bytes
}

#[test]
fn ten_thousand_changed_entries_are_claims_or_errors() {
    let mut entries: Vec<Vec<u8>> = own_leaves().into_iter().map(|leaf| leaf.body).collect();
    entries.extend(real_bodies());
    let mut dice = Dice(0x5ea1_4a7c_5ea1_4a7c);
    let mut scratch = Scratch::new();
    let (mut read, mut refused, mut names) = (0, 0, 0);
    for _ in 0..ENTRIES {
        let (one, other) = (dice.throw(entries.len()), dice.throw(entries.len()));
        let entry = changed(&entries[one], &entries[other], &mut dice);
        match claims(&entry, &mut scratch) {
            Ok(claims) => {
                read += 1;
                for claim in &claims.signatures {
                    if let ClaimedBy::Certificate(view) = claim.by {
                        names += view.subjects().map(|name| name.len()).sum::<usize>();
                        names += view.extensions().map(|extension| extension.text().len()).sum::<usize>();
                    }
                }
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
        let _ = ct_claims(&entry);
    }
    assert!(read > 500 && refused > 500 && names > 0, "{read} {refused} {names}");
}
