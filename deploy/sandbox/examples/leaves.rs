//! Writes a log of generated leaves to a directory, half of them with certificates: for benches, and for readers of
//! static files.
//!
//! `cargo run --release -p sandbox --example leaves -- DIRECTORY COUNT [ORIGIN]`; with `--rekor-v1` for a directory it
//! prints requests that fill a real Rekor v1, one in a line.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use sandbox::leaves;
use sandbox::log::write_tiles;

/// How many leaves are in memory at once.
const AT_ONCE: u64 = 8_192;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("which directory?")?);
    let count: u64 = arguments.next().ok_or("how many leaves?")?.parse()?;
    let origin = arguments.next().unwrap_or_else(|| "leaves.sandbox.local".to_owned());
    if directory.as_os_str() == "--rekor-v1" {
        let mut out = std::io::stdout().lock();
        for request in (0..count).map(leaves::leaf_v1) {
            out.write_all(&request)?;
            out.write_all(b"\n")?;
        }
        return Ok(());
    }
    let begun = Instant::now();
    let parts = (0..count).step_by(AT_ONCE as usize);
    let leaves = parts.flat_map(|first| leaves::many(first..(first + AT_ONCE).min(count), leaves::leaf));
    write_tiles(&directory, &origin, &[7; 32], leaves)?;
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(std::io::stdout(), "{count} leaves in {seconds:.1} s, {:.0} a second", count as f64 / seconds)?;
    Ok(())
}
