//! How sealwatch ends: what is under way is finished first.

use crate::peers::shared;
use crate::proxy::Proxy;
use crate::scene::{Rekor, Scene, eventually};
use crate::{http, images};

#[test]
fn a_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let Some(shared) = shared("a_stop_finishes_what_is_under_way_and_takes_nothing_new") else { return };
    let mut scene = Scene::new(shared, Rekor::V2);
    let proxy = Proxy::before(&scene.log_url);
    scene.put_before_the_log(&proxy.url);
    scene.distribution_config();
    let registry = scene.distribution();
    let sealwatch = scene.up(None);
    let ready = format!("http://127.0.0.1:{}/readyz", scene.metrics);
    assert_eq!(http::request("GET", &ready, &[], b"").status, 200);

    proxy.hold();
    let digest = images::push(&registry.host, "team/app", "v1", "under way");
    eventually("both signatures are on their way to the log", 30, || proxy.waiting() == 2);
    std::thread::scope(|scope| {
        let draining = scope.spawn(|| {
            eventually("it says that it is stopping", 20, || http::request("GET", &ready, &[], b"").status == 503);
            let event = scene.distribution_event("team/app", "v1", &digest);
            eventually("no webhook is taken any more", 20, || scene.post("registry", &event) == 0);
            assert_eq!(proxy.answers().len(), 0, "the log has not heard of anything yet");
            proxy.open();
        });
        assert_eq!(sealwatch.stop(), Some(0), "it ends by itself, and well");
        draining.join().expect("it drained");
    });
    assert_eq!(proxy.answers().len(), 2, "both signatures were logged before the end");
    assert_eq!(registry.legacy_layers("team/app", &digest), 1);
    assert_eq!(registry.referrers_of("team/app", &digest), 1);
    let status = scene.status();
    assert_eq!((&status["jobs_done"], &status["signatures_attached"]), (&1.into(), &2.into()), "{status}");
    assert_eq!(scene.post("registry", &scene.distribution_event("team/app", "v1", &digest)), 0);
    println!("stopped while an upload waited for the log: both formats were finished first, exit 0; {status}");
}
