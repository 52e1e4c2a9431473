//! The room against the sandbox: webhooks over real HTTP, pushes from start to end, bad registries.

mod authority;
mod bad_registries;
mod bulkheads;
mod foreign;
mod hooks;
mod http;
mod large_bodies;
mod neighbours;
mod places;
mod pushes;
mod resolving;
mod stage;
