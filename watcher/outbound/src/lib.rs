//! The hardened HTTP client: the only crate that names `reqwest`.
//!
//! # What is in scope
//! Caps on size and time that hold while the answer streams in, `Retry-After`, private CAs, redirects that
//! never carry a credential to another host, and a check of every address that a name resolves to: a host
//! that the configuration did not name can never be loopback, link-local or on a private network.
//!
//! # What is out of scope
//! What an answer means (status codes, tokens, retries): the rooms decide that. The proxy variables of the environment
//! (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`) are not read: a proxy comes from the configuration.

mod address;
mod client;
mod error;
mod proxy;
mod redirect;
mod request;
mod response;
mod room;
#[cfg(test)]
mod tests;

pub use address::Refusal;
pub use client::{Client, ClientConfig};
pub use error::{Cause, OutboundError};
pub use proxy::{Proxy, ProxyError};
pub use request::{Redirects, Request};
pub use response::Response;
pub use room::{Room, Taken};
