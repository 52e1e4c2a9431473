//! The sources that may post, which may be replaced while requests arrive: secrets rotate.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::config::Source;

/// The sources by the name in the path. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<RwLock<Arc<BTreeMap<String, Source>>>>);

impl Sources {
    /// The sources as they are now. A request keeps those that it began with.
    pub fn current(&self) -> Arc<BTreeMap<String, Source>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces all of them, for the requests that come from now on.
    pub fn replace(&self, sources: BTreeMap<String, Source>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sources);
    }
}

impl From<BTreeMap<String, Source>> for Sources {
    fn from(sources: BTreeMap<String, Source>) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(sources))))
    }
}
