//! `WWW-Authenticate`: which credentials a registry wants; pure.

use std::collections::BTreeMap;

/// One challenge: a scheme and its parameters, names in lowercase.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    pub(super) parameters: BTreeMap<String, String>,
}

/// The parameters of a Bearer challenge that count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Bearer {
    pub(super) realm: String,
    pub(super) service: Option<String>,
    pub(super) scope: Option<String>,
}

/// What a registry may ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    Bearer(Bearer),
    Basic,
    /// Neither, or nothing that can be read.
    Unknown,
}

/// Reads all `WWW-Authenticate` values of an answer. Bearer is taken before Basic where both are offered.
pub(super) fn wanted<'v>(values: impl Iterator<Item = &'v str>) -> Wanted {
    let mut basic = false;
    for challenge in values.flat_map(parse) {
        match challenge.scheme.as_str() {
            "bearer" => {
                let mut parameters = challenge.parameters;
                if let Some(realm) = parameters.remove("realm") {
                    let service = parameters.remove("service");
                    return Wanted::Bearer(Bearer { realm, service, scope: parameters.remove("scope") });
                }
            }
            "basic" => basic = true,
            _ => {}
        }
    }
    if basic { Wanted::Basic } else { Wanted::Unknown }
}

/// SPEC: a list of challenges, each `scheme` and then `name=value` pairs, where the same comma separates pairs and
/// challenges (RFC 9110, 11.6.1). What cannot be read is passed over.
pub(super) fn parse(value: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let (token, after) = token(rest);
        if token.is_empty() {
            let mut chars = rest.chars();
            if chars.next().is_none() {
                return challenges;
            }
            rest = chars.as_str();
            continue;
        }
        let value = after.trim_start_matches([' ', '\t']).strip_prefix('=');
        match (value, challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, after) = parameter(value.trim_start_matches([' ', '\t']));
                challenge.parameters.entry(token.to_ascii_lowercase()).or_insert(value);
                rest = after;
            }
            (Some(value), None) => rest = value,
            (None, _) => {
                let scheme = token.to_ascii_lowercase();
                challenges.push(Challenge { scheme, parameters: BTreeMap::new() });
                rest = after;
            }
        }
    }
}

/// A token and what follows it.
fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// A parameter's value, quoted or not, and what follows it.
fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, after) = token(text);
        return (value.to_owned(), after);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    (value, chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(value: &str) -> Option<Bearer> {
        match wanted([value].into_iter()) {
            Wanted::Bearer(bearer) => Some(bearer),
            _ => None,
        }
    }

    #[test]
    fn the_challenge_of_docker_hub_is_read() {
        let value = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull,push""#;
        let found = bearer(value).expect("a bearer challenge");
        assert_eq!(found.realm, "https://auth.docker.io/token");
        assert_eq!(found.service.as_deref(), Some("registry.docker.io"));
        assert_eq!(found.scope.as_deref(), Some("repository:library/alpine:pull,push"));
    }

    #[test]
    fn spaces_case_escapes_and_bare_values_are_understood() {
        let found =
            bearer(r#"bEARER  Realm = "https://a.example/\"t\"" , error=invalid_token ,service=reg.example:5000"#);
        let found = found.expect("a bearer challenge");
        assert_eq!(found.realm, r#"https://a.example/"t""#);
        assert_eq!(found.service.as_deref(), Some("reg.example:5000"));
    }

    #[test]
    fn bearer_is_taken_before_basic_in_either_order_and_in_one_header_or_two() {
        let (basic, token) = (r#"Basic realm="x, Bearer y""#, r#"Bearer realm="https://a.example/t""#);
        for values in [vec![basic, token], vec![token, basic], vec![&format!("{basic}, {token}")]] {
            assert!(matches!(wanted(values.iter().copied()), Wanted::Bearer(_)), "{values:?}");
        }
        assert_eq!(wanted([basic].into_iter()), Wanted::Basic);
    }

    #[test]
    fn a_bearer_challenge_without_a_realm_and_junk_ask_for_nothing() {
        for value in ["Bearer", "Bearer service=\"x\"", "", "=", "\"", "Negotiate", "Bearer realm", ", ,,", "é\u{0}="]
        {
            assert_eq!(wanted([value].into_iter()), Wanted::Unknown, "{value:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_stumble(value in "(?s).{0,60}|[ ,=\"\\\\a-zA-Z]{0,40}") {
            let _ = parse(&value);
        }
    }
}
