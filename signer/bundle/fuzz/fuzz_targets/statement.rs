//! Fuzzes `bundle_fuzz::statement`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::statement(bytes));
