//! A ledger that is restored from an older backup: one finding with what is missing, and an act by which a person adopts
//! what the log still proves.

use std::process::Command;

use serde_json::Value;

use crate::images::push;
use crate::own_log::OwnRekor2;
use crate::peers::{must, run, shared};
use crate::scene::{Rekor, Scene, eventually};

/// What a backup from before the last images would not have.
const RESTORE: &str = "
import sqlite3
db = sqlite3.connect('sealwatch.db')
lost = \"(SELECT id FROM signatures WHERE repository LIKE '%/late%')\"
for table in ('materials', 'log_entries'):
    db.execute(f'DELETE FROM {table} WHERE signature_id IN {lost}')
print(db.execute(f'DELETE FROM signatures WHERE id IN {lost}').rowcount)
db.commit()
";

fn findings(scene: &Scene) -> Vec<Value> {
    let output = run(&mut scene.sealwatch(&["findings", "--json"]));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_restored_ledger_is_one_finding_and_what_the_log_proves_is_adopted_by_an_act() {
    let name = "a_restored_ledger_is_one_finding_and_what_the_log_proves_is_adopted_by_an_act";
    let Some(shared) = shared(name) else { return };
    let log = OwnRekor2::start(&shared);
    let mut scene = Scene::new(shared, Rekor::V2);
    scene.log_to(&log);
    let path = scene.distribution_config();
    let mut text = std::fs::read_to_string(&path).expect("a configuration");
    text.push_str(
        "\n[monitor]\ninterval = \"200ms\"\ngrace = \"1s\"\n[[watch]]\nname = \"nightly key\"\nkey_file = \"nightly.pub\"\n",
    );
    std::fs::write(path, text).expect("a configuration");
    must(&mut scene.sealwatch(&["logs", "trust", "rekor2.test", "--because", "a story"]));
    let registry = scene.distribution();
    let up = scene.up(None);
    for image in ["early1", "early2", "late1", "late2", "late3"] {
        push(&registry.host, &format!("nightly/{image}"), "latest", image);
    }
    let proved = |count: f64| scene.metric(&["sealwatch_monitor_own_entries{", "\"proved\""]) >= count;
    eventually("all of it is signed", 60, || scene.status()["jobs_done"].as_f64() >= Some(5.0));
    // The metric is counted once a minute; a monitor that starts counts at once.
    up.stop();
    let up = scene.up(None);
    eventually("all of it is proved", 90, || proved(10.0));
    up.stop();

    let lost: usize =
        must(Command::new("python3").args(["-c", RESTORE]).current_dir(scene.path())).trim().parse().expect("a number");
    assert_eq!(lost, 6, "three images in two formats");
    let up = scene.up(None);
    eventually("the loss is found", 30, || findings(&scene).iter().any(|it| it["kind"] == "state_lost"));
    let found = findings(&scene);
    let [finding] = &found[..] else { panic!("{found:?}") };
    let detail = finding["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("6 rows that were in the ledger are gone, intended from "), "{detail}");
    let id = finding["id"].to_string();

    // An act without a reason is none; and a number that is not there is named.
    assert_eq!(run(&mut scene.sealwatch(&["findings", "adopt", &id, "--because", " "])).status.code(), Some(2));
    assert_eq!(run(&mut scene.sealwatch(&["findings", "adopt", "999", "--because", "x"])).status.code(), Some(2));
    let said =
        must(&mut scene.sealwatch(&["findings", "adopt", &id, "--because", "the backup of Tuesday was restored"]));
    assert!(said.contains("accepted: 6 rows") && said.contains("adopted: 6 signatures"), "{said}");
    up.stop();

    // Everything is read again from the first leaf: what was adopted pages nobody, and the loss is not told again.
    must(&mut scene.sealwatch(&["logs", "trust", "rekor2.test", "--because", "read again"]));
    let up = scene.up(None);
    let size = log.size() as f64;
    eventually("all of it is read again", 30, || scene.metric(&["sealwatch_log_verified_size{"]) >= size);
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(findings(&scene), Vec::<Value>::new());
    up.stop();
    let up = scene.up(None);
    eventually("it is counted as adopted", 30, || {
        scene.metric(&["sealwatch_monitor_leaves_counted{", "\"adopted\""]) >= 6.0
    });
    println!("a restored ledger: {detail}\n{said}");
    drop(up);
}
