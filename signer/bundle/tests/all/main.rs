//! The floor as its users see it: what other programs wrote, and the fuzz corpus replayed.

mod corpus;
mod memory;
mod samples;
