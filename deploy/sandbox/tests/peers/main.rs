//! The sandbox, judged by real programs: what they accept of it, and that what they make looks the same.
//!
//! `openssl` is the system's; cosign, Fulcio and Rekor are those that `tests/peers/build` keeps. Where one is absent
//! its test is a loud skip.

mod cosign;
mod fulcio;
mod openssl;
mod peer;
mod rekor;
