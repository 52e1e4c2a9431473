//! What is wrong with a configuration: the line, the thing, the fix.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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

/// What works and should be changed all the same. Every list of problems of one configuration adds to the same warnings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<Problem>>>);

impl Warnings {
    /// The warnings so far in the file's order, each on one line.
    pub(crate) fn lines(&self, file: &Path) -> Vec<String> {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        list.sort_by_key(|warning| warning.line);
        let place = |line: Option<usize>| line.map_or_else(String::new, |line| format!(":{line}"));
        list.iter().map(|w| format!("{}{}: {}; fix: {}", file.display(), place(w.line), w.what, w.fix)).collect()
    }

    /// Each thing is said once, however often the file is read.
    fn add(&self, warning: Problem) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !list.contains(&warning) {
            list.push(warning);
        }
    }
}

/// All that is wrong with one file.
#[derive(Debug)]
pub(crate) struct Problems {
    file: PathBuf,
    text: String,
    list: Vec<Problem>,
    warnings: Warnings,
}

impl Problems {
    /// Starts a list for the text of one file.
    pub(crate) fn of(file: &Path, text: &str) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), list: Vec::new(), warnings: Warnings::default() }
    }

    /// The same, with warnings that are kept by the caller.
    pub(crate) fn with_warnings(mut self, warnings: &Warnings) -> Self {
        self.warnings = warnings.clone();
        self
    }

    /// Notes what works and should be changed. It is no problem: see [`Problems::is_empty`].
    pub(crate) fn warn(&self, span: Range<usize>, what: impl Into<String>, fix: impl Into<String>) {
        let line = self.line(&span);
        self.warnings.add(Problem { line, what: what.into(), fix: fix.into() });
    }

    fn line(&self, span: &Range<usize>) -> Option<usize> {
        (!(span.start == 0 && span.end == 0)).then(|| line_of(&self.text, span.start))
    }

    /// Notes a problem at a place in the file; an empty span is no place.
    pub(crate) fn note(&mut self, span: Range<usize>, what: impl Into<String>, fix: impl Into<String>) {
        let line = self.line(&span);
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

    /// The warnings that it adds to.
    #[cfg(test)]
    pub(crate) fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// The list so far.
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
