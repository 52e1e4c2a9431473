//! `retry`: what was parked is sent again, and what waits is hurried.

use bundle::ImageLocator;
use serde_json::json;
use store::{ParkedFilter, Resent};

use super::{CLEAN, FAILED};
use crate::config::Config;
use crate::ended::OrUsage as _;
use crate::{rooms, say};

/// Sends unfinished work again: one image's, or all of it. Fails where there was none.
pub(crate) async fn retry(config: &Config, image: Option<&str>, json: bool) -> anyhow::Result<u8> {
    let filter = match image {
        None => ParkedFilter::default(),
        Some(text) => meant(text)?,
    };
    let Resent { parked, hurried } = rooms::store_beside(config).await?.resend(&filter).await?;
    let found = parked + hurried > 0;
    if json {
        say!("{}", json!({ "sent_again": parked, "hurried": hurried }));
    } else if found {
        say!("{parked} parked sent again, {hurried} waiting hurried");
    } else {
        match image {
            Some(image) => {
                say!("nothing of {image} waits or is parked; `sealwatch explain {image}` says what is known")
            }
            None => say!("nothing waits or is parked"),
        }
    }
    Ok(if found { CLEAN } else { FAILED })
}

/// The work that HOST/REPOSITORY[:TAG][@DIGEST] means: each part that is named must fit.
pub(super) fn meant(text: &str) -> anyhow::Result<ParkedFilter> {
    let image: ImageLocator = text.parse().or_usage(format!("{text:?} is not an image"))?;
    Ok(ParkedFilter {
        registry: Some(image.name.registry),
        repository: Some(image.name.repository),
        tag: image.tag,
        digest: image.digest,
    })
}
