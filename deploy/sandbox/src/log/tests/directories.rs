//! A log as a directory.

use super::*;
use std::path::Path;

fn read(directory: &Path, path: &str) -> Option<Vec<u8>> {
    std::fs::read(directory.join(path)).ok()
}

#[tokio::test]
async fn the_files_of_a_log_are_what_it_serves() {
    for size in [0u64, 1, 255, 256, 257, 700] {
        let log = start().await;
        log.extend((0..size).map(|number| format!("leaf {number}").into_bytes()));
        let directory = tempfile::tempdir().unwrap();
        log.write_tiles(directory.path()).unwrap();
        let note = String::from_utf8(read(directory.path(), "checkpoint").unwrap()).unwrap();
        assert_eq!(note, log.checkpoint());
        let mut paths: Vec<String> = tile::tile_coords(size).iter().map(tile::TileCoord::path).collect();
        paths.extend((0..size).step_by(256).map(|first| tile::entries_for(size, first).0));
        for path in paths {
            let served = get(log.addr(), &format!("/{path}")).await;
            assert_eq!((served.status, read(directory.path(), &path)), (StatusCode::OK, Some(served.body)), "{path}");
        }
    }
}

#[tokio::test]
async fn leaves_are_written_to_a_directory_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let leaves: Vec<Vec<u8>> = (0..600).map(crate::leaves::key_leaf).collect();
    write_tiles(directory.path(), "log.example", &[4; 32], &leaves).unwrap();
    let log = SandboxLog::start(LogOptions {
        seed: Some([4; 32]),
        origin: "log.example".to_owned(),
        ..LogOptions::default()
    })
    .await
    .unwrap();
    log.extend(leaves);
    assert_eq!(read(directory.path(), "checkpoint").unwrap(), log.checkpoint().into_bytes());
    let bundle = get(log.addr(), "/tile/entries/002.p/88").await.body;
    assert_eq!(read(directory.path(), "tile/entries/002.p/88"), Some(bundle));
    assert!(TileWriter::new(directory.path()).unwrap().push(&vec![0; 65_536]).is_err());
}
