//! What "exactly once" means, asked of the registry and of the log and not of ourselves: one `.sig` layer, one
//! referrer, and for each of the two signatures one leaf in the log.

use serde_json::Value;

use crate::http;
use crate::logs::Leaf;
use crate::peers::Registry;

/// Asserts it for one image; the leaves are all those of its key.
pub(crate) fn signed_exactly_once(registry: &Registry, leaves: &[Leaf], repository: &str, digest: &str) {
    let legacy = legacy_signatures(registry, repository, digest);
    assert_eq!(legacy.len(), 1, "layers under the .sig tag of {repository}@{digest}");
    let bundles = bundle_signatures(registry, repository, digest);
    assert_eq!(bundles.len(), 1, "referrers of {repository}@{digest}");
    for (format, signature) in [("legacy", &legacy[0]), ("bundle", &bundles[0])] {
        let logged = leaves.iter().filter(|leaf| leaf.signature == *signature);
        let indexes: Vec<u64> = logged.map(|leaf| leaf.index).collect();
        assert_eq!(indexes.len(), 1, "the {format} signature of {repository}@{digest} is in the log at {indexes:?}");
    }
}

/// The signatures in the layers of the `.sig` tag.
fn legacy_signatures(registry: &Registry, repository: &str, digest: &str) -> Vec<String> {
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let Some((_, image)) = registry.manifest(repository, &tag) else { return Vec::new() };
    let layers = image["layers"].as_array().expect("layers");
    let signature =
        |layer: &Value| layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().map(str::to_owned);
    layers.iter().map(|layer| signature(layer).expect("a signature")).collect()
}

/// The signatures in the bundles that the referrers carry, by the API or the fallback tag.
pub(crate) fn bundle_signatures(registry: &Registry, repository: &str, digest: &str) -> Vec<String> {
    let index = registry.manifest(repository, &digest.replace(':', "-")).map(|(_, index)| index);
    let listed = index.as_ref().and_then(|index| index["manifests"].as_array()).cloned().unwrap_or_default();
    let signature = |referrer: &Value| {
        let referrer = referrer["digest"].as_str().expect("a digest");
        let (_, manifest) = registry.manifest(repository, referrer).expect("a referrer is there");
        assert_eq!(manifest["subject"]["digest"], digest);
        let blob = manifest["layers"][0]["digest"].as_str().expect("a layer");
        let answer = http::request("GET", &format!("http://{}/v2/{repository}/blobs/{blob}", registry.host), &[], b"");
        let bundle: Value = serde_json::from_slice(&answer.body).expect("a bundle is JSON");
        bundle["dsseEnvelope"]["signatures"][0]["sig"].as_str().expect("a signature").to_owned()
    };
    listed.iter().map(signature).collect()
}
