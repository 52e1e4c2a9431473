//! Why a log could not be read. None of it is a finding: it says that we could not look, or were not shown.

use std::time::Duration;

use bytes::Bytes;
use outbound::OutboundError;

/// Why a log could not be read. What to make of one that persists is for the follower to say: see
/// [`ReadError::is_missing`] and [`ReadError::is_wrong`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No answer, or none that was complete in time.
    #[error(transparent)]
    Unreachable(#[from] OutboundError),
    /// An answer that is larger than anything that the question could have.
    #[error("the answer to {what} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// The cap, in bytes.
        limit: usize,
    },
    /// A refusal that says nothing about what the log holds.
    #[error("{what}: status {status}{}{message}", if message.is_empty() { "" } else { ": " })]
    Status {
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The start of the answer, printable.
        message: String,
    },
    /// The host wants to be left alone for a while, or we have made up our mind to.
    #[error("{host} wants no request for {} ms", retry_after.as_millis())]
    RateLimited {
        /// Which host.
        host: String,
        /// For how long.
        retry_after: Duration,
    },
    /// The bytes of partial tiles for this hour are spent. What is full can still be read:
    /// [`LogReader::readable_end`](super::LogReader::readable_end).
    #[error("the hourly bytes for partial tiles are spent; more in {} ms", retry_after.as_millis())]
    PartialBudget {
        /// When there is some again.
        retry_after: Duration,
    },
    /// The replica that answered does not know the size that was asked for (yet).
    #[error("{what}: the server that answered lags behind: {detail}")]
    Behind {
        /// What was asked for.
        what: String,
        /// Its words.
        detail: String,
    },
    /// The log answers, has signed a tree with this in it, and says that it is not there.
    #[error("{what} is missing: the log has signed it and answers {detail}")]
    Missing {
        /// What was asked for.
        what: String,
        /// How that was said.
        detail: String,
    },
    /// Fewer than were asked for, and no more to be had.
    #[error("{what}: {got} of {asked} leaves")]
    Short {
        /// What was asked for.
        what: String,
        /// How many there should be.
        asked: u64,
        /// How many there were.
        got: u64,
    },
    /// A complete answer that is not what was asked for.
    #[error("{what}: {detail}")]
    Malformed {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        detail: String,
        /// What was served, for evidence.
        served: Bytes,
    },
    /// No such leaves can be in a tree of that size: whoever asked is mistaken.
    #[error("there are no leaves {start} to {end} in a tree of {size}")]
    OutOfRange {
        /// The first.
        start: u64,
        /// The one after the last.
        end: u64,
        /// The size of the tree.
        size: u64,
    },
    /// A file of a log on disk could not be read.
    #[error("could not read {path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
}

impl ReadError {
    /// The log has signed what it does not show. Once can be a replica that lags; if it persists over new connections
    /// it is a finding.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Short { .. })
    }

    /// Something else was served in its place. Once can be a proxy; if it persists over new connections the log shows
    /// what it did not sign, and [`ReadError::served`] has the bytes.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Malformed { .. })
    }

    /// We could not look, and may be able to later without anybody changing our configuration.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.is_transient(),
            Self::Status { status, .. } => *status >= 500 || *status == 408,
            Self::TooLarge { .. } | Self::RateLimited { .. } | Self::PartialBudget { .. } | Self::Behind { .. } => true,
            Self::Missing { .. }
            | Self::Short { .. }
            | Self::Malformed { .. }
            | Self::OutOfRange { .. }
            | Self::File { .. } => false,
        }
    }

    /// How long to wait before asking again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::PartialBudget { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// What was served in place of what was asked for.
    pub fn served(&self) -> Option<&Bytes> {
        match self {
            Self::Malformed { served, .. } => Some(served),
            _ => None,
        }
    }
}

/// The start of an answer that was meant for a person, printable and short.
pub(super) fn excerpt(body: &[u8]) -> String {
    const LONGEST: usize = 200;
    let start = body.get(..LONGEST).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_of_one_sort() {
        let what = || "leaf 3".to_owned();
        let served = Bytes::new();
        for (error, missing, wrong, transient) in [
            (ReadError::Missing { what: what(), detail: "404".into() }, true, false, false),
            (ReadError::Short { what: what(), asked: 2, got: 1 }, true, false, false),
            (ReadError::Malformed { what: what(), detail: "x".into(), served }, false, true, false),
            (ReadError::Status { what: what(), status: 500, message: String::new() }, false, false, true),
            (ReadError::Status { what: what(), status: 401, message: String::new() }, false, false, false),
            (ReadError::RateLimited { host: "h".into(), retry_after: Duration::ZERO }, false, false, true),
            (ReadError::TooLarge { what: what(), limit: 1 }, false, false, true),
        ] {
            assert_eq!(
                (error.is_missing(), error.is_wrong(), error.is_transient()),
                (missing, wrong, transient),
                "{error}"
            );
        }
    }

    #[test]
    fn a_page_for_a_person_is_cut_and_made_printable() {
        assert_eq!(excerpt(b"<html>\r\n\x1b[31mno\xff"), "<html>   [31mno\u{fffd}");
        assert_eq!(excerpt(&[b'x'; 1000]).len(), 200);
    }
}
