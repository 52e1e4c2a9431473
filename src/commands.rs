//! One file a subcommand. Each says what it found on standard output and returns its exit code.

pub(crate) mod config_check;
pub(crate) mod dead_letters;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod findings;
pub(crate) mod identity;
pub(crate) mod key;
pub(crate) mod kit;
pub(crate) mod lab;
pub(crate) mod logs;
pub(crate) mod monitor;
pub(crate) mod retry;
pub(crate) mod sign;
pub(crate) mod status;
pub(crate) mod verify;
pub(crate) mod watch;

/// All was well.
pub(crate) const CLEAN: u8 = 0;
/// A finding is open, or a signature was refused or is not there.
pub(crate) const FAILED: u8 = 1;
/// The command line or the configuration is wrong, or the thing is not built.
pub(crate) const USAGE: u8 = 2;
/// We could not look.
pub(crate) const COULD_NOT_LOOK: u8 = 3;

/// A time in unix milliseconds as people write it.
pub(crate) fn at(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}
