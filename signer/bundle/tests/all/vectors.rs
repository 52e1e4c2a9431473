//! Other projects' vectors, where they are at hand: `SEALWATCH_VECTORS`, or `../shared/vectors` beside the workspace.
use std::io::Write as _;
use std::path::PathBuf;

/// The folder. Its absence is said loudly.
pub(crate) fn vectors() -> Option<PathBuf> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    let folder = std::env::var_os("SEALWATCH_VECTORS").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    // Straight to the stream: the harness would keep a passing test's output to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: no vectors at {}; set SEALWATCH_VECTORS", folder.display());
    None
}

/// A file's bytes. `None` only where there are no vectors at all.
pub(crate) fn vector(path: &str) -> Option<Vec<u8>> {
    let read = std::fs::read(vectors()?.join(path));
    Some(read.unwrap_or_else(|error| panic!("vector {path}: {error}")))
}

/// Path and bytes of every file whose name ends so.
pub(crate) fn vectors_ending(suffix: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vectors().into_iter().collect();
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(suffix) {
                found.push((path.to_string_lossy().into_owned(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found
}

/// The cases of a folder, one in each folder below it: a case's name, a file of it, and another that it may have.
pub(crate) fn vector_cases(folder: &str, file: &str, optional: &str) -> Vec<(String, Vec<u8>, Option<Vec<u8>>)> {
    let Some(vectors) = vectors() else { return Vec::new() };
    let mut cases = Vec::new();
    for item in std::fs::read_dir(vectors.join(folder)).unwrap() {
        let path = item.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Ok(bytes) = std::fs::read(path.join(file)) {
            cases.push((name, bytes, std::fs::read(path.join(optional)).ok()));
        }
    }
    cases
}
