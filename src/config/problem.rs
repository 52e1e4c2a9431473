//! What is wrong with a configuration: the line, the thing, the fix.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    /// The line of the file, from 1; absent when nothing in the file says it.
    pub(crate) line: Option<usize>,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) fix: String,
}

/// All that is wrong with one file.
#[derive(Debug)]
pub(crate) struct Problems {
    file: PathBuf,
    text: String,
    list: Vec<Problem>,
}

impl Problems {
    /// Starts a list for the text of one file.
    pub(crate) fn of(file: &Path, text: &str) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), list: Vec::new() }
    }

    /// Notes a problem at a place in the file; an empty span is no place.
    pub(crate) fn note(&mut self, span: Range<usize>, what: impl Into<String>, fix: impl Into<String>) {
        let line = (!(span.start == 0 && span.end == 0)).then(|| line_of(&self.text, span.start));
        self.list.push(Problem { line, what: what.into(), fix: fix.into() });
    }

    /// Takes over what another list of the same file has, in the file's order and each thing once.
    pub(crate) fn merge(&mut self, other: Problems) {
        for problem in other.list {
            if !self.list.contains(&problem) {
                self.list.push(problem);
            }
        }
        self.list.sort_by_key(|problem| problem.line);
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The list so far.
    #[cfg(test)]
    pub(crate) fn list(&self) -> &[Problem] {
        &self.list
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        writeln!(f, "{} problem{} in {}", count, if count == 1 { "" } else { "s" }, self.file.display())?;
        for problem in &self.list {
            match problem.line {
                Some(line) => writeln!(f, "  {}:{line}: {}", self.file.display(), problem.what)?,
                None => writeln!(f, "  {}: {}", self.file.display(), problem.what)?,
            }
            writeln!(f, "    fix: {}", problem.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
