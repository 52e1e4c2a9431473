//! Registries that lie, and images that are made to be misread.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bundle::Digest;
use serde_json::{Value, json};
use store::JobState;
use watcher::Platforms;

use crate::stage::{Options, Stage};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What is served for `manifests/{reference}`: header digest, content type, bytes.
type Manifests = Arc<Mutex<BTreeMap<String, (Digest, &'static str, Vec<u8>)>>>;

/// A registry that serves whatever it is told to, and takes note of every write.
#[derive(Clone, Default)]
struct Liar {
    manifests: Manifests,
    writes: Arc<Mutex<u32>>,
}

impl Liar {
    async fn start() -> (Self, SocketAddr) {
        let liar = Self::default();
        let app = Router::new().fallback(serve).with_state(liar.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        (liar, addr)
    }

    /// Serves the bytes under the tag `v1` and under the digest that it claims for them.
    fn claim(&self, digest: Digest, content_type: &'static str, bytes: Vec<u8>) {
        let mut manifests = self.manifests.lock().expect("the lock");
        manifests.insert("v1".to_owned(), (digest, content_type, bytes.clone()));
        manifests.insert(digest.to_string(), (digest, content_type, bytes));
    }
}

async fn serve(State(liar): State<Liar>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let answer = |status: u16| Response::builder().status(status);
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
        *liar.writes.lock().expect("the lock") += 1;
        return answer(202).body(Body::empty()).expect("an answer");
    }
    let found = path
        .rsplit_once("/manifests/")
        .and_then(|(_, reference)| liar.manifests.lock().expect("the lock").get(reference).cloned());
    match found {
        Some((digest, content_type, bytes)) => answer(200)
            .header("content-type", content_type)
            .header("content-length", bytes.len())
            .header("docker-content-digest", digest.to_string())
            .body(if request.method() == "HEAD" { Body::empty() } else { Body::from(bytes) })
            .expect("an answer"),
        None => answer(404).body(Body::empty()).expect("an answer"),
    }
}

/// Has the liar serve the bytes, tells the worker, and returns the job's state with what is said about it.
async fn judge(platforms: Platforms, digest: Digest, content_type: &'static str, bytes: Vec<u8>) -> (JobState, String) {
    let (liar, addr) = Liar::start().await;
    liar.claim(digest, content_type, bytes);
    let options = Options { webhooks: false, platforms, registry: Some(addr), ..Options::default() };
    let stage = Stage::start(options).await;
    stage.tell(json!({"repository": "team/app", "tag": "v1"})).await;
    stage.settle().await;
    assert_eq!(*liar.writes.lock().expect("the lock"), 0, "nothing is written");
    assert_eq!(stage.world.log.size(), 0, "nothing is logged");
    let name = stage.name("team/app");
    let job = stage.store.job(&name.registry, &name.repository, &digest).await.expect("a row").expect("a job");
    let rows = stage.store.ledger_for(&name.with_digest(digest)).await.expect("rows");
    assert!(rows.is_empty(), "nothing was even intended: {rows:?}");
    let said = [job.reason, job.detail, job.last_error].into_iter().flatten().collect::<Vec<_>>().join(": ");
    (job.state, said)
}

fn descriptor(seed: u32) -> Value {
    json!({"mediaType": IMAGE, "size": 7, "digest": Digest::of(&seed.to_be_bytes()).to_string()})
}

#[tokio::test]
async fn a_manifest_that_does_not_have_its_digest_is_never_signed() {
    let bytes = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).to_string().into_bytes();
    let claimed = Digest::of(b"something else");
    let (state, said) = judge(Platforms::Index, claimed, INDEX, bytes).await;
    assert_eq!(state, JobState::Parked, "{said}");
    assert!(said.contains(&claimed.to_string()), "{said}");
}

#[tokio::test]
async fn an_index_that_contains_itself_is_never_signed() {
    // No hash can do this, so whoever serves it lies about the digest.
    let claimed = Digest::of(b"self");
    let mut own = descriptor(1);
    own["digest"] = claimed.to_string().into();
    let bytes = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [own]}).to_string().into_bytes();
    let (state, said) = judge(Platforms::All, claimed, INDEX, bytes).await;
    assert_eq!(state, JobState::Parked, "{said}");
}

#[tokio::test]
async fn manifests_that_can_be_read_two_ways_are_refused() {
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "size": 7, "digest": Digest::of(b"c").to_string()});
    let both = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [], "manifests": []});
    let image = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": []}).to_string();
    let twice = image.replacen("\"layers\":[]", "\"layers\":[],\"layers\":[]", 1);
    assert_ne!(twice, image);
    for (what, content_type, bytes, reason) in [
        ("layers and manifests", IMAGE, both.to_string(), "manifest_refused"),
        ("body and header differ", INDEX, image.clone(), "manifest_refused"),
        ("a key twice", IMAGE, twice, "manifest_refused"),
        ("no JSON", IMAGE, "hello".to_owned(), "manifest_refused"),
        (
            "schema 1",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            json!({"schemaVersion": 1, "name": "team/app", "tag": "v1", "fsLayers": []}).to_string(),
            "unsupported_schema1",
        ),
    ] {
        let bytes = bytes.into_bytes();
        let (state, said) = judge(Platforms::Index, Digest::of(&bytes), content_type, bytes).await;
        assert_eq!(state, JobState::Skipped, "{what}: {said}");
        assert!(said.starts_with(reason), "{what}: {said}");
    }
}

#[tokio::test]
async fn an_index_with_ten_thousand_children_is_refused() {
    let children: Vec<_> = (0..10_000).map(descriptor).collect();
    let bytes = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).to_string().into_bytes();
    let (state, said) = judge(Platforms::All, Digest::of(&bytes), INDEX, bytes).await;
    assert_eq!(state, JobState::Skipped, "{said}");
    assert!(said.starts_with("manifest_refused"), "{said}");

    let children: Vec<_> = (0..2_000).map(descriptor).collect();
    let bytes = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).to_string().into_bytes();
    let (state, said) = judge(Platforms::All, Digest::of(&bytes), INDEX, bytes).await;
    assert_eq!(state, JobState::Skipped, "{said}");
    assert!(said.starts_with("too_many_children"), "{said}");
}
