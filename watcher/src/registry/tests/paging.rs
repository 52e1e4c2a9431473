//! Pages that do not end.

use std::time::Instant;

use http::Method;

use super::fake::{Store, built};
use super::*;
use crate::registry::manifests::{MAX_PAGES, PAGING_TIME};

/// Every page is empty and has a next one; each takes a while.
fn drip(store: &mut Store, each: Duration) {
    let body = r#"{"schemaVersion":2,"tags":[],"manifests":[]}"#;
    store.intercept(move |_, _| {
        std::thread::sleep(each);
        let headers = [("link", "<?more=1>; rel=next"), ("content-type", media_type::IMAGE_INDEX)];
        Some(built(200, &headers, body.as_bytes().to_vec()))
    });
}

#[tokio::test]
async fn a_walk_in_circles_ends_after_so_many_pages() {
    let (fake, image) = with_image().await;
    drip(&mut fake.store(), Duration::ZERO);
    let mut registry = registry(&fake);
    registry.patience = Duration::from_secs(1);
    let errors = [
        registry.tags(&repository(), 10).await.map(drop).expect_err("no end"),
        registry.referrers(&repository(), &image.digest).await.map(drop).expect_err("no end"),
    ];
    for error in errors {
        assert!(matches!(error, RegistryError::Protocol { .. }), "{error}");
        assert!(error.to_string().contains("do not end"), "{error}");
    }
    assert_eq!(fake.store().count(&Method::GET, ""), 2 * MAX_PAGES);
}

#[tokio::test]
async fn pages_that_drip_in_end_after_some_time() {
    let (fake, image) = with_image().await;
    drip(&mut fake.store(), Duration::from_millis(20));
    let mut registry = registry(&fake);
    registry.patience = Duration::from_millis(1);
    let started = Instant::now();
    let errors = [
        registry.tags(&repository(), 10).await.map(drop).expect_err("no end"),
        registry.referrers(&repository(), &image.digest).await.map(drop).expect_err("no end"),
    ];
    for error in errors {
        assert!(error.to_string().contains("do not end"), "{error}");
    }
    assert!(started.elapsed() >= 2 * registry.patience * PAGING_TIME);
    // A whole walk would be 500 pages.
    assert!(fake.store().asked.len() < MAX_PAGES / 2, "{}", fake.store().asked.len());
}
