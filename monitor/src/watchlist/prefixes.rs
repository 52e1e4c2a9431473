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
    pub(super) fn each<'t>(&'t self, text: &str) -> impl Iterator<Item = &'t T> {
        let text = text.as_bytes();
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
