//! Images signed by stock cosign, judged by `sealwatch verify`, and signatures put back altered.

use std::path::{Path, PathBuf};

use bundle::Digest;
use serde_json::{Value, json};

use crate::http;
use crate::peers::{Registry, cosign, must, run};
use crate::scene::{PASSWORD, Rekor, Scene, push_image};
use crate::verifiers::Verdict;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The refusal of a signature with which nothing is wrong but that no log vouches for it.
pub(crate) const UNLOGGED: &str = "in no log that the trusted root names";

/// Signs one image with some cosign, with the key `release` of the scene.
pub(crate) struct Maker {
    pub(crate) name: &'static str,
    version: &'static str,
    pub(crate) bundle: bool,
    flags: Vec<String>,
}

/// Everything that stock cosign can make with a key and this log.
fn makers(scene: &Scene) -> Vec<Maker> {
    let maker = |name, version, bundle, flags: &[&str]| Maker {
        name,
        version,
        bundle,
        flags: flags.iter().map(|f| (*f).to_owned()).collect(),
    };
    let config = ["--signing-config", "signing_config.json", "--trusted-root", "trusted_root.json"];
    let log = scene.shared.rekor1.as_str();
    let services = std::fs::read(scene.path().join("signing_config.json")).expect("a signing config");
    let services: Value = serde_json::from_slice(&services).expect("a signing config is JSON");
    let stamps = services["tsaUrls"][0]["url"].as_str().expect("a timestamp authority").to_owned();
    match scene.rekor {
        Rekor::V1 => vec![
            maker("c3-bundle", "cosign-3", true, &config),
            maker("c2-bundle", "cosign-2", true, &[&config[..], &["--new-bundle-format"]].concat()),
            maker(
                "c2-bundle-url",
                "cosign-2",
                true,
                &["--new-bundle-format", "--trusted-root", "trusted_root.json", "--rekor-url", log],
            ),
            maker(
                "c3-legacy",
                "cosign-3",
                false,
                &["--new-bundle-format=false", "--use-signing-config=false", "--rekor-url", log],
            ),
            maker("c2-legacy", "cosign-2", false, &["--rekor-url", log]),
            maker("c2-legacy-stamped", "cosign-2", false, &["--rekor-url", log, "--timestamp-server-url", &stamps]),
        ],
        // cosign 2.6.4 asks this log for an entry of a kind that it no longer takes.
        Rekor::V2 => vec![maker("c3-bundle", "cosign-3", true, &config)],
    }
}

/// A registry, two images for each maker with a signature each, and a bystander that nobody signed.
pub(crate) struct Gallery {
    pub(crate) scene: Scene,
    registry: Registry,
    pub(crate) makers: Vec<Maker>,
}

impl Gallery {
    pub(crate) fn new(scene: Scene, wanted: fn(&Maker) -> bool) -> Self {
        let registry = scene.distribution();
        let makers = makers(&scene).into_iter().filter(wanted).collect();
        let gallery = Self { scene, registry, makers };
        for maker in &gallery.makers {
            let name = maker.name;
            for tag in ["v1", "v2", "bystander"] {
                push_image(&gallery.scene, &gallery.registry.host, &format!("{name}:{tag}"), &format!("{name} {tag}"));
            }
            gallery.sign(maker, "v1");
            gallery.sign(maker, "v2");
        }
        gallery
    }

    fn sign(&self, maker: &Maker, tag: &str) {
        let mut command = cosign(maker.version, self.scene.path());
        command
            .env("COSIGN_PASSWORD", PASSWORD)
            .env("SIGSTORE_REKOR_PUBLIC_KEY", self.scene.shared.folder.join("rekor1.pub"));
        command.args(["sign", "--yes", "--allow-http-registry", "--key", "release.key"]).args(&maker.flags);
        must(command.arg(format!("{}/{}@{}", self.registry.host, maker.name, self.digest(maker.name, tag))));
    }

    pub(crate) fn digest(&self, repository: &str, tag: &str) -> String {
        self.registry.digest(repository, tag)
    }

    /// `sealwatch verify` of one format; exit 1 is a refusal, and everything else but 0 is not.
    pub(crate) fn verify(&self, maker: &Maker, tag: &str, key: &str, trusted_root: &Path) -> Verdict {
        let image = format!("{}/{}:{tag}", self.registry.host, maker.name);
        let (key, format) = (format!("{key}.pub"), if maker.bundle { "bundle" } else { "legacy" });
        let mut command = self.scene.sealwatch(&[
            "verify",
            &image,
            "--plain-http",
            "--key",
            &key,
            "--format",
            format,
            "--trusted-root",
        ]);
        command.arg(trusted_root);
        if maker.flags.iter().any(|f| f == "--signing-config" || f == "--timestamp-server-url") {
            command.arg("--use-signed-timestamps");
        }
        let output = run(&mut command);
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Verdict::new(format!("{command:?}"), &output)
    }

    pub(crate) fn accepts(&self, maker: &Maker) {
        let verdict = self.verify(maker, "v1", "release", &self.trusted_root());
        assert!(verdict.accepted && verdict.text.contains("log index"), "{}: {}", maker.name, verdict.text);
    }

    pub(crate) fn refuses(&self, maker: &Maker, tag: &str, what: &str, reason: &str) {
        let verdict = self.verify(maker, tag, "release", &self.trusted_root());
        verdict.expect_refused(&[reason]);
        // Whoever is shown a forgery must not be told how to look away.
        assert!(reason == UNLOGGED || !verdict.text.contains("--insecure-ignore-tlog"), "{what}: {}", verdict.text);
        println!("{}: {what}: {}", maker.name, verdict.text.trim().lines().next().unwrap_or_default());
    }

    pub(crate) fn trusted_root(&self) -> PathBuf {
        self.scene.path().join("trusted_root.json")
    }

    /// The trusted root with something changed, under another name.
    pub(crate) fn trusted_root_but(&self, change: impl FnOnce(&mut Value)) -> PathBuf {
        let mut root: Value =
            serde_json::from_slice(&std::fs::read(self.trusted_root()).expect("a trusted root")).expect("JSON");
        change(&mut root);
        let path = self.scene.path().join("changed_root.json");
        std::fs::write(&path, root.to_string()).expect("a trusted root");
        path
    }

    /// The bundle on an image: its referrer's manifest, and itself.
    pub(crate) fn bundle(&self, maker: &Maker, tag: &str) -> (Value, Value) {
        let (repository, digest) = (maker.name, self.digest(maker.name, tag));
        let (_, index) = self.registry.manifest(repository, &digest.replace(':', "-")).expect("a fallback tag");
        let referrer = index["manifests"][0]["digest"].as_str().expect("a referrer");
        let (_, manifest) = self.registry.manifest(repository, referrer).expect("the referrer is there");
        let blob = manifest["layers"][0]["digest"].as_str().expect("a layer");
        let answer =
            http::request("GET", &format!("http://{}/v2/{repository}/blobs/{blob}", self.registry.host), &[], b"");
        (manifest, serde_json::from_slice(&answer.body).expect("a bundle is JSON"))
    }

    /// Makes a bundle the only one of an image.
    pub(crate) fn attach_bundle(&self, maker: &Maker, tag: &str, manifest: &Value, bundle: &Value) {
        let (host, repository, digest) = (&self.registry.host, maker.name, self.digest(maker.name, tag));
        let blob = bundle.to_string().into_bytes();
        let mut manifest = manifest.clone();
        manifest["layers"][0]["digest"] = json!(put_blob(host, repository, &blob));
        manifest["layers"][0]["size"] = json!(blob.len());
        manifest["subject"]["digest"] = json!(digest);
        let bytes = manifest.to_string().into_bytes();
        let referrer = Digest::of(&bytes).to_string();
        put_manifest(host, repository, &referrer, MANIFEST, &bytes);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": MANIFEST, "digest": referrer, "size": bytes.len(), "artifactType": manifest["artifactType"]}]});
        put_manifest(host, repository, &digest.replace(':', "-"), INDEX, index.to_string().as_bytes());
    }

    /// The manifest under an image's `.sig` tag, and the payload of its one layer.
    pub(crate) fn legacy(&self, maker: &Maker, tag: &str) -> (Value, Vec<u8>) {
        let (repository, digest) = (maker.name, self.digest(maker.name, tag));
        let (_, manifest) =
            self.registry.manifest(repository, &format!("{}.sig", digest.replace(':', "-"))).expect("a .sig tag");
        let blob = manifest["layers"][0]["digest"].as_str().expect("a layer");
        let payload =
            http::request("GET", &format!("http://{}/v2/{repository}/blobs/{blob}", self.registry.host), &[], b"").body;
        (manifest, payload)
    }

    /// Makes a legacy signature the only one of an image.
    pub(crate) fn attach_legacy(&self, maker: &Maker, tag: &str, manifest: &Value, payload: &[u8]) {
        let (host, repository, digest) = (&self.registry.host, maker.name, self.digest(maker.name, tag));
        let mut manifest = manifest.clone();
        manifest["layers"][0]["digest"] = json!(put_blob(host, repository, payload));
        manifest["layers"][0]["size"] = json!(payload.len());
        put_manifest(
            host,
            repository,
            &format!("{}.sig", digest.replace(':', "-")),
            MANIFEST,
            manifest.to_string().as_bytes(),
        );
    }
}

fn put_blob(host: &str, repository: &str, bytes: &[u8]) -> String {
    let digest = Digest::of(bytes).to_string();
    let started = http::request("POST", &format!("http://{host}/v2/{repository}/blobs/uploads/"), &[], b"");
    let location = started.header("location").expect("an upload has a location");
    let url = if location.starts_with('/') { format!("http://{host}{location}") } else { location.to_owned() };
    let joint = if url.contains('?') { '&' } else { '?' };
    let kind = [("Content-Type", "application/octet-stream")];
    let stored = http::request("PUT", &format!("{url}{joint}digest={digest}"), &kind, bytes);
    assert_eq!(stored.status, 201, "{}", String::from_utf8_lossy(&stored.body));
    digest
}

fn put_manifest(host: &str, repository: &str, reference: &str, media_type: &str, bytes: &[u8]) {
    let stored = http::request(
        "PUT",
        &format!("http://{host}/v2/{repository}/manifests/{reference}"),
        &[("Content-Type", media_type)],
        bytes,
    );
    assert_eq!(stored.status, 201, "{}", String::from_utf8_lossy(&stored.body));
}
