//! Fuzzes `bundle_fuzz::reference`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::reference(bytes));
