//! Stories across rooms, judged by programs that we did not write. `tests/run --story NAME` runs one alone.

mod http;
mod peers;
mod scene;

mod duplicates;
mod kills;
mod loops;
mod referrers;
mod secrets;
mod stock;
mod stock_signed;
