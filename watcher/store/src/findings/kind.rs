//! The closed sets of findings: what can be seen, how bad it is, and where a finding stands.

use crate::jobs::words;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// For the next working day.
    Warning,
    /// Wakes somebody.
    Critical,
}

words!(Severity, "severity", Info = "info", Warning = "warning", Critical = "critical");

/// What was seen.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FindingKind {
    /// Two signed heads of one size with two roots.
    Fork,
    /// A head that is smaller than one before it, and stays so.
    Rollback,
    /// A larger head that does not contain the smaller one.
    InconsistentGrowth,
    /// Somebody else was shown another tree.
    SplitView,
    /// A head whose signature by the pinned key is wrong.
    BadSignature,
    /// A head of another log.
    WrongOrigin,
    /// A leaf that does not hash into the signed root.
    LeafNotCommitted,
    /// A leaf below the signed size that the log does not hand out.
    MissingLeaf,
    /// An entry of ours that was promised and is not in the tree.
    WithheldEntry,
    /// An identity of ours, signed with by somebody that the ledger does not know.
    UnexpectedIdentity,
    /// A key of ours, used outside of our signer.
    KeyUsedOutside,
    /// A key that we no longer use, used.
    RetiredKeyUsed,
    /// An identity that looks like ours.
    NearMiss,
    /// A leaf that we cannot read.
    UnparsableEntry,
    /// A log that was closed, and grew.
    FrozenShardGrew,
    /// A head without the cosignatures that its policy asks for.
    WitnessQuorumLost,
    /// No new head for too long.
    StaleLog,
    /// We cannot look, or cannot tell.
    Blind,
    /// What is verified is far behind the head.
    ScanLag,
    /// What we remembered is gone, or went back in time.
    StateLost,
    /// A rule that matched nothing in all its time.
    MatcherNeverMatched,
    /// The trusted keys, logs or authorities are others than before.
    TrustMaterialChanged,
    /// A signed time that is far from ours.
    ClockSkew,
}

words!(
    FindingKind,
    "kind of finding",
    Fork = "fork",
    Rollback = "rollback",
    InconsistentGrowth = "inconsistent_growth",
    SplitView = "split_view",
    BadSignature = "bad_signature",
    WrongOrigin = "wrong_origin",
    LeafNotCommitted = "leaf_not_committed",
    MissingLeaf = "missing_leaf",
    WithheldEntry = "withheld_entry",
    UnexpectedIdentity = "unexpected_identity",
    KeyUsedOutside = "key_used_outside",
    RetiredKeyUsed = "retired_key_used",
    NearMiss = "near_miss",
    UnparsableEntry = "unparsable_entry",
    FrozenShardGrew = "frozen_shard_grew",
    WitnessQuorumLost = "witness_quorum_lost",
    StaleLog = "stale_log",
    Blind = "blind",
    ScanLag = "scan_lag",
    StateLost = "state_lost",
    MatcherNeverMatched = "matcher_never_matched",
    TrustMaterialChanged = "trust_material_changed",
    ClockSkew = "clock_skew",
);

impl FindingKind {
    /// It is a state that lasts, and ends by itself: nobody can end it by a word.
    pub fn ends_by_itself(self) -> bool {
        matches!(
            self,
            Self::Blind
                | Self::StaleLog
                | Self::ScanLag
                | Self::WitnessQuorumLost
                | Self::ClockSkew
                | Self::MatcherNeverMatched
        )
    }

    /// An occurrence names one leaf, entry or row for good: to see it again is no news. Of a log that misbehaves one
    /// occurrence may happen twice.
    pub(crate) fn names_one_thing(self) -> bool {
        matches!(
            self,
            Self::WithheldEntry
                | Self::UnexpectedIdentity
                | Self::KeyUsedOutside
                | Self::RetiredKeyUsed
                | Self::NearMiss
                | Self::UnparsableEntry
                | Self::StateLost
        )
    }

    /// Each occurrence is an event of its own, which whoever has looked at those before has not seen: it ends an
    /// acknowledgement. Of the others one cause is seen again and again, with each head or each try.
    pub(crate) fn each_is_news(self) -> bool {
        matches!(
            self,
            Self::WithheldEntry
                | Self::UnexpectedIdentity
                | Self::KeyUsedOutside
                | Self::RetiredKeyUsed
                | Self::StateLost
                | Self::TrustMaterialChanged
        )
    }
}

/// Where a finding stands.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FindingState {
    /// Somebody should look.
    Open,
    /// Somebody looked, and it stays quiet for a while unless it worsens.
    Acknowledged,
    /// It is over.
    Cleared,
}

words!(FindingState, "state of a finding", Open = "open", Acknowledged = "acknowledged", Cleared = "cleared");
