//! What each leaf comes to, in a table and against a store.

mod encodings;
pub(crate) mod ground;
pub(crate) mod leaves;
mod ledger_side;
pub(crate) mod scene;
mod table;

use super::*;
