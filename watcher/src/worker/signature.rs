//! One signature of one digest, from wherever the ledger left it to the image.

use std::sync::Arc;

use bundle::log_entry::LogEntry;
use bundle::oci::referrer_manifest;
use bundle::{Digest, Format, Tag};
use signer::{Artifact, Services, Signed, Subject};
use store::{Intent, LedgerRow, Material, RecordedEntry, RecordedSignature};

use super::existing::{self, Existing, Found, Seen, Wanted};
use super::{Target, Worker};
use crate::clock::now_ms;
use crate::config::Identity;
use crate::crash::crash_point;
use crate::endpoint::Endpoint;
use crate::error::WorkError;
use crate::policy::PlannedSignature;
use crate::progress::PushStep;
use crate::registry::{Attached, TagHistory};

/// What one signature needs.
struct Making<'m> {
    target: &'m Target<'m>,
    identity: Arc<Identity>,
    format: Format,
    services: Services,
    /// The place of the rule that asks for it.
    rule: usize,
}

impl Worker {
    /// Attaches one signature unless it is there; answers whether it was attached now.
    ///
    /// Safe to repeat: the intent is stored before a log can hear of it, each further line of the ledger is written
    /// once, and whatever is recorded is used again instead of being made again.
    pub(super) async fn bring(&self, target: &Target<'_>, planned: &PlannedSignature) -> Result<bool, WorkError> {
        let making = self.making(target, planned)?;
        self.confirm(&making).await?;
        let row = self.intend(&making, planned).await?;
        if self.is_in_place(&making, &row).await? {
            return Ok(false);
        }
        let material = match &row.material {
            Some(material) => material.clone(),
            None => {
                let (row, signed) = self.sign(&making, row.clone()).await?;
                let entry = self.log(&making, &row, &signed).await?;
                self.assemble(&making, &row, &signed, entry).await?
            }
        };
        self.attach(&making, &row, &material).await?;
        Ok(true)
    }

    fn making<'m>(&self, target: &'m Target<'m>, planned: &PlannedSignature) -> Result<Making<'m>, WorkError> {
        let identity = self
            .identities
            .get(&planned.identity)
            .ok_or_else(|| WorkError::UnknownIdentity { name: planned.identity.clone() })?;
        let mut services = identity.services.clone();
        services.legacy_without_proof |= self.rules[planned.rule].legacy_without_proof;
        services.legacy_timestamp |= self.rules[planned.rule].legacy_timestamp;
        // A combination that nobody could verify must not even be signed.
        services
            .check(identity.key.public_key().algorithm(), planned.format)
            .map_err(signer::PublishError::Unsupported)?;
        let rule = planned.rule;
        Ok(Making { target, identity: Arc::clone(identity), format: planned.format, services, rule })
    }

    /// Makes sure that a tag still points to the digest for which the rule asks, unless that was so moments ago: before
    /// the intent, before the key is used, before a log is told and before anything is attached.
    async fn confirm(&self, making: &Making<'_>) -> Result<(), WorkError> {
        let image = &making.target.image;
        let question = self.question(&making.target.registry, &image.name, &image.digest);
        making.target.authority.confirm(question, making.rule).await
    }

    async fn intend(&self, making: &Making<'_>, planned: &PlannedSignature) -> Result<LedgerRow, WorkError> {
        let key = making.identity.key.public_key();
        let row = self
            .store
            .intend(&Intent {
                image: making.target.image.clone(),
                identity_name: making.identity.name.clone(),
                identity: key.fingerprint(),
                public_key_spki: key.spki().to_vec(),
                format: making.format,
                log_origin: making.services.log.as_ref().map(|log| log.origin().to_owned()).unwrap_or_default(),
                trust_zone: self.rules[planned.rule].trust_zone.clone(),
                class: making.target.job.class,
                at: now_ms(),
            })
            .await?;
        crash_point("intent");
        let identity = making.identity.name.clone();
        self.tell(making.target, PushStep::Intended { identity, format: making.format });
        Ok(row)
    }

    /// Whether the image carries a valid signature of this identity. If it was made elsewhere it is adopted.
    async fn is_in_place(&self, making: &Making<'_>, row: &LedgerRow) -> Result<bool, WorkError> {
        let Target { image, registry, existing, .. } = making.target;
        let found = match existing.find(registry, &making.wanted(), &*self.store).await? {
            Seen::Signatures(found) => found,
            // The ledger is all that is left to ask.
            Seen::TooMuch => return Ok(row.attached_at.is_some()),
        };
        let ours = row.signature.as_ref().map(|recorded| recorded.signature.as_slice());
        let Some(best) = found.iter().find(|found| Some(found.signature.as_slice()) == ours).or(found.first()) else {
            if row.attached_at.is_some() {
                tracing::warn!(
                    registry.host = %image.name.registry, repository = %image.name.repository, digest = %image.digest,
                    identity = %making.identity.name, format = %making.format,
                    "the registry has lost a signature; what is recorded is attached again"
                );
            }
            return Ok(false);
        };
        let adopted = ours != Some(best.signature.as_slice());
        if row.attached_at.is_none() && !self.take_note(making, row, best, adopted).await? {
            return Ok(false);
        }
        let identity = making.identity.name.clone();
        self.tell(making.target, PushStep::AlreadySigned { identity, format: making.format, adopted });
        Ok(true)
    }

    /// Records a signature that is on the image and not yet known to be: adopted, or ours from before a crash.
    async fn take_note(
        &self,
        making: &Making<'_>,
        row: &LedgerRow,
        found: &Found,
        adopted: bool,
    ) -> Result<bool, WorkError> {
        let Target { image, registry, .. } = making.target;
        let Some(carrier) = existing::carrier(registry, image, found).await? else {
            // It was there a moment ago. If it is ours, attaching it again changes nothing.
            return Ok(false);
        };
        self.store.record_attached(row.id, &carrier, adopted, now_ms()).await?;
        self.metrics.signature(making.format, if adopted { "adopted" } else { "attached" });
        tracing::info!(
            registry.host = %image.name.registry, repository = %image.name.repository, digest = %image.digest,
            identity = %making.identity.name, format = %making.format, adopted, "signed already"
        );
        Ok(true)
    }

    /// The signature's bytes: those of the ledger, or new ones that are in the ledger before anybody else sees them.
    async fn sign(&self, making: &Making<'_>, row: LedgerRow) -> Result<(LedgerRow, Signed), WorkError> {
        let key = &making.identity.key;
        let row = match row.signature {
            Some(_) => row,
            None => {
                self.confirm(making).await?;
                let image = &making.target.image;
                let subject = Subject { image, docker_reference: image.name.docker_reference() };
                self.store.count_key_use(row.id).await?;
                let signed = signer::sign(&**key, &subject, making.format).await?;
                let Signed { payload, signed_digest, signature, .. } = signed;
                let recorded = RecordedSignature { payload, signed_digest, signature, at: now_ms() };
                let row = self.store.record_signature(row.id, &recorded).await?;
                crash_point("signature");
                let identity = making.identity.name.clone();
                self.tell(making.target, PushStep::Signed { identity, format: making.format });
                row
            }
        };
        let Some(recorded) = row.signature.clone() else {
            return Err(broken(&row, "a signature was recorded and is not there"));
        };
        let signed = Signed::from_ledger(making.format, recorded.payload, recorded.signature, key.public_key());
        Ok((row, signed))
    }

    /// The log's answer: that of the ledger, or a new one.
    async fn log(&self, making: &Making<'_>, row: &LedgerRow, signed: &Signed) -> Result<Option<LogEntry>, WorkError> {
        // A log that forgot may have been told twice; any of its answers proves the same.
        if let Some(recorded) = self.store.entries(row.id).await?.pop() {
            let entry = LogEntry::from_json(&recorded.entry_json).map_err(|error| broken(row, &error.to_string()))?;
            return Ok(Some(entry));
        }
        let key = making.identity.key.public_key();
        let Some(log) = &making.services.log else { return Ok(None) };
        let endpoint = Endpoint::Log(log.origin().to_owned());
        self.pass(&endpoint)?;
        // A log may take long: until it answers, the registry has room for others.
        making.target.leave_registry();
        let share = self.places.share(&endpoint, &row.trust_zone).await?;
        self.confirm(making).await?;
        let Some(entry) = signer::write_log(signed, key, &making.services).await? else { return Ok(None) };
        drop(share);
        self.well(&endpoint).await;
        crash_point("log_answered");
        let origin = making.services.log.as_ref().map(|log| log.origin().to_owned()).unwrap_or_default();
        let recorded = RecordedEntry {
            log_origin: origin.clone(),
            log_index: entry.log_index,
            leaf_hash: *entry.leaf_hash().as_bytes(),
            entry_json: entry.to_json(),
            at: now_ms(),
        };
        self.store.record_entry(row.id, &recorded).await?;
        crash_point("entry");
        self.tell(making.target, PushStep::Logged { format: making.format, origin, index: entry.log_index });
        Ok(Some(entry))
    }

    /// Stamped, built, verified offline, and recorded with the exact manifest that will carry it.
    async fn assemble(
        &self,
        making: &Making<'_>,
        row: &LedgerRow,
        signed: &Signed,
        entry: Option<LogEntry>,
    ) -> Result<Material, WorkError> {
        let (key, digest) = (making.identity.key.public_key(), &making.target.image.digest);
        let authorities: Vec<Endpoint> = making.services.timestamp_authorities.iter().map(authority).collect();
        for endpoint in &authorities {
            self.pass(endpoint)?;
        }
        making.target.leave_registry();
        let mut shares = Vec::new();
        for endpoint in &authorities {
            shares.push(self.places.share(endpoint, &row.trust_zone).await?);
        }
        let published = signer::assemble(signed, key, digest, &making.services, entry).await?;
        drop(shares);
        for endpoint in &authorities {
            self.well(endpoint).await;
        }
        let at = now_ms();
        let artifact = published.artifact.to_json();
        let manifest = match making.format {
            Format::Bundle => Some(manifest_for(making, &artifact, at)),
            Format::Legacy => None,
        };
        let row = self.store.record_material(row.id, &Material { artifact, manifest, at }).await?;
        crash_point("material");
        self.tell(making.target, PushStep::Verified { format: making.format });
        row.material.clone().ok_or_else(|| broken(&row, "material was recorded and is not there"))
    }

    /// Publishes the material under the digest's lock, and tells the ledger.
    async fn attach(&self, making: &Making<'_>, row: &LedgerRow, material: &Material) -> Result<(), WorkError> {
        let image = &making.target.image;
        making.target.leave_registry();
        let registry = Endpoint::Registry(image.name.registry.clone());
        let _share = self.places.upload_share(&registry, image.name.repository.as_str()).await?;
        self.confirm(making).await?;
        let lock = self.locks.acquire(&self.store, image).await?;
        let attached = self.push(making, material).await;
        // The lock goes back whatever happened.
        lock.release().await;
        let attached = attached?;
        crash_point(match making.format {
            Format::Bundle => "attached_bundle",
            Format::Legacy => "attached_legacy",
        });
        self.store.record_attached(row.id, &attached.manifest_digest, false, now_ms()).await?;
        crash_point("attached");
        let outcome = if row.attached_at.is_some() { "attached_again" } else { "attached" };
        self.metrics.signature(making.format, outcome);
        let index = self.store.entries(row.id).await?.last().map(|entry| entry.log_index);
        tracing::info!(
            registry.host = %image.name.registry, repository = %image.name.repository, digest = %image.digest,
            identity = %making.identity.name, format = %making.format, log.origin = %row.log_origin,
            log.index = index, manifest = %attached.manifest_digest, outcome, "signed {image}"
        );
        let manifest = attached.manifest_digest;
        self.tell(making.target, PushStep::Attached { format: making.format, manifest });
        Ok(())
    }

    async fn push(&self, making: &Making<'_>, material: &Material) -> Result<Attached, WorkError> {
        let mut history = TagHistory::Unknown;
        let attached = match self.push_after(making, material, history).await {
            Err(WorkError::Registry(error))
                if existing::learn_history(&*self.store, &making.target.image, making.format, &error, &mut history)
                    .await? =>
            {
                self.push_after(making, material, history).await?
            }
            other => other?,
        };
        if attached.pushed.is_empty() {
            self.expect_complete(making).await?;
        }
        let image = &making.target.image;
        for pushed in &attached.pushed {
            self.store.record_own_artifact(&image.name, pushed, &image.digest).await?;
        }
        Ok(attached)
    }

    async fn push_after(
        &self,
        making: &Making<'_>,
        material: &Material,
        history: TagHistory,
    ) -> Result<Attached, WorkError> {
        let Target { image, descriptor, registry, .. } = making.target;
        let repository = &image.name.repository;
        let artifact = Artifact::from_json(making.format, &material.artifact)?;
        Ok(match &artifact {
            Artifact::Bundle(bundle) => {
                let manifest = match &material.manifest {
                    Some(manifest) => manifest.clone(),
                    None => manifest_for(making, bundle, material.at),
                };
                // The registry tells us of this very manifest; it must be known as ours before it is pushed.
                self.store.record_own_artifact(&image.name, &Digest::of(&manifest), &image.digest).await?;
                registry.attach_bundle(repository, descriptor, bundle, &manifest, history).await?
            }
            Artifact::Legacy(signature) => {
                registry.attach_legacy(repository, &image.digest, signature, history).await?
            }
        })
    }
}

impl Worker {
    /// Nothing had to be pushed, so the signature is there; it must also verify as it is there. An RSA or
    /// deterministic key gives the same bytes to whoever signed with it without the log.
    async fn expect_complete(&self, making: &Making<'_>) -> Result<(), WorkError> {
        let Target { image, registry, .. } = making.target;
        match Existing::default().find(registry, &making.wanted(), &*self.store).await? {
            Seen::Signatures(found) if found.is_empty() => {
                let tag = Tag::legacy_signature(&image.digest).to_string();
                Err(WorkError::IncompleteCopy { name: image.name.to_string(), tag })
            }
            Seen::Signatures(_) | Seen::TooMuch => Ok(()),
        }
    }
}

impl Making<'_> {
    fn wanted(&self) -> Wanted<'_> {
        let (key, services) = (self.identity.key.public_key(), &self.services);
        Wanted { image: &self.target.image, format: self.format, key, services }
    }
}

/// The manifest of a bundle. Its time is the material's, so that the same material gives the same manifest.
fn manifest_for(making: &Making<'_>, bundle: &[u8], at_ms: i64) -> Vec<u8> {
    referrer_manifest(&making.target.descriptor.bare(), bundle, &rfc3339(at_ms))
}

/// A timestamp authority as errors name it.
fn authority(authority: &signer::TimestampAuthority) -> Endpoint {
    Endpoint::TimestampAuthority(authority.place())
}

fn rfc3339(at_ms: i64) -> String {
    let seconds = at_ms.div_euclid(1000);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

fn broken(row: &LedgerRow, what: &str) -> WorkError {
    WorkError::Ledger { row: row.id, format: row.format, what: what.to_owned() }
}
