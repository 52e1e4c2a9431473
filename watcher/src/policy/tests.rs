//! Tables of what is signed and what is not.

use super::*;
use serde_json::{Value, json};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest(seed: u32) -> Digest {
    Digest::of(&seed.to_be_bytes())
}

fn rule(repositories: &str, tags: &[&str], identity: &str) -> Rule {
    Rule {
        repositories: vec![repositories.parse().expect("a glob")],
        tags: tags.iter().map(|tag| tag.parse().expect("a glob")).collect(),
        sign_with: vec![identity.to_owned()],
        formats: vec![Format::Bundle, Format::Legacy],
        platforms: Platforms::Index,
        trust_zone: "prod".to_owned(),
        legacy_without_proof: false,
        legacy_timestamp: false,
    }
}

fn tags(tags: &[&str]) -> Vec<Tag> {
    tags.iter().map(|tag| tag.parse().expect("a tag")).collect()
}

fn manifest(json: &Value) -> Manifest {
    Manifest::parse(json.to_string().as_bytes(), None).expect("a manifest")
}

fn descriptor(media_type: &str, seed: u32) -> Value {
    json!({"mediaType": media_type, "size": 7, "digest": digest(seed).to_string()})
}

fn image() -> Value {
    json!({
        "schemaVersion": 2, "mediaType": IMAGE,
        "config": descriptor("application/vnd.oci.image.config.v1+json", 1),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", 2)],
    })
}

fn index(children: Vec<Value>) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
}

fn decide_on(rules: &[Rule], tags: &[Tag], manifest: &Manifest, own_artifact: bool) -> Decision {
    let name = "r.example.com/team/app".parse().expect("a name");
    decide(rules, &Candidate { name: &name, tags, digest: &digest(99), own_artifact, manifest })
}

fn reason(decision: &Decision) -> &'static str {
    match decision {
        Decision::Sign(_) => "signed",
        Decision::Skip(skipped) => skipped.reason.as_str(),
    }
}

fn plan(decision: Decision) -> Plan {
    match decision {
        Decision::Sign(plan) => plan,
        Decision::Skip(skipped) => panic!("not signed: {skipped:?}"),
    }
}

#[test]
fn the_first_rule_that_matches_the_tag_wins() {
    let rules = [
        rule("r.example.com/other/**", &[], "other"),
        rule("r.example.com/team/**", &["v*"], "release"),
        rule("r.example.com/team/*", &["v1", "main"], "ci"),
    ];
    let image = manifest(&image());
    for (tag, expected) in [("v1", Some((1, "release"))), ("main", Some((2, "ci"))), ("dev", None)] {
        let decision = decide_on(&rules, &tags(&[tag]), &image, false);
        match expected {
            Some((place, identity)) => {
                let plan = plan(decision);
                assert_eq!(plan.signatures.len(), 2, "{tag}");
                assert!(plan.signatures.iter().all(|s| s.rule == place && s.identity == identity), "{tag}: {plan:?}");
            }
            None => assert_eq!(reason(&decision), "no_rule", "{tag}"),
        }
    }
}

#[test]
fn two_tags_of_one_digest_get_what_both_rules_ask_for_and_nothing_twice() {
    let mut both = rule("r.example.com/team/**", &["main"], "ci");
    both.sign_with.push("release".to_owned());
    let rules = [rule("r.example.com/team/**", &["v*"], "release"), both];
    let plan = plan(decide_on(&rules, &tags(&["main", "v1", "v2"]), &manifest(&image()), false));
    let mut asked: Vec<_> = plan.signatures.iter().map(|s| (s.identity.as_str(), s.format.as_str(), s.rule)).collect();
    asked.sort_unstable();
    assert_eq!(asked, [("ci", "bundle", 1), ("ci", "legacy", 1), ("release", "bundle", 0), ("release", "legacy", 0)]);
}

#[test]
fn a_signature_tag_is_never_signed_whatever_the_rules_say() {
    let rules = [rule("**", &[], "release")];
    for suffix in ["", ".sig", ".att", ".sbom"] {
        let tag = format!("sha256-{}{suffix}", digest(5).hex());
        assert_eq!(reason(&decide_on(&rules, &tags(&[&tag]), &manifest(&image()), false)), "signature_tag", "{tag}");
    }
}

#[test]
fn what_we_pushed_ourselves_is_not_signed() {
    let rules = [rule("**", &[], "release")];
    assert_eq!(reason(&decide_on(&rules, &tags(&["v1"]), &manifest(&image()), true)), "own_artifact");
}

#[test]
fn everything_that_is_no_claim_about_something_else_is_signed() {
    let rules = [rule("**", &[], "release")];
    let with = |change: &dyn Fn(&mut Value)| {
        let mut manifest = image();
        change(&mut manifest);
        manifest
    };
    for (what, manifest_json, expected) in [
        ("an image", image(), "signed"),
        ("an index", index(vec![descriptor(IMAGE, 1), descriptor(IMAGE, 2)]), "signed"),
        ("an empty index", index(vec![]), "signed"),
        ("a chart", with(&|m| m["config"] = descriptor("application/vnd.cncf.helm.config.v1+json", 3)), "signed"),
        (
            "any artifact",
            with(&|m| {
                m["artifactType"] = "application/vnd.example.thing".into();
                m["config"] = descriptor("application/vnd.oci.empty.v1+json", 3);
                m["layers"] = json!([descriptor("application/vnd.example.thing", 4)]);
            }),
            "signed",
        ),
        ("a referrer", with(&|m| m["subject"] = descriptor(IMAGE, 9)), "referrer"),
        (
            "a bundle",
            with(&|m| m["artifactType"] = "application/vnd.dev.sigstore.bundle.v0.3+json".into()),
            "signature_artifact",
        ),
        (
            "a legacy signature",
            with(&|m| m["layers"] = json!([descriptor("application/vnd.dev.cosign.simplesigning.v1+json", 4)])),
            "signature_artifact",
        ),
        (
            "an attestation",
            with(&|m| m["layers"] = json!([descriptor("application/vnd.in-toto+json", 4)])),
            "attestation_artifact",
        ),
        (
            "a build cache",
            index(vec![
                descriptor("application/vnd.oci.image.layer.v1.tar+gzip", 1),
                descriptor("application/vnd.buildkit.cacheconfig.v0", 2),
            ]),
            "build_cache",
        ),
        ("an index that lists itself", index(vec![descriptor(IMAGE, 1), descriptor(IMAGE, 99)]), "contains_itself"),
    ] {
        let decision = decide_on(&rules, &tags(&["v1"]), &manifest(&manifest_json), false);
        assert_eq!(reason(&decision), expected, "{what}: {decision:?}");
    }
}

#[test]
fn the_children_of_an_index_are_signed_only_where_the_rule_says_all() {
    let with = |seed: u32, extra: Value| {
        let mut child = descriptor(IMAGE, seed);
        for (key, value) in extra.as_object().expect("an object") {
            child[key] = value.clone();
        }
        child
    };
    let index = manifest(&index(vec![
        with(1, json!({"platform": {"os": "linux", "architecture": "amd64"}})),
        with(2, json!({"platform": {"os": "linux", "architecture": "arm64"}})),
        with(2, json!({"platform": {"os": "linux", "architecture": "arm64"}})),
        with(3, json!({"platform": {"os": "unknown", "architecture": "unknown"}})),
        with(4, json!({"annotations": {"vnd.docker.reference.type": "attestation-manifest"}})),
        with(5, json!({})),
    ]));
    let mut rules = [rule("**", &[], "release")];
    assert!(plan(decide_on(&rules, &tags(&["v1"]), &index, false)).children.is_empty());
    rules[0].platforms = Platforms::All;
    let children = plan(decide_on(&rules, &tags(&["v1"]), &index, false)).children;
    let digests: Vec<_> = children.iter().map(|(_, digest)| *digest).collect();
    assert_eq!(digests, [digest(1), digest(2), digest(5)]);
    assert!(children.iter().all(|(tag, _)| tag.as_str() == "v1"));
}

#[test]
fn an_index_with_too_many_images_is_refused_where_each_would_be_signed() {
    let index = manifest(&index((0..1001).map(|seed| descriptor(IMAGE, seed + 1000)).collect()));
    let mut rules = [rule("**", &[], "release")];
    rules[0].platforms = Platforms::All;
    assert_eq!(reason(&decide_on(&rules, &tags(&["v1"]), &index, false)), "too_many_children");
    rules[0].platforms = Platforms::Index;
    assert_eq!(reason(&decide_on(&rules, &tags(&["v1"]), &index, false)), "signed");
}

#[test]
fn a_digest_that_no_tag_points_to_is_not_signed() {
    let image = manifest(&image());
    let rules = [rule("r.example.com/team/**", &[], "release")];
    assert_eq!(reason(&decide_on(&rules, &[], &image, false)), "untagged");
}
