//! Reads a request's body within a size and a time.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;

use super::Refusal;

/// The whole body, if it is no longer than `max` bytes and complete before `deadline` is over.
pub(super) async fn read(headers: &HeaderMap, body: Body, max: usize, deadline: Duration) -> Result<Vec<u8>, Refusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > max as u64) {
        return Err(Refusal::TooLarge);
    }
    let whole = async {
        // The announcement is only a claim, so no memory is set aside for it.
        let mut bytes = Vec::new();
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Refusal::Broken)?;
            if bytes.len() + chunk.len() > max {
                return Err(Refusal::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    tokio::time::timeout(deadline, whole).await.map_err(|_| Refusal::TooSlow)?
}
