//! The ledger's entries, the other way round: each must be under a verified head by its deadline, and stay there.

mod own;
mod prove;
mod recent;
#[cfg(test)]
pub(crate) mod tests;
mod tree;
mod unproved;

pub(crate) use own::earlier_heads;
pub use own::{EachOnce, Included};
pub(crate) use prove::{Place, place};
pub use recent::Recent;
pub use tree::FollowedTree;
pub(crate) use tree::{Located, locate};
pub(crate) use unproved::Unproved;
