//! Fuzzes `bundle_fuzz::dsse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::dsse(bytes));
