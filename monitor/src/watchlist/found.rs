//! What a leaf has to do with us.

/// A rule, by its place in the list that was compiled.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MatcherId(u32);

impl MatcherId {
    /// There are never more rules than fit.
    pub(super) fn new(index: usize) -> MatcherId {
        MatcherId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The place in the list.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One reason why a leaf concerns us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Match {
    /// The claim, by its place in the leaf.
    pub claim: usize,
    /// The rule; none for the ledger's keys and digests.
    pub matcher: Option<MatcherId>,
    /// Why.
    pub what: Matched,
}

/// Why a leaf concerns us. Names are as they are in the certificate, NUL bytes and all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Matched {
    /// An identity of ours.
    Identity {
        /// The OIDC issuer, where the certificate names one.
        issuer: Option<String>,
        /// The name that matched.
        subject: String,
    },
    /// An identity that a rule of mode `expect` excuses: no finding.
    Expected {
        /// The OIDC issuer, where the certificate names one.
        issuer: Option<String>,
        /// The name that matched.
        subject: String,
    },
    /// An identity that a rule of mode `observe` collects.
    Observed {
        /// The OIDC issuer, where the certificate names one.
        issuer: Option<String>,
        /// The name that matched.
        subject: String,
    },
    /// A key of ours, bare or in a certificate.
    Key {
        /// Lowercase hex of the SHA-256 of its canonical SPKI.
        fingerprint: String,
        /// It must not be used any more.
        retired: bool,
    },
    /// Somebody else signed what our ledger signed.
    Digest,
    /// Not ours, and close to it.
    NearMiss {
        /// The OIDC issuer, where the certificate names one.
        issuer: Option<String>,
        /// The name that is close.
        subject: String,
        /// The name of the rule that it is close to.
        of: String,
        /// How.
        how: NearMissKind,
    },
}

/// How a name is close to one of ours.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NearMissKind {
    /// The same workflow of the same repository, at another ref.
    OtherRef,
    /// The same repository, in another workflow or under other circumstances (an extension differs).
    OtherWorkflow,
    /// It looks the same: homoglyphs, case, invisible characters, trailing dots and slashes.
    Homoglyph,
    /// The name is the same and the numeric id of owner or repository is not, or the other way round.
    RenamedOwner,
    /// The name is the same, and another issuer vouches for it.
    OtherIssuer,
}
