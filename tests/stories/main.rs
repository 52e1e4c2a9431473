//! Stories across rooms, judged by programs that we did not write. `tests/run --story NAME` runs one alone.

mod gallery;
mod http;
mod images;
mod logs;
mod once;
mod peers;
mod proxy;
mod scene;
mod verifiers;

mod duplicates;
mod kills;
mod loops;
mod referrers;
mod roles;
mod secrets;
mod stock;
mod stock_signed;
