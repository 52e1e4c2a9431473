//! Skeletons, punycode, and the parts of names.
use super::super::workflow::{Workflow, owner, repository};
use super::super::{punycode, skeleton};

#[test]
fn the_samples_of_rfc_3492_decode() {
    let samples = [
        ("ihqwcrb4cv8a8dqg056pqjye", "\u{4ed6}\u{4eec}\u{4e3a}\u{4ec0}\u{4e48}\u{4e0d}\u{8bf4}\u{4e2d}\u{6587}"),
        ("PorqunopuedensimplementehablarenEspaol-fmd56a", "Porqu\u{e9}nopuedensimplementehablarenEspa\u{f1}ol"),
        ("-> $1.00 <--", "-> $1.00 <-"),
        ("bcher-kva", "b\u{fc}cher"),
        ("abc-", "abc"),
    ];
    for (label, text) in samples {
        assert_eq!(punycode::decode(label).as_deref(), Some(text), "{label}");
    }
    for broken in ["b\u{fc}", "a!", "zzzzzzzzzzzzzz", &"a".repeat(64)] {
        assert_eq!(punycode::decode(broken), None, "{broken}");
    }
}

#[test]
fn every_letter_has_look_alikes() {
    for (name, skeleton_of) in [
        ("abc", "\u{430}\u{1d41b}\u{441}"),
        ("ocean", "0CE\u{410}N"),
        ("mail", "rna1I"),
        ("wow", "vv0VV"),
        ("a/b", "a.//\\b"),
        ("a@b", "a..@b"),
        ("ab", "a\0\t \u{ad}\u{200d}\u{202e}\u{fffd}b"),
        ("e", "\u{e9}"),
        ("e", "e\u{301}"),
        ("a-b", "a\u{2012}b"),
        ("a/b", "a%2Fb"),
        ("a%zz%4", "a%zz%4"),
    ] {
        assert_eq!(skeleton::of(name), skeleton::of(skeleton_of), "{name} {skeleton_of:?}");
    }
    assert_ne!(skeleton::of("acme"), skeleton::of("acne"));
    assert_eq!(skeleton::whole("abc./"), "abc");
}

#[test]
fn a_name_is_taken_apart_where_it_is_a_workflows() {
    let github = Workflow::of("https://github.com/acme/app/.github/workflows/r.yml@refs/heads/a@b").unwrap();
    assert_eq!(github.repository, "https://github.com/acme/app");
    assert_eq!((github.path, github.reference), ("/.github/workflows/r.yml", Some("refs/heads/a@b")));
    let gitlab = Workflow::of("https://gitlab.com/a/b/c//.gitlab-ci.yml@refs/tags/v1").unwrap();
    assert_eq!((gitlab.repository, gitlab.path), ("https://gitlab.com/a/b/c", "//.gitlab-ci.yml"));
    assert_eq!(Workflow::of("https://github.com/acme/app/.github/wo").unwrap().reference, None);
    assert_eq!(Workflow::of("https://kubernetes.io/namespaces/ns/serviceaccounts/x"), None);
    assert_eq!(Workflow::of("a@example.com"), None);
    for (url, who, what) in [
        ("https://github.com/acme/app/x", Some("https://github.com/acme/"), Some("https://github.com/acme/app")),
        ("https://github.com/acme/app", Some("https://github.com/acme/"), None),
        ("https://github.com/acme", None, None),
        ("https://github.com//app", None, None),
        ("https://github.com", None, None),
        ("acme", None, None),
    ] {
        assert_eq!(owner(url), who, "{url}");
        if url != "https://github.com//app" {
            assert_eq!(repository(url), what, "{url}");
        }
    }
}
