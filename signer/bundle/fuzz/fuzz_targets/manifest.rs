//! Fuzzes `bundle_fuzz::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::manifest(bytes));
