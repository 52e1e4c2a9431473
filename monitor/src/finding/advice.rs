//! What to do about each kind of finding: one sentence in the alert, a page in the runbook.

use store::FindingKind;

/// The runbook, one section per kind.
const RUNBOOK: &str = include_str!("runbook.md");

/// Where a person reads on: a path in the project with an anchor.
pub fn runbook(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Fork => "monitor/src/finding/runbook.md#fork",
        FindingKind::Rollback => "monitor/src/finding/runbook.md#rollback",
        FindingKind::InconsistentGrowth => "monitor/src/finding/runbook.md#inconsistent_growth",
        FindingKind::SplitView => "monitor/src/finding/runbook.md#split_view",
        FindingKind::BadSignature => "monitor/src/finding/runbook.md#bad_signature",
        FindingKind::WrongOrigin => "monitor/src/finding/runbook.md#wrong_origin",
        FindingKind::LeafNotCommitted => "monitor/src/finding/runbook.md#leaf_not_committed",
        FindingKind::MissingLeaf => "monitor/src/finding/runbook.md#missing_leaf",
        FindingKind::WithheldEntry => "monitor/src/finding/runbook.md#withheld_entry",
        FindingKind::UnexpectedIdentity => "monitor/src/finding/runbook.md#unexpected_identity",
        FindingKind::KeyUsedOutside => "monitor/src/finding/runbook.md#key_used_outside",
        FindingKind::RetiredKeyUsed => "monitor/src/finding/runbook.md#retired_key_used",
        FindingKind::NearMiss => "monitor/src/finding/runbook.md#near_miss",
        FindingKind::UnparsableEntry => "monitor/src/finding/runbook.md#unparsable_entry",
        FindingKind::FrozenShardGrew => "monitor/src/finding/runbook.md#frozen_shard_grew",
        FindingKind::WitnessQuorumLost => "monitor/src/finding/runbook.md#witness_quorum_lost",
        FindingKind::StaleLog => "monitor/src/finding/runbook.md#stale_log",
        FindingKind::Blind => "monitor/src/finding/runbook.md#blind",
        FindingKind::ScanLag => "monitor/src/finding/runbook.md#scan_lag",
        FindingKind::StateLost => "monitor/src/finding/runbook.md#state_lost",
        FindingKind::MatcherNeverMatched => "monitor/src/finding/runbook.md#matcher_never_matched",
        FindingKind::TrustMaterialChanged => "monitor/src/finding/runbook.md#trust_material_changed",
        FindingKind::ClockSkew => "monitor/src/finding/runbook.md#clock_skew",
    }
}

/// The section of the runbook about a kind, without its heading.
pub fn runbook_text(kind: FindingKind) -> &'static str {
    let heading = kind.as_str();
    RUNBOOK
        .split("\n## ")
        .filter_map(|section| section.split_once('\n'))
        .find_map(|(title, text)| (title == heading).then_some(text.trim()))
        .unwrap_or_default()
}

/// What to do first, for the alert itself.
pub(super) fn advice(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Fork | FindingKind::SplitView | FindingKind::InconsistentGrowth => {
            "Trust nothing new from this log; keep the evidence and send it to the log's operator and its witnesses."
        }
        FindingKind::Rollback => {
            "Ask the log's operator whether an old backup was restored; entries made since may be gone."
        }
        FindingKind::BadSignature => {
            "Check whether the log's key was rotated, and who else could answer for its address."
        }
        FindingKind::WrongOrigin => "Check the read URL in the configuration, then ask the log's operator.",
        FindingKind::LeafNotCommitted | FindingKind::MissingLeaf => {
            "The verified position stays before these leaves; ask the log's operator, and do not trust searches of this \
             log meanwhile."
        }
        FindingKind::WithheldEntry => {
            "Ask the log's operator for the entry; have the image signed again where verifiers need an online proof."
        }
        FindingKind::UnexpectedIdentity => {
            "Find out who ran this; if nobody did, treat the account or workflow as taken over and revoke it."
        }
        FindingKind::KeyUsedOutside => {
            "Find out who used the key; if nobody did, disable it now, rotate it, and check what was signed."
        }
        FindingKind::RetiredKeyUsed => "Find out who still has the key; make sure that verifiers no longer accept it.",
        FindingKind::NearMiss => "Look whether it is a mistake of ours or somebody who wants to be taken for us.",
        FindingKind::UnparsableEntry => {
            "Look at the bytes in the evidence; a new kind of entry needs a newer sealwatch."
        }
        FindingKind::FrozenShardGrew => {
            "Ask the log's operator who still holds the closed shard's key, and whether it was opened again."
        }
        FindingKind::WitnessQuorumLost => "Until witnesses sign again, the log could show us another tree than others.",
        FindingKind::StaleLog => "Ask whether the log is idle, frozen or stuck; writes may be lost meanwhile.",
        FindingKind::Blind => "Nothing is watched there until it answers; check the network and the address.",
        FindingKind::ScanLag => {
            "What is not verified is not watched; look at the log's rate limits and this machine's load."
        }
        FindingKind::StateLost => {
            "Restore what was lost, or accept the gap: of a log with `sealwatch logs trust ORIGIN --because …`, of the \
             ledger with `sealwatch findings adopt ID --because …`; look who could have changed it."
        }
        FindingKind::MatcherNeverMatched => {
            "Compare the watch with a real entry of yours, or remove it if it is meant to match nothing."
        }
        FindingKind::TrustMaterialChanged => "Confirm with its publisher that the change is meant.",
        FindingKind::ClockSkew => "Check this machine's clock first, then ask whose time it is.",
    }
}
