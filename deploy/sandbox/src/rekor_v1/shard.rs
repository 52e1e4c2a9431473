//! One shard: a tree, and the times at which its entries came in.

use bytes::Bytes;

use crate::branch::Branch;

#[derive(Clone)]
pub(crate) struct Shard {
    pub(crate) tree_id: u64,
    pub(crate) branch: Branch,
    /// In seconds since 1970; no hash covers them.
    times: Vec<i64>,
}

impl Shard {
    pub(crate) fn new(tree_id: u64) -> Self {
        Self { tree_id, branch: Branch::default(), times: Vec::new() }
    }

    pub(crate) fn append(&mut self, body: Bytes, time: i64) {
        self.branch.append(body);
        self.times.push(time);
    }

    pub(crate) fn time(&self, index: u64) -> i64 {
        usize::try_from(index).ok().and_then(|index| self.times.get(index)).copied().unwrap_or_default()
    }

    /// The same up to this size; all of it where it is shorter.
    pub(crate) fn first(&self, size: u64) -> Self {
        let branch = self.branch.first(size);
        let count = usize::try_from(branch.size()).unwrap_or(usize::MAX);
        Self { tree_id: self.tree_id, times: self.times.iter().take(count).copied().collect(), branch }
    }
}
