//! The room at work over the sandbox: real HTTP, a real database, logs that lie.

mod adoption;
mod attacks;
mod health;
mod once;
mod reading;
mod restarts;
mod rig;
mod shards;
mod state;
