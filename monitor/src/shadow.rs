//! Shadow trees: each signed head and promise that is met, in the ledger or in a registry, must be of a tree that we
//! follow.
//!
//! Anybody can attach anything to an image, so only what a followed log's own key has signed is looked at.

mod fit;
mod heads;
mod observations;
#[cfg(test)]
mod tests;

pub use observations::Checked;

use std::collections::{BTreeSet, HashMap};

use store::{NewFinding, Observation};

/// Whether something that was met fits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fit {
    /// It is of a tree that we follow.
    Fits,
    /// No log that is followed here has signed it.
    NothingSigned,
    /// It cannot be told yet.
    Later,
    /// The log shows others another tree.
    Splits(Box<NewFinding>),
}

/// How far the walks through the ledger's and the registries' entries have come in this process. A new process begins
/// again: what was found to fit is remembered by its note.
#[derive(Debug, Default)]
pub struct Walk {
    /// The last observation that was looked at.
    seen_to: i64,
    /// Observations that could not be told about yet, and since when (unix milliseconds).
    pending: Vec<(Observation, i64)>,
    /// The trees that all of them were held against.
    trees: BTreeSet<String>,
    /// Origins that nobody announced, and since when they are met.
    unknown: HashMap<String, i64>,
    /// How far the ledger was swept through for entries.
    pub(crate) swept_to: i64,
}
