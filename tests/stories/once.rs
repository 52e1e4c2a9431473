//! What "exactly once" means, asked of the registry and of the log and not of ourselves: one `.sig` layer, one
//! referrer, and for each of the two signatures one leaf in the log.

use serde_json::Value;

use crate::http;
use crate::logs::{Leaf, REMEMBERED};
use crate::peers::Registry;
use crate::scene::Rekor;

/// Asserts it for one image; the leaves are all those of its key.
pub(crate) fn signed_exactly_once(registry: &Registry, rekor: Rekor, leaves: &[Leaf], repository: &str, digest: &str) {
    let legacy = legacy_signatures(registry, repository, digest);
    assert_eq!(legacy.len(), 1, "layers under the .sig tag of {repository}@{digest}");
    let bundles = bundle_signatures(registry, repository, digest);
    assert_eq!(bundles.len(), 1, "referrers of {repository}@{digest}");
    for (format, signature) in [("legacy", &legacy[0]), ("bundle", &bundles[0])] {
        let logged: Vec<&Leaf> = leaves.iter().filter(|leaf| leaf.signature == *signature).collect();
        let indexes: Vec<u64> = logged.iter().map(|leaf| leaf.index).collect();
        assert!(!indexes.is_empty(), "the {format} signature of {repository}@{digest} is not in the log");
        let excess: Vec<_> = logged.windows(2).filter(|pair| !forgotten_between(rekor, pair[0], pair[1])).collect();
        assert!(excess.is_empty(), "the {format} signature of {repository}@{digest} is in the log at {indexes:?}");
    }
}

/// How many different signatures the leaves hold. With two for each image nothing was signed that is not attached.
pub(crate) fn different_signatures(leaves: &[Leaf]) -> usize {
    leaves.iter().map(|leaf| &leaf.signature).collect::<std::collections::BTreeSet<_>>().len()
}

/// A story beside this one may write so much between an upload and its repetition that Rekor v2 takes the repetition
/// for new. That is the log's doing, and the two leaves are identical.
fn forgotten_between(rekor: Rekor, first: &Leaf, second: &Leaf) -> bool {
    rekor == Rekor::V2 && second.index - first.index >= REMEMBERED && first.body == second.body
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
fn bundle_signatures(registry: &Registry, repository: &str, digest: &str) -> Vec<String> {
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
