//! Names of what work depends on outside of us: each has its own limit and its own breaker.

use std::fmt;

use bundle::RegistryHost;

/// The words before the names.
const KINDS: [&str; 3] = ["registry", "log", "timestamp_authority"];

/// A registry, a log or a timestamp authority.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Endpoint {
    /// A registry, by its host.
    Registry(RegistryHost),
    /// A log, by its origin.
    Log(String),
    /// A timestamp authority, by its URL.
    TimestampAuthority(String),
}

impl Endpoint {
    /// What kind of endpoint it is: a closed label.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Registry(_) => KINDS[0],
            Self::Log(_) => KINDS[1],
            Self::TimestampAuthority(_) => KINDS[2],
        }
    }

    /// Its host, origin or URL.
    pub fn name(&self) -> &str {
        match self {
            Self::Registry(host) => host.as_str(),
            Self::Log(origin) => origin,
            Self::TimestampAuthority(url) => url,
        }
    }
}

impl Endpoint {
    /// Reads back what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(' ')?;
        match KINDS.iter().position(|known| *known == kind)? {
            0 => name.parse().ok().map(Self::Registry),
            1 => Some(Self::Log(name.to_owned())),
            _ => Some(Self::TimestampAuthority(name.to_owned())),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_reads_back() {
        let all = [
            Endpoint::Registry("registry.example.com:5000".parse().expect("a host")),
            Endpoint::Log("rekor.example.com - 2".to_owned()),
            Endpoint::TimestampAuthority("https://tsa.example.com/api".to_owned()),
        ];
        for endpoint in all {
            assert_eq!(Endpoint::parse(&endpoint.to_string()), Some(endpoint));
        }
        assert_eq!(Endpoint::parse("moon somewhere"), None);
    }
}
