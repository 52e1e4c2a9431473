//! How fast push events become durable in SQLite, by one caller and by many at once.

use std::sync::Arc;

use store::{NewEvent, Store};

fn main() {
    divan::main();
}

fn event() -> NewEvent {
    NewEvent {
        source: "harbor".to_owned(),
        registry: "registry.example.com".parse().expect("a registry"),
        repository: "team/app".parse().expect("a repository"),
        tag: None,
        digest: None,
        received_at: 0,
    }
}

/// One event per caller; the group commit decides how many flushes that is.
#[divan::bench(args = [1, 16, 256], sample_count = 20, sample_size = 1)]
fn record_events(bencher: divan::Bencher<'_, '_>, callers: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", directory.path().join("bench.db").display());
    let store: Arc<dyn Store> = runtime.block_on(store::open(&url)).expect("a store");
    bencher.counter(divan::counter::ItemsCount::new(callers)).bench_local(|| {
        runtime.block_on(async {
            let calls: Vec<_> = (0..callers)
                .map(|_| {
                    let store = store.clone();
                    tokio::spawn(async move { store.record_events(&[event()]).await })
                })
                .collect();
            for call in calls {
                call.await.expect("a task").expect("a commit");
            }
        });
    });
}
