//! What a failure says: about the image, about an endpoint that everything depends on, or that nothing will change.
//!
//! The rule: trouble of an endpoint opens its breaker, and its work waits without an attempt being counted. An answer
//! about one repository does not, or whoever may push there could stop all others.

use bundle::RegistryHost;
use signer::PublishError;
use signer::rekor::LogError;
use signer::timestamp::TimestampError;

use crate::endpoint::Endpoint;
use crate::error::WorkError;
use crate::registry::RegistryError;

/// What follows from a failure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It concerns this work, and may pass: an attempt is counted.
    Again,
    /// The registry says that it is not there.
    Absent,
    /// An endpoint is in trouble.
    Trouble(Endpoint),
    /// No usable answer from an endpoint: its own trouble, or that of one repository. The endpoint is asked.
    Suspected(Endpoint),
    /// An endpoint's breaker is open, or there was no place: nothing was tried.
    Untried(Option<Endpoint>),
    /// The same again will fail again.
    Refused,
}

/// What a failure of work in a registry says.
pub(super) fn of(error: &WorkError, host: &RegistryHost) -> Standing {
    match error {
        WorkError::Registry(error) => registry(error, host),
        WorkError::Publish(error) => publish(error),
        WorkError::EndpointShut { endpoint, .. } => Standing::Untried(Some(endpoint.clone())),
        WorkError::NoPlace { .. } | WorkError::AuthorityLost { .. } => Standing::Untried(None),
        WorkError::ManifestMissing { .. } | WorkError::TagGone { .. } => Standing::Absent,
        WorkError::Sign(error) if error.is_transient() => Standing::Again,
        // A table that was taken out of the configuration may come back.
        WorkError::UnknownIdentity { .. } | WorkError::UnknownRegistry { .. } => Standing::Again,
        WorkError::Ledger { .. } | WorkError::Sign(_) => Standing::Refused,
        WorkError::Store(error) if error.is_transient() => Standing::Again,
        WorkError::Store(_) => Standing::Refused,
        WorkError::Intake(_)
        | WorkError::IncompleteCopy { .. }
        | WorkError::IncompleteLook { .. }
        | WorkError::Locked { .. }
        | WorkError::LeaseLost
        | WorkError::TimedOut { .. } => Standing::Again,
    }
}

fn registry(error: &RegistryError, host: &RegistryHost) -> Standing {
    let endpoint = || Endpoint::Registry(host.clone());
    match error {
        RegistryError::RateLimited { .. } => Standing::Suspected(endpoint()),
        RegistryError::Outbound { source, .. } if source.is_transient() => Standing::Suspected(endpoint()),
        RegistryError::Unavailable { .. } => Standing::Suspected(endpoint()),
        RegistryError::NotFound { .. } => Standing::Absent,
        RegistryError::Host { .. }
        | RegistryError::ImmutableTag { .. }
        | RegistryError::Manifest { .. }
        | RegistryError::Occupied { .. }
        | RegistryError::TooMany { .. } => Standing::Refused,
        RegistryError::Refused { status: 400 | 413 | 415 | 422, .. } => Standing::Refused,
        // Credentials, realms and hosts are mended in the configuration or at the registry; then the next try succeeds.
        _ => Standing::Again,
    }
}

fn publish(error: &PublishError) -> Standing {
    match error {
        PublishError::Log(error) => log(error),
        PublishError::Timestamp(error) => {
            let (TimestampError::Unreachable { authority, .. }
            | TimestampError::Refused { authority, .. }
            | TimestampError::Untrusted { authority, .. }) = error;
            Standing::Trouble(Endpoint::TimestampAuthority(authority.clone()))
        }
        PublishError::Unsupported(_) | PublishError::Entry(_) => Standing::Refused,
        // The trust material is read again; what did not verify may then.
        _ => Standing::Again,
    }
}

fn log(error: &LogError) -> Standing {
    match error {
        LogError::Unreachable { origin, .. }
        | LogError::Unavailable { origin, .. }
        | LogError::Frozen { origin }
        | LogError::Malformed { origin, .. }
        | LogError::Untrusted { origin, .. } => Standing::Trouble(Endpoint::Log(origin.clone())),
        // What stands in front of a log answers so to everything; a log, or a proxy's limit, answers so about one entry.
        LogError::Refused { origin, status, .. } => match status {
            400 | 409 | 411..=431 => Standing::Again,
            _ => Standing::Trouble(Endpoint::Log(origin.clone())),
        },
        LogError::Request { .. } => Standing::Refused,
        LogError::NotOurs { .. }
        | LogError::NotThere { .. }
        | LogError::ReadUrlMissing { .. }
        | LogError::NotIntegrated { .. } => Standing::Again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> RegistryHost {
        "registry.example.com".parse().expect("a host")
    }

    fn refused_by_the_log(status: u16) -> WorkError {
        let (origin, message) = ("log.example.com".to_owned(), String::new());
        PublishError::Log(LogError::Refused { origin, status, message }).into()
    }

    #[test]
    fn what_stands_in_front_of_a_log_is_its_trouble_and_parks_nothing() {
        for status in [301, 401, 403, 404, 405, 407, 451, 501] {
            let expected = Standing::Trouble(Endpoint::Log("log.example.com".to_owned()));
            assert_eq!(of(&refused_by_the_log(status), &host()), expected, "{status}");
        }
        for status in [400, 409, 413, 422] {
            assert_eq!(of(&refused_by_the_log(status), &host()), Standing::Again, "{status}");
        }
    }

    #[test]
    fn an_answer_about_one_repository_is_no_trouble_of_the_registry() {
        let name = || "registry.example.com/team/app".to_owned();
        let endpoint = Endpoint::Registry(host());
        let cases = [
            (RegistryError::RateLimited { name: name(), retry_after: None }, Standing::Suspected(endpoint.clone())),
            (
                RegistryError::Unavailable { name: name(), doing: "read", status: 503, retry_after: None },
                Standing::Suspected(endpoint),
            ),
            (RegistryError::Denied { name: name(), doing: "read", code: "DENIED".to_owned() }, Standing::Again),
            (RegistryError::NotFound { name: name(), what: "tag".to_owned() }, Standing::Absent),
        ];
        for (error, expected) in cases {
            let told = error.to_string();
            assert_eq!(of(&error.into(), &host()), expected, "{told}");
        }
    }
}
