//! Measurements, each in a process of its own on the cores that it is to have.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::pass::Log;
use crate::{Failed, floor, pass};

/// Where a measurement runs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Cores {
    /// On the first core only.
    One,
    /// On the first and the second.
    Both,
}

impl Cores {
    pub(crate) fn count(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Both => 2,
        }
    }
}

/// What is measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Work {
    /// Hashing and parsing, of a log in this directory.
    Floor(std::path::PathBuf),
    /// A whole monitor.
    Pass(Log),
}

/// What came of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Measured {
    pub(crate) leaves: u64,
    pub(crate) seconds: f64,
    pub(crate) processor_seconds: f64,
    /// The most memory that was resident.
    pub(crate) peak_kib: u64,
    /// Resident memory on the way: leaves read, KiB.
    pub(crate) memory: Vec<(u64, u64)>,
    /// What is stored of the log.
    pub(crate) state_bytes: u64,
}

impl Measured {
    /// Leaves per second.
    pub(crate) fn speed(&self) -> f64 {
        self.leaves as f64 / self.seconds
    }

    /// Leaves per second of processor time.
    pub(crate) fn processor_speed(&self) -> f64 {
        self.leaves as f64 / self.processor_seconds
    }
}

/// Measures in another process.
pub(crate) async fn measure(work: &Work, cores: Cores, folder: &Path) -> Result<Measured, Failed> {
    let list = if cores == Cores::One { "0" } else { "0,1" };
    let child = tokio::process::Command::new("taskset")
        .args(["-c", list])
        .arg(std::env::current_exe()?)
        .arg("measure")
        .arg(serde_json::to_string(&(work, cores, folder))?)
        .stderr(Stdio::inherit())
        .output();
    let output = child.await.map_err(|error| format!("taskset (of util-linux): {error}"))?;
    if !output.status.success() {
        return Err(format!("{work:?} ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Is that other process.
pub(crate) async fn child(arguments: &[String]) -> Result<(), Failed> {
    let argument = arguments.first().ok_or("what is to be measured?")?;
    let (work, cores, folder): (Work, Cores, std::path::PathBuf) = serde_json::from_str(argument)?;
    let measured = match work {
        Work::Pass(log) => pass::run(&log, &folder).await?,
        Work::Floor(tiles) => {
            let leaves = floor::sample(&tiles)?;
            let clock = Clock::start()?;
            let leaves = floor::run(&leaves, cores.count());
            let (seconds, processor_seconds) = clock.read()?;
            Measured { leaves, seconds, processor_seconds, peak_kib: 0, memory: Vec::new(), state_bytes: 0 }
        }
    };
    Ok(serde_json::to_writer(std::io::stdout(), &measured)?)
}

/// Keeps all threads of a process on one core.
pub(crate) fn pin(process: u32, core: usize) -> Result<(), Failed> {
    let mut taskset = std::process::Command::new("taskset");
    let output = taskset.args(["-a", "-c", "-p", &core.to_string(), &process.to_string()]).output();
    let output = output.map_err(|error| format!("taskset (of util-linux): {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("this needs two cores: {said}").into()) }
}

/// Time on the wall and on the processor.
pub(crate) struct Clock(Instant, f64);

impl Clock {
    pub(crate) fn start() -> Result<Self, Failed> {
        Ok(Self(Instant::now(), processor_seconds()?))
    }

    /// Both since the start, in seconds.
    pub(crate) fn read(&self) -> Result<(f64, f64), Failed> {
        Ok((self.0.elapsed().as_secs_f64(), processor_seconds()? - self.1))
    }
}

/// What all threads of this process have used, those that ended too.
fn processor_seconds() -> Result<f64, Failed> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?.1;
    // User and system are the 14th and the 15th, and the name is the second.
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    // USER_HZ is 100 wherever Linux runs.
    Ok(ticks as f64 / 100.0)
}

/// A line of `/proc/self/status` that is in KiB.
pub(crate) fn memory_kib(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}
