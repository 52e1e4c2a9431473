//! The floor as its users see it: properties, published vectors, and the fuzz corpus replayed.

mod corpus;
mod naive;
mod parsers;
mod properties;
mod ranges;
mod vectors;
