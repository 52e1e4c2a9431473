//! Whether a registry answers and takes our credentials, for `config check --online`.

use bundle::Repository;
use http::{Method, StatusCode};

use super::call::{Access, refusal};
use super::{Registry, RegistryError};

impl Registry {
    /// Asks for `/v2/` with the credentials that pulling from this repository takes. Nothing of the repository is read,
    /// and it need not be there.
    ///
    /// # Errors
    /// No answer, an answer that is not a registry's, or credentials that are refused.
    pub async fn ping(&self, repository: &Repository) -> Result<(), RegistryError> {
        // SPEC: "200 OK" says that the registry implements the API and that the client is authorised (distribution-spec,
        // end-1).
        let answer = self.call(repository, Access::Pull, self.request(Method::GET, "v2/")).await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            _ => Err(refusal(self.name(repository), "answer GET /v2/", self.is_own(&answer.url), &answer)),
        }
    }
}
