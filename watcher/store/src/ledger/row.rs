//! A row of the ledger as it is stored.

use bundle::{Digest, Format, ImageName, ImageReference};

use super::{Material, RecordedEntry, RecordedSignature};
use crate::JobClass;
use crate::column::{converted, from_row, parsed, parsed_option};
use crate::jobs::words;

/// How far a row is filled.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// We mean to sign.
    Intended,
    /// The key has signed.
    Signed,
    /// Logged, stamped and verified: ready to be attached.
    Material,
    /// In the registry.
    Attached,
    /// Given up before a log was told.
    Abandoned,
}

words!(
    Stage,
    "ledger stage",
    Intended = "intended",
    Signed = "signed",
    Material = "material",
    Attached = "attached",
    Abandoned = "abandoned",
);

/// One signature of ours, as far as it has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LedgerRow {
    /// The row's id.
    pub id: i64,
    /// The image.
    pub image: ImageReference,
    /// The identity's name in the configuration, when it was intended.
    pub identity_name: String,
    /// The identity: the key's fingerprint.
    pub identity: String,
    /// The public key.
    pub public_key_spki: Vec<u8>,
    /// How the signature is stored.
    pub format: Format,
    /// The log that was chosen.
    pub log_origin: String,
    /// The trust zone.
    pub trust_zone: String,
    /// Who asked.
    pub class: JobClass,
    /// When it was intended, in unix milliseconds.
    pub intended_at: i64,
    /// The signature.
    pub signature: Option<RecordedSignature>,
    /// What is attached.
    pub material: Option<Material>,
    /// When it was first attached.
    pub attached_at: Option<i64>,
    /// The manifest that carries it.
    pub attached_manifest: Option<Digest>,
    /// It was found in the registry when it was first attached, not made by this ledger.
    pub adopted: bool,
    /// Which attempt this is, from 1 on.
    pub attempt: i64,
    /// How often the key was asked for it, counted before it was.
    pub key_uses: i64,
    /// Which version of the key signed, where its keeper has versions.
    pub key_version: Option<String>,
    /// Given up, and why.
    pub abandoned: Option<Abandoned>,
}

/// A row that was given up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Abandoned {
    /// When, in unix milliseconds.
    pub at: i64,
    /// Why.
    pub because: String,
}

impl LedgerRow {
    /// How far this row is filled.
    pub fn stage(&self) -> Stage {
        if self.abandoned.is_some() {
            Stage::Abandoned
        } else if self.attached_at.is_some() {
            Stage::Attached
        } else if self.material.is_some() {
            Stage::Material
        } else if self.signature.is_some() {
            Stage::Signed
        } else {
            Stage::Intended
        }
    }
}

/// How a row is looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LedgerKey<'a> {
    /// By its id.
    Id(i64),
    /// By what makes it one.
    Unique(&'a super::Intent),
}

from_row!(LedgerRow, |row| {
    let signature: Option<Vec<u8>> = row.try_get("signature")?;
    let signature = match signature {
        Some(signature) => Some(RecordedSignature {
            payload: row.try_get("payload")?,
            signed_digest: row.try_get("signed_digest")?,
            signature,
            at: row.try_get("signed_at")?,
        }),
        None => None,
    };
    let artifact: Option<Vec<u8>> = row.try_get("artifact")?;
    let material = match artifact {
        Some(artifact) => {
            Some(Material { artifact, manifest: row.try_get("manifest")?, at: row.try_get("material_at")? })
        }
        None => None,
    };
    let name = ImageName {
        registry: parsed("registry", row.try_get("registry")?)?,
        repository: parsed("repository", row.try_get("repository")?)?,
    };
    Ok(Self {
        id: row.try_get("id")?,
        image: ImageReference { name, digest: parsed("digest", row.try_get("digest")?)? },
        identity_name: row.try_get("identity_name")?,
        identity: row.try_get("identity")?,
        public_key_spki: row.try_get("public_key_spki")?,
        format: parsed("format", row.try_get("format")?)?,
        log_origin: row.try_get("log_origin")?,
        trust_zone: row.try_get("trust_zone")?,
        class: parsed("class", row.try_get("class")?)?,
        intended_at: row.try_get("intended_at")?,
        signature,
        material,
        attached_at: row.try_get("attached_at")?,
        attached_manifest: parsed_option("attached_manifest", row.try_get("attached_manifest")?)?,
        adopted: row.try_get::<i64, _>("adopted")? != 0,
        attempt: row.try_get("attempt")?,
        key_uses: row.try_get("key_uses")?,
        key_version: row.try_get("key_version")?,
        abandoned: match row.try_get::<Option<i64>, _>("abandoned_at")? {
            Some(at) => {
                let because = row.try_get::<Option<String>, _>("abandoned_because")?.unwrap_or_default();
                Some(Abandoned { at, because })
            }
            None => None,
        },
    })
});

from_row!(RecordedEntry, |row| {
    let leaf_hash: Vec<u8> = row.try_get("leaf_hash")?;
    Ok(Self {
        log_origin: row.try_get("log_origin")?,
        log_index: converted("log_index", row.try_get::<i64, _>("log_index")?)?,
        leaf_hash: converted("leaf_hash", leaf_hash.as_slice())?,
        entry_json: row.try_get("entry_json")?,
        at: row.try_get("recorded_at")?,
    })
});
