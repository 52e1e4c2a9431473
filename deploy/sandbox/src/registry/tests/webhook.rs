//! What a receiver of webhooks sees of the registry.

use super::*;
use crate::testing::Receiver;

#[tokio::test]
async fn a_push_is_told_in_distributions_envelope() {
    let receiver = Receiver::start(0).await;
    let registry = start(RegistryOptions {
        webhook: Some(WebhookTarget { url: receiver.url(), authorization: Some("Bearer hook-secret".to_owned()) }),
        ..RegistryOptions::default()
    })
    .await;
    let image = registry.push_image("team/app", "v1", "a").await.unwrap();
    get(registry.addr(), "/v2/team/app/manifests/v1").await;
    let taken = receiver.wait_for(4).await;
    // Two blobs, the manifest, the pull: one event each, in this order.
    let events: Vec<_> = taken
        .iter()
        .map(|(_, body)| {
            assert_eq!(body["events"].as_array().unwrap().len(), 1);
            body["events"][0].clone()
        })
        .collect();
    let actions: Vec<_> = events
        .iter()
        .map(|event| (event["action"].as_str().unwrap(), event["target"]["mediaType"].as_str().unwrap()))
        .collect();
    assert_eq!(
        actions,
        [("push", "application/octet-stream"), ("push", "application/octet-stream"), ("push", IMAGE), ("pull", IMAGE),]
    );
    let headers = &taken[2].0;
    assert_eq!(headers["content-type"], "application/vnd.docker.distribution.events.v2+json");
    assert_eq!(headers["authorization"], "Bearer hook-secret");
    let target = &events[2]["target"];
    assert_eq!(target["digest"], image.digest.to_string());
    assert_eq!(target["size"], image.size);
    assert_eq!(target["length"], image.size);
    assert_eq!(target["repository"], "team/app");
    assert_eq!(target["tag"], "v1");
    assert_eq!(target["url"], format!("{}/v2/team/app/manifests/{}", registry.url(), image.digest));
    assert_eq!(events[2]["request"]["host"], registry.host());
    assert_eq!(events[2]["actor"], json!({}));
    assert_eq!(registry.pending(), 0);
    assert_eq!(registry.delivered(), 4);
}

#[tokio::test]
async fn a_refused_event_is_sent_until_it_is_taken_and_holds_up_the_next() {
    let receiver = Receiver::start(3).await;
    let registry = open().await;
    // Nobody is to be told of this one.
    registry.push_artifact("a", "v0", "x/y", "0").await.unwrap();
    registry.set_webhook(Some(WebhookTarget { url: receiver.url(), authorization: None }));
    for tag in ["v1", "v2"] {
        let (bytes, media_type) = registry.manifest("a", "v0").unwrap();
        registry.push_raw_manifest("a", tag, &media_type, bytes).await.unwrap();
    }
    let taken = receiver.wait_for(2).await;
    let tags: Vec<_> = taken.iter().map(|(_, body)| body["events"][0]["target"]["tag"].as_str().unwrap()).collect();
    assert_eq!(tags, ["v1", "v2"]);
    assert_eq!(registry.failed_deliveries(), 3);
}

#[tokio::test]
async fn events_wait_for_a_receiver_that_is_down() {
    let gone = {
        let receiver = Receiver::start(0).await;
        receiver.url()
    };
    let registry = open().await;
    registry.set_webhook(Some(WebhookTarget { url: gone, authorization: None }));
    registry.push_image("a", "v1", "a").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(registry.pending(), 3);
    assert_eq!(registry.delivered(), 0);
    let receiver = Receiver::start(0).await;
    registry.set_webhook(Some(WebhookTarget { url: receiver.url(), authorization: None }));
    receiver.wait_for(3).await;
}
