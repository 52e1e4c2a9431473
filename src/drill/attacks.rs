//! Every attack, in the order of the table: what the log does, what is done with our keys and names, what is done to
//! ledger and database, what happens around us.

mod logs;
mod names;
mod state;

use std::future::Future;
use std::pin::Pin;

use anyhow::Context as _;
use p256::ecdsa::Signature;
use sandbox::{Identity, leaves};
use store::FindingKind as K;

use super::Attack;
use super::arena::{Arena, ISSUER, Needs, REPOSITORY};

/// An attack and how it is played.
pub(super) struct Play {
    pub(super) attack: Attack,
    pub(super) needs: Needs,
    pub(super) run: for<'a> fn(&'a mut Arena) -> Played<'a>,
}

/// An attack under way.
pub(super) type Played<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

const PLAIN: Needs = Needs { keyless: false, rekor_v1: false, witness: false, impatient: false };
const KEYLESS: Needs = Needs { keyless: true, ..PLAIN };
const REKOR_V1: Needs = Needs { rekor_v1: true, ..PLAIN };
const WITNESS: Needs = Needs { witness: true, ..PLAIN };
const IMPATIENT: Needs = Needs { impatient: true, ..PLAIN };
/// All of the world, for the quiet run.
pub(super) const EVERYTHING: Needs = Needs { keyless: true, rekor_v1: true, witness: true, impatient: false };

macro_rules! play {
    ($name:literal, $what:literal, [$($alarm:ident),+], $says:literal, $needs:expr, $run:path) => {
        Play {
            attack: Attack { name: $name, what: $what, alarms: &[$(K::$alarm),+], says: $says },
            needs: $needs,
            run: |arena| Box::pin($run(arena)),
        }
    };
    ($name:literal, $what:literal, [$($alarm:ident),+], $needs:expr, $run:path) => {
        play!($name, $what, [$($alarm),+], "", $needs, $run)
    };
}

/// Every attack.
pub(super) const ALL: &[Play] = &[
    play!("fork", "the log goes on from another history", [InconsistentGrowth], PLAIN, logs::fork),
    play!("rollback", "the log is restored from a backup", [Rollback], PLAIN, logs::rollback),
    play!("same-size fork", "two signed roots of one size", [Fork], PLAIN, logs::same_size_fork),
    play!("leaf swapped", "another leaf under a good root", [LeafNotCommitted], PLAIN, logs::leaf_swapped),
    play!(
        "leaf omitted",
        "a leaf is left out under a good root",
        [MissingLeaf, LeafNotCommitted],
        PLAIN,
        logs::leaf_omitted
    ),
    play!("entry withheld", "the log answers and never integrates", [WithheldEntry], PLAIN, logs::entry_withheld),
    play!("rogue key use", "our key signs outside of sealwatch", [KeyUsedOutside], PLAIN, names::rogue_key),
    play!("rogue identity", "a certificate for our workflow", [UnexpectedIdentity], KEYLESS, names::rogue_identity),
    play!("look-alike identity", "a certificate for a name like ours", [NearMiss], KEYLESS, names::look_alike),
    play!("retired key", "a retired key signs again", [RetiredKeyUsed], PLAIN, names::retired_key),
    play!(
        "shadow tree",
        "a signature carries a valid checkpoint of another tree",
        [SplitView],
        PLAIN,
        logs::shadow_tree
    ),
    play!(
        "SET without an entry",
        "a promise that the log does not keep",
        [WithheldEntry, SplitView],
        REKOR_V1,
        logs::promise
    ),
    play!(
        "back-dated ledger row",
        "a row is written to explain a rogue signature",
        [KeyUsedOutside],
        PLAIN,
        state::back_dated
    ),
    play!("junk entry", "a leaf that nobody can parse", [UnparsableEntry], PLAIN, logs::junk),
    play!("frozen log", "the log shows yesterday's head for ever", [StaleLog], IMPATIENT, logs::frozen),
    play!("wrong origin", "checkpoints name another log", [WrongOrigin], PLAIN, logs::wrong_origin),
    play!("bad signature", "checkpoints are not signed by the log", [BadSignature], PLAIN, logs::bad_signature),
    play!(
        "missing witness",
        "a checkpoint without its cosignature",
        [WitnessQuorumLost],
        WITNESS,
        logs::missing_witness
    ),
    play!(
        "skipped tail",
        "a rogue entry comes into a shard as it closes",
        [KeyUsedOutside],
        REKOR_V1,
        logs::skipped_tail
    ),
    play!("frozen shard grows", "a closed shard takes one more entry", [FrozenShardGrew], PLAIN, logs::frozen_grows),
    play!("log out of reach", "nobody answers", [Blind], IMPATIENT, logs::unreachable),
    play!("state wiped", "the database is gone", [StateLost], PLAIN, state::wiped),
    play!("state rolled back", "the database is yesterday's", [StateLost], PLAIN, state::rolled_back),
    play!("sink down", "an alert cannot be delivered", [Blind], "\"first\"", PLAIN, state::sink_down),
    play!("clock skew", "a witness signs an hour ahead", [ClockSkew], WITNESS, logs::clock_skew),
];

/// What happens on a quiet day: our own work, and what anybody can write into a log without our key or name.
pub(super) async fn control(arena: &mut Arena) -> anyhow::Result<String> {
    arena.watch().await?;
    let mut copies = Vec::new();
    for _ in 0..5 {
        let entry = arena.sign().await?;
        copies.push(entry.body.clone());
        copies.push(negated(&entry.body)?);
    }
    let many = copies.len();
    arena.world.log.extend(copies);
    // Other people's signatures, with keys and with certificates of a CA that nobody trusts.
    arena.world.log.extend((0..300).map(leaves::leaf));
    let v1 = arena.world.rekor_v1.clone().context("the quiet run has a Rekor v1")?;
    v1.extend((0..50).map(leaves::leaf_v1));
    let keyless = arena.world.keyless.clone().context("the quiet run has a certificate authority")?;
    for n in 0..5 {
        let stranger = Identity::github(ISSUER, &format!("someone/app{n}"), "build.yml", "refs/heads/main");
        keyless.ca.issue(&stranger, &leaves::key_spki(n))?;
    }
    let release = Identity::github(ISSUER, REPOSITORY, "release.yml", "refs/heads/main");
    keyless.ca.issue(&release, &leaves::key_spki(9))?;
    arena.caught_up().await?;
    Ok(format!(
        "quiet: 8 signatures of ours, {many} copies of them (as they are, and with s negated), 350 entries of others, 5 foreign certificates, 1 expected"
    ))
}

/// The same entry with the other s: anybody can make it, and it verifies as well.
fn negated(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let mut value: serde_json::Value = serde_json::from_slice(body)?;
    let content = value
        .pointer_mut("/spec/hashedRekordV002/signature/content")
        .context("a hashedrekord 0.0.2 has a signature")?;
    let signature = Signature::from_der(&STANDARD.decode(content.as_str().context("in base64")?)?)?;
    let (r, s) = signature.split_scalars();
    let other = Signature::from_scalars(r.to_bytes(), (-*s).to_bytes())?;
    *content = STANDARD.encode(other.to_der()).into();
    Ok(serde_json::to_vec(&value)?)
}
