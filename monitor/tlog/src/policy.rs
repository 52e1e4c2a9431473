//! Witness policies (c2sp.org/tlog-policy): whose cosignatures a checkpoint needs.

use std::collections::HashMap;

use crate::cosignature::{CosignatureError, WitnessKey};
use crate::key::{KeyError, LogKey};
use crate::note::SignedNote;

/// The name of the quorum that needs nobody.
const NONE: &str = "none";

/// Which witnesses there are, and which of them must have cosigned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WitnessPolicy {
    text: String,
    logs: Vec<LogKey>,
    witnesses: Vec<Witness>,
    /// Witnesses and groups in the order of their lines; a group refers to earlier ones only.
    members: Vec<Member>,
    /// `None` for the quorum `none`.
    quorum: Option<usize>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Witness {
    name: String,
    key: WitnessKey,
    url: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Member {
    Witness(usize),
    Group { threshold: usize, members: Vec<usize> },
}

/// How a note fares under a policy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Quorum {
    /// Whether enough witnesses have cosigned.
    pub satisfied: bool,
    /// Who has, by the name in the policy, and when in Unix seconds.
    pub cosigned: Vec<(String, i64)>,
    /// Who has not.
    pub missing: Vec<String>,
    /// Who seems to have, by a line that does not verify.
    pub invalid: Vec<String>,
}

/// Why a text is not a policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// A line is wrong.
    #[error("policy line {line}: {fault}")]
    Line {
        /// Which, from one.
        line: usize,
        /// What is wrong with it.
        fault: PolicyFault,
    },
    /// There is no quorum line.
    #[error("the policy has no quorum line: add \"quorum <name>\", or \"quorum none\"")]
    NoQuorum,
}

/// What is wrong with a line of a policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyFault {
    /// A control character other than tab and newline.
    #[error("a control character; lines end with a newline alone")]
    ControlCharacter,
    /// Another first word than the four.
    #[error("\"{0}\" is not log, witness, group or quorum")]
    UnknownWord(String),
    /// Too few or too many words.
    #[error("the line is written \"{0}\"")]
    Form(&'static str),
    /// Not a log's key.
    #[error(transparent)]
    LogKey(#[from] KeyError),
    /// Not a witness's key.
    #[error(transparent)]
    WitnessKey(#[from] CosignatureError),
    /// The same key again.
    #[error("the key is on an earlier line too")]
    DuplicateKey,
    /// The same name again, or `none`.
    #[error("the name \"{0}\" is taken")]
    TakenName(String),
    /// A name that no earlier line defines.
    #[error("no earlier line defines \"{0}\"")]
    UnknownName(String),
    /// A member of two groups, or twice of one.
    #[error("\"{0}\" is a member of a group already")]
    MemberTwice(String),
    /// More members are needed than there are, or none.
    #[error("a group needs any, all, or a number from 1 to {0} of its members")]
    Threshold(usize),
    /// A second quorum line.
    #[error("there is an earlier quorum line")]
    SecondQuorum,
}

impl WitnessPolicy {
    /// Reads a policy: lines `log`, `witness`, `group`, `quorum`, and comments.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut reader = Reader::default();
        for (line, content) in (1..).zip(text.split('\n')) {
            reader.line(content).map_err(|fault| PolicyError::Line { line, fault })?;
        }
        let Reader { logs, witnesses, members, quorum, .. } = reader;
        let quorum = quorum.ok_or(PolicyError::NoQuorum)?;
        Ok(Self { text: text.to_owned(), logs, witnesses, members, quorum })
    }

    /// The policy as it was read: evidence that a head does not meet it carries it along.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The witnesses by their names in the policy, each with its address where the policy has one.
    pub fn witnesses(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.witnesses.iter().map(|witness| (witness.name.as_str(), witness.url.as_deref()))
    }

    /// Whether the policy is meant for this log: it lists its key, or no log at all.
    pub fn names_log(&self, key: &LogKey) -> bool {
        self.logs.is_empty() || self.logs.iter().any(|log| log.spki() == key.spki())
    }

    /// Who has cosigned a note, and whether that is enough. The log's own signature is [`crate::Checkpoint`]'s to check.
    /// What is not a note has no cosignatures. Times are not judged: compare them with the clock.
    pub fn check(&self, note: &str) -> Quorum {
        let note = SignedNote::parse(note).ok();
        let mut result = Quorum::default();
        let mut witnessed = Vec::with_capacity(self.members.len());
        for member in &self.members {
            witnessed.push(match member {
                Member::Witness(index) => {
                    self.witnesses.get(*index).is_some_and(|it| it.count(note.as_ref(), &mut result))
                }
                Member::Group { threshold, members } => {
                    let count = members.iter().filter(|index| witnessed.get(**index) == Some(&true)).count();
                    count >= *threshold
                }
            });
        }
        result.satisfied = self.quorum.is_none_or(|index| witnessed.get(index) == Some(&true));
        result
    }
}

impl Witness {
    fn count(&self, note: Option<&SignedNote>, result: &mut Quorum) -> bool {
        let name = self.name.clone();
        let verified = note.map_or(Ok(None), |note| self.key.verify(note));
        match verified {
            Ok(Some(time)) => result.cosigned.push((name, time)),
            Ok(None) => result.missing.push(name),
            Err(_) => result.invalid.push(name),
        }
        matches!(verified, Ok(Some(_)))
    }
}

/// A policy up to some line.
#[derive(Default)]
struct Reader {
    logs: Vec<LogKey>,
    witnesses: Vec<Witness>,
    members: Vec<Member>,
    /// Where in `members` a name is, and whether it is a group's member already.
    names: HashMap<String, (usize, bool)>,
    quorum: Option<Option<usize>>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), PolicyFault> {
        if line.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
            return Err(PolicyFault::ControlCharacter);
        }
        // SPEC: whitespace is "sequences of ASCII space and tab characters only".
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", rest @ ..] => self.log(rest),
            ["witness", rest @ ..] => self.witness(rest),
            ["group", rest @ ..] => self.group(rest),
            ["quorum", rest @ ..] => self.quorum(rest),
            [first, ..] => Err(PolicyFault::UnknownWord((*first).to_owned())),
        }
    }

    fn log(&mut self, words: &[&str]) -> Result<(), PolicyFault> {
        let ([vkey] | [vkey, _]) = words else { return Err(PolicyFault::Form("log <vkey> [<url>]")) };
        let key = LogKey::from_vkey(vkey)?;
        if self.logs.iter().any(|log| log.spki() == key.spki()) {
            return Err(PolicyFault::DuplicateKey);
        }
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, words: &[&str]) -> Result<(), PolicyFault> {
        let (name, vkey, url) = match words {
            [name, vkey] => (name, vkey, None),
            [name, vkey, url] => (name, vkey, Some((*url).to_owned())),
            _ => return Err(PolicyFault::Form("witness <name> <vkey> [<url>]")),
        };
        let key = WitnessKey::from_vkey(vkey)?;
        if self.witnesses.iter().any(|witness| witness.key.raw() == key.raw()) {
            return Err(PolicyFault::DuplicateKey);
        }
        self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(Witness { name: (*name).to_owned(), key, url });
        Ok(())
    }

    fn group(&mut self, words: &[&str]) -> Result<(), PolicyFault> {
        let [name, threshold, names @ ..] = words else {
            return Err(PolicyFault::Form("group <name> any|all|<number> <member>..."));
        };
        let threshold = match *threshold {
            "any" => Some(1),
            "all" => Some(names.len()),
            number => crate::checkpoint::decimal(number).and_then(|number| usize::try_from(number).ok()),
        };
        let threshold = threshold.filter(|threshold| (1..=names.len()).contains(threshold));
        let threshold = threshold.ok_or(PolicyFault::Threshold(names.len()))?;
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let (index, member) =
                self.names.get_mut(*name).ok_or_else(|| PolicyFault::UnknownName((*name).to_owned()))?;
            // SPEC: "Each defined name can be listed as a group member at most once."
            if std::mem::replace(member, true) {
                return Err(PolicyFault::MemberTwice((*name).to_owned()));
            }
            members.push(*index);
        }
        self.define(name, Member::Group { threshold, members })
    }

    fn quorum(&mut self, words: &[&str]) -> Result<(), PolicyFault> {
        let [name] = words else { return Err(PolicyFault::Form("quorum <name>|none")) };
        if self.quorum.is_some() {
            return Err(PolicyFault::SecondQuorum);
        }
        self.quorum = Some(match *name {
            NONE => None,
            name => Some(self.names.get(name).ok_or_else(|| PolicyFault::UnknownName(name.to_owned()))?.0),
        });
        Ok(())
    }

    fn define(&mut self, name: &str, member: Member) -> Result<(), PolicyFault> {
        if name == NONE || self.names.contains_key(name) {
            return Err(PolicyFault::TakenName(name.to_owned()));
        }
        self.names.insert(name.to_owned(), (self.members.len(), false));
        self.members.push(member);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
