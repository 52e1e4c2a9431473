//! Where tiles come from: a server, or a directory.

use bytes::Bytes;
use http::StatusCode;

use super::Fresh;
use super::cap::Cap;
use super::directory::Directory;
use super::error::ReadError;
use super::exchange::{Answer, Exchange, Question};

/// Where tiles come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A server.
    Http(Exchange),
    /// A directory.
    Directory(Directory),
}

impl Source {
    /// What is at this path now, past every cache that heeds a header; otherwise as [`Source::get`].
    pub(super) async fn newest(&self, what: &str, path: &str, cap: usize) -> Result<Bytes, ReadError> {
        let found = match self {
            Self::Directory(directory) => directory.read(what, path, cap.into())?,
            Self::Http(exchange) => {
                let question = Question { newest: true, ..Question::get(what, path, cap, Fresh::No) };
                return exchange.ask(question).await?.body(what);
            }
        };
        found.ok_or_else(|| ReadError::Status { what: what.to_owned(), status: 404, message: String::new() })
    }

    /// What is at this path; `None` where the source says that nothing is. Storage that may not be listed says 403.
    pub(super) async fn get(&self, what: &str, path: &str, cap: Cap, fresh: Fresh) -> Result<Option<Bytes>, ReadError> {
        match self {
            Self::Directory(directory) => directory.read(what, path, cap),
            Self::Http(exchange) => match exchange.ask(Question::get(what, path, cap, fresh)).await? {
                Answer::Body(body) => Ok(Some(body)),
                Answer::Refused {
                    status: StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE, ..
                } => Ok(None),
                refused => refused.body(what).map(Some),
            },
        }
    }

    /// An answer that is not what was asked for.
    pub(super) fn malformed(&self, what: &str, detail: impl ToString, served: Bytes) -> ReadError {
        match self {
            Self::Http(exchange) => exchange.malformed(what, detail, served),
            Self::Directory(_) => ReadError::Malformed { what: what.to_owned(), detail: detail.to_string(), served },
        }
    }

    /// So many bytes were those of a partial tile.
    pub(super) fn count_partial(&self, bytes: usize) {
        if let Self::Http(exchange) = self {
            exchange.pace.count_partial(bytes);
        }
    }
}
