//! Reads the few members of JSON events that a format names, wherever they stand among others, while the body arrives.
//!
//! JSON readers disagree about a name that is there twice and about its case, so an event with such a name among those
//! that are read here says nothing certain and is malformed. All other members are skipped unread.

use super::format::{BodyReader, Ending, Tell};
use super::json::{Bracket, Token, Tokenizer};
use super::parsed::{Ignored, Junk, PushEvent};

/// Where a format keeps what is read.
pub(super) struct Shape {
    /// The member of the document that lists the events.
    pub(super) list: &'static str,
    /// A document with this member, and no list, is one event by itself.
    pub(super) lone: Option<&'static str>,
    /// The members of an event.
    pub(super) members: &'static [Member],
    /// Makes an event of them.
    pub(super) read: fn(&Fields) -> Result<PushEvent, Ignored>,
}

/// A member of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Member {
    /// The object within the event that it is in.
    pub(super) within: Option<&'static str>,
    pub(super) name: &'static str,
}

/// What one event says in the members that are read.
pub(super) struct Fields {
    members: &'static [Member],
    values: Vec<Value>,
    /// The inner objects that were met, by name.
    groups: Vec<(&'static str, Group)>,
    is_ambiguous: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Value {
    Absent,
    Null,
    Text(String),
    /// Anything else, and text that is too long or not Unicode.
    Unreadable,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Group {
    Null,
    Object,
    Unreadable,
}

impl Fields {
    fn new(members: &'static [Member]) -> Self {
        Self { members, values: vec![Value::Absent; members.len()], groups: Vec::new(), is_ambiguous: false }
    }

    /// Text of a member: absent, null and "" are all "not said"; anything but text is malformed.
    pub(super) fn text(&self, within: Option<&str>, name: &str) -> Result<Option<&str>, Ignored> {
        if within.is_some_and(|group| self.group(group) == Some(Group::Unreadable)) {
            return Err(Ignored::MalformedReference);
        }
        let at = self.members.iter().position(|member| member.within == within && member.name == name);
        match at.and_then(|at| self.values.get(at)) {
            None | Some(Value::Absent | Value::Null) => Ok(None),
            Some(Value::Text(text)) if text.is_empty() => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Unreadable) => Err(Ignored::MalformedReference),
        }
    }

    fn group(&self, name: &str) -> Option<Group> {
        self.groups.iter().find(|(known, _)| *known == name).map(|(_, group)| *group)
    }

    fn has(&self, name: &str) -> bool {
        let at = self.members.iter().position(|member| member.within.is_none() && member.name == name);
        at.and_then(|at| self.values.get(at)).is_some_and(|value| *value != Value::Absent)
    }

    /// What a name within an object of the event stands for.
    fn expect(&mut self, within: Option<&'static str>, name: Option<&str>) -> Expected {
        // A name that cannot be told is none of ours: ours are short and ASCII.
        let Some(name) = name else { return Expected::Other };
        for (at, member) in self.members.iter().enumerate() {
            if member.within == within
                && let Some(is_exact) = spelled(member.name, name)
            {
                self.is_ambiguous |= !is_exact || self.values[at] != Value::Absent;
                return if is_exact { Expected::Member(at) } else { Expected::Other };
            }
            if within.is_none()
                && let Some(group) = member.within
                && let Some(is_exact) = spelled(group, name)
            {
                self.is_ambiguous |= !is_exact || self.group(group).is_some();
                return if is_exact { Expected::Group(group) } else { Expected::Other };
            }
        }
        Expected::Other
    }

    fn set(&mut self, at: usize, token: Token<'_>) {
        if let Some(value) = self.values.get_mut(at) {
            *value = match token {
                Token::Null => Value::Null,
                Token::Text(Some(text)) => Value::Text(text.to_owned()),
                _ => Value::Unreadable,
            };
        }
    }
}

/// Whether `name` is `known`: exactly, or as a reader that ignores case takes it. Go folds two letters beyond ASCII.
fn spelled(known: &str, name: &str) -> Option<bool> {
    if known == name {
        return Some(true);
    }
    let folded = name.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    });
    folded.eq(known.chars().map(|letter| letter.to_ascii_lowercase())).then_some(false)
}

/// What the value after a name belongs to.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Other,
    List,
    Member(usize),
    Group(&'static str),
}

/// Where in the document we are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Before,
    /// In the document's object.
    Root,
    /// Between the events.
    List,
    /// In an event, or in one of its inner objects.
    Event {
        within: Option<&'static str>,
    },
    /// Behind the document, or it is none of this format.
    Over,
}

/// Reads a body of one shape.
pub(super) struct MemberReader {
    tokenizer: Tokenizer,
    events: Events,
}

struct Events {
    shape: &'static Shape,
    place: Place,
    expected: Expected,
    /// Brackets that are open within a value that is skipped.
    skipping: usize,
    /// Where the document itself may be an event: what it says.
    root: Fields,
    /// Whether the inner object that we are in belongs to the document.
    in_root: bool,
    event: Fields,
    has_list: bool,
    is_other_format: bool,
}

impl MemberReader {
    pub(super) fn new(shape: &'static Shape) -> Self {
        let events = Events {
            shape,
            place: Place::Before,
            expected: Expected::Other,
            skipping: 0,
            root: Fields::new(shape.members),
            in_root: false,
            event: Fields::new(shape.members),
            has_list: false,
            is_other_format: false,
        };
        Self { tokenizer: Tokenizer::new(), events }
    }
}

impl BodyReader for MemberReader {
    fn feed(&mut self, bytes: &[u8], tell: &mut Tell<'_>) -> Result<(), Junk> {
        let events = &mut self.events;
        self.tokenizer.feed(bytes, &mut |token| events.take(token, tell)).map_err(|_| Junk::NotJson)
    }

    fn finish(&mut self, tell: &mut Tell<'_>) -> Result<Ending, Junk> {
        let events = &mut self.events;
        self.tokenizer.finish(&mut |token| events.take(token, tell)).map_err(|_| Junk::NotJson)?;
        if events.is_other_format {
            return Err(Junk::NotThisFormat);
        }
        if events.has_list {
            return Ok(Ending::Events);
        }
        if events.shape.lone.is_some_and(|member| events.root.has(member)) {
            tell(events.shape.read(&events.root));
            return Ok(Ending::Events);
        }
        Err(Junk::NotThisFormat)
    }
}

impl Shape {
    fn read(&self, fields: &Fields) -> Result<PushEvent, Ignored> {
        if fields.is_ambiguous { Err(Ignored::MalformedReference) } else { (self.read)(fields) }
    }
}

impl Events {
    fn take(&mut self, token: Token<'_>, tell: &mut Tell<'_>) {
        if self.skipping > 0 {
            match token {
                Token::Begin(_) => self.skipping += 1,
                Token::End => self.skipping -= 1,
                _ => {}
            }
            return;
        }
        match (self.place, token) {
            (Place::Before, Token::Begin(Bracket::Object)) => self.place = Place::Root,
            (Place::Before, token) => {
                self.is_other_format = true;
                self.place = Place::Over;
                self.skip(token);
            }
            (Place::Root | Place::Event { .. }, Token::Name(name)) => self.expected = self.expect(name),
            (Place::Root | Place::Event { .. }, Token::End) => self.leave(tell),
            (Place::Root | Place::Event { .. }, token) => self.value(token),
            (Place::List, Token::Begin(Bracket::Object)) => {
                self.event = Fields::new(self.shape.members);
                self.place = Place::Event { within: None };
            }
            (Place::List, Token::End) => self.place = Place::Root,
            (Place::List, token) => {
                tell(Err(Ignored::MalformedReference));
                self.skip(token);
            }
            (Place::Over, token) => self.skip(token),
        }
    }

    fn fields(&mut self) -> &mut Fields {
        if self.in_root || self.place == Place::Root { &mut self.root } else { &mut self.event }
    }

    fn expect(&mut self, name: Option<&str>) -> Expected {
        let within = match self.place {
            Place::Event { within } => within,
            _ => None,
        };
        if self.place == Place::Root {
            match name.and_then(|name| spelled(self.shape.list, name)) {
                Some(true) => return Expected::List,
                Some(false) => {
                    self.is_other_format = true;
                    return Expected::Other;
                }
                None if self.shape.lone.is_none() => return Expected::Other,
                None => {}
            }
        }
        self.fields().expect(within, name)
    }

    fn value(&mut self, token: Token<'_>) {
        match (self.expected, token) {
            (Expected::List, Token::Begin(Bracket::Array)) if !self.has_list => {
                self.has_list = true;
                self.place = Place::List;
            }
            (Expected::List, token) => {
                self.is_other_format = true;
                self.skip(token);
            }
            (Expected::Member(at), token) => {
                self.fields().set(at, token);
                self.skip(token);
            }
            (Expected::Group(group), Token::Begin(Bracket::Object)) => {
                self.fields().groups.push((group, Group::Object));
                self.in_root = self.place == Place::Root;
                self.place = Place::Event { within: Some(group) };
            }
            (Expected::Group(group), token) => {
                let met = if token == Token::Null { Group::Null } else { Group::Unreadable };
                self.fields().groups.push((group, met));
                self.skip(token);
            }
            (Expected::Other, token) => self.skip(token),
        }
        self.expected = Expected::Other;
    }

    fn leave(&mut self, tell: &mut Tell<'_>) {
        self.place = match self.place {
            Place::Event { within: Some(_) } if self.in_root => {
                self.in_root = false;
                Place::Root
            }
            Place::Event { within: Some(_) } => Place::Event { within: None },
            Place::Event { within: None } => {
                tell(self.shape.read(&self.event));
                Place::List
            }
            _ => Place::Over,
        };
    }

    fn skip(&mut self, token: Token<'_>) {
        if let Token::Begin(_) = token {
            self.skipping = 1;
        }
    }
}

#[cfg(test)]
mod tests;
