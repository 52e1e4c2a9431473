//! What is ours, and what is not.
use super::*;

#[test]
fn a_name_is_matched_whole_and_as_it_is() {
    let ours = alert(subject(exact(MAIN)));
    assert_eq!(told(&ours, &leaf(&Names::of(MAIN))), ["ours: identity"]);
    let acme = alert(subject(glob("https://github.com/acme/*")));
    for name in [MAIN, "https://github.com/acme/", "https://github.com/acme/other/.github/workflows/x.yml@refs/tags/v1"]
    {
        assert_eq!(told(&acme, &leaf(&Names::of(name))), ["ours: identity"], "{name}");
    }
    // T22: what only begins, ends or goes on like it.
    for name in [
        "https://github.com/acme.evil/app/.github/workflows/release.yml@refs/heads/main",
        "https://github.com/acme-evil/app",
        "https://evil.example/https://github.com/acme/app",
        "https://github.com.evil.example/acme/app",
        "https://github.com/acme",
        "https://github.com/evil/acme/",
        "github.com/acme/app",
    ] {
        assert_eq!(told(&acme, &leaf(&Names::of(name))), [""; 0], "{name}");
    }
}

#[test]
fn every_name_beside_others_is_matched() {
    let ours = alert(subject(exact("release@acme.example")));
    let names = Names::of("first@example.com").and("release@acme.example").and("last@example.com");
    assert_eq!(told(&ours, &leaf(&names)), ["ours: identity"]);
    // In another extension of the same kind.
    let mut names = Names::of("first@example.com");
    names.extensions = Vec::new();
    let twice = names.and("release@acme.example").and("release@acme.example");
    assert_eq!(told(&ours, &leaf(&twice)), ["ours: identity", "ours: identity"]);
}

#[test]
fn a_name_with_a_nul_byte_is_not_the_name_before_it() {
    let ours = alert(subject(exact("release@acme.example")));
    assert_eq!(told(&ours, &leaf(&Names::of("release@acme.example\0.evil.example"))), [""; 0]);
    assert_eq!(told(&ours, &leaf(&Names::of("release@acme.example\0"))), ["ours: near (Homoglyph)"]);
}

#[test]
fn a_certificate_without_an_issuer_is_matched_where_none_is_asked_for() {
    let any = alert(subject(exact(MAIN)));
    assert_eq!(told(&any, &leaf(&Names::of(MAIN).by_nobody())), ["ours: identity"]);
    let rule = IdentityRule { issuer: exact(GITHUB), ..subject(exact(MAIN)) };
    assert_eq!(told(&alert(rule), &leaf(&Names::of(MAIN).by_nobody())), ["ours: near (OtherIssuer)"]);
    // And one without a name, where no name is asked for.
    let issuer = alert(IdentityRule { issuer: exact("https://oidc.acme.example"), ..IdentityRule::default() });
    let nameless = Names { issuer: Some("https://oidc.acme.example".to_owned()), ..Names::default() };
    assert_eq!(told(&issuer, &leaf(&nameless)), ["ours: identity"]);
}

#[test]
fn all_conditions_of_a_rule_hold_together() {
    let ours = alert(IdentityRule {
        subject: glob("https://github.com/acme/*"),
        issuer: exact(GITHUB),
        extensions: vec![is(REPOSITORY_URI, "https://github.com/acme/app"), is_not(REPOSITORY_REF, "refs/heads/main")],
        not_subject: glob("*/nightly.yml@*"),
        not_issuer: None,
    });
    let good = Names::of(MAIN).with(REPOSITORY_URI, "https://github.com/acme/app").with(REPOSITORY_REF, "refs/tags/v1");
    assert_eq!(told(&ours, &leaf(&good)), ["ours: identity"]);
    // Negated: absent is not this either.
    let without_ref = Names::of(MAIN).with(REPOSITORY_URI, "https://github.com/acme/app");
    assert_eq!(told(&ours, &leaf(&without_ref)), ["ours: identity"]);
    let on_main = without_ref.clone().with(REPOSITORY_REF, "refs/heads/main");
    assert_eq!(told(&ours, &leaf(&on_main)), [""; 0]);
    let other_repository = Names::of(MAIN).with(REPOSITORY_URI, "https://github.com/acme/other");
    assert_eq!(told(&ours, &leaf(&other_repository)), [""; 0]);
    let nightly = "https://github.com/acme/app/.github/workflows/nightly.yml@refs/heads/main";
    assert_eq!(told(&ours, &leaf(&Names::of(nightly).with(REPOSITORY_URI, "https://github.com/acme/app"))), [""; 0]);
    let not_theirs = alert(IdentityRule { not_issuer: glob("https://gitlab.*"), ..subject(exact(MAIN)) });
    assert_eq!(told(&not_theirs, &leaf(&Names::of(MAIN))), ["ours: identity"]);
    assert_eq!(told(&not_theirs, &leaf(&Names::of(MAIN).by("https://gitlab.com"))), [""; 0]);
}

#[test]
fn rules_without_a_subject_are_found_by_what_they_have() {
    let by_extension = alert(IdentityRule { extensions: vec![is(OWNER_ID, "17")], ..IdentityRule::default() });
    assert_eq!(told(&by_extension, &leaf(&Names::of("x@example.com").with(OWNER_ID, "17"))), ["ours: identity"]);
    assert_eq!(told(&by_extension, &leaf(&Names::of("x@example.com").with(OWNER_ID, "171"))), [""; 0]);
    let by_pattern =
        alert(IdentityRule { extensions: vec![is(REPOSITORY_URI, "*/acme/*")], ..IdentityRule::default() });
    let named = Names::of("x@example.com").with(REPOSITORY_URI, "https://github.com/acme/app");
    assert_eq!(told(&by_pattern, &leaf(&named)), ["ours: identity"]);
    let by_absence = alert(IdentityRule {
        issuer: glob("https://*.acme.example"),
        extensions: vec![is_not(REPOSITORY_URI, "*")],
        ..IdentityRule::default()
    });
    assert_eq!(told(&by_absence, &leaf(&named.clone().by("https://ci.acme.example"))), [""; 0]);
    let without = Names::of("x@example.com").by("https://ci.acme.example");
    assert_eq!(told(&by_absence, &leaf(&without)), ["ours: identity"]);
}

#[test]
fn what_is_expected_excuses_its_own_name_and_no_other() {
    let ours = rule("ours", WatchMode::Alert, subject(glob("https://github.com/acme/*")));
    let release = rule(
        "release",
        WatchMode::Expect,
        IdentityRule { issuer: exact(GITHUB), extensions: vec![is(REPOSITORY_ID, "4242")], ..subject(exact(MAIN)) },
    );
    let watchlist = Watchlist::compile(&[ours, release]).unwrap();
    let good = Names::of(MAIN).with(REPOSITORY_ID, "4242");
    assert_eq!(sorted(told(&watchlist, &leaf(&good))), ["ours: expected", "release: expected"]);
    let elsewhere = "https://github.com/acme/other/.github/workflows/release.yml@refs/heads/main";
    let both = good.clone().and(elsewhere);
    assert_eq!(sorted(told(&watchlist, &leaf(&both))), ["ours: expected", "ours: identity", "release: expected"]);
    for not_quite in [good.clone().by("https://gitlab.com"), Names::of(MAIN), Names::of(MAIN).with(REPOSITORY_ID, "1")]
    {
        assert_eq!(told(&watchlist, &leaf(&not_quite)), ["ours: identity"]);
    }
}

fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words
}

#[test]
fn what_is_observed_is_collected_and_excuses_nothing() {
    let rules = [
        rule("ours", WatchMode::Alert, subject(exact(MAIN))),
        rule("all", WatchMode::Observe, subject(glob("https://github.com/acme/*"))),
    ];
    let watchlist = Watchlist::compile(&rules).unwrap();
    assert_eq!(sorted(told(&watchlist, &leaf(&Names::of(MAIN)))), ["all: observed", "ours: identity"]);
    let other = "https://github.com/acme/new/.github/workflows/x.yml@refs/heads/main";
    assert_eq!(told(&watchlist, &leaf(&Names::of(other))), ["all: observed"]);
    let mut scratch = Scratch::new();
    let (body, mut out) = (leaf(&Names::of(other)), Vec::new());
    watchlist.matches(&claims(&body, &mut scratch).unwrap(), &DigestFilter::new(), &mut out);
    let expected = Matched::Observed { issuer: Some(GITHUB.to_owned()), subject: other.to_owned() };
    assert_eq!(out, [Match { claim: 0, matcher: Some(MatcherId::new(1)), what: expected }]);
}

#[test]
fn a_key_is_ours_bare_and_in_a_certificate_and_may_be_retired() {
    let rules = [key_rule("now", &spki(1), false), key_rule("then", &spki(2), true)];
    let watchlist = Watchlist::compile(&rules).unwrap();
    assert_eq!(told(&watchlist, &leaf_of_key(&spki(1))), ["now: key"]);
    assert_eq!(told(&watchlist, &leaf_of_key(&spki(2))), ["then: retired key"]);
    assert_eq!(told(&watchlist, &leaf_of_key(&spki(3))), [""; 0]);
    assert_eq!(told(&watchlist, &leaf(&Names::of("x@example.com").keyed(spki(1)))), ["now: key"]);
    // The ledger's, which a rule goes before; and again, without the first.
    let with = watchlist.with_keys(&[(spki(2), "a".to_owned()), (spki(3), "b".to_owned())]);
    assert_eq!(told(&with, &leaf_of_key(&spki(2))), ["then: retired key"]);
    assert_eq!(told(&with, &leaf_of_key(&spki(3))), ["ledger: key"]);
    let without = with.with_keys(&[]);
    assert_eq!(told(&without, &leaf_of_key(&spki(3))), [""; 0]);
    assert_eq!(told(&without, &leaf_of_key(&spki(1))), ["now: key"]);
    let mut scratch = Scratch::new();
    let (body, mut out) = (leaf_of_key(&spki(1)), Vec::new());
    watchlist.matches(&claims(&body, &mut scratch).unwrap(), &DigestFilter::new(), &mut out);
    let fingerprint = hex::encode(Sha256::digest(spki(1)));
    assert_eq!(out[0].what, Matched::Key { fingerprint, retired: false });
}

#[test]
fn a_strangers_signature_over_our_digest_is_noticed_and_ours_is_not() {
    let watchlist = Watchlist::compile(&[key_rule("now", &spki(1), false)]).unwrap();
    let mut digests = DigestFilter::new();
    assert_eq!(told_with(&watchlist, &leaf_of_key(&spki(2)), &digests), [""; 0]);
    digests.insert(&[7; 32]);
    digests.insert(&[8; 4]);
    assert_eq!(digests.len(), 1);
    assert_eq!(told_with(&watchlist, &leaf_of_key(&spki(2)), &digests), ["ledger: digest"]);
    assert_eq!(told_with(&watchlist, &leaf_of_key(&spki(1)), &digests), ["now: key"]);
    assert!(digests.may_contain(&[7; 48]) && !digests.may_contain(&[8; 32]) && !digests.may_contain(&[7; 7]));
}

#[test]
fn a_certificate_logs_precertificate_is_matched_too() {
    let tbs = Names::of(MAIN).tbs();
    let mut leaf = vec![0; 10];
    leaf.extend([0, 1]);
    leaf.extend([7; 32]);
    leaf.extend([0, (tbs.len() >> 8) as u8, tbs.len() as u8]);
    leaf.extend(&tbs);
    leaf.extend([0, 0]);
    let (watchlist, mut out) = (alert(subject(exact(MAIN))), Vec::new());
    watchlist.matches(&ct_claims(&leaf).unwrap(), &DigestFilter::new(), &mut out);
    assert_eq!(words(&watchlist, &out[0]), "ours: identity");
}

#[test]
fn thousands_of_rules_find_the_one_that_matches() {
    let mut rules = Vec::new();
    for number in 0..3000 {
        let identity = match number % 6 {
            0 => subject(exact(&format!("https://github.com/o{number}/app/.github/workflows/r.yml@refs/heads/main"))),
            1 => subject(glob(&format!("https://github.com/o{number}/*"))),
            2 => subject(glob(&format!("*@o{number}.example"))),
            3 => subject(regex(&format!(r"^https://gitlab\.com/o{number}/.+//\.gitlab-ci\.yml@refs/tags/v[0-9]+$"))),
            4 => IdentityRule { extensions: vec![is(OWNER_ID, &number.to_string())], ..IdentityRule::default() },
            _ => IdentityRule { issuer: exact(&format!("https://o{number}.example")), ..IdentityRule::default() },
        };
        rules.push(rule(&number.to_string(), WatchMode::Alert, identity));
    }
    let watchlist = Watchlist::compile(&rules).unwrap();
    for number in (0..3000).step_by(7) {
        let names = match number % 6 {
            0 => Names::of(&format!("https://github.com/o{number}/app/.github/workflows/r.yml@refs/heads/main")),
            1 => Names::of(&format!("https://github.com/o{number}/any")),
            2 => Names::of(&format!("somebody@o{number}.example")),
            3 => Names::of(&format!("https://gitlab.com/o{number}/app//.gitlab-ci.yml@refs/tags/v1")),
            4 => Names::of("x").with(OWNER_ID, &number.to_string()),
            _ => Names::of("x").by(&format!("https://o{number}.example")),
        };
        assert_eq!(told(&watchlist, &leaf(&names)), [format!("{number}: identity")]);
    }
    assert_eq!(told(&watchlist, &leaf(&Names::of("https://github.com/stranger/app"))), [""; 0]);
}
