//! A world, a store, a worker and a webhook listener, put together as the roof does it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bundle::legacy::LegacySignature;
use bundle::oci::Manifest;
use bundle::sigstore_bundle::Bundle;
use bundle::trust_root::TrustRoot;
use bundle::verify::{Requirements, verify_bundle, verify_legacy};
use bundle::{Digest, Format, ImageName, Tag};
use outbound::{Client, ClientConfig};
use sandbox::{WebhookTarget, World, WorldOptions};
use secrecy::SecretString;
use signer::key::KeyBackend;
use signer::key::file::{self, FileKey};
use signer::rekor::v2::RekorV2;
use signer::{LogWriter, Services, TimestampAuthority};
use store::Store;
use tokio::sync::{Notify, watch};
use watcher::registry::{Auth, Registry, RegistryConfig};
use watcher::{
    HookState, Identity, Limits, Metrics, Platforms, Progress, Rule, Source, SourceAuth, SourceKind, Step,
    WatcherConfig, Worker, intake::StoreIntake, router,
};

/// What differs between stages.
pub(crate) struct Options {
    pub(crate) referrers_api: bool,
    pub(crate) platforms: Platforms,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) formats: Vec<Format>,
    pub(crate) webhooks: bool,
    /// Instead of the sandbox's registry.
    pub(crate) registry: Option<SocketAddr>,
    pub(crate) lease: Duration,
    /// How long an answer about a tag counts.
    pub(crate) fresh: Duration,
    pub(crate) concurrency: usize,
    pub(crate) max_tags: usize,
    pub(crate) index_patience: Duration,
    /// Another world: its registry is configured as well, and what is pushed to `silent/**` goes to its log.
    pub(crate) neighbour: Option<Arc<World>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            referrers_api: true,
            platforms: Platforms::Index,
            tags: vec!["v*", "main"],
            formats: vec![Format::Bundle, Format::Legacy],
            webhooks: true,
            registry: None,
            lease: Duration::from_secs(60),
            fresh: Duration::ZERO,
            concurrency: 8,
            max_tags: 1000,
            index_patience: Duration::from_millis(20),
            neighbour: None,
        }
    }
}

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) hooks: SocketAddr,
    pub(crate) exposition: prometheus::Registry,
    pub(crate) host: String,
    pub(crate) trust: Arc<TrustRoot>,
    pub(crate) services: Services,
    pub(crate) gate: Arc<Gate>,
    again: (WatcherConfig, Arc<StoreIntake>),
    used: Arc<AtomicU32>,
    _directory: tempfile::TempDir,
}

pub(crate) const AUTHORIZATION: &str = "Bearer a-secret-for-tests";

/// One key for all tests: to open the file takes a moment on purpose.
pub(crate) fn key() -> &'static FileKey {
    static KEY: OnceLock<FileKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let password = SecretString::from("p");
        let generated = file::generate(&password).expect("a key");
        file::load(generated.private_pem.as_bytes(), Some(&password)).expect("the key opens")
    })
}

/// A moment within the work on a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// The key has signed, and nobody knows yet.
    Signed,
    /// The log has answered, and nobody knows yet.
    Logged,
}

/// Holds the work up at a moment, so that a test can change the world there.
#[derive(Default)]
pub(crate) struct Gate {
    armed: std::sync::Mutex<Option<Moment>>,
    reached: Notify,
    go: Notify,
}

impl Gate {
    pub(crate) fn arm(&self, moment: Moment) {
        *self.armed.lock().expect("no poison") = Some(moment);
    }

    pub(crate) async fn reached(&self) {
        tokio::time::timeout(Duration::from_secs(20), self.reached.notified()).await.expect("the moment comes");
    }

    pub(crate) fn go_on(&self) {
        self.go.notify_one();
    }

    async fn pass(&self, moment: Moment) {
        let armed = self.armed.lock().expect("no poison").take_if(|armed| *armed == moment).is_some();
        if armed {
            self.reached.notify_one();
            self.go.notified().await;
        }
    }
}

/// A log behind a gate.
struct GatedLog {
    inner: Arc<dyn LogWriter>,
    gate: Arc<Gate>,
}

#[async_trait::async_trait]
impl LogWriter for GatedLog {
    fn origin(&self) -> &str {
        self.inner.origin()
    }

    fn key(&self) -> &signer::rekor::LogKey {
        self.inner.key()
    }

    fn version(&self) -> u32 {
        self.inner.version()
    }

    async fn write(&self, entry: &bundle::entry::NewEntry) -> Result<bundle::LogEntry, signer::LogError> {
        let answer = self.inner.write(entry).await;
        self.gate.pass(Moment::Logged).await;
        answer
    }
}

/// The test's key, and how often it was used: it always signs alike, so only the count shows a second signature.
struct TestKey {
    used: Arc<AtomicU32>,
    gate: Arc<Gate>,
}

#[async_trait::async_trait]
impl KeyBackend for TestKey {
    fn public_key(&self) -> &bundle::PublicKey {
        key().public_key()
    }

    async fn sign(&self, message: &[u8], hash: bundle::HashAlgorithm) -> Result<Vec<u8>, signer::KeyError> {
        self.used.fetch_add(1, Ordering::Relaxed);
        let signature = key().sign(message, hash).await;
        self.gate.pass(Moment::Signed).await;
        signature
    }
}

/// An identity with the test's key.
fn identity(mut services: Services, used: Arc<AtomicU32>, gate: Arc<Gate>) -> Identity {
    let inner = services.log.take().expect("a log");
    services.log = Some(Arc::new(GatedLog { inner, gate: Arc::clone(&gate) }));
    Identity { name: "release".to_owned(), key: Arc::new(TestKey { used, gate }), services }
}

/// The services of a world's log and timestamp authority.
pub(crate) fn services(world: &World) -> Services {
    let trust = Arc::new(TrustRoot::parse(world.trusted_root_json().as_bytes()).expect("a trust root"));
    let client = Client::new(ClientConfig::default()).expect("a client");
    let url = |url: &str| url.parse().expect("a URL");
    let (write, read) = (url(world.log.write_url()), url(world.log.read_url()));
    let log = RekorV2::new(client.clone(), world.log.origin(), write, Some(read), world.log.key().clone());
    let authority = TimestampAuthority::new(client, url(world.timestamp_authority.url()), Arc::clone(&trust));
    Services {
        log: Some(Arc::new(log)),
        timestamp_authorities: vec![authority],
        trust,
        legacy_without_proof: false,
        legacy_timestamp: false,
    }
}

/// Quick, so that retries do not make tests slow.
pub(crate) fn limits() -> Limits {
    Limits {
        first_delay: Duration::from_millis(5),
        longest_delay: Duration::from_millis(20),
        absence_delay: Duration::from_millis(5),
        absence_patience: Duration::from_millis(40),
        max_attempts: 4,
        poll: Duration::from_millis(20),
        ..Limits::default()
    }
}

pub(crate) fn source(kind: SourceKind, host: &str, auth: SourceAuth) -> Source {
    let registry = host.parse().expect("a host");
    Source { kind, registry, host_aliases: Vec::new(), repositories: Vec::new(), auth }
}

impl Stage {
    pub(crate) async fn start(options: Options) -> Self {
        let world = World::start(WorldOptions { referrers_api: options.referrers_api, ..WorldOptions::default() })
            .await
            .expect("the world starts");
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite:{}", directory.path().join("sealwatch.db").display());
        let store = store::open(&url).await.expect("a store");
        let host = options.registry.map_or_else(|| world.registry.host(), |addr| addr.to_string());
        let services = services(&world);
        let trust = Arc::clone(&services.trust);

        let (used, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Gate::default()));
        let mut registry = RegistryConfig::new(host.parse().expect("a host"));
        registry.plain_http = true;
        registry.auth = Auth::Anonymous;
        let registry = Registry::new(registry).expect("a registry");
        let rule = Rule {
            repositories: vec![format!("{host}/team/**").parse().expect("a glob")],
            tags: options.tags.iter().map(|tag| tag.parse().expect("a glob")).collect(),
            sign_with: vec!["release".to_owned()],
            formats: options.formats,
            platforms: options.platforms,
            trust_zone: "prod".to_owned(),
            legacy_without_proof: true,
            legacy_timestamp: false,
        };
        let bearer = || SourceAuth::Bearer("a-secret-for-tests".into());
        let mut config = WatcherConfig {
            sources: BTreeMap::from([
                ("sandbox".to_owned(), source(SourceKind::Distribution, &host, bearer())),
                ("generic".to_owned(), source(SourceKind::Generic, &host, bearer())),
            ]),
            registries: BTreeMap::from([(host.parse().expect("a host"), Arc::new(registry))]),
            rules: vec![rule],
            identities: BTreeMap::from([(
                "release".to_owned(),
                Arc::new(identity(services.clone(), Arc::clone(&used), Arc::clone(&gate))),
            )]),
            limits: Limits {
                lease: options.lease,
                authority_fresh: options.fresh,
                concurrency: options.concurrency,
                max_tags: options.max_tags,
                index_patience: options.index_patience,
                ..limits()
            },
        };
        if let Some(neighbour) = &options.neighbour {
            let other_host = neighbour.registry.host();
            let mut other = RegistryConfig::new(other_host.parse().expect("a host"));
            other.plain_http = true;
            let other = Registry::new(other).expect("a registry");
            config.registries.insert(other_host.parse().expect("a host"), Arc::new(other));
            let slow = source(SourceKind::Generic, &other_host, bearer());
            config.sources.insert("neighbour".to_owned(), slow);
            let everything = format!("{other_host}/**").parse().expect("a glob");
            config.rules.push(Rule { repositories: vec![everything], ..config.rules[0].clone() });
            let silent = format!("{host}/silent/**").parse().expect("a glob");
            let sign_with = vec!["silent".to_owned()];
            config.rules.push(Rule { repositories: vec![silent], sign_with, ..config.rules[0].clone() });
            let mut silent = identity(self::services(neighbour), Arc::clone(&used), Arc::clone(&gate));
            silent.name = "silent".to_owned();
            config.identities.insert("silent".to_owned(), Arc::new(silent));
        }
        let exposition = prometheus::Registry::new();
        let metrics = Metrics::new(&exposition).expect("metrics");
        let (progress, wake) = (Progress::new(), Arc::new(Notify::new()));
        let intake = Arc::new(StoreIntake::new(Arc::clone(&store), Arc::clone(&wake)));
        let hook_state = HookState::new(
            config.sources.clone(),
            intake.clone(),
            Arc::clone(&store),
            metrics.clone(),
            progress.clone(),
        );
        let hooks = serve(hook_state).await;
        let again = (clone_of(&config), Arc::clone(&intake));
        let worker = Arc::new(Worker::new(config, Arc::clone(&store), intake, metrics, progress, wake));
        if options.webhooks {
            world.registry.set_webhook(Some(WebhookTarget {
                url: format!("http://{hooks}/hooks/sandbox"),
                authorization: Some(AUTHORIZATION.to_owned()),
            }));
        }
        Self {
            world,
            store,
            worker,
            hooks,
            exposition,
            host,
            trust,
            services,
            gate,
            again,
            used,
            _directory: directory,
        }
    }

    /// Works by hand until nothing is due and the registry has told everything.
    pub(crate) async fn settle(&self) {
        let mut quiet = 0;
        for _ in 0..4000 {
            if self.worker.step().await.expect("a step") != Step::Idle {
                quiet = 0;
                continue;
            }
            let counts = self.store.counts().await.expect("counts");
            let waiting = counts.events_waiting + counts.jobs_ready + self.world.registry.pending() as u64;
            quiet = if waiting == 0 { quiet + 1 } else { 0 };
            if quiet == 3 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it does not settle: {:?}", self.store.counts().await);
    }

    /// The worker of a process that is started after this one, over the same store.
    pub(crate) fn another_worker(&self) -> Arc<Worker> {
        let (config, intake) = (clone_of(&self.again.0), Arc::clone(&self.again.1));
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("metrics");
        let wake = Arc::new(Notify::new());
        Arc::new(Worker::new(config, Arc::clone(&self.store), intake, metrics, Progress::new(), wake))
    }

    /// Has everything that waits due at once: tests do not wait for a breaker.
    pub(crate) async fn release(&self) {
        let log = watcher::Endpoint::Log(self.world.log.origin().to_owned()).to_string();
        self.store.release(&log, 1_000_000).await.expect("a release");
    }

    /// Runs the loop until everything is quiet, then stops it.
    pub(crate) async fn run_until_quiet(&self) {
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(Arc::clone(&self.worker).run(stopped));
        let mut quiet = 0;
        for _ in 0..3000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let counts = self.store.counts().await.expect("counts");
            let busy = counts.events_waiting + counts.events_leased + counts.jobs_ready + counts.jobs_leased;
            quiet = if busy + self.world.registry.pending() as u64 == 0 { quiet + 1 } else { 0 };
            if quiet == 5 {
                stop.send(true).expect("the worker listens");
                running.await.expect("the worker stops");
                return;
            }
        }
        panic!("it does not become quiet: {:?}", self.store.counts().await);
    }

    /// Tells the generic source, with the right secret.
    pub(crate) async fn tell(&self, event: serde_json::Value) -> crate::http::Answer {
        let headers = [("authorization", AUTHORIZATION)];
        crate::http::post(self.hooks, "/hooks/generic", &headers, event.to_string().as_bytes()).await
    }

    pub(crate) fn name(&self, repository: &str) -> ImageName {
        format!("{}/{repository}", self.host).parse().expect("a name")
    }

    /// How often our key has signed.
    pub(crate) fn signings(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// The sum of a counter over all its labels that hold the text.
    pub(crate) fn counted(&self, name: &str, label: &str) -> u64 {
        let families = self.exposition.gather();
        let metrics = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        metrics
            .filter(|metric| label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label))
            .map(|metric| metric.get_counter().get_value() as u64)
            .sum()
    }

    /// The bundles on an image that verify with our key, the log and a timestamp.
    pub(crate) fn good_bundles(&self, repository: &str, digest: &Digest) -> usize {
        let requirements = Requirements { log: true, timestamp: true };
        self.bundles(repository, digest)
            .iter()
            .filter_map(|json| Bundle::parse(json).ok())
            .filter(|bundle| verify_bundle(bundle, digest, key().public_key(), &self.trust, &requirements).is_ok())
            .count()
    }

    /// Every referrer's first layer.
    pub(crate) fn bundles(&self, repository: &str, digest: &Digest) -> Vec<Vec<u8>> {
        let registry = &self.world.registry;
        let referrers = registry.referrers(repository, digest);
        referrers
            .iter()
            .filter_map(|referrer| {
                let (bytes, _) = registry.manifest(repository, &referrer.to_string())?;
                let manifest = Manifest::parse(&bytes, None).ok()?;
                registry.blob(repository, &manifest.layers.first()?.digest.sha256()?)
            })
            .collect()
    }

    /// The layers of the legacy signature image, and how many of them verify with our key and a timestamp.
    pub(crate) fn legacy(&self, repository: &str, digest: &Digest) -> (usize, usize) {
        let registry = &self.world.registry;
        let tag = Tag::legacy_signature(digest);
        let Some((bytes, _)) = registry.manifest(repository, tag.as_str()) else { return (0, 0) };
        let manifest = Manifest::parse(&bytes, None).expect("a manifest");
        let requirements = Requirements { log: false, timestamp: true };
        let good = manifest.layers.iter().filter(|layer| {
            let payload = layer.digest.sha256().and_then(|digest| registry.blob(repository, &digest));
            let Some(payload) = payload else { return false };
            let signature = LegacySignature { payload, annotations: layer.annotations.clone() };
            verify_legacy(&signature, digest, key().public_key(), &self.trust, &requirements).is_ok()
        });
        (manifest.layers.len(), good.count())
    }

    /// Asserts exactly one good signature of each format, and so many entries in the log.
    pub(crate) fn assert_signed_once(&self, repository: &str, digest: &Digest, log_size: u64) {
        assert_eq!(self.bundles(repository, digest).len(), 1, "referrers of {digest}");
        assert_eq!(self.good_bundles(repository, digest), 1, "good bundles of {digest}");
        assert_eq!(self.legacy(repository, digest), (1, 1), "legacy signatures of {digest}");
        assert_eq!(self.world.log.size(), log_size, "entries in the log");
    }
}

fn clone_of(config: &WatcherConfig) -> WatcherConfig {
    let WatcherConfig { sources, registries, rules, identities, limits } = config;
    WatcherConfig {
        sources: sources.clone(),
        registries: registries.clone(),
        rules: rules.clone(),
        identities: identities.clone(),
        limits: limits.clone(),
    }
}

/// Listens with the hooks on loopback.
pub(crate) async fn serve(state: HookState) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router(state)).await });
    addr
}
