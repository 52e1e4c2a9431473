//! What happens to a push, step by step, for whoever wants to watch (the demo). Nobody has to.

use bundle::{Digest, Format, ImageName, Tag};
use tokio::sync::broadcast;

use crate::clock;

/// Most steps that a slow watcher may lag behind before it misses some.
const CAPACITY: usize = 4096;

/// A broadcast of steps.
#[derive(Clone, Debug)]
pub struct Progress {
    sender: broadcast::Sender<StepSeen>,
}

/// One step, and when it was taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StepSeen {
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Where.
    pub name: ImageName,
    /// The tag through which the push came, where it is known.
    pub tag: Option<Tag>,
    /// The digest, once it is known.
    pub digest: Option<Digest>,
    /// What.
    pub step: PushStep,
}

/// The steps of a push.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PushStep {
    /// A webhook's event is durable.
    Accepted {
        /// The source that told us.
        source: String,
    },
    /// The registry said what the event is about.
    Resolved,
    /// A rule wants it signed.
    Decided {
        /// The rule's number in the configuration, from 1.
        rule: usize,
        /// Who signs.
        identities: Vec<String>,
    },
    /// The ledger holds the intent.
    Intended {
        /// Who signs.
        identity: String,
        /// Which signature.
        format: Format,
    },
    /// The ledger holds the signature's bytes.
    Signed {
        /// Who signed.
        identity: String,
        /// Which signature.
        format: Format,
    },
    /// The log answered, and the answer was verified.
    Logged {
        /// Which signature.
        format: Format,
        /// The log.
        origin: String,
        /// Where in it.
        index: u64,
    },
    /// The finished signature was verified offline, and the ledger holds it.
    Verified {
        /// Which signature.
        format: Format,
    },
    /// The registry holds the signature.
    Attached {
        /// Which signature.
        format: Format,
        /// The manifest that carries it.
        manifest: Digest,
    },
    /// The registry held a valid signature of this identity already.
    AlreadySigned {
        /// Who signed.
        identity: String,
        /// Which signature.
        format: Format,
        /// It was made elsewhere with our key, not by us.
        adopted: bool,
    },
    /// Not signed, and why.
    Skipped {
        /// The reason's code.
        reason: &'static str,
    },
    /// It failed and will be tried again.
    Delayed {
        /// What went wrong.
        error: String,
    },
    /// It cannot succeed, and waits for a person.
    Parked {
        /// What went wrong.
        error: String,
    },
    /// The job is done and the delivery forgotten.
    Acknowledged,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// A broadcast that nobody watches yet.
    pub fn new() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY) }
    }

    /// Every step from now on.
    pub fn watch(&self) -> broadcast::Receiver<StepSeen> {
        self.sender.subscribe()
    }

    pub(crate) fn tell(&self, name: &ImageName, tag: Option<&Tag>, digest: Option<&Digest>, step: PushStep) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        // An error only says that the last watcher has just left.
        let _ = self.sender.send(StepSeen {
            at_ms: clock::now_ms(),
            name: name.clone(),
            tag: tag.cloned(),
            digest: digest.copied(),
            step,
        });
    }
}
