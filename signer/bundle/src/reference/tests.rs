//! Tests of the names of images.

use proptest::prelude::*;

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn hosts_have_one_spelling() {
    for good in [
        "registry.example.com",
        "registry.example.com:5000",
        "localhost",
        "localhost:5000",
        "127.0.0.1:5000",
        "[::1]:5000",
        "[::1]",
        "a-b.c",
    ] {
        assert_eq!(good.parse::<RegistryHost>().map(|h| h.to_string()), Ok(good.to_owned()));
    }
    for bad in [
        "",
        "https://registry.example.com",
        "registry.example.com/",
        "registry.example.com/team",
        "Registry.example.com",
        "user@registry.example.com",
        "registry.example.com.",
        ".example.com",
        "-a.example.com",
        "a-.example.com",
        "a_b.example.com",
        "host:",
        "host:0",
        "host:05000",
        "host:+80",
        "host:65536",
        "host:1:2",
        "::1",
        "[::1",
        "[::1]5000",
        "[0:0::1]:5000",
        "[fe80::1%eth0]",
        "[localhost]",
        "host name",
        "hôst",
    ] {
        assert!(bad.parse::<RegistryHost>().is_err(), "{bad:?}");
    }
}

#[test]
fn repositories_follow_the_grammar_of_the_specification() {
    for good in ["a", "team/app", "a.b_c__d-e---f/0", &"a".repeat(255)] {
        assert!(good.parse::<Repository>().is_ok(), "{good:?}");
    }
    for bad in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "A",
        "a..b",
        "a___b",
        "a._b",
        "a.-b",
        "-a",
        "a-",
        ".a",
        "a.",
        "a b",
        "a/../b",
        "..",
        "a\0",
        "é",
        "a:b",
        "a@b",
        &"a".repeat(256),
    ] {
        assert!(bad.parse::<Repository>().is_err(), "{bad:?}");
    }
}

#[test]
fn tags_follow_the_grammar_of_the_specification() {
    for good in ["latest", "v1.2.3-rc_1", "_x", "A", &"a".repeat(128)] {
        assert!(good.parse::<Tag>().is_ok(), "{good:?}");
    }
    for bad in ["", ".a", "-a", "a/b", "a:b", "a b", "a\n", "é", &"a".repeat(129)] {
        assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
    }
}

#[test]
fn tags_of_signatures_and_referrers_are_recognised_and_nothing_else() {
    let digest: Digest = format!("sha256:{HEX}").parse().expect("a digest");
    assert_eq!(Tag::legacy_signature(&digest).as_str(), format!("sha256-{HEX}.sig"));
    assert_eq!(Tag::referrers(&digest).as_str(), format!("sha256-{HEX}"));
    let is = |text: String| text.parse::<Tag>().expect("a tag").is_signature_tag();
    for suffix in ["", ".sig", ".att", ".sbom"] {
        assert!(is(format!("sha256-{HEX}{suffix}")));
        assert!(is(format!("sha512-{HEX}{suffix}")));
    }
    for other in [
        format!("sha256-{HEX}.sig2"),
        format!("sha256-{HEX}.SIG"),
        format!("sha256-{HEX}0"),
        format!("sha256-{}", &HEX[..63]),
        format!("sha256-{}", HEX.to_uppercase()),
        format!("sha384-{HEX}"),
        format!("x-sha256-{HEX}.sig"),
        format!("sha256_{HEX}"),
        "latest".to_owned(),
        "sha256-".to_owned(),
    ] {
        assert!(!is(other.clone()), "{other}");
    }
}

#[test]
fn an_image_reference_needs_registry_repository_and_digest() {
    let text = format!("registry.example.com:5000/team/app@sha256:{HEX}");
    let image: ImageReference = text.parse().expect("a reference");
    assert_eq!(image.to_string(), text);
    assert_eq!(image.name.repository.as_str(), "team/app");
    let json = serde_json::to_string(&image).expect("it serializes");
    assert_eq!(serde_json::from_str::<ImageReference>(&json).expect("and back"), image);
    for bad in [
        "registry.example.com/team/app:v1".to_owned(),
        format!("registry.example.com/team/app:v1@sha256:{HEX}"),
        format!("team@sha256:{HEX}"),
        format!("registry.example.com/team/app@sha256:{}", &HEX[1..]),
    ] {
        assert!(bad.parse::<ImageReference>().is_err(), "{bad}");
    }
}

#[test]
fn docker_hub_may_be_left_out_and_has_one_name() {
    for (typed, meant) in [
        ("alpine", "docker.io/library/alpine"),
        ("alpine:3", "docker.io/library/alpine:3"),
        ("acme/app:1", "docker.io/acme/app:1"),
        ("docker.io/alpine", "docker.io/library/alpine"),
        ("index.docker.io/acme/app", "docker.io/acme/app"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("ghcr.io/acme/app", "ghcr.io/acme/app"),
        ("[::1]:5000/app:v1", "[::1]:5000/app:v1"),
    ] {
        let locator: ImageLocator = typed.parse().expect(typed);
        assert_eq!(locator.to_string(), meant);
    }
    let both: ImageLocator = format!("ghcr.io/a/b:v1@sha256:{HEX}").parse().expect("tag and digest");
    assert_eq!(both.tag.as_ref().map(Tag::as_str), Some("v1"));
    assert_eq!(both.reference().map(|r| r.to_string()), Some(format!("ghcr.io/a/b@sha256:{HEX}")));
    for bad in ["", ":v1", "ghcr.io/", "ghcr.io/A", "ghcr.io/a:", "ghcr.io/a@", "https://ghcr.io/a", "a/b@sha256:00"] {
        assert!(bad.parse::<ImageLocator>().is_err(), "{bad:?}");
    }
}

#[test]
fn the_docker_reference_of_docker_hub_is_the_one_that_cosign_writes() {
    let name = |text: &str| text.parse::<ImageLocator>().expect(text).name.docker_reference();
    assert_eq!(name("alpine"), "index.docker.io/library/alpine");
    assert_eq!(name("ghcr.io/acme/app"), "ghcr.io/acme/app");
}

proptest! {
    #[test]
    fn whatever_parses_prints_as_it_was(text in "[a-zA-Z0-9:/@.\\[\\]_-]{0,80}|\\PC{0,40}") {
        if let Ok(host) = text.parse::<RegistryHost>() { prop_assert_eq!(host.to_string(), text.clone()); }
        if let Ok(repository) = text.parse::<Repository>() { prop_assert_eq!(repository.to_string(), text.clone()); }
        if let Ok(tag) = text.parse::<Tag>() { prop_assert_eq!(tag.to_string(), text.clone()); }
        if let Ok(image) = text.parse::<ImageReference>() { prop_assert_eq!(image.to_string(), text.clone()); }
        if let Ok(locator) = text.parse::<ImageLocator>() {
            prop_assert_eq!(locator.to_string().parse(), Ok(locator));
        }
    }
}

#[test]
fn docker_hub_has_one_spelling() {
    for host in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
        assert_eq!(host.parse::<RegistryHost>().map(|host| host.to_string()), Ok("docker.io".to_owned()));
        let name: ImageName = format!("{host}/acme/app").parse().expect("a name");
        assert_eq!(name.to_string(), "docker.io/acme/app");
        assert_eq!(name.docker_reference(), "index.docker.io/acme/app");
        let locator: ImageLocator = format!("{host}/alpine").parse().expect("a locator");
        assert_eq!(locator.to_string(), "docker.io/library/alpine");
    }
    for other in ["index.docker.io:443", "mirror.docker.io", "index.docker.io.example"] {
        assert_eq!(other.parse::<RegistryHost>().map(|host| host.to_string()), Ok(other.to_owned()));
    }
}
