//! Tests of manifests and descriptors.

use proptest::prelude::*;

use super::*;

fn descriptor(content: &str) -> String {
    format!(r#"{{"mediaType":"application/x","size":1,"digest":"{}"}}"#, Digest::of(content.as_bytes()))
}

fn image() -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        media_type::IMAGE_MANIFEST,
        descriptor("config"),
        descriptor("layer")
    )
}

fn index() -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#, media_type::IMAGE_INDEX, descriptor("child"))
}

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text.as_bytes(), None)
}

#[test]
fn an_image_and_an_index_are_told_apart() {
    let parsed = parse(&image()).expect("an image");
    assert_eq!((parsed.kind, parsed.layers.len()), (ManifestKind::Image, 1));
    let parsed = parse(&index()).expect("an index");
    assert_eq!((parsed.kind, parsed.manifests.len()), (ManifestKind::Index, 1));
}

#[test]
fn the_type_is_what_body_and_header_agree_on_or_the_shape() {
    let silent = image().replace(&format!(r#""mediaType":"{}","#, media_type::IMAGE_MANIFEST), "");
    let of = |text: &str, header| Manifest::parse(text.as_bytes(), header).map(|manifest| manifest.media_type);
    assert_eq!(of(&silent, None).ok().as_deref(), Some(media_type::IMAGE_MANIFEST));
    assert_eq!(of(&silent, Some("application/json")).ok().as_deref(), Some(media_type::IMAGE_MANIFEST));
    assert_eq!(of(&silent, Some(media_type::DOCKER_MANIFEST)).ok().as_deref(), Some(media_type::DOCKER_MANIFEST));
    let header = format!("{}; charset=utf-8", media_type::IMAGE_MANIFEST);
    assert_eq!(of(&image(), Some(&header)).ok().as_deref(), Some(media_type::IMAGE_MANIFEST));
    for header in [media_type::DOCKER_MANIFEST, media_type::IMAGE_INDEX, "text/html"] {
        assert!(matches!(of(&image(), Some(header)), Err(ManifestError::MediaTypeConflict { .. })), "{header}");
    }
    assert!(matches!(of(&silent, Some("text/html")), Err(ManifestError::UnknownMediaType(_))));
    assert!(of(r#"{"schemaVersion":2}"#, None).is_err());
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let child = descriptor("child");
    for bad in [
        image().replace("\"layers\":", &format!("\"manifests\":[{child}],\"layers\":")),
        image().replace("\"layers\":", &format!("\"Layers\":[{child}],\"layers\":")),
        image().replace("\"layers\":", &format!("\"layer\u{17f}\":[{child}],\"layers\":")),
        image().replace("\"layers\":", &format!("\"layers\":[{child}],\"layers\":")),
        image().replace("\"layers\":", "\"Subject\":null,\"layers\":"),
        image().replace("\"layers\":", "\"fsLayers\":[],\"layers\":"),
        image().replace("\"size\":1", "\"size\":1,\"Size\":2"),
        index().replace("\"manifests\":", &format!("\"layers\":[{child}],\"manifests\":")),
        index().replace("\"manifests\":", &format!("\"config\":{child},\"manifests\":")),
        index().replace(media_type::IMAGE_INDEX, media_type::IMAGE_MANIFEST),
        image().replace(media_type::IMAGE_MANIFEST, media_type::IMAGE_INDEX),
    ] {
        assert!(parse(&bad).is_err(), "{bad}");
    }
    // Without a type, both shapes at once have none.
    let both = format!(r#"{{"schemaVersion":2,"config":{child},"layers":[],"manifests":[]}}"#);
    assert!(matches!(parse(&both), Err(ManifestError::Ambiguous(_))));
}

#[test]
fn schema_1_is_refused_by_header_body_and_version() {
    let unsupported =
        |text: &str, header| matches!(Manifest::parse(text.as_bytes(), header), Err(ManifestError::UnsupportedSchema1));
    assert!(unsupported(r#"{"schemaVersion":1,"fsLayers":[]}"#, None));
    assert!(unsupported(&image(), Some(media_type::DOCKER_SCHEMA1_SIGNED)));
    assert!(unsupported("not json", Some(media_type::DOCKER_SCHEMA1)));
    assert!(unsupported(&image().replace(media_type::IMAGE_MANIFEST, media_type::DOCKER_SCHEMA1), None));
}

#[test]
fn malformed_descriptors_are_refused() {
    let digest = Digest::of(b"layer").to_string();
    for bad in [
        image().replace(&digest, "sha256:00"),
        image().replace(&digest, &digest.to_uppercase()),
        image().replace(&digest, &format!("sha512:{}", "0".repeat(127))),
        image().replace(&digest, &format!("sha1:{}", "0".repeat(40))),
        index().replace(&Digest::of(b"child").to_string(), &format!("sha512:{}", "0".repeat(128))),
        image().replace("\"size\":1", "\"size\":-1"),
        image().replace("\"size\":1", "\"size\":1.5"),
        image().replace("\"size\":1", "\"size\":9223372036854775808"),
        image().replace("\"size\":1", "\"size\":\"1\""),
        image().replace("application/x", ""),
        image().replace("\"size\":1,", ""),
        image().replace("\"layers\":[", "\"layers\":[null,"),
        image().replace("\"layers\":", "\"layers\":7,\"x\":"),
        image().replace("\"layers\":", "\"x\":"),
        image().replace("\"config\":", "\"x\":"),
        image().replace("\"schemaVersion\":2", "\"schemaVersion\":3"),
        image().replace("\"schemaVersion\":2,", ""),
        image().replace("\"layers\":", "\"annotations\":{\"a\":1},\"layers\":"),
    ] {
        assert!(parse(&bad).is_err(), "{bad}");
    }
    assert!(parse(&image().replace("\"layers\":", "\"annotations\":null,\"layers\":")).is_ok());
    assert!(parse(&index().replace(&format!("[{}]", descriptor("child")), "null")).is_ok());
}

#[test]
fn content_of_an_image_may_have_another_algorithm_and_what_is_fetched_or_signed_may_not() {
    let other = format!("sha512:{}", "0".repeat(128));
    let (layer, config) = (Digest::of(b"layer").to_string(), Digest::of(b"config").to_string());
    let parsed = parse(&image().replace(&layer, &other).replace(&config, &other)).expect("an image");
    assert_eq!(parsed.layers[0].digest.to_string(), other);
    assert_eq!(parsed.config.map(|config| config.digest.to_string()).as_ref(), Some(&other));
    assert_eq!(parsed.layers[0].fetchable(), None);
    for kind in [media_type::SIMPLE_SIGNING, media_type::SIGSTORE_BUNDLE] {
        let text = image().replacen("application/x", "application/y", 1).replace("application/x", kind);
        assert!(parse(&text).is_ok());
        let error = parse(&text.replace(&layer, &other)).expect_err("a layer that is fetched").to_string();
        assert!(error.contains("sha256") && error.contains(&other), "{error}");
    }
    let subject = image().replace("\"layers\":", &format!("\"subject\":{},\"layers\":", descriptor("subject")));
    assert!(parse(&subject).is_ok());
    let error = parse(&subject.replace(&Digest::of(b"subject").to_string(), &other)).expect_err("a subject");
    assert!(error.to_string().contains("only sha256 is"), "{error}");
    let error = parse(&index().replace(&Digest::of(b"child").to_string(), &other)).expect_err("a child");
    assert!(error.to_string().contains("only sha256 is"), "{error}");
}

#[test]
fn annotations_are_strings_or_null_and_not_without_end() {
    let with = |text: &str| parse(&image().replace("\"layers\":", &format!("\"annotations\":{text},\"layers\":")));
    let read = with(r#"{"a":null,"b":""}"#).expect("an image").annotations;
    assert_eq!(read, BTreeMap::from([("a".to_owned(), String::new()), ("b".to_owned(), String::new())]));
    let of_a_layer = image().replace("\"size\":1", "\"size\":1,\"annotations\":{\"vnd\":null}");
    assert_eq!(parse(&of_a_layer).expect("an image").layers[0].annotations.get("vnd").map(String::as_str), Some(""));
    for bad in ["[]", "7", r#"{"a":[null]}"#, r#"{"a":false}"#] {
        assert!(matches!(with(bad), Err(ManifestError::Field(_))), "{bad}");
    }
    let many = |count: usize| (0..count).map(|n| format!("\"{n}\":\"\"")).collect::<Vec<_>>().join(",");
    assert!(with(&format!("{{{}}}", many(MAX_ANNOTATIONS))).is_ok());
    let error = with(&format!("{{{}}}", many(MAX_ANNOTATIONS + 1))).expect_err("too many");
    assert!(matches!(error, ManifestError::TooMany { field: "annotations", .. }), "{error}");
    // Those of all descriptors count together.
    let spread = image().replace("\"size\":1", &format!("\"size\":1,\"annotations\":{{{}}}", many(9000)));
    assert!(matches!(parse(&spread), Err(ManifestError::TooMany { field: "annotations", .. })));
}

#[test]
fn an_index_may_not_be_endless() {
    let with = |children: usize| index().replace(&descriptor("child"), &vec![descriptor("child"); children].join(","));
    assert_eq!(parse(&with(4096)).map(|manifest| manifest.manifests.len()).ok(), Some(4096));
    assert!(matches!(parse(&with(4097)), Err(ManifestError::TooMany { .. })));
    let padded = format!("{}{}", image(), " ".repeat(MAX_MANIFEST_BYTES));
    assert!(matches!(parse(&padded), Err(ManifestError::TooLarge)));
}

#[test]
fn descriptors_are_read_whole_and_written_in_gos_order() {
    let text = format!(
        r#"{{"mediaType":"a/b","size":3,"digest":"{}","annotations":{{"a\u003c":"b","c":"d"}},"platform":{{"architecture":"arm","os":"linux","os.version":"1","variant":"v7"}},"artifactType":"x/y"}}"#,
        Digest::of(b"x")
    );
    let read = child(&text);
    assert_eq!(read.platform.as_ref().and_then(|p| p.variant.as_deref()), Some("v7"));
    assert_eq!(read.to_go_json(), text);
    assert_eq!(child(&serde_json::to_string(&read).expect("it serializes")), read);
    let bare = format!(r#"{{"mediaType":"a/b","size":3,"digest":"{}"}}"#, Digest::of(b"x"));
    assert_eq!(read.bare().to_go_json(), bare);
    let nulls = child(&bare.replace('}', r#","annotations":null,"platform":null,"artifactType":""}"#));
    assert_eq!(nulls, read.bare());
}

/// A descriptor as the child of an index.
fn child(text: &str) -> Descriptor {
    parse(&index().replace(&descriptor("child"), text)).expect("an index").manifests.remove(0)
}

#[test]
fn a_referrers_descriptor_takes_type_and_annotations_from_the_manifest() {
    let bytes = referrer_manifest(&Descriptor::of("a/b", b"subject"), b"bundle", "2026-11-21T17:15:08Z");
    let manifest = Manifest::parse(&bytes, None).expect("our own manifest");
    assert_eq!(manifest.bundle_layers().count(), 1);
    let described = manifest.referrer_descriptor(&bytes);
    assert_eq!(described.digest, Digest::of(&bytes));
    assert_eq!(described.artifact_type.as_deref(), Some(media_type::SIGSTORE_BUNDLE));
    assert_eq!(described.annotations, manifest.annotations);
    assert_eq!(described.annotations.len(), 3);

    let untyped = parse(&image()).expect("an image").referrer_descriptor(b"");
    assert_eq!(untyped.artifact_type.as_deref(), Some("application/x"));
}

#[test]
fn a_referrers_index_grows_and_keeps_what_others_wrote() {
    let ours =
        Descriptor { artifact_type: Some("a/b".to_owned()), ..Descriptor::of(media_type::IMAGE_MANIFEST, b"ours") };
    let first = referrers_index_with(None, &ours).expect("it can be made").expect("it is new");
    assert_eq!(
        String::from_utf8_lossy(&first),
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
            ours.to_go_json()
        )
    );
    assert!(referrers_index_with(Some(&first), &ours).expect("it reads").is_none());

    let foreign = r#"{ "mediaType":"x", "digest":"sha512:ab","size":1e2, "extra":[1,  2] }"#;
    let existing = format!(r#"{{"annotations":{{"z":"1","a":"2"}},"schemaVersion":2,"manifests":[{foreign}]}}"#);
    let grown = referrers_index_with(Some(existing.as_bytes()), &ours).expect("it can be merged").expect("it is new");
    assert_eq!(
        String::from_utf8_lossy(&grown),
        format!(
            r#"{{"annotations":{{"z":"1","a":"2"}},"schemaVersion":2,"manifests":[{foreign},{}]}}"#,
            ours.to_go_json()
        )
    );
    let list = parse_referrers(&grown).expect("a list");
    assert_eq!((list.manifests, list.unreadable), (vec![ours.clone()], 1));

    for empty in [r#"{"schemaVersion":2,"manifests":null}"#, r#"{"schemaVersion":2}"#] {
        let grown = referrers_index_with(Some(empty.as_bytes()), &ours).expect("an empty one").expect("it is new");
        assert_eq!(parse_referrers(&grown).map(|list| list.manifests).ok(), Some(vec![ours.clone()]));
    }
}

#[test]
fn what_is_no_referrers_index_is_not_overwritten() {
    let ours = Descriptor::of(media_type::IMAGE_MANIFEST, b"ours");
    assert!(matches!(referrers_index_with(Some(image().as_bytes()), &ours), Err(ManifestError::Occupied { .. })));
    for bad in ["", "[]", r#"{"manifests":{}}"#, r#"{"Manifests":[]}"#, r#"{"manifests":[],"manifests":[]}"#] {
        assert!(referrers_index_with(Some(bad.as_bytes()), &ours).is_err(), "{bad}");
    }
    // Nor is it an empty list.
    for other in ["{}", r#"{"errors":[{"code":"UNAVAILABLE"}]}"#, r#"{"schemaVersion":1}"#] {
        assert!(parse_referrers(other.as_bytes()).is_err(), "{other}");
    }
    let full = index().replace(&descriptor("child"), &vec![descriptor("child"); 4096].join(","));
    assert!(matches!(referrers_index_with(Some(full.as_bytes()), &ours), Err(ManifestError::TooMany { .. })));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parsers_panic(bytes: Vec<u8>, header: Option<String>) {
        let _ = Manifest::parse(&bytes, header.as_deref());
        let _ = parse_referrers(&bytes);
        let _ = referrers_index_with(Some(&bytes), &Descriptor::of("a/b", b"x"));
    }

    #[test]
    fn no_edit_of_a_manifest_makes_the_parsers_panic(at in 0usize..400, with in "[\\PC]{0,3}") {
        for text in [image(), index()] {
            let at = at.min(text.len());
            let edited = format!("{}{with}{}", &text[..at], text.get(at + 1..).unwrap_or_default());
            let _ = parse(&edited);
            let _ = referrers_index_with(Some(edited.as_bytes()), &Descriptor::of("a/b", b"x"));
        }
    }

    #[test]
    fn whatever_is_merged_is_listed_once(contents in prop::collection::vec(any::<u8>(), 1..20)) {
        let mut index: Option<Vec<u8>> = None;
        for content in &contents {
            let referrer = Descriptor::of(media_type::IMAGE_MANIFEST, &[*content]);
            if let Some(grown) = referrers_index_with(index.as_deref(), &referrer).expect("a merge") {
                index = Some(grown);
            }
        }
        let listed = parse_referrers(&index.unwrap_or_default()).expect("a list").manifests;
        let distinct: std::collections::BTreeSet<_> = contents.iter().collect();
        prop_assert_eq!(listed.len(), distinct.len());
    }
}
