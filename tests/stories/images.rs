//! Small images, pushed over plain HTTP: fifty of them need no client that starts fifty times.

use bundle::Digest;
use serde_json::{Value, json};

use crate::http;

/// Pushes an image by tag; `seed` makes its content. Its digest.
pub(crate) fn push(host: &str, repository: &str, tag: &str, seed: &str) -> String {
    push_as(host, repository, tag, seed, &[])
}

/// The same with headers of its own: a credential.
pub(crate) fn push_as(host: &str, repository: &str, tag: &str, seed: &str, headers: &[(&str, &str)]) -> String {
    let to = Upload { host, repository, headers };
    let layer = to.blob(seed.as_bytes(), "application/vnd.oci.image.layer.v1.tar");
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}});
    let config = to.blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]}).to_string();
    let url = format!("http://{host}/v2/{repository}/manifests/{tag}");
    let answer = to.send("PUT", &url, media_type, manifest.as_bytes());
    assert_eq!(answer.status, 201, "{repository}:{tag}: {}", String::from_utf8_lossy(&answer.body));
    Digest::of(manifest.as_bytes()).to_string()
}

struct Upload<'u> {
    host: &'u str,
    repository: &'u str,
    headers: &'u [(&'u str, &'u str)],
}

impl Upload<'_> {
    /// Uploads a blob; its descriptor.
    fn blob(&self, bytes: &[u8], media_type: &str) -> Value {
        let begin = format!("http://{}/v2/{}/blobs/uploads/", self.host, self.repository);
        let begun = self.send("POST", &begin, "application/octet-stream", b"");
        assert_eq!(begun.status, 202, "{}", String::from_utf8_lossy(&begun.body));
        let location = begun.header("location").expect("where to upload to");
        let digest = Digest::of(bytes).to_string();
        let and = if location.contains('?') { '&' } else { '?' };
        let done = self.send("PUT", &format!("{location}{and}digest={digest}"), "application/octet-stream", bytes);
        assert_eq!(done.status, 201, "{}", String::from_utf8_lossy(&done.body));
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    fn send(&self, method: &str, url: &str, content_type: &str, body: &[u8]) -> http::Answer {
        let mut headers = vec![("Content-Type", content_type)];
        headers.extend_from_slice(self.headers);
        http::request(method, url, &headers, body)
    }
}
