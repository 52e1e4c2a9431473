//! What was measured, as a person reads it.

use std::io::Write;
use std::path::Path;

use crate::Failed;
use crate::pass::Log;
use crate::process::{Cores, Measured, Work};

/// One measurement, and the best that came of it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) cores: Cores,
    pub(crate) work: Work,
    best: Option<Measured>,
    /// The best per second of processor time may be of another turn.
    processor_speed: f64,
    peak_kib: u64,
}

impl Row {
    pub(crate) fn floor(name: &'static str, cores: Cores, tiles: &Path) -> Self {
        Self::new(name, cores, Work::Floor(tiles.to_owned()))
    }

    pub(crate) fn pass(name: &'static str, cores: Cores, log: Log) -> Self {
        Self::new(name, cores, Work::Pass(log))
    }

    fn new(name: &'static str, cores: Cores, work: Work) -> Self {
        Self { name, cores, work, best: None, processor_speed: 0.0, peak_kib: 0 }
    }

    /// One more turn.
    pub(crate) fn take(&mut self, measured: Measured) {
        self.processor_speed = self.processor_speed.max(measured.processor_speed());
        self.peak_kib = self.peak_kib.max(measured.peak_kib);
        if self.best.as_ref().is_none_or(|best| best.speed() < measured.speed()) {
            self.best = Some(measured);
        }
    }

    fn speed(&self) -> f64 {
        self.best.as_ref().map_or(0.0, Measured::speed)
    }
}

/// All of them: the first two are the floor, then files, HTTP, and HTTP with a delay.
pub(crate) struct Table(pub(crate) Vec<Row>);

impl Table {
    pub(crate) fn write(&self, out: &mut impl Write) -> Result<(), Failed> {
        let rows = &self.0;
        let floor = rows.first().filter(|row| matches!(row.work, Work::Floor(_))).map_or(f64::NAN, Row::speed);
        writeln!(
            out,
            "{:<38} {:>5} {:>9} {:>9} {:>7} {:>13} {:>9}",
            "", "cores", "leaves", "leaves/s", "floor", "leaves/cpu s", "peak MiB"
        )?;
        for row in rows {
            writeln!(
                out,
                "{:<38} {:>5} {:>9} {:>9.0} {:>6.0}% {:>13.0} {:>9.1}",
                row.name,
                row.cores.count(),
                row.best.as_ref().map_or(0, |best| best.leaves),
                row.speed(),
                100.0 * row.speed() / floor,
                row.processor_speed,
                row.peak_kib as f64 / 1024.0,
            )?;
        }
        let [one, two, files, files_on_two, http, slow, ..] = &rows[..] else { return Ok(()) };
        let share = |of: f64, whole: f64| 100.0 * of / whole;
        writeln!(
            out,
            "one core, of the floor: {:.0}% (processor time: {:.0}%), aim 70%",
            share(files.speed(), one.speed()),
            share(files.processor_speed, one.processor_speed)
        )?;
        writeln!(
            out,
            "two cores against one: {:.2} times, aim 1.8 (the floor itself: {:.2})",
            files_on_two.speed() / files.speed(),
            two.speed() / one.speed()
        )?;
        writeln!(
            out,
            "over HTTP, of files: {:.0}%; with 50 ms more, of files: {:.0}%, of HTTP: {:.0}%, aim 80%",
            share(http.speed(), files.speed()),
            share(slow.speed(), files.speed()),
            share(slow.speed(), http.speed())
        )?;
        for row in [files, files_on_two] {
            let Some(best) = &row.best else { continue };
            let at = |share: f64| {
                let reached = best.memory.iter().find(|(read, _)| *read as f64 >= share * best.leaves as f64);
                reached.map_or_else(|| "?".to_owned(), |(_, kib)| format!("{:.1}", *kib as f64 / 1024.0))
            };
            let name = row.cores.count();
            writeln!(
                out,
                "memory on {name} core(s) at 25, 50, 75, 100% of the leaves: {} {} {} {} MiB, peak {:.1}, aim 64",
                at(0.25),
                at(0.5),
                at(0.75),
                at(1.0),
                row.peak_kib as f64 / 1024.0
            )?;
        }
        let state = files.best.as_ref().map_or(0, |best| best.state_bytes);
        writeln!(out, "stored of the log: {state} bytes, aim 4096")?;
        Ok(())
    }
}
