//! Names that are not ours and look as if they were.
use std::collections::HashMap;

use super::pattern::Literal;
use super::prefixes::Prefixes;
use super::{skeleton, workflow};

/// Our names by what they look like: whole, and where they have them the owner and the repository that a URL begins
/// with, or the domain that a mail address ends with.
#[derive(Clone, Debug)]
pub(super) struct LookAlikes {
    whole: HashMap<Box<str>, Vec<Ours>>,
    begins: Prefixes<Ours>,
    ends: Prefixes<Ours>,
}

/// A text of ours, and the place of its rule.
#[derive(Clone, Debug)]
struct Ours {
    rule: u32,
    text: Box<str>,
}

impl LookAlikes {
    pub(super) fn new() -> LookAlikes {
        LookAlikes { whole: HashMap::new(), begins: Prefixes::new(), ends: Prefixes::backwards() }
    }

    pub(super) fn add(&mut self, rule: u32, subject: &Literal) {
        let (Literal::Exact(text) | Literal::Prefix(text, _) | Literal::Suffix(text, _)) = subject;
        let ours = |text: &str| Ours { rule, text: text.into() };
        if let Literal::Exact(text) = subject {
            let skeleton = skeleton::of(text);
            self.whole.entry(skeleton::whole(&skeleton).into()).or_default().push(ours(text));
        }
        if text.contains("://") {
            let repository = workflow::repository(text).map(|repository| format!("{repository}/"));
            for begin in workflow::owner(text).into_iter().chain(repository.as_deref()) {
                self.begins.add(&skeleton::of(begin), ours(begin));
            }
        } else if let Some(domain) = text.rfind('@').and_then(|at| text.get(at..)).filter(|domain| domain.len() > 1)
            && !matches!(subject, Literal::Prefix(..))
        {
            let skeleton = skeleton::of(domain);
            self.ends.add(skeleton::whole(&skeleton), ours(domain));
        }
    }

    pub(super) fn finish(&mut self) {
        self.begins.finish();
        self.ends.finish();
    }

    /// The place of a concerned rule whose subject this name, of this skeleton, only looks like.
    pub(super) fn whole(&self, name: &str, skeleton: &str, concerned: &impl Fn(u32) -> bool) -> Option<u32> {
        let mut ours = self.whole.get(skeleton::whole(skeleton)).into_iter().flatten();
        ours.find(|ours| concerned(ours.rule) && *ours.text != *name).map(|ours| ours.rule)
    }

    /// The place of a concerned rule whose owner, repository or domain this name only looks like having.
    pub(super) fn part(&self, name: &str, skeleton: &str, concerned: &impl Fn(u32) -> bool) -> Option<u32> {
        let mut begins = self.begins.each(skeleton.as_bytes()).filter(|ours| concerned(ours.rule));
        let mut ends = self.ends.each(skeleton::whole(skeleton).as_bytes()).filter(|ours| concerned(ours.rule));
        begins
            .find(|ours| !name.starts_with(&*ours.text))
            .or_else(|| ends.find(|ours| !name.ends_with(&*ours.text)))
            .map(|ours| ours.rule)
    }
}
