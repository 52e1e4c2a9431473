//! Fuzzes `bundle_fuzz::trust_root`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::trust_root(bytes));
