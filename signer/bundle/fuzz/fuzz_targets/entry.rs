//! Fuzzes `bundle_fuzz::entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::entry(bytes));
