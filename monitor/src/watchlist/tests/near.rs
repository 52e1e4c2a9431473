//! What is close to ours.
use super::*;

fn expect(identity: IdentityRule) -> Watchlist {
    Watchlist::compile(&[rule("ours", WatchMode::Expect, identity)]).unwrap()
}

fn near(how: &str) -> Vec<String> {
    vec![format!("ours: near ({how})")]
}

#[test]
fn the_same_repository_at_another_ref_or_in_another_workflow_is_near() {
    let glob_of_tags = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/*";
    let regex_of_tags = r"^https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v[0-9.]+$";
    for ours in [subject(exact(MAIN)), subject(glob(glob_of_tags)), subject(regex(regex_of_tags))] {
        for watchlist in [alert(ours.clone()), expect(ours)] {
            let cases = [
                ("https://github.com/acme/app/.github/workflows/release.yml@refs/heads/evil", near("OtherRef")),
                ("https://github.com/acme/app/.github/workflows/release.yml@refs/pull/1/merge", near("OtherRef")),
                ("https://github.com/acme/app/.github/workflows/evil.yml@refs/heads/main", near("OtherWorkflow")),
                ("https://github.com/acme/app2/.github/workflows/release.yml@refs/heads/main", vec![]),
                ("https://github.com/other/app/.github/workflows/release.yml@refs/heads/main", vec![]),
            ];
            for (name, expected) in cases {
                assert_eq!(told(&watchlist, &leaf(&Names::of(name))), expected, "{name}");
            }
        }
    }
    let gitlab = alert(subject(exact("https://gitlab.com/acme/sub/app//.gitlab-ci.yml@refs/heads/main")));
    let other = "https://gitlab.com/acme/sub/app//.gitlab-ci.yml@refs/heads/evil";
    assert_eq!(told(&gitlab, &leaf(&Names::of(other))), near("OtherRef"));
}

#[test]
fn somebody_elses_workflow_that_signs_for_our_repository_is_near() {
    let theirs = "https://github.com/generators/go/.github/workflows/build.yml@refs/tags/v1";
    let names = Names::of(theirs).with(REPOSITORY_URI, "https://github.com/acme/app");
    assert_eq!(told(&alert(subject(exact(MAIN))), &leaf(&names)), near("OtherWorkflow"));
    let by_extension = IdentityRule {
        extensions: vec![is(REPOSITORY_URI, "https://github.com/acme/app"), is(TRIGGER, "release")],
        ..subject(exact("release@acme.example"))
    };
    assert_eq!(told(&expect(by_extension), &leaf(&names)), near("OtherWorkflow"));
}

#[test]
fn our_name_by_another_issuer_is_near() {
    let ours = alert(IdentityRule { issuer: exact(GITHUB), ..subject(exact(MAIN)) });
    assert_eq!(told(&ours, &leaf(&Names::of(MAIN).by("https://github.com/login/oauth"))), near("OtherIssuer"));
    let longer = format!("{GITHUB}.evil.example");
    assert_eq!(told(&ours, &leaf(&Names::of(MAIN).by(&longer))), near("OtherIssuer"));
}

#[test]
fn an_expected_identity_under_other_circumstances_is_near() {
    let ours = expect(IdentityRule {
        extensions: vec![is(REPOSITORY_REF, "refs/heads/main"), is(TRIGGER, "push"), is_not(OWNER_ID, "99")],
        ..subject(exact(MAIN))
    });
    let good = |reference: &str, trigger: &str| Names::of(MAIN).with(REPOSITORY_REF, reference).with(TRIGGER, trigger);
    assert_eq!(told(&ours, &leaf(&good("refs/heads/main", "push"))), ["ours: expected"]);
    assert_eq!(told(&ours, &leaf(&good("refs/heads/evil", "push"))), near("OtherRef"));
    assert_eq!(told(&ours, &leaf(&good("refs/heads/main", "pull_request_target"))), near("OtherWorkflow"));
    // What a rule says that it is not about is not near; nor what a rule that alerts says when to alert.
    assert_eq!(told(&ours, &leaf(&good("refs/heads/main", "push").with(OWNER_ID, "99"))), [""; 0]);
    let on_pull_requests =
        alert(IdentityRule { extensions: vec![is(TRIGGER, "pull_request_target")], ..subject(exact(MAIN)) });
    assert_eq!(told(&on_pull_requests, &leaf(&good("refs/heads/main", "push"))), [""; 0]);
}

#[test]
fn an_owner_or_repository_that_was_renamed_is_near() {
    let ids = vec![is(REPOSITORY_ID, "4242"), is(OWNER_ID, "17")];
    let ours = alert(IdentityRule { issuer: exact(GITHUB), extensions: ids, ..subject(exact(MAIN)) });
    let named = |name: &str, repository: &str, owner: &str| {
        leaf(&Names::of(name).with(REPOSITORY_ID, repository).with(OWNER_ID, owner))
    };
    assert_eq!(told(&ours, &named(MAIN, "4242", "17")), ["ours: identity"]);
    // Our name, taken over by another owner or in a repository made anew.
    assert_eq!(told(&ours, &named(MAIN, "4242", "18")), near("RenamedOwner"));
    assert_eq!(told(&ours, &named(MAIN, "4243", "17")), near("RenamedOwner"));
    assert_eq!(told(&ours, &leaf(&Names::of(MAIN))), near("RenamedOwner"));
    // Our repository, our owner, under another name.
    let renamed = "https://github.com/acme/renamed/.github/workflows/release.yml@refs/heads/main";
    assert_eq!(told(&ours, &named(renamed, "4242", "17")), near("RenamedOwner"));
    let moved = "https://github.com/renamed/app/.github/workflows/release.yml@refs/heads/main";
    assert_eq!(told(&ours, &named(moved, "1", "17")), near("RenamedOwner"));
    // Another repository of our owner is no renamed owner.
    assert_eq!(
        told(&ours, &named("https://github.com/acme/other/.github/workflows/x.yml@refs/heads/main", "1", "17")),
        [""; 0]
    );
    // The numbers are GitHub's.
    let elsewhere = Names::of("https://gitlab.com/a/b//.gitlab-ci.yml@refs/heads/main").by("https://gitlab.com");
    assert_eq!(told(&ours, &leaf(&elsewhere.with(REPOSITORY_ID, "4242").with(OWNER_ID, "17"))), [""; 0]);
}

#[test]
fn names_that_look_like_ours_are_near() {
    let email = alert(subject(exact("release@acme-mail.example")));
    let uri = alert(subject(exact(MAIN)));
    let wide = alert(subject(glob("https://github.com/acme-mail/*")));
    let domain = alert(subject(glob("*@acme-mail.example")));
    let expression = alert(subject(regex(r"^https://github\.com/acme-mail/[a-z]+/\.github/workflows/.*$")));
    let cases = [
        (&email, "Release@acme-mail.example"),
        (&email, "release@acrne-mail.example"),
        (&email, "re1ease@acme-mail.example"),
        (&email, "release@acme-mail.example."),
        (&email, "release@acme-mail.example/"),
        (&email, " release@acme-mail.example"),
        (&email, "rele\u{200b}ase@acme-mail.example"),
        (&email, "rele\u{430}se@acme-mail.example"),
        (&email, "release@\u{ff41}cme-mail.example"),
        (&email, "release@xn--cme-mail-06g.example"),
        (&email, "anybody@acrne-mail.example"),
        (&domain, "release@acme-mai1.example"),
        (&domain, "release@ACME-MAIL.example"),
        (&uri, "https://github.com/acrne/app/.github/workflows/release.yml@refs/heads/main"),
        (&uri, "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main/"),
        (&uri, "https://github.com/Acme/app/.github/workflows/other.yml@refs/heads/evil"),
        (&uri, "https://github.com./acme/app/.github/workflows/release.yml@refs/heads/main"),
        (&uri, "https://github.com/acme//app/.github/workflows/release.yml@refs/heads/main"),
        (&uri, "https://github.com/%61cme/app/.github/workflows/release.yml@refs/heads/main"),
        (&uri, "HTTPS://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"),
        (&uri, "https://g\u{456}thub.com/acme/app/.github/workflows/release.yml@refs/heads/main"),
        (&wide, "https://github.com/acme-rnail/any"),
        (&wide, "https://github.com/acme\u{2010}mail/any"),
        (&expression, "https://github.com/ACME-mail/any/.github/workflows/x"),
    ];
    for (watchlist, name) in cases {
        assert_eq!(told(watchlist, &leaf(&Names::of(name))), near("Homoglyph"), "{name}");
    }
    for (watchlist, name) in [
        (&email, "release@acme-mail.example.org"),
        (&email, "other@acme-mail.example"),
        (&email, "release@example"),
        (&uri, "https://github.com/acme/other"),
        (&uri, "https://github.com/acmes/app/.github/workflows/release.yml@refs/heads/main"),
        (&wide, "https://github.com/acme-mail2/any"),
        (&domain, "release@sub.acme-mail.example"),
    ] {
        assert_eq!(told(watchlist, &leaf(&Names::of(name))), [""; 0], "{name}");
    }
}

#[test]
fn what_is_only_observed_has_nothing_near_it() {
    let watchlist = Watchlist::compile(&[rule("all", WatchMode::Observe, subject(exact(MAIN)))]).unwrap();
    assert_eq!(told(&watchlist, &leaf(&Names::of(&MAIN.replace("main", "evil")))), [""; 0]);
    assert_eq!(told(&watchlist, &leaf(&Names::of(&MAIN.to_uppercase()))), [""; 0]);
}
