//! The real log takes the generated leaves and writes the same bytes, in files like ours.

use std::path::Path;

use sandbox::{LogOptions, SandboxLog, leaves};

use crate::peer::{Running, cached, free_port, run};

#[tokio::test(flavor = "multi_thread")]
async fn rekor_writes_the_generated_leaves_and_the_same_files() {
    const COUNT: u64 = 6;
    let Some(rekor) = cached("rekor-v2") else { return };
    let directory = tempfile::tempdir().unwrap();
    let log = SandboxLog::start(LogOptions::default()).await.unwrap();
    let path = directory.path().to_owned();
    tokio::task::spawn_blocking(move || {
        run(Path::new("openssl"), &path, &["genpkey", "-algorithm", "ed25519", "-out", "log.key"]);
        let (http, grpc, metrics) = (free_port(), free_port(), free_port());
        let numbers = [http, grpc, metrics].map(|port| port.to_string());
        let arguments = [
            "serve",
            "--hostname",
            "rekor.test",
            "--storage-dir",
            "log",
            "--signer-filepath",
            "log.key",
            "--http-address",
            "127.0.0.1",
            "--http-port",
            &numbers[0],
            "--grpc-address",
            "127.0.0.1",
            "--grpc-port",
            &numbers[1],
            "--http-metrics-port",
            &numbers[2],
            "--checkpoint-interval",
            "100ms",
            "--batch-max-age",
            "10ms",
        ];
        let _rekor = Running::start(&rekor, &path, &arguments, http);
        let url = format!("http://127.0.0.1:{http}/api/v2/log/entries");
        for number in 0..COUNT {
            let request = leaves::rekor_v2_request(&leaves::leaf(number)).unwrap();
            std::fs::write(path.join("request"), request).unwrap();
            let arguments = ["-sSf", "-H", "content-type: application/json", "-d", "@request", &url];
            run(Path::new("curl"), &path, &arguments);
        }
    })
    .await
    .unwrap();
    log.extend((0..COUNT).map(leaves::leaf));
    let ours = tempfile::tempdir().unwrap();
    log.write_tiles(ours.path()).unwrap();
    for file in [format!("tile/0/000.p/{COUNT}"), format!("tile/entries/000.p/{COUNT}")] {
        let read =
            |directory: &Path| std::fs::read(directory.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(read(&directory.path().join("log")), read(ours.path()), "{file}");
    }
}
