//! Names of registries in the file, each in its one spelling: Docker Hub has three names and is one place.

use std::borrow::Cow;

use bundle::RegistryHost;

/// A host of the file, in the spelling that images are named by.
pub(crate) fn host_spelling(host: &str) -> &str {
    RegistryHost::spelling_of(host)
}

/// A pattern over `HOST/REPOSITORY`, with its host in that spelling.
pub(crate) fn pattern_spelling(pattern: &str) -> Cow<'_, str> {
    match pattern.split_once('/') {
        Some((host, rest)) if host_spelling(host) != host => format!("{}/{rest}", host_spelling(host)).into(),
        Some(_) => pattern.into(),
        None => host_spelling(pattern).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_has_one_spelling_and_nothing_else_changes() {
        for (written, meant) in [
            ("index.docker.io/acme/**", "docker.io/acme/**"),
            ("registry-1.docker.io/acme/app", "docker.io/acme/app"),
            ("index.docker.io", "docker.io"),
            ("docker.io/acme/**", "docker.io/acme/**"),
            ("**", "**"),
            ("*.docker.io/acme/app", "*.docker.io/acme/app"),
            ("reg.example/index.docker.io/app", "reg.example/index.docker.io/app"),
            ("index.docker.io.evil.example/app", "index.docker.io.evil.example/app"),
        ] {
            assert_eq!(pattern_spelling(written), meant, "{written}");
        }
    }
}
