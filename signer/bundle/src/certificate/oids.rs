//! The names of Fulcio's extensions.

/// Fulcio's extensions, as its documentation names them.
const NAMES: [(&str, &str); 23] = [
    ("1.3.6.1.4.1.57264.1.1", "Issuer"),
    ("1.3.6.1.4.1.57264.1.2", "GithubWorkflowTrigger"),
    ("1.3.6.1.4.1.57264.1.3", "GithubWorkflowSHA"),
    ("1.3.6.1.4.1.57264.1.4", "GithubWorkflowName"),
    ("1.3.6.1.4.1.57264.1.5", "GithubWorkflowRepository"),
    ("1.3.6.1.4.1.57264.1.6", "GithubWorkflowRef"),
    ("1.3.6.1.4.1.57264.1.8", "IssuerV2"),
    ("1.3.6.1.4.1.57264.1.9", "BuildSignerURI"),
    ("1.3.6.1.4.1.57264.1.10", "BuildSignerDigest"),
    ("1.3.6.1.4.1.57264.1.11", "RunnerEnvironment"),
    ("1.3.6.1.4.1.57264.1.12", "SourceRepositoryURI"),
    ("1.3.6.1.4.1.57264.1.13", "SourceRepositoryDigest"),
    ("1.3.6.1.4.1.57264.1.14", "SourceRepositoryRef"),
    ("1.3.6.1.4.1.57264.1.15", "SourceRepositoryIdentifier"),
    ("1.3.6.1.4.1.57264.1.16", "SourceRepositoryOwnerURI"),
    ("1.3.6.1.4.1.57264.1.17", "SourceRepositoryOwnerIdentifier"),
    ("1.3.6.1.4.1.57264.1.18", "BuildConfigURI"),
    ("1.3.6.1.4.1.57264.1.19", "BuildConfigDigest"),
    ("1.3.6.1.4.1.57264.1.20", "BuildTrigger"),
    ("1.3.6.1.4.1.57264.1.21", "RunInvocationURI"),
    ("1.3.6.1.4.1.57264.1.22", "SourceRepositoryVisibilityAtSigning"),
    ("1.3.6.1.4.1.57264.1.23", "DeploymentEnvironment"),
    ("1.3.6.1.4.1.57264.1.24", "TokenSubject"),
];

/// The object identifier of one of Fulcio's extensions, by its name: `SourceRepositoryURI`, `source-repository-uri` and
/// `source_repository_uri` are one. A dotted object identifier of one of them is its own name.
pub fn extension_oid(name: &str) -> Option<&'static str> {
    let letters = |text: &str| -> String { text.chars().filter(|c| !matches!(c, '-' | '_')).collect() };
    let wanted = letters(name);
    NAMES.iter().find(|(oid, known)| *oid == name || known.eq_ignore_ascii_case(&wanted)).map(|(oid, _)| *oid)
}

/// The name of one of Fulcio's extensions, by its dotted object identifier.
pub fn extension_name(oid: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

/// The DER content of a dotted object identifier.
pub fn oid_der(dotted: &str) -> Option<Vec<u8>> {
    let oid = const_oid::ObjectIdentifier::new(dotted).ok()?;
    Some(oid.as_bytes().to_vec())
}
