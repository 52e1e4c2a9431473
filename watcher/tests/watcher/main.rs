//! The room against the sandbox: webhooks over real HTTP, pushes from start to end, bad registries.

mod bad_registries;
mod foreign;
mod hooks;
mod http;
mod places;
mod pushes;
mod resolving;
mod stage;
