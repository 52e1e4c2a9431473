//! No public CA. The database driver takes the CAs of this crate beside those of `[store] ca_file`; the crate of this name
//! on crates.io lists Mozilla's, so that `verify-ca` would accept a certificate of any of them, for any name.

#![no_std]

use rustls_pki_types::TrustAnchor;

/// Whom the driver trusts besides `[store] ca_file`: no CA.
pub const TLS_SERVER_ROOTS: &[TrustAnchor<'static>] = &[];
