//! Fuzzes `tlog_fuzz::note`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tlog_fuzz::note(bytes));
