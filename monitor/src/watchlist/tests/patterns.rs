//! Patterns, the literals by which they are found, and the search for prefixes.
use super::super::pattern::{Literal, Matcher};
use super::super::prefixes::{DottedPrefixes, Prefixes};
use super::*;
use proptest::prelude::*;

fn compiled(pattern: Option<Pattern>) -> Matcher {
    Matcher::compile("rule", "subject", &pattern.unwrap()).unwrap()
}

#[test]
fn an_unanchored_expression_is_refused_and_its_fix_is_accepted() {
    for (text, expected) in [
        ("https://github\\.com/acme/.*", "^https://github\\.com/acme/.*$"),
        ("^acme", "^acme$"),
        ("acme$", "^acme$"),
        ("^acme\\$", "^acme\\$$"),
        ("^a|b$", "^(?:a|b)$"),
        ("^a|b", "^(?:a|b)$"),
        ("(?i)^acme$", "^(?i)^acme$"),
    ] {
        let rules = [rule("ours", WatchMode::Alert, subject(regex(text)))];
        let error = Watchlist::compile(&rules).unwrap_err();
        let WatchError::Unanchored { rule: name, field, pattern, fix } = &error else { panic!("{error}") };
        assert_eq!((&**name, &**field, &**pattern, &**fix), ("ours", "subject", text, expected));
        assert!(error.to_string().contains("not anchored"));
        assert!(Watchlist::compile(&[rule("ours", WatchMode::Alert, subject(regex(fix)))]).is_ok(), "{fix}");
    }
    for text in ["^(a|b)$", "^[|]$", "^[]|]$", "^[^]|]$", "^a\\|b$", "^a\\\\$", "^[[:alpha:]|]$", "^(?i)acme$"] {
        assert!(Watchlist::compile(&[rule("ours", WatchMode::Alert, subject(regex(text)))]).is_ok(), "{text}");
    }
}

#[test]
fn rules_that_cannot_mean_what_they_say_are_refused() {
    let identity = |identity| rule("ours", WatchMode::Alert, identity);
    for (rules, expected) in [
        (vec![identity(IdentityRule::default())], "has no condition"),
        (vec![identity(subject(exact("")))], "subject is empty"),
        (vec![identity(IdentityRule { not_issuer: exact(""), ..subject(exact("a")) })], "not_issuer is empty"),
        (vec![identity(subject(exact("a"))), identity(subject(exact("b")))], "is there twice"),
        (vec![identity(subject(regex("^($")))], "not a regular expression"),
        (
            vec![identity(IdentityRule { extensions: vec![is("Nonsense", "x")], ..subject(exact("a")) })],
            "object identifier",
        ),
        (vec![identity(IdentityRule { extensions: vec![is(TRIGGER, "")], ..subject(exact("a")) })], "is empty"),
    ] {
        let error = Watchlist::compile(&rules).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.starts_with("watch ours"), "{error}");
    }
}

#[test]
fn an_expression_matches_from_the_first_byte_to_the_last_whatever_its_flags() {
    for (text, yes, no) in [
        ("^a.c$", "abc", "xabc"),
        ("^(?m)a$", "a", "a\nb"),
        ("^(?i)ABC$", "abc", "abcd"),
        (r"^\d+\w$", "12x", "12x "),
        ("^a.*b$", "a\n\u{e9}b", "a\nbc"),
        ("^(a|b)$", "a", "ab"),
    ] {
        let matcher = compiled(regex(text));
        assert!(matcher.is_match(yes) && !matcher.is_match(no), "{text}");
    }
}

#[test]
fn the_literal_of_a_pattern_is_what_all_its_texts_have() {
    let prefix = |text: &str| Literal::Prefix(text.to_owned(), Vec::new());
    let suffix = |text: &str| Literal::Suffix(text.to_owned(), Vec::new());
    let dotted = |text: &str, at: usize| Literal::Prefix(text.to_owned(), vec![at]);
    for (pattern, expected) in [
        (glob("https://a/*"), prefix("https://a/")),
        (glob("*@a.example"), suffix("@a.example")),
        (glob("a*bc"), suffix("bc")),
        (glob("plain"), Literal::Exact("plain".to_owned())),
        (regex(r"^https://a\.b/[a-z]+$"), prefix("https://a.b/")),
        (regex(r"^[^@]+@a\.example$"), suffix("@a.example")),
        (regex("^https://a.b/(?:c|d)$"), dotted("https://a.b/", 9)),
        (regex("^[^@]+@a.example$"), Literal::Suffix("@a.example".to_owned(), vec![7])),
        (regex("^a..*$"), dotted("a.", 1)),
        (regex("^ab*c+$"), prefix("a")),
        (regex("^abc?$"), prefix("ab")),
        (regex("^ab{0}$"), prefix("a")),
        (regex("^ab+$"), prefix("ab")),
        (regex(r"^.\x41BC$"), dotted(".", 0)),
        (regex(r"^.*\dabc$"), prefix("")),
        (regex("^(?i)abc$"), prefix("")),
        (regex(r"^.+\\abc$"), suffix("\\abc")),
    ] {
        assert_eq!(Literal::of(pattern.as_ref().unwrap()), expected, "{pattern:?}");
    }
}

/// The definition of a glob.
fn naive(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => naive(rest, text) || text.split_first().is_some_and(|(_, tail)| naive(pattern, tail)),
        ([p, rest @ ..], [t, tail @ ..]) => p == t && naive(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn globs_match_what_their_definition_says(pattern in "[ab*]{1,8}", text in "[ab]{0,10}") {
        prop_assert_eq!(compiled(glob(&pattern)).is_match(&text), naive(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn what_a_pattern_matches_has_its_literal(
        pattern in r"\^(a|b|\.|\(\?:a\)|\\\.|\\\\|/|[ab]\*|[ab]\?|[ab]\+|\[ab\]|\(a\|b\)|[ab]\{0,2\}|\\d|\\x61|\\w){0,6}\$",
        text in r"[ab./\\0-9]{0,8}",
    ) {
        let pattern = Pattern::Regex(pattern);
        if Matcher::compile("rule", "subject", &pattern).unwrap().is_match(&text) {
            let mut index = [DottedPrefixes::new(), DottedPrefixes::backwards()];
            match Literal::of(&pattern) {
                Literal::Exact(literal) => prop_assert_eq!(&text, &literal),
                Literal::Prefix(literal, any) => index[0].add(&literal, any, ()),
                Literal::Suffix(literal, any) => index[1].add(&literal, any, ()),
            }
            let mut found = 0;
            for index in &mut index {
                index.finish();
                index.for_each(&text, |()| found += 1);
            }
            prop_assert_eq!(found, 1, "{:?} {:?}", pattern, Literal::of(&pattern));
        }
    }

    #[test]
    fn every_prefix_and_suffix_is_found(entries in prop::collection::vec("[ab]{0,5}", 0..30), text in "[ab]{0,8}") {
        let (mut begins, mut ends) = (Prefixes::new(), Prefixes::backwards());
        for (at, entry) in entries.iter().enumerate() {
            begins.add(entry, at);
            ends.add(entry, at);
        }
        begins.finish();
        ends.finish();
        let which = |is: &dyn Fn(&str) -> bool| -> Vec<usize> {
            entries.iter().enumerate().filter(|(_, entry)| is(entry)).map(|(at, _)| at).collect()
        };
        let sorted = |found: Vec<&usize>| -> Vec<usize> {
            let mut found: Vec<usize> = found.into_iter().copied().collect();
            found.sort();
            found
        };
        prop_assert_eq!(sorted(begins.each(text.as_bytes()).collect()), which(&|entry| text.starts_with(entry)));
        prop_assert_eq!(sorted(ends.each(text.as_bytes()).collect()), which(&|entry| text.ends_with(entry)));
    }

    #[test]
    fn no_name_makes_it_panic(name: String, other in ".{0,40}") {
        let rules = [
            rule("exact", WatchMode::Alert, subject(exact(&format!("x{other}")))),
            rule("glob", WatchMode::Expect, subject(glob(&format!("{other}*")))),
            rule("url", WatchMode::Alert, subject(exact(MAIN))),
        ];
        let watchlist = Watchlist::compile(&rules).unwrap();
        let _ = told(&watchlist, &leaf(&Names::of(&name)));
        let _ = told(&watchlist, &leaf(&Names::of(&format!("https://xn--{name}/.github/%{other}"))));
    }
}
