//! What a leaf names, for evidence against who signed it.

use serde::{Deserialize, Serialize};

use super::wire::Base64;

/// Which of a leaf's claims the finding is about.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The position of the claim among those of the leaf, from zero.
    pub claim: u64,
    /// Who it names.
    pub by: Named,
    /// Chains of the certificate authorities that it was checked against: DER, leaf-side first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Vec<Base64>>,
}

/// Who a claim names.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Named {
    /// A key, by itself or in a certificate: DER SubjectPublicKeyInfo.
    Key(Base64),
    /// An identity in a certificate.
    Identity {
        /// The OIDC issuer, where the certificate names one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
        /// The subject.
        subject: String,
    },
}
