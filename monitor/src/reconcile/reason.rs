//! Why a leaf pages nobody.

/// Why a leaf pages nobody: the label of a counter, a closed set.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// The ledger has it as it is. A log that forgets may hold it twice.
    Ours,
    /// Somebody wrote a public signature of ours again: with s negated, under another kind, in a certificate.
    Derived,
    /// A person has said that it is ours.
    Adopted,
    /// A rule expects it.
    Expected,
    /// A rule collects it.
    Observed,
    /// It names our key, and the signature is not by it.
    DoesNotVerify,
    /// It names us in a certificate that nobody issued whom we trust.
    UntrustedChain,
    /// Somebody else signed what our ledger signed.
    ThirdParty,
    /// It would be a finding of its own, in a leaf that has as many as are kept of one leaf, none of them milder.
    LeftOut,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 9] = [
        Reason::Ours,
        Reason::Derived,
        Reason::Adopted,
        Reason::Expected,
        Reason::Observed,
        Reason::DoesNotVerify,
        Reason::UntrustedChain,
        Reason::ThirdParty,
        Reason::LeftOut,
    ];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Ours => "ours",
            Reason::Derived => "derived",
            Reason::Adopted => "adopted",
            Reason::Expected => "expected",
            Reason::Observed => "observed",
            Reason::DoesNotVerify => "does_not_verify",
            Reason::UntrustedChain => "untrusted_chain",
            Reason::ThirdParty => "third_party",
            Reason::LeftOut => "left_out",
        }
    }
}
