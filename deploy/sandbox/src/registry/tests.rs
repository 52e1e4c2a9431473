//! What a client and a webhook see of the registry, over real connections.

mod webhook;

use super::*;
use crate::testing::{Answer, ask, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use serde_json::json;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

async fn start(options: RegistryOptions) -> SandboxRegistry {
    SandboxRegistry::start(options).await.unwrap()
}

async fn open() -> SandboxRegistry {
    start(RegistryOptions { referrers_api: true, ..RegistryOptions::default() }).await
}

async fn send(
    registry: &SandboxRegistry,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
) -> Answer {
    ask(registry.addr(), method, path, headers, body).await.unwrap()
}

/// A manifest about `subject`, made of blobs that are there.
async fn referrer(registry: &SandboxRegistry, repository: &str, subject: &PushedImage) -> Vec<u8> {
    let config = registry.push_raw_blob(repository, b"{}".to_vec()).await.unwrap();
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "artifactType": "application/vnd.example.signature",
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
        "layers": [],
        "annotations": { "made": "by hand" },
        "subject": { "mediaType": IMAGE, "digest": subject.digest, "size": subject.size },
    })
    .to_string()
    .into_bytes()
}

#[tokio::test]
async fn the_base_says_which_protocol_is_spoken() {
    let registry = open().await;
    let answer = get(registry.addr(), "/v2/").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
    assert_eq!(get(registry.addr(), "/v1/").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_blob_is_pushed_in_chunks_or_at_once_and_read_back() {
    let registry = open().await;
    let content = b"hello world".to_vec();
    let digest = Digest::of(&content);
    let begun = send(&registry, Method::POST, "/v2/team/app/blobs/uploads/", &[], "").await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    assert_eq!(begun.header("range"), "0-0");
    let location = begun.header("location").to_owned();
    let range = [("content-range", "0-5")];
    let first = send(&registry, Method::PATCH, &location, &range, "hello ").await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert_eq!(first.header("range"), "0-5");
    // The same chunk again does not continue the upload.
    let again = send(&registry, Method::PATCH, &location, &range, "hello ").await;
    assert_eq!(again.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let progress = send(&registry, Method::GET, &location, &[], "").await;
    assert_eq!(progress.status, StatusCode::NO_CONTENT);
    let last = format!("{location}&digest={digest}");
    let finished = send(&registry, Method::PUT, &last, &[], "world").await;
    assert_eq!(finished.status, StatusCode::CREATED);
    assert_eq!(finished.header("docker-content-digest"), digest.to_string());
    let path = format!("/v2/team/app/blobs/{digest}");
    assert_eq!(get(registry.addr(), &path).await.body, content);
    let head = send(&registry, Method::HEAD, &path, &[], "").await;
    assert_eq!(head.header("content-length"), "11");
    assert!(head.body.is_empty());

    let other = format!("/v2/other/blobs/uploads/?digest={digest}");
    let at_once = send(&registry, Method::POST, &other, &[], content.clone()).await;
    assert_eq!(at_once.status, StatusCode::CREATED);
    let wrong = send(&registry, Method::POST, &other, &[], "something else").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert_eq!(wrong.json()["errors"][0]["code"], "DIGEST_INVALID");
    let mount = format!("/v2/third/blobs/uploads/?mount={digest}&from=team%2Fapp");
    let mounted = send(&registry, Method::POST, &mount, &[], "").await;
    assert_eq!(mounted.status, StatusCode::CREATED);
    assert_eq!(registry.blob("third", &digest), Some(content));
    let nowhere = format!("/v2/third/blobs/uploads/?mount={digest}&from=nobody");
    let upload = send(&registry, Method::POST, &nowhere, &[], "").await;
    assert_eq!(upload.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_manifest_is_stored_under_the_digest_of_its_bytes_only() {
    let registry = open().await;
    let image = registry.push_image("team/app", "v1", "a").await.unwrap();
    let (bytes, content_type) = registry.manifest("team/app", "v1").unwrap();
    assert_eq!(content_type, IMAGE);
    assert_eq!(Digest::of(&bytes), image.digest);
    let head = send(&registry, Method::HEAD, "/v2/team/app/manifests/v1", &[], "").await;
    assert_eq!(head.header("docker-content-digest"), image.digest.to_string());
    let other = Digest::of(b"other");
    let path = format!("/v2/team/app/manifests/{other}");
    let put = send(&registry, Method::PUT, &path, &[("content-type", IMAGE)], bytes.clone()).await;
    assert_eq!(put.status, StatusCode::BAD_REQUEST);
    assert_eq!(put.json()["errors"][0]["code"], "DIGEST_INVALID");
    // In a repository without the blobs, the same manifest is refused.
    let elsewhere = send(&registry, Method::PUT, "/v2/elsewhere/manifests/v1", &[("content-type", IMAGE)], bytes).await;
    assert_eq!(elsewhere.json()["errors"][0]["code"], "MANIFEST_BLOB_UNKNOWN");
    let unknown = get(registry.addr(), "/v2/team/app/manifests/v9").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json()["errors"][0]["code"], "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn manifests_that_contradict_themselves_are_refused() {
    let registry = open().await;
    let put = async |content_type: &str, body: &str| {
        send(&registry, Method::PUT, "/v2/a/manifests/v1", &[("content-type", content_type)], body.to_owned())
            .await
            .status
    };
    let index = "application/vnd.oci.image.index.v1+json";
    let body = r#"{"schemaVersion":2,"manifests":[]}"#;
    assert_eq!(put(index, body).await, StatusCode::CREATED);
    let claims_image = format!(r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","manifests":[]}}"#);
    assert_eq!(put(index, &claims_image).await, StatusCode::BAD_REQUEST);
    assert_eq!(put(IMAGE, body).await, StatusCode::BAD_REQUEST);
    assert_eq!(put("text/plain", body).await, StatusCode::BAD_REQUEST);
    assert_eq!(put(index, "not json").await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_index_has_its_two_platforms() {
    let registry = open().await;
    let index = registry.push_index("team/app", "v1", "a").await.unwrap();
    assert_eq!(index.children.len(), 2);
    let (bytes, _) = registry.manifest("team/app", "v1").unwrap();
    let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    for (child, architecture) in index.children.iter().zip(["amd64", "arm64"]) {
        assert!(registry.manifest("team/app", &child.to_string()).is_some());
        assert!(
            body["manifests"]
                .as_array()
                .unwrap()
                .iter()
                .any(|m| m["digest"] == child.to_string() && m["platform"]["architecture"] == architecture)
        );
    }
    assert_eq!(registry.tags("team/app"), ["v1"]);
}

#[tokio::test]
async fn tags_and_repositories_come_in_pages() {
    let registry = open().await;
    for tag in ["c", "a", "b"] {
        registry.push_image("team/app", tag, tag).await.unwrap();
    }
    registry.push_image("zoo", "v1", "z").await.unwrap();
    let all = get(registry.addr(), "/v2/team/app/tags/list").await;
    assert_eq!(all.json()["tags"], json!(["a", "b", "c"]));
    assert_eq!(all.header("link"), "");
    let first = get(registry.addr(), "/v2/team/app/tags/list?n=2").await;
    assert_eq!(first.json()["tags"], json!(["a", "b"]));
    let link = first.header("link");
    assert_eq!(link, r#"</v2/team/app/tags/list?last=b&n=2>; rel="next""#);
    let second = get(registry.addr(), "/v2/team/app/tags/list?last=b&n=2").await;
    assert_eq!(second.json()["tags"], json!(["c"]));
    assert_eq!(second.header("link"), "");
    let catalog = get(registry.addr(), "/v2/_catalog?n=1").await;
    assert_eq!(catalog.json()["repositories"], json!(["team/app"]));
    assert_eq!(catalog.header("link"), r#"</v2/_catalog?last=team%2Fapp&n=1>; rel="next""#);
    let unknown = get(registry.addr(), "/v2/nobody/tags/list").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn referrers_are_listed_while_the_api_is_on_and_said_so_at_the_push() {
    let registry = open().await;
    let image = registry.push_image("team/app", "v1", "a").await.unwrap();
    let manifest = referrer(&registry, "team/app", &image).await;
    let digest = Digest::of(&manifest);
    let path = format!("/v2/team/app/manifests/{digest}");
    let list = format!("/v2/team/app/referrers/{}", image.digest);
    let headers = [("content-type", IMAGE)];
    let empty = get(registry.addr(), &list).await;
    assert_eq!(empty.json()["manifests"], json!([]));

    let put = send(&registry, Method::PUT, &path, &headers, manifest.clone()).await;
    assert_eq!(put.header("oci-subject"), image.digest.to_string());
    let listed = get(registry.addr(), &list).await;
    assert_eq!(listed.header("content-type"), "application/vnd.oci.image.index.v1+json");
    assert_eq!(
        listed.json()["manifests"],
        json!([{
            "mediaType": IMAGE,
            "digest": digest,
            "size": manifest.len(),
            "artifactType": "application/vnd.example.signature",
            "annotations": { "made": "by hand" },
        }])
    );
    let filtered = get(registry.addr(), &format!("{list}?artifactType=other")).await;
    assert_eq!(filtered.json()["manifests"], json!([]));
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");

    registry.set_referrers_api(false);
    let off = get(registry.addr(), &list).await;
    assert_eq!(off.status, StatusCode::NOT_FOUND);
    let put = send(&registry, Method::PUT, &path, &headers, manifest).await;
    assert_eq!(put.status, StatusCode::CREATED);
    assert_eq!(put.header("oci-subject"), "");
    assert_eq!(registry.referrers("team/app", &image.digest), [digest]);
}

#[tokio::test]
async fn an_immutable_tag_takes_the_same_content_again_and_no_other() {
    let registry = open().await;
    registry.set_immutable_tags(true);
    registry.push_image("team/app", "v1", "a").await.unwrap();
    registry.push_image("team/app", "v1", "a").await.unwrap();
    let refused = registry.push_image("team/app", "v1", "b").await;
    assert!(refused.unwrap_err().to_string().contains("TAG_INVALID"));
    registry.push_image("team/app", "v2", "b").await.unwrap();
    let (bytes, _) = registry.manifest("team/app", "v2").unwrap();
    let put = send(&registry, Method::PUT, "/v2/team/app/manifests/v1", &[("content-type", IMAGE)], bytes).await;
    assert_eq!(put.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn deleting_a_manifest_takes_its_tags_along() {
    let registry = open().await;
    let image = registry.push_image("team/app", "v1", "a").await.unwrap();
    registry.push_tag("team/app", &image.digest, "v2").await.unwrap();
    let by_tag = send(&registry, Method::DELETE, "/v2/team/app/manifests/v2", &[], "").await;
    assert_eq!(by_tag.status, StatusCode::ACCEPTED);
    assert_eq!(registry.tags("team/app"), ["v1"]);
    let path = format!("/v2/team/app/manifests/{}", image.digest);
    let by_digest = send(&registry, Method::DELETE, &path, &[], "").await;
    assert_eq!(by_digest.status, StatusCode::ACCEPTED);
    assert!(registry.tags("team/app").is_empty());
    let again = send(&registry, Method::DELETE, &path, &[], "").await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_password_is_asked_for_where_one_is_set() {
    let registry = start(RegistryOptions {
        auth: RegistryAuth::Basic { username: "ci".to_owned(), password: "secret".to_owned() },
        ..RegistryOptions::default()
    })
    .await;
    let refused = get(registry.addr(), "/v2/").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.header("www-authenticate"), r#"Basic realm="sandbox""#);
    for (password, status) in [("wrong", StatusCode::UNAUTHORIZED), ("secret", StatusCode::OK)] {
        let value = format!("Basic {}", STANDARD.encode(format!("ci:{password}")));
        let headers = [("authorization", value.as_str())];
        let answer = send(&registry, Method::GET, "/v2/", &headers, "").await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_scope_and_until_it_ends() {
    let registry = start(RegistryOptions {
        auth: RegistryAuth::Token {
            username: "ci".to_owned(),
            password: "secret".to_owned(),
            anonymous_pull: true,
            realm: None,
        },
        ..RegistryOptions::default()
    })
    .await;
    registry.push_image("team/app", "v1", "a").await.unwrap();
    let host = registry.host();
    let refused = get(registry.addr(), "/v2/team/app/manifests/v1").await;
    assert_eq!(
        refused.header("www-authenticate"),
        format!(r#"Bearer realm="http://{host}/token",service="sandbox",scope="repository:team/app:pull""#)
    );
    let basic = format!("Basic {}", STANDARD.encode("ci:secret"));
    let token = async |scope: &str, headers: &[(&str, &str)]| {
        let path = format!("/token?service=sandbox&scope={scope}");
        let answer = send(&registry, Method::GET, &path, headers, "").await;
        format!("Bearer {}", answer.json()["token"].as_str().unwrap())
    };
    let with = async |token: &str, method: Method, path: &str| {
        send(&registry, method, path, &[("authorization", token)], "").await
    };
    let ours = [("authorization", basic.as_str())];
    let pull = token("repository:team/app:pull", &ours).await;
    let push = token("repository:team/app:pull,push", &ours).await;
    let read = with(&pull, Method::GET, "/v2/team/app/manifests/v1").await;
    assert_eq!(read.status, StatusCode::OK);
    let write = with(&pull, Method::POST, "/v2/team/app/blobs/uploads/").await;
    assert_eq!(write.status, StatusCode::UNAUTHORIZED);
    assert!(write.header("www-authenticate").contains("insufficient_scope"));
    let write = with(&push, Method::POST, "/v2/team/app/blobs/uploads/").await;
    assert_eq!(write.status, StatusCode::ACCEPTED);
    let elsewhere = with(&push, Method::POST, "/v2/team/other/blobs/uploads/").await;
    assert_eq!(elsewhere.status, StatusCode::UNAUTHORIZED);
    // Nobody in particular may pull and not push, whatever is asked for.
    let nobody = token("repository:team/app:pull,push", &[]).await;
    let read = with(&nobody, Method::GET, "/v2/team/app/manifests/v1").await;
    assert_eq!(read.status, StatusCode::OK);
    let write = with(&nobody, Method::POST, "/v2/team/app/blobs/uploads/").await;
    assert_eq!(write.status, StatusCode::UNAUTHORIZED);
    registry.expire_tokens();
    let late = with(&push, Method::GET, "/v2/team/app/manifests/v1").await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_manifest_written() {
    let registry = open().await;
    registry.push_image("team/app", "v1", "a").await.unwrap();
    let (bytes, media_type) = registry.manifest("team/app", "v1").unwrap();
    registry.faults().plan(Method::PUT, "/manifests/", crate::Fault::LoseAnswer, 1);
    let headers = [("content-type", media_type.as_str())];
    let path = "/v2/team/app/manifests/v2";
    let lost = ask(registry.addr(), Method::PUT, path, &headers, bytes.clone()).await;
    assert!(lost.is_none());
    assert_eq!(registry.tags("team/app"), ["v1", "v2"]);
    registry.faults().plan(
        Method::PUT,
        "/manifests/",
        crate::Fault::Refuse { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some("2".to_owned()) },
        1,
    );
    let refused = send(&registry, Method::PUT, path, &headers, bytes).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "2");
}
