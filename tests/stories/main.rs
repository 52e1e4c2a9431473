//! Stories across rooms, judged by programs that we did not write. `tests/run --story NAME` runs one alone.

#![allow(clippy::print_stdout, reason = "a story prints what it saw, and the runner counts what was skipped")]

mod gallery;
mod http;
mod images;
mod logs;
mod once;
mod own_log;
mod peers;
mod proxy;
mod scene;
mod verifiers;

mod duplicates;
mod kills;
mod loops;
mod mistakes;
mod referrers;
mod roles;
mod secrets;
mod stock;
mod stock_signed;
mod stops;
