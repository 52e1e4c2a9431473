//! Who a certificate says that somebody is: a subject, an issuer, and what Fulcio's extensions add.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The identity in a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The token's issuer: extensions 1 and 8.
    pub issuer: String,
    /// The one subject alternative name.
    pub subject: Subject,
    /// Other extensions below 1.3.6.1.4.1.57264.1, by their last number; written in this order.
    pub extensions: Vec<(u32, String)>,
}

/// A subject alternative name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    /// `rfc822Name`.
    Email(String),
    /// `uniformResourceIdentifier`.
    Uri(String),
    /// `otherName` 1.3.6.1.4.1.57264.1.7, a UTF8String.
    OtherName(String),
}

impl Subject {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(name) | Self::Uri(name) | Self::OtherName(name) => name,
        }
    }
}

/// The last number of the extension that holds the token's subject.
const TOKEN_SUBJECT: u32 = 24;

impl Identity {
    /// A person, by a mail address.
    pub fn email(issuer: &str, address: &str) -> Self {
        let (issuer, subject) = (issuer.to_owned(), Subject::Email(address.to_owned()));
        Self { issuer, subject, extensions: vec![(TOKEN_SUBJECT, address.to_owned())] }
    }

    /// A workload, by a URI.
    pub fn uri(issuer: &str, uri: &str) -> Self {
        let (issuer, subject) = (issuer.to_owned(), Subject::Uri(uri.to_owned()));
        Self { issuer, subject, extensions: vec![(TOKEN_SUBJECT, uri.to_owned())] }
    }

    /// A run of a GitHub workflow: `github("…", "acme/app", "release.yml", "refs/heads/main")`.
    pub fn github(issuer: &str, repository: &str, workflow: &str, git_ref: &str) -> Self {
        Self::from_claims(issuer, &github_claims(repository, workflow, git_ref))
    }

    /// What Fulcio makes of a token's claims: a GitHub workflow where `job_workflow_ref` is there, a person where
    /// `email` is, and a workload by its `sub` otherwise.
    pub fn from_claims(issuer: &str, claims: &Value) -> Self {
        let claim = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        let subject = claim("sub");
        let mut identity = match (claims["job_workflow_ref"].as_str(), claims["email"].as_str()) {
            (Some(workflow), _) => {
                let subject = Subject::Uri(format!("{GITHUB}/{workflow}"));
                Self { issuer: issuer.to_owned(), subject, extensions: github_extensions(claims) }
            }
            (None, Some(address)) => Self::email(issuer, address),
            (None, None) => Self::uri(issuer, &subject),
        };
        identity.set(TOKEN_SUBJECT, &subject);
        identity
    }

    /// The same with another value in one extension.
    #[must_use]
    pub fn with(mut self, number: u32, value: &str) -> Self {
        self.set(number, value);
        self
    }

    fn set(&mut self, number: u32, value: &str) {
        self.extensions.retain(|(other, _)| *other != number);
        let at = self.extensions.partition_point(|(other, _)| *other < number);
        self.extensions.insert(at, (number, value.to_owned()));
    }
}

const GITHUB: &str = "https://github.com";

/// The claims of GitHub's token for a run of a workflow in this repository, `owner/name`. The numbers of repository
/// and owner follow from their names, the commit from repository and ref.
pub fn github_claims(repository: &str, workflow: &str, git_ref: &str) -> Value {
    let owner = repository.split('/').next().unwrap_or_default();
    let commit = &hex::encode(Sha256::digest(format!("{repository}@{git_ref}")))[..40];
    let path = format!("{repository}/.github/workflows/{workflow}@{git_ref}");
    json!({
        "sub": format!("repo:{repository}:ref:{git_ref}"),
        "job_workflow_ref": path,
        "job_workflow_sha": commit,
        "workflow_ref": path,
        "workflow_sha": commit,
        "sha": commit,
        "event_name": "push",
        "workflow": workflow,
        "repository": repository,
        "repository_id": number_of(repository),
        "repository_owner": owner,
        "repository_owner_id": number_of(owner),
        "repository_visibility": "public",
        "ref": git_ref,
        "runner_environment": "github-hosted",
        "run_id": "4242",
        "run_attempt": "1",
    })
}

fn number_of(name: &str) -> String {
    let digest = Sha256::digest(name);
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]).to_string()
}

fn github_extensions(claims: &Value) -> Vec<(u32, String)> {
    let claim = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let url = |name: &str| format!("{GITHUB}/{}", claim(name));
    let run = format!("{}/actions/runs/{}/attempts/{}", url("repository"), claim("run_id"), claim("run_attempt"));
    vec![
        (2, claim("event_name")),
        (3, claim("sha")),
        (4, claim("workflow")),
        (5, claim("repository")),
        (6, claim("ref")),
        (9, url("job_workflow_ref")),
        (10, claim("job_workflow_sha")),
        (11, claim("runner_environment")),
        (12, url("repository")),
        (13, claim("sha")),
        (14, claim("ref")),
        (15, claim("repository_id")),
        (16, url("repository_owner")),
        (17, claim("repository_owner_id")),
        (18, url("workflow_ref")),
        (19, claim("workflow_sha")),
        (20, claim("event_name")),
        (21, run),
        (22, claim("repository_visibility")),
    ]
}
