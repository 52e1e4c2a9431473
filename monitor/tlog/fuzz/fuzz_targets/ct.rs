//! Fuzzes `tlog_fuzz::ct`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tlog_fuzz::ct(bytes));
