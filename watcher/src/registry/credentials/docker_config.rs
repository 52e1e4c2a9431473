//! A docker or containers `config.json`: which entry speaks for a repository; pure.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Path;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bundle::json::folds_to;
use bundle::{RegistryHost, Repository};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Credential, CredentialsError};

/// Docker Hub under the name that docker's own tools store it by.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The parts that hold credentials. Other keys are for other programs.
///
/// Read as Go's `encoding/json` reads it into the same fields: names in either case, null for what is empty, nothing at
/// all for an empty file, the last of repeated names.
#[derive(Default)]
pub(super) struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

#[derive(Default)]
struct Entry {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
    registrytoken: Option<SecretString>,
}

/// Builds a value out of the fields of an object as Go does: a value that is there replaces what was, null leaves it.
trait FromFields: Default {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

impl FromFields for DockerConfig {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if folds_to(name, "auths") {
            match map.next_value::<Option<BTreeMap<String, Option<Go<Entry>>>>>()? {
                Some(auths) => {
                    let entries = auths.into_iter().map(|(key, entry)| (key, entry.map(|Go(e)| e).unwrap_or_default()));
                    self.auths.extend(entries);
                }
                None => self.auths.clear(),
            }
        } else if folds_to(name, "credHelpers") {
            match map.next_value::<Option<BTreeMap<String, Option<String>>>>()? {
                Some(helpers) => {
                    self.helpers.extend(helpers.into_iter().map(|(key, name)| (key, name.unwrap_or_default())));
                }
                None => self.helpers.clear(),
            }
        } else if folds_to(name, "credsStore") {
            self.store = map.next_value::<Option<String>>()?.or(self.store.take());
        } else {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

impl FromFields for Entry {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let secret = if folds_to(name, "auth") {
            &mut self.auth
        } else if folds_to(name, "password") {
            &mut self.password
        } else if folds_to(name, "identitytoken") {
            &mut self.identitytoken
        } else if folds_to(name, "registrytoken") {
            &mut self.registrytoken
        } else if folds_to(name, "username") {
            self.username = map.next_value::<Option<String>>()?.or(self.username.take());
            return Ok(());
        } else {
            map.next_value::<IgnoredAny>()?;
            return Ok(());
        };
        *secret = map.next_value::<Option<SecretString>>()?.or(secret.take());
        Ok(())
    }
}

/// Reads an object by [`FromFields`].
struct Go<T>(T);

impl<'de, T: FromFields> Deserialize<'de> for Go<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: FromFields> Visitor<'de> for Object<T> {
            type Value = Go<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Go<T>, A::Error> {
                let mut value = T::default();
                while let Some(name) = map.next_key::<String>()? {
                    value.field(&name, &mut map)?;
                }
                Ok(Go(value))
            }
        }
        deserializer.deserialize_map(Object(PhantomData))
    }
}

/// What speaks for a repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// The entry under this key of `auths`.
    Stored(String),
    /// What the helper answers for the server.
    Helper {
        /// Without `docker-credential-`.
        name: String,
        /// What it is asked for.
        server: String,
    },
}

impl DockerConfig {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        // What follows the document is not looked at.
        let mut parser = serde_json::Deserializer::from_slice(bytes);
        Ok(Option::<Go<Self>>::deserialize(&mut parser)?.map(|Go(config)| config).unwrap_or_default())
    }

    /// The longest key that is a prefix of `host/repository`, on whole path components. Of two that are as long a
    /// helper goes first, as it does in docker; `credsStore` comes last, for what no other entry speaks for.
    pub(super) fn find(&self, host: &RegistryHost, repository: &Repository) -> Option<Source> {
        let image = format!("{}/{repository}", normalized(host.as_str()));
        let helper = longest(self.helpers.iter().filter(|(_, name)| !name.is_empty()).map(|(key, _)| key), &image);
        let stored = longest(self.auths.iter().filter(|(_, e)| e.is_filled()).map(|(key, _)| key), &image);
        let server = |key: &str| match normalized(key).as_str() {
            "docker.io" => DOCKER_HUB_SERVER.to_owned(),
            _ => key.to_owned(),
        };
        match (helper, stored) {
            (Some((length, key)), found) if found.is_none_or(|(other, _)| length >= other) => {
                let name = self.helpers.get(key)?.clone();
                Some(Source::Helper { name, server: server(key) })
            }
            (_, Some((_, key))) => Some(Source::Stored(key.to_owned())),
            _ => {
                let name = self.store.clone().filter(|name| !name.is_empty())?;
                Some(Source::Helper { name, server: server(host.as_str()) })
            }
        }
    }

    /// The credential under a key of `auths`.
    pub(super) fn stored(&self, key: String, path: &Path) -> Result<Option<Credential>, CredentialsError> {
        let Some(entry) = self.auths.get(&key) else { return Ok(None) };
        let bad = || CredentialsError::Auth { path: path.to_owned(), key: key.clone() };
        let (username, password) = match entry.auth.as_ref().filter(|auth| !auth.expose_secret().is_empty()) {
            Some(auth) => pair(auth).ok_or_else(bad)?,
            None => (
                entry.username.clone().unwrap_or_default(),
                entry.password.clone().unwrap_or_else(|| SecretString::from("")),
            ),
        };
        Ok(Some(match (filled(&entry.registrytoken), filled(&entry.identitytoken)) {
            (Some(token), _) => Credential::Bearer(token.clone()),
            (None, Some(token)) => Credential::Identity { username, token: token.clone() },
            (None, None) => Credential::Basic { username, password },
        }))
    }
}

impl Entry {
    /// Docker leaves empty entries behind where a credential store holds the secret.
    fn is_filled(&self) -> bool {
        [&self.auth, &self.password, &self.identitytoken, &self.registrytoken].into_iter().any(|s| filled(s).is_some())
    }
}

fn filled(secret: &Option<SecretString>) -> Option<&SecretString> {
    secret.as_ref().filter(|secret| !secret.expose_secret().is_empty())
}

/// `username:password` in base64, with the line ends, the padding and the trailing NUL that some tools write.
fn pair(auth: &SecretString) -> Option<(String, SecretString)> {
    let base64 = SecretString::from(auth.expose_secret().trim().replace(['\r', '\n'], ""));
    let decoded = String::from_utf8(BASE64.decode(base64.expose_secret()).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some((username.to_owned(), SecretString::from(password.trim_end_matches('\0'))))
}

/// The longest of `keys` that is `image` or a parent of it, with its length.
fn longest<'k>(keys: impl Iterator<Item = &'k String>, image: &str) -> Option<(usize, &'k str)> {
    keys.map(|key| (normalized(key), key.as_str()))
        .filter(|(prefix, _)| {
            image.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .map(|(prefix, key)| (prefix.len(), key))
        .max_by_key(|(length, _)| *length)
}

/// `host[/path]` of a key, which may be a URL as docker login wrote them; Docker Hub under one name.
fn normalized(key: &str) -> String {
    let url = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let bare = url.unwrap_or(key);
    let (host, path) = bare.split_once('/').map_or((bare, ""), |(host, _)| (host, &bare[host.len()..]));
    let path = match path {
        // The registry's API, whose keys speak for the whole host.
        "/v1/" | "/v2/" => "",
        "/v1" | "/v2" if url.is_some() => "",
        // A namespace may have that name too: `host/team/v2` speaks for no more than it says.
        path => path.trim_end_matches('/'),
    };
    let host = host.to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => format!("docker.io{path}"),
        _ => format!("{host}{path}"),
    }
}
