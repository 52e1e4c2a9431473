//! How fast logs are followed: leaves verified and matched per second with a thousand watch rules, from files and over
//! HTTP, on one core and on two, beside the floor (the same bytes hashed and parsed, and nothing else).
//!
//! `cargo bench -p monitor --bench follow [-- LEAVES [ROW]]`; 100,000 leaves unless said otherwise, half of them with a
//! certificate; all rows, or those with this in their names. Every measurement is a process of its own: what it takes of memory is what the work takes. Each is run
//! several times in turn with the others, and the best counts. On a machine that does other things too, put
//! `nice -n -20` before it and look at leaves per second of processor time.
//! `SEALWATCH_BENCH_REKOR_V1="URL HOSTNAME KEY.pem"` reads a real Rekor v1, too; `cargo run -p sandbox --example leaves --
//! --rekor-v1 COUNT` prints what to fill it with.

#[path = "follow/floor.rs"]
mod floor;
#[path = "follow/pass.rs"]
mod pass;
#[path = "follow/process.rs"]
mod process;
#[path = "follow/rules.rs"]
mod rules;
#[path = "follow/table.rs"]
mod table;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use sandbox::log::write_tiles;
use sandbox::{Fault, LogOptions, RekorV1Options, SandboxLog, SandboxRekorV1, leaves};
use url::Url;

use pass::Log;
use process::{Cores, Measured, measure};
use table::{Row, Table};

type Failed = Box<dyn std::error::Error>;

const ORIGIN: &str = "bench.sandbox.local";
const SEED: [u8; 32] = [7; 32];
/// Leaves in memory at once while the log is written.
const AT_ONCE: u64 = 8_192;
/// The most leaves that are served over HTTP: the server has them in memory.
const MOST_OVER_HTTP: u64 = 1_000_000;
/// The most leaves of Rekor v1, ten of which are a request.
const MOST_OF_V1: u64 = 5_000;
const RTT: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|it| it == "measure") {
        return process::child(&arguments[1..]).await;
    }
    let benched = arguments.iter().any(|it| it == "--bench");
    arguments.retain(|it| !it.starts_with('-'));
    // Without `--bench` it is a test that all of this still works.
    let (count, times) = match arguments.first() {
        Some(count) => (count.replace(['_', ','], "").parse()?, 3),
        None if benched => (100_000, 5),
        None => (2_000, 1),
    };
    let folder = tempfile::tempdir()?;
    let only = arguments.get(1).map_or("", String::as_str);
    run(folder.path(), count, times, only).await
}

async fn run(folder: &Path, count: u64, times: usize, only: &str) -> Result<(), Failed> {
    let mut out = std::io::stderr();
    writeln!(out, "making {count} leaves …")?;
    let tiles = folder.join("log");
    let parts = (0..count).step_by(AT_ONCE as usize);
    let made = parts.flat_map(|first| leaves::many(first..(first + AT_ONCE).min(count), leaves::leaf));
    write_tiles(&tiles, ORIGIN, &SEED, made)?;

    let server = SandboxLog::start(LogOptions { origin: ORIGIN.into(), seed: Some(SEED), ..LogOptions::default() });
    let server = server.await?;
    let served = count.min(MOST_OVER_HTTP);
    server.extend(leaves::many(0..served, leaves::leaf));
    let slow = server.fork().await?;
    slow.faults().plan(http::Method::GET, "", Fault::Delay(RTT), u32::MAX);
    let v1 = SandboxRekorV1::start(RekorV1Options::default()).await?;
    let v1_count = served.min(MOST_OF_V1);
    v1.extend(leaves::many(0..v1_count, leaves::leaf_v1));

    let key = server.public_key_spki();
    let v2 = |url: &str, count| Log::v2(url, ORIGIN, key, count);
    let files = Url::from_directory_path(&tiles).map_err(|()| "not a path")?;
    let mut rows = vec![
        Row::floor("floor: SHA-256, JSON, base64, X.509", Cores::One, &tiles),
        Row::floor("the same, two threads", Cores::Both, &tiles),
        Row::pass("monitor, from files", Cores::One, v2(files.as_str(), count)),
        Row::pass("monitor, from files", Cores::Both, v2(files.as_str(), count)),
        Row::pass("monitor, over HTTP", Cores::One, v2(server.read_url(), served)),
        Row::pass("monitor, over HTTP, 50 ms later", Cores::One, v2(slow.read_url(), served)),
        Row::pass(
            "Rekor v1, of the sandbox",
            Cores::One,
            Log::v1(v1.url(), v1.hostname(), v1.public_key_spki(), v1_count),
        ),
    ];
    if let Ok(real) = std::env::var("SEALWATCH_BENCH_REKOR_V1") {
        let [url, name, key] = real.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err("SEALWATCH_BENCH_REKOR_V1 is not \"URL HOSTNAME KEY.pem\"".into());
        };
        let key = tlog::LogKey::from_pem(&std::fs::read_to_string(key)?, None)?;
        rows.push(Row::pass("Rekor v1, real", Cores::One, Log::v1(url, name, key.spki(), 0)));
    }
    rows.retain(|row| row.name.contains(only));
    // What serves runs on the other core.
    process::pin(std::process::id(), 1)?;
    for turn in 1..=times {
        for row in &mut rows {
            let measured: Measured = measure(&row.work, row.cores, folder).await?;
            writeln!(out, "{turn}/{times} {}: {:.0} leaves/s", row.name, measured.speed())?;
            row.take(measured);
        }
    }
    Table(rows).write(&mut std::io::stdout())
}
