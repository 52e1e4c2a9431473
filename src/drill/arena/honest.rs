//! Signatures: honest ones, line by line through the ledger as the worker does it, and rogue ones past it.

use std::sync::Arc;

use anyhow::Context as _;
use bundle::{Digest, Format, ImageName, ImageReference, LogEntry, TrustRoot};
use outbound::{Client, ClientConfig};
use signer::Services;
use signer::key::KeyBackend;
use signer::rekor::v2::RekorV2;
use signer::sign::{Signed, Subject, sign};
use store::{Intent, JobClass, RecordedEntry, RecordedSignature};

use super::Arena;
use crate::{rooms, run};

impl Arena {
    /// An image that nobody signed yet.
    fn next_image(&mut self) -> anyhow::Result<ImageReference> {
        self.signed += 1;
        let name = ImageName { registry: self.world.registry.host().parse()?, repository: "team/app".parse()? };
        Ok(ImageReference { name, digest: Digest::of(format!("image {}", self.signed).as_bytes()) })
    }

    /// Signs an image honestly: intent, signature, the log's answer, each in the ledger before the next.
    pub(in crate::drill) async fn sign(&mut self) -> anyhow::Result<LogEntry> {
        let image = self.next_image()?;
        let signed = made(&self.key, &image).await?;
        let row = self.record(&image, &signed, run::now_ms()).await?;
        let log = &self.world.log;
        let client = Client::new(ClientConfig { user_agent: rooms::user_agent(), ..ClientConfig::default() })?;
        let writer = RekorV2::new(
            client,
            log.origin(),
            log.write_url().parse()?,
            Some(log.read_url().parse()?),
            log.key().clone(),
        );
        let services = Services {
            log: Some(Arc::new(writer)),
            timestamp_authorities: Vec::new(),
            trust: Arc::new(TrustRoot::parse(self.world.trusted_root_json().as_bytes())?),
            legacy_without_proof: false,
            legacy_timestamp: false,
        };
        let entry = signer::publish::write_log(&signed, self.key.public_key(), &services)
            .await?
            .context("the services name a log")?;
        let recorded = RecordedEntry {
            log_origin: log.origin().to_owned(),
            log_index: entry.log_index,
            leaf_hash: *entry.leaf_hash().as_bytes(),
            entry_json: entry.to_json(),
            at: run::now_ms(),
        };
        self.store.record_entry(row, &recorded).await?;
        Ok(entry)
    }

    /// A leaf under a key, which no ledger knows of; and what would have to be in a ledger that did.
    pub(in crate::drill) async fn rogue(&mut self, retired: bool) -> anyhow::Result<(ImageReference, Signed, Vec<u8>)> {
        let image = self.next_image()?;
        let key = if retired { &self.retired } else { &self.key };
        let signed = made(key, &image).await?;
        let leaf = signed.new_entry(key.public_key()).rekor_v2_body()?;
        Ok((image, signed, leaf))
    }

    /// The leaf that Rekor v1 makes of a signature: a `dsse` entry carries the hash of an envelope that only its writer
    /// has, so it is the `hashedrekord` of the signed bytes.
    pub(in crate::drill) fn v1_leaf(&self, signed: &Signed) -> anyhow::Result<Vec<u8>> {
        let mut entry = signed.new_entry(self.key.public_key());
        entry.format = Format::Legacy;
        entry.envelope = None;
        Ok(entry.rekor_v1_request()?)
    }

    /// Intent and signature in the ledger, as of a time; the row's id.
    pub(in crate::drill) async fn record(
        &self,
        image: &ImageReference,
        signed: &Signed,
        at: i64,
    ) -> anyhow::Result<i64> {
        let key = self.key.public_key();
        let row = self
            .store
            .intend(&Intent {
                image: image.clone(),
                identity_name: "release".to_owned(),
                identity: key.fingerprint(),
                public_key_spki: key.spki().to_vec(),
                format: Format::Bundle,
                log_origin: self.world.log.origin().to_owned(),
                trust_zone: "drill".to_owned(),
                class: JobClass::Push,
                at,
            })
            .await?;
        let recorded = RecordedSignature {
            payload: signed.payload.clone(),
            signed_digest: signed.signed_digest.clone(),
            signature: signed.signature.clone(),
            at,
        };
        self.store.record_signature(row.id, &recorded).await?;
        Ok(row.id)
    }
}

async fn made(key: &dyn KeyBackend, image: &ImageReference) -> anyhow::Result<Signed> {
    let subject = Subject { image, docker_reference: image.name.to_string() };
    Ok(sign(key, &subject, Format::Bundle).await?)
}
