//! `retry`: what was parked is sent again.

use bundle::ImageLocator;
use store::ParkedFilter;

use super::CLEAN;
use crate::config::Config;
use crate::ended::OrUsage as _;
use crate::{rooms, say};

/// Sends parked work again: all of it, or one image's.
pub(crate) async fn retry(config: &Config, image: Option<&str>) -> anyhow::Result<u8> {
    let filter = match image {
        None => ParkedFilter::default(),
        Some(text) => {
            let image: ImageLocator = text.parse().or_usage(format!("{text:?} is not an image"))?;
            ParkedFilter {
                registry: Some(image.name.registry),
                repository: Some(image.name.repository),
                digest: image.digest,
            }
        }
    };
    let sent = rooms::store_beside(config).await?.retry_parked(&filter).await?;
    say!("{sent} sent again");
    Ok(CLEAN)
}
