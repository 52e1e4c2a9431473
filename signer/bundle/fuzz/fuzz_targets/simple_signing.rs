//! Fuzzes `bundle_fuzz::simple_signing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::simple_signing(bytes));
