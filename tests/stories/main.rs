//! Stories across rooms, judged by programs that we did not write. `tests/run --story NAME` runs one alone.

#![allow(clippy::print_stdout, reason = "a story prints what it saw, and the runner counts what was skipped")]

mod gallery;
mod http;
mod images;
mod logs;
mod once;
mod own_log;
mod own_sunlight;
mod own_trillian;
mod peers;
mod population;
mod private_ca;
mod proxy;
mod scene;
mod verifiers;
mod watched;

mod alerts;
mod bad_network;
mod duplicates;
mod kills;
mod lies;
mod loops;
mod mistakes;
mod rationed;
mod real_logs;
mod referrers;
mod restarts;
mod restored;
mod roles;
mod rotation;
mod secrets;
mod static_ct;
mod stock;
mod stock_signed;
mod stops;
mod two_databases;
mod witness;
