//! Fuzzes `bundle_fuzz::timestamp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::timestamp(bytes));
