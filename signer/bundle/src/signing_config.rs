//! The signing configuration: which services to sign with, and how many of them, as their operators publish it.
use crate::json::{self, Capped, Json};
use crate::trust_root::{ValidFor, moment};
use serde::Deserialize;
use std::fmt;

const V0_1: &str = "application/vnd.dev.sigstore.signingconfig.v0.1+json";
const V0_2: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

/// The versions of a log's API that we speak, the better first.
const REKOR_VERSIONS: [u32; 2] = [2, 1];

/// More services in one list are refused.
const MAX_SERVICES: usize = 1024;

/// Sigstore's `signing_config.json`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningConfig {
    /// Logs.
    pub rekor: ServiceList,
    /// Timestamp authorities.
    pub timestamp_authorities: ServiceList,
    /// Certificate authorities.
    pub certificate_authorities: Vec<Service>,
    /// OpenID Connect providers.
    pub oidc_providers: Vec<Service>,
}

/// Services of one kind, and how many of them to use.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceList {
    /// The services.
    pub services: Vec<Service>,
    /// How many of them.
    pub selector: Selector,
}

/// One service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Where it is.
    pub url: String,
    /// The major version of its API.
    pub version: u32,
    /// Who runs it: of one operator at most one service is used.
    pub operator: String,
    /// When it may be used.
    pub valid_for: ValidFor,
}

/// How many services of a list to use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Selector {
    /// Each.
    All,
    /// One, at random.
    #[default]
    Any,
    /// So many, at random.
    Exact(u32),
}

/// A kind of service, for messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServiceKind {
    /// A transparency log.
    Log,
    /// A timestamp authority.
    TimestampAuthority,
}

impl fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ServiceKind::Log => "log (rekorTlogUrls)",
            ServiceKind::TimestampAuthority => "timestamp authority (tsaUrls)",
        })
    }
}

/// Why a signing configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningConfigError {
    /// Not JSON, or JSON that two readers may read differently.
    #[error("signing config is {0}")]
    Ambiguous(#[from] json::JsonError),
    /// Not the JSON that we know.
    #[error("signing config is not valid JSON of its kind: {0}")]
    Json(#[from] serde_json::Error),
    /// A media type that we do not read.
    #[error("media type {0:?} is not a sigstore signing config of version 0.1 or 0.2")]
    MediaType(String),
    /// More services of a kind than there are in the world.
    #[error("signing config: more than {MAX_SERVICES} services in one list")]
    TooMany,
    /// A period that is none.
    #[error("signing config: service {0} has a validFor that is not RFC 3339")]
    Period(String),
    /// A selector that we do not know.
    #[error("signing config: selector {0:?} is none of ANY, ALL and EXACT with a count above zero")]
    Selector(String),
    /// The list is empty.
    #[error("signing config names no {0}; add one or name the service in the configuration")]
    None(ServiceKind),
    /// The list has none that we could use now.
    #[error("signing config has no {kind} that is valid now and speaks API version {versions}")]
    NoneUsable {
        /// Of which kind.
        kind: ServiceKind,
        /// The versions that would do.
        versions: String,
    },
    /// Too few.
    #[error(
        "signing config asks for {wanted} of kind {kind}, by different operators, and only {usable} can be used now"
    )]
    TooFew {
        /// Of which kind.
        kind: ServiceKind,
        /// How many it wants.
        wanted: u32,
        /// How many there are.
        usable: usize,
    },
}

impl SigningConfig {
    /// Reads a `signing_config.json` of version 0.2, or one of version 0.1, which had neither periods nor operators.
    pub fn parse(bytes: &[u8]) -> Result<SigningConfig, SigningConfigError> {
        let value = Json::parse(bytes)?;
        match value.get("mediaType").and_then(Json::text).as_deref() {
            Some(V0_2) => value.read::<ConfigV2>()?.try_into(),
            Some(V0_1) => value.read::<ConfigV1>()?.try_into(),
            other => Err(SigningConfigError::MediaType(other.unwrap_or_default().chars().take(100).collect())),
        }
    }

    /// The logs to write to: of the newest API version that we speak and that is on offer. `random` decides among equals.
    pub fn rekor_services(&self, now_ms: i64, random: u64) -> Result<Vec<Service>, SigningConfigError> {
        self.rekor_services_of(&REKOR_VERSIONS, now_ms, random)
    }

    /// The same for certain API versions, the preferred one first: a legacy signature needs a log of version 1.
    pub fn rekor_services_of(
        &self,
        versions: &[u32],
        now_ms: i64,
        random: u64,
    ) -> Result<Vec<Service>, SigningConfigError> {
        select(ServiceKind::Log, &self.rekor, versions, now_ms, random)
    }

    /// The timestamp authorities to ask. `random` decides among equals.
    pub fn tsa_services(&self, now_ms: i64, random: u64) -> Result<Vec<Service>, SigningConfigError> {
        let kind = ServiceKind::TimestampAuthority;
        select(kind, &self.timestamp_authorities, &[1], now_ms, random)
    }
}

fn select(
    kind: ServiceKind,
    list: &ServiceList,
    versions: &[u32],
    now_ms: i64,
    random: u64,
) -> Result<Vec<Service>, SigningConfigError> {
    if list.services.is_empty() {
        return Err(SigningConfigError::None(kind));
    }
    let mut usable =
        versions.iter().map(|version| usable(list, *version, now_ms)).find(|usable| !usable.is_empty()).ok_or_else(
            || SigningConfigError::NoneUsable {
                kind,
                versions: versions.iter().map(u32::to_string).collect::<Vec<_>>().join(" or "),
            },
        )?;
    let wanted = match list.selector {
        Selector::All => return Ok(usable),
        Selector::Any => 1,
        Selector::Exact(wanted) => wanted,
    };
    let count = usize::try_from(wanted).unwrap_or(usize::MAX);
    if count > usable.len() {
        return Err(SigningConfigError::TooFew { kind, wanted, usable: usable.len() });
    }
    let mut random = random;
    let mut chosen = Vec::with_capacity(count);
    for _ in 0..count {
        // The operators are few, so what a remainder favours does not matter.
        let choices = usable.len() as u64;
        let index = usize::try_from(random % choices).unwrap_or_default();
        random /= choices;
        chosen.push(usable.remove(index));
    }
    Ok(chosen)
}

/// Of each operator the newest service of that version that is valid now, the newest first.
fn usable(list: &ServiceList, version: u32, now_ms: i64) -> Vec<Service> {
    let mut services: Vec<&Service> = list
        .services
        .iter()
        .filter(|service| service.version == version && service.valid_for.contains_ms(now_ms))
        .collect();
    services.sort_by_key(|service| std::cmp::Reverse(service.valid_for.start));
    let mut usable: Vec<Service> = Vec::new();
    for service in services {
        if usable.iter().all(|other| other.operator != service.operator) {
            usable.push(service.clone());
        }
    }
    usable
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigV2 {
    ca_urls: Option<Capped<ServiceJson, MAX_SERVICES>>,
    oidc_urls: Option<Capped<ServiceJson, MAX_SERVICES>>,
    rekor_tlog_urls: Option<Capped<ServiceJson, MAX_SERVICES>>,
    #[serde(default)]
    rekor_tlog_config: SelectorJson,
    tsa_urls: Option<Capped<ServiceJson, MAX_SERVICES>>,
    #[serde(default)]
    tsa_config: SelectorJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceJson {
    url: String,
    #[serde(default)]
    major_api_version: u32,
    #[serde(default)]
    valid_for: PeriodJson,
    #[serde(default)]
    operator: String,
}

#[derive(Default, Deserialize)]
struct PeriodJson {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Default, Deserialize)]
struct SelectorJson {
    selector: Option<String>,
    #[serde(default)]
    count: u32,
}

impl TryFrom<ServiceJson> for Service {
    type Error = SigningConfigError;

    fn try_from(json: ServiceJson) -> Result<Service, SigningConfigError> {
        let bound = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => {
                let read = moment(text).ok_or_else(|| SigningConfigError::Period(json.url.clone()));
                read.map(Some)
            }
        };
        Ok(Service {
            valid_for: ValidFor { start: bound(&json.valid_for.start)?, end: bound(&json.valid_for.end)? },
            url: json.url,
            version: json.major_api_version,
            operator: json.operator,
        })
    }
}

impl TryFrom<SelectorJson> for Selector {
    type Error = SigningConfigError;

    fn try_from(json: SelectorJson) -> Result<Selector, SigningConfigError> {
        match (json.selector.as_deref(), json.count) {
            (None | Some("ANY"), _) => Ok(Selector::Any),
            (Some("ALL"), _) => Ok(Selector::All),
            (Some("EXACT"), 1..) => Ok(Selector::Exact(json.count)),
            (Some(other), _) => Err(SigningConfigError::Selector(other.to_owned())),
        }
    }
}

/// Every item of a list; Go writes an empty one as null.
fn all<T>(list: Option<Capped<T, MAX_SERVICES>>) -> Result<Vec<T>, SigningConfigError> {
    list.unwrap_or_default().all().ok_or(SigningConfigError::TooMany)
}

fn services(list: Option<Capped<ServiceJson, MAX_SERVICES>>) -> Result<Vec<Service>, SigningConfigError> {
    all(list)?.into_iter().map(Service::try_from).collect()
}

impl TryFrom<ConfigV2> for SigningConfig {
    type Error = SigningConfigError;

    fn try_from(json: ConfigV2) -> Result<SigningConfig, SigningConfigError> {
        Ok(SigningConfig {
            rekor: ServiceList {
                services: services(json.rekor_tlog_urls)?,
                selector: json.rekor_tlog_config.try_into()?,
            },
            timestamp_authorities: ServiceList {
                services: services(json.tsa_urls)?,
                selector: json.tsa_config.try_into()?,
            },
            certificate_authorities: services(json.ca_urls)?,
            oidc_providers: services(json.oidc_urls)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigV1 {
    ca_url: Option<String>,
    oidc_url: Option<String>,
    tlog_urls: Option<Capped<String, MAX_SERVICES>>,
    tsa_urls: Option<Capped<String, MAX_SERVICES>>,
}

impl TryFrom<ConfigV1> for SigningConfig {
    type Error = SigningConfigError;

    fn try_from(json: ConfigV1) -> Result<SigningConfig, SigningConfigError> {
        let service = |url: String| Service { operator: url.clone(), url, version: 1, valid_for: ValidFor::default() };
        let list = |urls| -> Result<ServiceList, SigningConfigError> {
            Ok(ServiceList { services: all(urls)?.into_iter().map(service).collect(), selector: Selector::Any })
        };
        Ok(SigningConfig {
            rekor: list(json.tlog_urls)?,
            timestamp_authorities: list(json.tsa_urls)?,
            certificate_authorities: json.ca_url.into_iter().map(service).collect(),
            oidc_providers: json.oidc_url.into_iter().map(service).collect(),
        })
    }
}

#[cfg(test)]
mod tests;
