//! Tests of what is signed and what is not.

use super::*;
use crate::digest::Digest;
use crate::oci::ManifestError;

fn descriptor(media_type: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","size":1,"digest":"{}"}}"#, Digest::of(media_type.as_bytes()))
}

fn image(config: &str, layers: &[&str], more: &str) -> Manifest {
    let layers: Vec<_> = layers.iter().map(|layer| descriptor(layer)).collect();
    parse(&format!(r#"{{"schemaVersion":2,"config":{},"layers":[{}]{more}}}"#, descriptor(config), layers.join(",")))
        .expect("an image")
}

fn index(children: &[String]) -> Manifest {
    parse(&format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, children.join(","))).expect("an index")
}

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text.as_bytes(), None)
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

#[test]
fn images_indexes_and_any_other_artifact_are_signed() {
    for artifact in [
        image(media_type::IMAGE_CONFIG, &[LAYER], ""),
        image(media_type::IMAGE_CONFIG, &[], ""),
        image("application/vnd.cncf.helm.config.v1+json", &["application/vnd.cncf.helm.chart.content.v1.tar+gzip"], ""),
        image("application/vnd.wasm.config.v0+json", &["application/wasm"], ""),
        image(media_type::EMPTY, &[media_type::EMPTY], r#","artifactType":"application/vnd.acme.thing""#),
        image(media_type::IMAGE_CONFIG, &[LAYER, "application/vnd.in-toto+json"], ""),
        index(&[]),
        index(&[descriptor(media_type::IMAGE_MANIFEST)]),
        index(&[descriptor(media_type::IMAGE_INDEX), descriptor("application/vnd.acme.unknown")]),
    ] {
        assert_eq!(manifest(&artifact), None, "{artifact:?}");
    }
}

#[test]
fn signatures_attestations_and_bills_of_materials_are_not() {
    let artifact_type = |kind: &str| format!(r#","artifactType":"{kind}""#);
    for (artifact, code) in [
        (image(media_type::IMAGE_CONFIG, &[media_type::SIMPLE_SIGNING], ""), "signature_artifact"),
        (image(media_type::COSIGN_SIGNATURE, &[LAYER], ""), "signature_artifact"),
        (image(media_type::EMPTY, &[media_type::SIGSTORE_BUNDLE], ""), "signature_artifact"),
        (image(media_type::EMPTY, &["application/vnd.dev.sigstore.bundle+json;version=0.2"], ""), "signature_artifact"),
        (image(media_type::EMPTY, &[LAYER], &artifact_type(media_type::SIGSTORE_BUNDLE)), "signature_artifact"),
        (
            image(media_type::EMPTY, &[LAYER], &artifact_type("application/vnd.cncf.notary.signature")),
            "signature_artifact",
        ),
        (image(media_type::IMAGE_CONFIG, &["application/vnd.dsse.envelope.v1+json"; 2], ""), "attestation_artifact"),
        (image(media_type::IMAGE_CONFIG, &["application/vnd.in-toto+json"], ""), "attestation_artifact"),
        (image(media_type::IMAGE_CONFIG, &["text/spdx+json"], ""), "sbom_artifact"),
        (image("application/vnd.goharbor.harbor.sbom.v1", &[LAYER], ""), "sbom_artifact"),
        (image("application/vnd.buildkit.cacheconfig.v0", &[LAYER], ""), "build_cache"),
    ] {
        assert_eq!(manifest(&artifact).map(NotSigned::code), Some(code), "{artifact:?}");
    }
}

#[test]
fn whatever_has_a_subject_is_a_referrer_first() {
    let subject = format!(r#","subject":{}"#, descriptor(media_type::IMAGE_MANIFEST));
    let chart = image("application/vnd.cncf.helm.config.v1+json", &[LAYER], &subject);
    assert_eq!(manifest(&chart), Some(NotSigned::Referrer));
    assert_eq!(artifact(&chart), None);
    let signature = image(media_type::EMPTY, &[media_type::SIGSTORE_BUNDLE], &subject);
    assert_eq!(manifest(&signature), Some(NotSigned::Referrer));
    assert_eq!(artifact(&signature), Some(NotSigned::SignatureArtifact));
}

#[test]
fn an_index_of_layers_is_a_build_cache() {
    let layers = index(&[descriptor(LAYER), descriptor(LAYER)]);
    assert_eq!(manifest(&layers), Some(NotSigned::BuildCache));
    let with_config = index(&[descriptor(LAYER), descriptor("application/vnd.buildkit.cacheconfig.v0")]);
    assert_eq!(manifest(&with_config), Some(NotSigned::BuildCache));
}

#[test]
fn an_index_of_nothing_but_attestations_is_one() {
    let attestation = |more: &str| descriptor(media_type::IMAGE_MANIFEST).replace('}', &format!("{more}}}"));
    let by_annotation = attestation(r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#);
    let by_platform = attestation(r#","platform":{"architecture":"unknown","os":"unknown"}"#);
    let by_type = attestation(r#","artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json""#);
    let child = attestation(r#","platform":{"architecture":"amd64","os":"linux"}"#);
    assert_eq!(manifest(&index(&[by_annotation.clone(), by_platform.clone()])), Some(NotSigned::AttestationArtifact));
    assert_eq!(manifest(&index(std::slice::from_ref(&by_type))), Some(NotSigned::SignatureArtifact));

    let mixed =
        index(&[by_annotation, by_platform, by_type, child, descriptor(media_type::IMAGE_INDEX), descriptor(LAYER)]);
    assert_eq!(manifest(&mixed), None);
    let signed: Vec<_> = signable_children(&mixed).collect();
    assert_eq!(signed, [&mixed.manifests[3], &mixed.manifests[4]]);
}
