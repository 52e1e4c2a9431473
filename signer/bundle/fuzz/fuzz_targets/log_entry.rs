//! Fuzzes `bundle_fuzz::log_entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::log_entry(bytes));
