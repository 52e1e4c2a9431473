//! Rules that can never match.

use toml::Spanned;
use watcher::glob::Glob;

use super::list;
use crate::config::file::{File, RuleTable};
use crate::config::{Problems, host_spelling};

/// A rule that nothing can ever match is a mistake that stays silent for years: say it at the start.
pub(super) fn reachable(file: &File, n: usize, rule: &RuleTable, problems: &mut Problems) {
    if rule.repositories.get_ref().is_empty() || rule.tags.get_ref().is_empty() {
        problems.note(
            rule.repositories.span(),
            format!("rule {} can never match: an empty list", n + 1),
            "name at least one repository and one tag, for example \"registry.example.com/team/**\" and \"*\"",
        );
        return;
    }
    for tag in rule.tags.get_ref() {
        if let Err(error) = tag.get_ref().parse::<Glob>() {
            problems.note(tag.span(), format!("rule {} tags: {error}", n + 1), "use tag characters and *");
        } else if tag.get_ref().contains('/') || tag.get_ref().contains(':') {
            problems.note(
                tag.span(),
                format!("rule {} can never match: no tag has a / or :", n + 1),
                "write the tag alone, for example \"v*\"",
            );
        }
    }
    for repository in rule.repositories.get_ref() {
        let text = repository.get_ref();
        if let Err(error) = text.parse::<Glob>() {
            problems.note(
                repository.span(),
                format!("rule {} repositories: {error}", n + 1),
                "write \"HOST/REPOSITORY\", * within a segment, ** across segments",
            );
            continue;
        }
        let host = host_spelling(text.split('/').next().unwrap_or_default());
        let host_glob = host.parse::<Glob>().ok();
        let matches = |registry: &String| host_glob.as_ref().is_some_and(|glob| glob.matches(host_spelling(registry)));
        let served = text.starts_with("**") || file.registry.keys().any(matches);
        if !served {
            problems.note(
                repository.span(),
                format!("rule {} can never match: {host:?} is not a registry of this file", n + 1),
                format!("begin with a configured host ({}), then /REPOSITORY", list(file.registry.keys())),
            );
        } else if !text.contains('/') && !text.starts_with("**") {
            problems.note(
                repository.span(),
                format!("rule {} can never match: {text:?} names a host and no repository", n + 1),
                format!("write \"{text}/**\""),
            );
        }
    }
    let shadow = file.rule[..n].iter().position(|earlier| covers(earlier.get_ref(), rule));
    if let Some(earlier) = shadow {
        problems.note(
            rule.repositories.span(),
            format!("rule {} can never match: rule {} comes first and matches all that it would", n + 1, earlier + 1),
            "put the narrower rule first, or remove one of them",
        );
    }
}

fn covers(earlier: &RuleTable, later: &RuleTable) -> bool {
    all_covered(earlier.repositories.get_ref(), later.repositories.get_ref())
        && all_covered(earlier.tags.get_ref(), later.tags.get_ref())
}

fn all_covered(earlier: &[Spanned<String>], later: &[Spanned<String>]) -> bool {
    later.iter().all(|pattern| earlier.iter().any(|wider| glob_covers(wider.get_ref(), pattern.get_ref())))
}

/// Whether everything that `narrow` matches, `wide` matches too. Careful rather than clever: it may answer no for a
/// pair that does cover, never yes for one that does not.
fn glob_covers(wide: &str, narrow: &str) -> bool {
    if wide == narrow {
        return true;
    }
    let Ok(glob) = wide.parse::<Glob>() else { return false };
    if narrow.contains("**") {
        return ["x", "x/y", "x/y/z"].iter().all(|deep| glob.matches(&narrow.replace("**", deep).replace('*', "q")))
            && (wide.ends_with("**") && narrow.starts_with(wide.trim_end_matches("**")));
    }
    if narrow.contains('*') {
        let stem = wide.split('*').next().unwrap_or_default();
        return wide.ends_with('*')
            && wide.matches('*').count() <= 2
            && narrow.starts_with(stem)
            && glob.matches(&narrow.replace('*', "q"));
    }
    glob.matches(narrow)
}
