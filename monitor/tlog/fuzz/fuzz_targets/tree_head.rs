//! Fuzzes `tlog_fuzz::tree_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tlog_fuzz::tree_head(bytes));
