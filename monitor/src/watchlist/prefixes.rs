//! Which of many texts another text begins (or ends) with, in one search.
use std::cmp::Ordering;

/// Texts with what belongs to each, found by a text that begins with them; or ends, where they are stored backwards.
#[derive(Clone, Debug)]
pub(super) struct Prefixes<T> {
    backwards: bool,
    /// Sorted.
    entries: Vec<Entry<T>>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    text: Box<[u8]>,
    of: Vec<T>,
    /// The longest other entry that this one begins with.
    parent: Option<usize>,
}

impl<T> Prefixes<T> {
    /// Found by texts that begin with them.
    pub(super) fn new() -> Prefixes<T> {
        Prefixes { backwards: false, entries: Vec::new() }
    }

    /// Found by texts that end with them.
    pub(super) fn backwards() -> Prefixes<T> {
        Prefixes { backwards: true, entries: Vec::new() }
    }

    /// Adds one. Before it is searched, [`Prefixes::finish`].
    pub(super) fn add(&mut self, text: &str, of: T) {
        let mut bytes = text.as_bytes().to_vec();
        if self.backwards {
            bytes.reverse();
        }
        self.entries.push(Entry { text: bytes.into_boxed_slice(), of: vec![of], parent: None });
    }

    /// Sorts, joins equal ones, and finds for each the longest that it begins with.
    pub(super) fn finish(&mut self) {
        let mut added = std::mem::take(&mut self.entries);
        added.sort_by(|a, b| a.text.cmp(&b.text));
        for mut entry in added {
            match self.entries.last_mut() {
                Some(last) if last.text == entry.text => last.of.append(&mut entry.of),
                _ => {
                    let mut parent = self.entries.len().checked_sub(1);
                    while let Some(above) = parent.and_then(|at| self.entries.get(at)) {
                        if entry.text.starts_with(&above.text) {
                            break;
                        }
                        parent = above.parent;
                    }
                    self.entries.push(Entry { parent, ..entry });
                }
            }
        }
    }

    /// What belongs to every entry that the text begins with, longest first.
    ///
    /// An entry that the text begins with sorts before the text, and all that lie between begin with it: so it is the
    /// last entry that is not greater, or one of those above that.
    pub(super) fn each<'t>(&'t self, text: &[u8]) -> impl Iterator<Item = &'t T> {
        let after = self.entries.partition_point(|entry| self.compare(&entry.text, text) != Ordering::Greater);
        let mut at = after.checked_sub(1);
        while let Some(entry) = at.and_then(|at| self.entries.get(at)) {
            if self.begins(text, &entry.text) {
                break;
            }
            at = entry.parent;
        }
        let longest = at.and_then(|at| self.entries.get(at));
        let chain = std::iter::successors(longest, |entry| entry.parent.and_then(|at| self.entries.get(at)));
        chain.flat_map(|entry| &entry.of)
    }

    fn compare(&self, entry: &[u8], text: &[u8]) -> Ordering {
        if self.backwards { entry.iter().cmp(text.iter().rev()) } else { entry.cmp(text) }
    }

    fn begins(&self, text: &[u8], entry: &[u8]) -> bool {
        if self.backwards {
            text.len() >= entry.len() && entry.iter().eq(text.iter().rev().take(entry.len()))
        } else {
            text.starts_with(entry)
        }
    }
}

/// Like [`Prefixes`], with texts in which dots at some places stand for any byte.
#[derive(Clone, Debug)]
pub(super) struct DottedPrefixes<T> {
    backwards: bool,
    /// By those places: rules are written alike, so that there are few.
    groups: Vec<(Vec<usize>, Prefixes<T>)>,
}

impl<T> DottedPrefixes<T> {
    pub(super) fn new() -> DottedPrefixes<T> {
        DottedPrefixes { backwards: false, groups: Vec::new() }
    }

    pub(super) fn backwards() -> DottedPrefixes<T> {
        DottedPrefixes { backwards: true, groups: Vec::new() }
    }

    /// Adds one; the places are counted from where the search begins.
    pub(super) fn add(&mut self, text: &str, any: Vec<usize>, of: T) {
        let at = self.groups.iter().position(|(places, _)| *places == any).unwrap_or_else(|| {
            let prefixes = if self.backwards { Prefixes::backwards() } else { Prefixes::new() };
            self.groups.push((any, prefixes));
            self.groups.len() - 1
        });
        if let Some((_, prefixes)) = self.groups.get_mut(at) {
            prefixes.add(text, of);
        }
    }

    pub(super) fn finish(&mut self) {
        self.groups.iter_mut().for_each(|(_, prefixes)| prefixes.finish());
    }

    pub(super) fn for_each<'t>(&'t self, text: &str, mut each: impl FnMut(&'t T)) {
        for (places, prefixes) in &self.groups {
            if places.is_empty() {
                prefixes.each(text.as_bytes()).for_each(&mut each);
                continue;
            }
            let mut dotted = text.as_bytes().to_vec();
            let length = dotted.len();
            for place in places {
                let at = if self.backwards { length.checked_sub(place + 1) } else { Some(*place) };
                if let Some(byte) = at.and_then(|at| dotted.get_mut(at)) {
                    *byte = b'.';
                }
            }
            prefixes.each(&dotted).for_each(&mut each);
        }
    }
}
