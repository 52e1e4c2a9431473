//! The names that CI systems give to their workflows.

/// A name taken apart: `https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main` (GitHub) or
/// `https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main` (GitLab).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Workflow<'a> {
    /// `https://github.com/acme/app`.
    pub(super) repository: &'a str,
    /// Up to the ref; where there is no ref, what there is.
    pub(super) path: &'a str,
    /// The ref; none in a text that ends before it.
    pub(super) reference: Option<&'a str>,
}

impl<'a> Workflow<'a> {
    pub(super) fn of(name: &'a str) -> Option<Workflow<'a>> {
        let start = name.find("://")? + 3;
        let after = name.get(start..)?;
        let at = start + after.find("/.github/").or_else(|| after.find("//"))?;
        let (repository, rest) = name.split_at_checked(at)?;
        match rest.split_once('@') {
            Some((path, reference)) => Some(Workflow { repository, path, reference: Some(reference) }),
            None => Some(Workflow { repository, path: rest, reference: None }),
        }
    }
}

/// The part of a URL that says who owns what is there, with a slash at its end: `https://github.com/acme/`.
pub(super) fn owner(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let owner = host + url.get(host..)?.find('/')? + 1;
    let end = owner + url.get(owner..)?.find('/')? + 1;
    (end > owner + 1).then(|| url.get(..end))?
}

/// The part of a URL that says which repository is there, without a slash at its end: `https://github.com/acme/app`.
/// Of workflows all that is before the path; of other URLs (and of texts that end early) what is before a third slash.
pub(super) fn repository(url: &str) -> Option<&str> {
    if let Some(workflow) = Workflow::of(url) {
        return Some(workflow.repository);
    }
    let owner = owner(url)?.len();
    let end = owner + url.get(owner..)?.find('/')?;
    (end > owner).then(|| url.get(..end))?
}
