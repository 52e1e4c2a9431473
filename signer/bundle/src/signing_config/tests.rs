//! Tests of signing configurations.
use super::*;
use crate::fixture::vector;
use proptest::prelude::*;

/// 2026-11-21T00:00:00Z.
const NOW: i64 = 1_795_219_200_000;

fn service(url: &str, version: u32, start: &str, end: Option<&str>, operator: &str) -> serde_json::Value {
    let mut valid_for = serde_json::json!({ "start": start });
    if let Some(end) = end {
        valid_for["end"] = end.into();
    }
    serde_json::json!({"url": url, "majorApiVersion": version, "validFor": valid_for, "operator": operator})
}

fn config(services: &[serde_json::Value], selector: serde_json::Value) -> SigningConfig {
    let json = serde_json::json!({
        "mediaType": V0_2,
        "rekorTlogUrls": services,
        "rekorTlogConfig": selector,
        "tsaUrls": services,
        "tsaConfig": selector,
    });
    SigningConfig::parse(json.to_string().as_bytes()).unwrap()
}

fn any() -> serde_json::Value {
    serde_json::json!({"selector": "ANY"})
}

fn urls(services: &[Service]) -> Vec<&str> {
    services.iter().map(|service| service.url.as_str()).collect()
}

#[test]
fn the_highest_version_that_we_speak_and_that_is_valid_now_is_taken() {
    let services = [
        service("v1", 1, "2021-01-01T00:00:00Z", None, "a"),
        service("v2", 2, "2026-01-01T00:00:00Z", None, "a"),
        service("v2-to-come", 2, "2027-01-01T00:00:00Z", None, "b"),
        service("v2-gone", 2, "2025-01-01T00:00:00Z", Some("2025-12-31T00:00:00Z"), "c"),
        service("v3", 3, "2026-01-01T00:00:00Z", None, "d"),
    ];
    let config = config(&services, any());
    for random in 0..5 {
        assert_eq!(urls(&config.rekor_services(NOW, random).unwrap()), ["v2"]);
    }
    assert_eq!(urls(&config.rekor_services_of(&[1], NOW, 0).unwrap()), ["v1"]);
    assert_eq!(urls(&config.tsa_services(NOW, 0).unwrap()), ["v1"]);
    // Before the second version began there was the first.
    let earlier = moment("2024-06-01T00:00:00Z").unwrap();
    assert_eq!(urls(&config.rekor_services(earlier, 0).unwrap()), ["v1"]);
}

#[test]
fn both_bounds_of_a_period_belong_to_it() {
    let config = config(&[service("log", 1, "2026-01-01T00:00:00Z", Some("2026-02-01T00:00:00Z"), "a")], any());
    let [start, end] = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"].map(|text| moment(text).unwrap());
    for (at, usable) in [(start - 1, false), (start, true), (end, true), (end + 1, false)] {
        assert_eq!(config.rekor_services(at, 0).is_ok(), usable, "{at}");
    }
}

#[test]
fn of_one_operator_the_newest_service_is_taken() {
    let services = [
        service("a-old", 1, "2021-01-01T00:00:00Z", None, "a"),
        service("b", 1, "2023-01-01T00:00:00Z", None, "b"),
        service("a-new", 1, "2025-01-01T00:00:00Z", None, "a"),
    ];
    let all = config(&services, serde_json::json!({"selector": "ALL"}));
    assert_eq!(urls(&all.rekor_services(NOW, 9).unwrap()), ["a-new", "b"]);
    let one = config(&services, any());
    let chosen: Vec<_> = (0..4).map(|random| one.rekor_services(NOW, random).unwrap()[0].url.clone()).collect();
    assert_eq!(chosen, ["a-new", "b", "a-new", "b"]);
}

#[test]
fn an_exact_count_takes_so_many_different_operators() {
    let services: Vec<_> = ["a", "b", "c"].map(|o| service(o, 1, "2021-01-01T00:00:00Z", None, o)).to_vec();
    let two = config(&services, serde_json::json!({"selector": "EXACT", "count": 2}));
    let mut seen = std::collections::BTreeSet::new();
    for random in 0..12 {
        let chosen = two.rekor_services(NOW, random).unwrap();
        assert_eq!(chosen.len(), 2);
        assert_ne!(chosen[0].operator, chosen[1].operator);
        seen.insert((chosen[0].url.clone(), chosen[1].url.clone()));
    }
    assert_eq!(seen.len(), 6);
    let four = config(&services, serde_json::json!({"selector": "EXACT", "count": 4}));
    let error = four.tsa_services(NOW, 0).unwrap_err().to_string();
    assert_eq!(
        error,
        "signing config asks for 4 of kind timestamp authority (tsaUrls), by different operators, and only 3 can be used now"
    );
}

#[test]
fn what_is_missing_is_named() {
    let none = config(&[], any());
    assert_eq!(
        none.rekor_services(NOW, 0).unwrap_err().to_string(),
        "signing config names no log (rekorTlogUrls); add one or name the service in the configuration"
    );
    let newer = config(&[service("log", 3, "2021-01-01T00:00:00Z", None, "a")], any());
    assert_eq!(
        newer.rekor_services(NOW, 0).unwrap_err().to_string(),
        "signing config has no log (rekorTlogUrls) that is valid now and speaks API version 2 or 1"
    );
}

#[test]
fn what_is_no_signing_config_is_refused() {
    let with = |selector: &str| format!("{{\"mediaType\":\"{V0_2}\",\"rekorTlogConfig\":{selector}}}");
    for bad in [
        "{}".to_owned(),
        "{\"mediaType\":\"application/vnd.dev.sigstore.signingconfig.v0.3+json\"}".to_owned(),
        with("{\"selector\":\"EXACT\"}"),
        with("{\"selector\":\"EXACT\",\"count\":0}"),
        with("{\"selector\":\"SOME\"}"),
        with("{\"selector\":\"ANY\",\"selector\":\"ALL\"}"),
        format!("{{\"mediaType\":\"{V0_2}\",\"tsaUrls\":[{{\"url\":\"x\",\"validFor\":{{\"start\":\"x\"}}}}]}}"),
    ] {
        assert!(SigningConfig::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn the_older_version_names_services_without_periods() {
    let json = format!(
        "{{\"mediaType\":\"{V0_1}\",\"caUrl\":\"ca\",\"oidcUrl\":\"oidc\",\"tlogUrls\":[\"log\"],\"tsaUrls\":[\"tsa\"]}}"
    );
    let config = SigningConfig::parse(json.as_bytes()).unwrap();
    assert_eq!(urls(&config.rekor_services(NOW, 0).unwrap()), ["log"]);
    assert_eq!(urls(&config.tsa_services(NOW, 0).unwrap()), ["tsa"]);
    assert_eq!(urls(&config.certificate_authorities), ["ca"]);
}

#[test]
fn the_public_configurations_select_what_their_operators_mean() {
    for (file, log) in [
        ("signing_config.v0.2.json", "https://rekor.sigstore.dev"),
        ("signing_config_rekor_v2.v0.2.json", "https://log2025-1.rekor.sigstore.dev"),
    ] {
        let Some(json) = vector(&format!("sigstore-root-signing/targets/{file}")) else { return };
        let config = SigningConfig::parse(&json).unwrap();
        assert_eq!(urls(&config.rekor_services(NOW, 3).unwrap()), [log]);
        assert_eq!(urls(&config.tsa_services(NOW, 3).unwrap()), ["https://timestamp.sigstore.dev/api/v1/timestamp"]);
        assert_eq!(config.oidc_providers.len(), 1);
    }
    for file in ["signingconfig.v2.json", "signingconfig-only-v1-rekor.v2.json"] {
        let json = vector(&format!("sigstore-python/signing_config/{file}")).unwrap();
        assert!(SigningConfig::parse(&json).unwrap().rekor_services(NOW, 0).is_ok(), "{file}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = SigningConfig::parse(&bytes);
    }

    #[test]
    fn whatever_is_chosen_is_on_offer_and_by_different_operators(
        random: u64, now: i64, count in 1..4_u32, versions in prop::collection::vec(0..4_u32, 0..8),
    ) {
        let services: Vec<_> = versions
            .iter()
            .enumerate()
            .map(|(i, version)| {
                service(&i.to_string(), *version, "2021-01-01T00:00:00Z", None, ["a", "b", "c"][i % 3])
            })
            .collect();
        let config = config(&services, serde_json::json!({"selector": "EXACT", "count": count}));
        if let Ok(chosen) = config.rekor_services(now, random) {
            prop_assert_eq!(chosen.len(), count as usize);
            let operators: std::collections::BTreeSet<_> = chosen.iter().map(|s| &s.operator).collect();
            prop_assert_eq!(operators.len(), chosen.len());
            prop_assert!(chosen.iter().all(|s| config.rekor.services.contains(s)));
        }
    }
}
