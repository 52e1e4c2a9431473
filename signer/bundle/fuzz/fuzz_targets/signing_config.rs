//! Fuzzes `bundle_fuzz::signing_config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::signing_config(bytes));
