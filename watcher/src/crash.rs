//! The kill switch of the crash stories: dies, as by `kill -9`, right after a named step.
//!
//! Without the feature `crash-points` this compiles to nothing. With it, `SEALWATCH_CRASH_AT=signature` kills
//! the process the first time that the step `signature` is reached, `SEALWATCH_CRASH_AT=signature:3` the third.

/// Dies here if the environment says so; see the module's text.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub(crate) fn crash_point(_name: &'static str) {}

/// Dies here if the environment says so; see the module's text.
#[cfg(feature = "crash-points")]
pub(crate) fn crash_point(name: &'static str) {
    armed::reached(name);
}

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::atomic::{AtomicU64, Ordering};

    /// How often the armed step was reached so far.
    static REACHED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn reached(name: &'static str) {
        let Ok(armed) = std::env::var("SEALWATCH_CRASH_AT") else { return };
        let (step, at) = match armed.split_once(':') {
            Some((step, times)) => (step, times.parse().unwrap_or(1)),
            None => (armed.as_str(), 1),
        };
        if step == name && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == at {
            die();
        }
    }

    /// SIGKILL, so that nothing is flushed and no destructor runs. The crate forbids unsafe code, so the
    /// signal is sent by the `kill` program; if there is none, an abort is the next best thing.
    fn die() -> ! {
        let pid = std::process::id().to_string();
        let sent = std::process::Command::new("kill").args(["-9", &pid]).status();
        if sent.is_ok() {
            loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
        }
        std::process::abort()
    }
}
