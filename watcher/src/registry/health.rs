//! Whether a registry answers at all, whatever it says about one repository.

use std::time::Duration;

use http::{Method, StatusCode};

use super::Registry;

/// A registry that does not answer its own ping in this time is in trouble.
const PATIENCE: Duration = Duration::from_secs(10);

impl Registry {
    /// Asks `GET /v2/` without credentials. Every answer counts but those that say "later" (5xx, 429): a 401 is the
    /// usual answer of a registry that is well.
    pub async fn is_well(&self) -> bool {
        let request = self.request(Method::GET, "v2/").timeout(PATIENCE);
        match self.client.send(request).await {
            Ok(answer) => !answer.status.is_server_error() && answer.status != StatusCode::TOO_MANY_REQUESTS,
            Err(_) => false,
        }
    }
}
