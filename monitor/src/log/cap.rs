//! How large an answer may be.

/// How large an answer may be: what no answer can exceed, and what memory was set aside for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cap {
    most: usize,
    within: usize,
}

impl From<usize> for Cap {
    fn from(most: usize) -> Self {
        Self { most, within: usize::MAX }
    }
}

impl Cap {
    /// The same, within so much memory.
    pub(super) fn within(self, within: usize) -> Self {
        Self { within, ..self }
    }

    /// The most bytes that are read.
    pub(super) fn bytes(self) -> usize {
        self.most.min(self.within)
    }

    /// What the question allows, whatever memory there is.
    pub(super) fn most(self) -> usize {
        self.most
    }

    /// Whether it is for want of memory that more is not read, which says nothing about the server.
    pub(super) fn is_ours(self) -> bool {
        self.within < self.most
    }
}
