//! A registry in memory, one repository, with a switch for each way in which real ones are awkward.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use bundle::Digest;
use bundle::oci::{Descriptor, Manifest, media_type};

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

type Interceptor = Box<dyn FnMut(&Asked, &mut Store) -> Option<Response> + Send>;

/// What the registry holds, and how it behaves.
#[derive(Default)]
pub(super) struct Store {
    pub(super) manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub(super) tags: BTreeMap<String, Digest>,
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    pub(super) asked: Vec<Asked>,
    /// It has the referrers API.
    pub(super) referrers_api: bool,
    /// It answers a push with `OCI-Subject`.
    pub(super) oci_subject: bool,
    /// So many answers of the referrers API are still empty.
    pub(super) list_lag: u32,
    /// It says the digest of what it serves.
    pub(super) says_digest: bool,
    /// It honours `If-Match`.
    pub(super) conditional: bool,
    interceptors: Vec<Interceptor>,
}

impl Store {
    pub(super) fn put(&mut self, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.manifests.insert(digest.to_string(), (media_type.to_owned(), bytes.to_vec()));
        digest
    }

    pub(super) fn put_tag(&mut self, tag: &str, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = self.put(media_type, bytes);
        self.tags.insert(tag.to_owned(), digest);
        digest
    }

    pub(super) fn put_blob(&mut self, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        self.blobs.insert(digest.to_string(), content.to_vec());
        digest
    }

    pub(super) fn tagged(&self, tag: &str) -> Option<&[u8]> {
        let digest = self.tags.get(tag)?;
        self.manifests.get(&digest.to_string()).map(|(_, bytes)| &bytes[..])
    }

    /// How often something was asked.
    pub(super) fn count(&self, method: &Method, part: &str) -> usize {
        self.asked.iter().filter(|asked| asked.method == *method && asked.path.contains(part)).count()
    }

    /// Runs before every request; the first that answers has answered.
    pub(super) fn intercept(&mut self, f: impl FnMut(&Asked, &mut Store) -> Option<Response> + Send + 'static) {
        self.interceptors.push(Box::new(f));
    }

    /// Runs before the interceptors that stand already.
    pub(super) fn intercept_first(&mut self, f: impl FnMut(&Asked, &mut Store) -> Option<Response> + Send + 'static) {
        self.interceptors.insert(0, Box::new(f));
    }

    pub(super) fn clear_interceptors(&mut self) {
        self.interceptors.clear();
    }

    fn answer(&mut self, asked: &Asked) -> Response {
        let mut interceptors = std::mem::take(&mut self.interceptors);
        let answered = interceptors.iter_mut().find_map(|f| f(asked, self));
        interceptors.append(&mut self.interceptors);
        self.interceptors = interceptors;
        answered.unwrap_or_else(|| {
            let mut served = self.serve(asked);
            let version = header::HeaderValue::from_static("registry/2.0");
            served.headers_mut().insert("docker-distribution-api-version", version);
            served
        })
    }

    fn serve(&mut self, asked: &Asked) -> Response {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let Some(rest) = path.strip_prefix("/v2/team/app/") else {
            return empty(if path == "/v2/" { 200 } else { 404 });
        };
        match (&asked.method, rest.split_once('/')) {
            (&Method::GET | &Method::HEAD, Some(("manifests", reference))) => self.get_manifest(reference),
            (&Method::PUT, Some(("manifests", reference))) => self.put_manifest(reference, asked),
            (&Method::GET, Some(("referrers", digest))) => self.list_referrers(digest),
            (&Method::GET, Some(("tags", "list"))) => {
                let tags: Vec<&String> = self.tags.keys().collect();
                json(200, &serde_json::json!({ "name": "team/app", "tags": tags }).to_string())
            }
            (&Method::POST, Some(("blobs", "uploads/"))) => {
                built(202, &[("location", "/v2/team/app/blobs/uploads/1?state=a%2Fb")], Vec::new())
            }
            (&Method::PUT, Some(("blobs", "uploads/1"))) => {
                assert!(query.starts_with("state=a%2Fb&digest="), "{query}");
                let digest = self.put_blob(&asked.body);
                empty(if query.ends_with(&digest.to_string()) { 201 } else { 400 })
            }
            (&Method::GET | &Method::HEAD, Some(("blobs", digest))) => match self.blobs.get(digest) {
                Some(content) => built(200, &[], content.clone()),
                None => empty(404),
            },
            _ => empty(404),
        }
    }

    fn get_manifest(&self, reference: &str) -> Response {
        let digest = self.tags.get(reference).map_or_else(|| reference.to_owned(), Digest::to_string);
        let Some((media_type, bytes)) = self.manifests.get(&digest) else {
            return json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#);
        };
        let entity_tag = format!("\"{digest}\"");
        let mut headers = vec![("content-type", &media_type[..]), ("etag", &entity_tag)];
        if self.says_digest {
            headers.push(("docker-content-digest", &digest));
        }
        built(200, &headers, bytes.clone())
    }

    /// Like ECR: no Location.
    fn put_manifest(&mut self, reference: &str, asked: &Asked) -> Response {
        let media_type = asked.headers[header::CONTENT_TYPE].to_str().expect("text").to_owned();
        if reference.starts_with("sha256:") {
            let digest = self.put(&media_type, &asked.body);
            assert_eq!(digest.to_string(), reference);
        } else {
            let current = self.tags.get(reference).map(|digest| format!("\"{digest}\""));
            let wanted = asked.headers.get(header::IF_MATCH).map(|v| v.to_str().expect("text").to_owned());
            if self.conditional && wanted.is_some() && wanted != current {
                return empty(412);
            }
            self.put_tag(reference, &media_type, &asked.body);
        }
        let subject = Manifest::parse(&asked.body, None).ok().and_then(|m| m.subject).map(|s| s.digest.to_string());
        match subject.filter(|_| self.oci_subject) {
            Some(subject) => built(201, &[("oci-subject", &subject)], Vec::new()),
            None => empty(201),
        }
    }

    fn list_referrers(&mut self, subject: &str) -> Response {
        if !self.referrers_api {
            return empty(404);
        }
        let lagging = self.list_lag > 0;
        self.list_lag = self.list_lag.saturating_sub(1);
        let refers = |bytes: &[u8]| {
            let manifest = Manifest::parse(bytes, None).ok()?;
            let to = manifest.subject.as_ref()?.digest.to_string();
            (to == subject && !lagging).then(|| manifest.referrer_descriptor(bytes))
        };
        let found: Vec<Descriptor> = self.manifests.values().filter_map(|(_, bytes)| refers(bytes)).collect();
        index(&found)
    }
}

pub(super) fn index(descriptors: &[Descriptor]) -> Response {
    let body =
        serde_json::json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": descriptors });
    built(200, &[("content-type", media_type::IMAGE_INDEX)], body.to_string().into_bytes())
}

pub(super) fn built(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body)).expect("a response")
}

pub(super) fn empty(status: u16) -> Response {
    built(status, &[], Vec::new())
}

pub(super) fn json(status: u16, body: &str) -> Response {
    built(status, &[("content-type", "application/json")], body.as_bytes().to_vec())
}

/// A running fake.
#[derive(Clone)]
pub(super) struct Fake {
    address: std::net::SocketAddr,
    store: Arc<Mutex<Store>>,
}

impl Fake {
    pub(super) async fn start() -> Fake {
        let store = Store { says_digest: true, ..Store::default() };
        let store = Arc::new(Mutex::new(store));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(handle).with_state(store.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Fake { address, store }
    }

    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no panic in the fake")
    }

    /// Answers every request whose method and path match, for as long as it stands.
    pub(super) fn always(&self, method: Method, part: &'static str, answer: impl Fn() -> Response + Send + 'static) {
        self.store().intercept(move |asked, _| (asked.method == method && asked.path.contains(part)).then(&answer));
    }
}

async fn handle(State(store): State<Arc<Mutex<Store>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await.expect("a body").to_vec();
    let authorization = parts.headers.get(header::AUTHORIZATION).map(|v| v.to_str().expect("text").to_owned());
    let path = path_of(&parts.uri);
    let asked = Asked { method: parts.method, path, authorization, headers: parts.headers, body };
    let mut store = match store.lock() {
        Ok(store) => store,
        Err(_) => return empty(StatusCode::IM_A_TEAPOT.as_u16()),
    };
    store.asked.push(asked.clone());
    store.answer(&asked)
}

fn path_of(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string)
}
