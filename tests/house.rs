//! The house itself: who may lean on whom, what each floor may not name, and whether the README still tells the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every arrow between crates of ours, as the design draws them.
const ARROWS: &[(&str, &[&str])] = &[
    ("sealwatch", &["bundle", "monitor", "outbound", "sandbox", "signer", "store", "tlog", "watcher"]),
    ("watcher", &["bundle", "outbound", "signer", "store"]),
    ("signer", &["bundle", "outbound", "tlog"]),
    ("monitor", &["bundle", "outbound", "store", "tlog"]),
    ("sandbox", &["bundle", "tlog"]),
    ("store", &["bundle", "tlog"]),
    ("bundle", &["tlog"]),
    ("outbound", &[]),
    ("tlog", &[]),
];

/// What tests may lean on besides.
const ARROWS_OF_TESTS: &[(&str, &[&str])] =
    &[("watcher", &["sandbox", "tlog"]), ("signer", &["sandbox"]), ("monitor", &["sandbox"])];

/// The floors without I/O, clock or async.
const PURE: &[&str] = &["monitor/tlog/src", "signer/bundle/src"];
const NOT_ON_PURE_FLOORS: &[&str] =
    &["tokio", "reqwest", "hyper", "sqlx", "std::fs", "std::net", "SystemTime", "Instant::now", "async fn"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(under: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![under.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the house").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if name != "target" && name != "fuzz" && !name.to_string_lossy().starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The product's lines of a file: without comments, and without the tests at its end.
fn product_lines(path: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(path).expect("a source file");
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(n, line)| (n + 1, line.to_owned()))
        .collect()
}

fn is_test_file(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/tests/")
        || text.contains("/fixture")
        || text.ends_with("/tests.rs")
        || text.contains("/benches/")
        || text.contains("/examples/")
}

fn house_crates() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    packages
        .iter()
        .map(|package| {
            let (mut normal, mut tests) = (BTreeSet::new(), BTreeSet::new());
            for dependency in package["dependencies"].as_array().expect("dependencies") {
                let name = dependency["name"].as_str().expect("a name");
                if ours.contains(name) {
                    if dependency["kind"] == "dev" {
                        tests.insert(name.to_owned())
                    } else {
                        normal.insert(name.to_owned())
                    };
                }
            }
            (package["name"].as_str().expect("a name").to_owned(), (normal, tests))
        })
        .collect()
}

#[test]
fn the_arrows_are_those_of_the_design() {
    let crates = house_crates();
    let names: BTreeSet<&str> = crates.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ARROWS.iter().map(|(name, _)| *name).collect(),
        "a crate is new or gone: change ARROWS, the README, and nothing else in that commit"
    );
    for (name, allowed) in ARROWS {
        let (normal, tests) = &crates[*name];
        let allowed: BTreeSet<String> = allowed.iter().map(|s| (*s).to_owned()).collect();
        let extra: Vec<_> = normal.difference(&allowed).collect();
        assert!(extra.is_empty(), "{name} may not lean on {extra:?}");
        let of_tests: BTreeSet<String> = ARROWS_OF_TESTS
            .iter()
            .filter(|(n, _)| n == name)
            .flat_map(|(_, list)| list.iter().map(|s| (*s).to_owned()))
            .collect();
        let extra: Vec<_> = tests.difference(&of_tests).filter(|t| !allowed.contains(*t)).collect();
        assert!(extra.is_empty(), "the tests of {name} may not lean on {extra:?}");
    }
}

#[test]
fn only_the_store_contains_sql() {
    let mut wrong = Vec::new();
    for file in rust_files(&root()) {
        let relative = file.strip_prefix(root()).expect("inside").to_string_lossy().into_owned();
        if relative.starts_with("watcher/store/") || is_test_file(&file) || relative.starts_with("tests/") {
            continue;
        }
        for (n, line) in product_lines(&file) {
            let words = ["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "sqlx::", "use sqlx"];
            if words.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{relative}:{n}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "SQL outside watcher/store:\n{}", wrong.join("\n"));
}

#[test]
fn only_outbound_names_reqwest() {
    let mut wrong = Vec::new();
    for file in rust_files(&root()) {
        let relative = file.strip_prefix(root()).expect("inside").to_string_lossy().into_owned();
        if !relative.starts_with("watcher/outbound/")
            && !relative.starts_with("tests/")
            && product_lines(&file).iter().any(|(_, line)| line.contains("reqwest"))
        {
            wrong.push(relative);
        }
    }
    assert!(wrong.is_empty(), "reqwest outside watcher/outbound: {wrong:?}");
}

#[test]
fn the_pure_floors_know_no_world() {
    let mut wrong = Vec::new();
    for floor in PURE {
        for file in rust_files(&root().join(floor)).into_iter().filter(|f| !is_test_file(f)) {
            for (n, line) in product_lines(&file) {
                if let Some(word) = NOT_ON_PURE_FLOORS.iter().find(|word| line.contains(**word)) {
                    wrong.push(format!("{}:{n}: {word}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_sample_parses() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("deploy/samples")).expect("deploy/samples").flatten() {
        if entry.path().extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let output = Command::new(env!("CARGO_BIN_EXE_sealwatch"))
            .args(["config", "check", "--file-only", "-c"])
            .arg(entry.path())
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{}: {}", entry.path().display(), String::from_utf8_lossy(&output.stderr));
        seen += 1;
    }
    assert!(seen >= 3, "deploy/samples has only {seen} files");
}

/// The README's map: the lines of its first code block below `## The map`, each a path and what it holds.
fn map() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let section = readme.split("## The map").nth(1).expect("the README has `## The map`");
    let block = section.split("```").nth(1).expect("a code block below `## The map`");
    block.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_readmes_map_and_the_folders_agree() {
    let map: BTreeSet<String> = map().into_iter().collect();
    for path in &map {
        assert!(root().join(path).exists(), "the README's map names {path}, which is not there");
    }
    let listing = Command::new("git").args(["ls-files"]).current_dir(root()).output().expect("git ls-files");
    let files = String::from_utf8_lossy(&listing.stdout).into_owned();
    let mut rooms: BTreeSet<String> = BTreeSet::new();
    for file in files.lines().filter(|f| !f.starts_with('.')) {
        match file.split_once('/') {
            Some((folder, _)) => rooms.insert(format!("{folder}/")),
            None => rooms.insert(file.to_owned()),
        };
        if let Some(folder) = file.strip_suffix("/Cargo.toml").filter(|folder| !folder.ends_with("/fuzz")) {
            rooms.insert(format!("{folder}/"));
        }
    }
    for room in rooms {
        // A folder that only holds rooms needs no line of its own.
        let listed = map.contains(&room) || map.iter().any(|line| line.starts_with(&room) && line != &room);
        assert!(listed, "{room} is not in the README's map");
    }
}

#[test]
fn files_stay_small_and_say_what_they_hold() {
    let mut wrong = Vec::new();
    for file in rust_files(&root()) {
        let text = std::fs::read_to_string(&file).expect("a source file");
        if text.lines().count() > 600 {
            wrong.push(format!("{} has {} lines; 600 is the most", file.display(), text.lines().count()));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{} does not begin by saying what it holds (`//!`)", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_for_later_in_silence() {
    let mut wrong = Vec::new();
    for file in rust_files(&root()) {
        if file.ends_with("tests/house.rs") {
            continue;
        }
        for (n, line) in std::fs::read_to_string(&file).expect("a source file").lines().enumerate() {
            if ["todo!(", "unimplemented!(", "#[ignore"].iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{}: {}", file.display(), n + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_schemas_of_both_databases_have_the_same_migrations() {
    let names = |folder: &str| -> BTreeSet<String> {
        std::fs::read_dir(root().join("migrations").join(folder))
            .expect("migrations")
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect()
    };
    let sqlite = names("sqlite");
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, names("postgres"));
}
