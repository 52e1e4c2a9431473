//! What a webhook format is: it sees the head of a request, checks the credential, may answer a handshake, and reads
//! the body while it arrives. Formats do no I/O and keep nothing.

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};

use super::auth::{Denied, MacCheck};
use super::parsed::{Ignored, Junk, PushEvent};
use crate::config::SourceAuth;

/// A webhook format.
pub trait WebhookFormat: Send + Sync {
    /// Whether requests of this method are looked at. Only a POST may carry events; another may be a handshake.
    fn takes(&self, method: &Method) -> bool {
        method == Method::POST
    }

    /// Looks at the head of a request: checks the credential as far as the head carries it, and says what to do with the
    /// body. It must take the same time whatever is wrong with the credential.
    ///
    /// # Errors
    /// The credential is wrong or missing.
    fn open(&self, head: &Parts, auth: &SourceAuth) -> Result<Opening, Denied>;

    /// A reader for one body. Until the credential was right, what it tells is only held in memory.
    fn reader(&self) -> Box<dyn BodyReader>;
}

/// What to do with a request whose head was in order.
pub enum Opening {
    /// Read the body. It counts once the proof is given.
    Body(Proof),
    /// Answer a handshake that needs no body. Nothing is kept.
    Reply(Reply),
}

/// What is still to be proved of a request.
pub enum Proof {
    /// Nothing: the head carried the credential.
    Given,
    /// The code over the body's bytes.
    OverBody(MacCheck),
}

impl Proof {
    /// Whether the sender is known already.
    pub fn is_given(&self) -> bool {
        matches!(self, Self::Given)
    }
}

/// An answer that a format gives by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// Reads one body, piece by piece, in bounded memory.
pub trait BodyReader: Send {
    /// Takes the next bytes of the body, and tells of each event that is complete.
    ///
    /// # Errors
    /// The body cannot be read any further. What was told before stands.
    fn feed(&mut self, bytes: &[u8], tell: &mut Tell<'_>) -> Result<(), Junk>;

    /// The body is complete.
    ///
    /// # Errors
    /// It was not of this format. What was told before stands.
    fn finish(&mut self, tell: &mut Tell<'_>) -> Result<Ending, Junk>;
}

/// Takes each event of a body, or the reason why it is none.
pub type Tell<'t> = dyn FnMut(Result<PushEvent, Ignored>) + Send + 't;

/// How a body ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ending {
    /// Everything was told.
    Events,
    /// It was a handshake, which is answered once the credential was right.
    Handshake(Reply),
}
