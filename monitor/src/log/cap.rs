//! How large an answer may be.

/// How large an answer may be: what no answer can exceed, and, of leaves, what memory was set aside for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cap {
    most: usize,
    of_leaves: Option<usize>,
}

/// Of a head, a proof, or whatever else is one answer and not one of many that are asked for ahead.
impl From<usize> for Cap {
    fn from(most: usize) -> Self {
        Self { most, of_leaves: None }
    }
}

impl Cap {
    /// Of leaves, within so much memory.
    pub(super) fn of_leaves(most: usize, within: usize) -> Self {
        Self { most, of_leaves: Some(within) }
    }

    /// The most bytes that are read.
    pub(super) fn bytes(self) -> usize {
        self.of_leaves.map_or(self.most, |within| self.most.min(within))
    }

    /// What the question allows, whatever memory there is.
    pub(super) fn most(self) -> usize {
        self.most
    }

    /// Whether leaves are asked for.
    pub(super) fn is_of_leaves(self) -> bool {
        self.of_leaves.is_some()
    }

    /// Whether it is for want of memory that more is not read, which says nothing about the server.
    pub(super) fn is_ours(self) -> bool {
        self.of_leaves.is_some_and(|within| within < self.most)
    }
}
