//! Fuzzes `bundle_fuzz::claims`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::claims(bytes));
