//! The walls of the house, checked from its own files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above").to_path_buf()
}

fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, extension: &str, into: &mut Vec<(String, String)>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                walk(&path, extension, into);
            } else if path.extension().is_some_and(|e| e == extension) {
                let text = fs::read_to_string(&path).expect("a readable file");
                into.push((path.strip_prefix(root()).unwrap_or(&path).display().to_string(), text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), extension, &mut found);
    assert!(!found.is_empty(), "{folder} holds no .{extension} file");
    found.sort();
    found
}

/// Code lines of `text`: no comments, no strings of documentation.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line.split("//").next().unwrap_or("")))
}

/// `text` without the test module at its end.
fn own(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("")
}

fn nowhere(folder: &str, forbidden: &[&str]) {
    for (path, text) in files(folder, "rs") {
        for (number, line) in code(own(&text)) {
            for word in forbidden {
                assert!(!line.contains(word), "{path}:{number}: {word} may not stand here: {line}");
            }
        }
    }
}

#[test]
fn the_adapter_knows_nothing_of_the_software_body() {
    nowhere(
        "model/src/vic",
        &["crate::vmxnet3", "crate::hypervisor", "crate::machine", "crate::migrate", "crate::guest"],
    );
}

#[test]
fn the_software_body_knows_nothing_of_the_adapter() {
    nowhere(
        "model/src/vmxnet3",
        &["crate::vic", "crate::hypervisor", "crate::machine", "crate::migrate", "crate::guest"],
    );
    nowhere("model/src/vmxnet3", &["spec::vic"]);
}

#[test]
fn guests_see_only_the_specification_and_their_port() {
    nowhere(
        "model/src/guest",
        &["crate::vic", "crate::vmxnet3", "crate::hypervisor", "crate::machine", "crate::migrate", "crate::plane"],
    );
}

#[test]
fn specification_and_models_touch_no_clock_thread_file_or_socket() {
    for folder in ["spec/src", "model/src"] {
        nowhere(
            folder,
            &["std::time", "std::thread", "std::net", "std::env", "std::process", "std::io", "HashMap", "HashSet"],
        );
        for (path, text) in files(folder, "rs").into_iter().filter(|(path, _)| !path.contains("/tests")) {
            for (number, line) in code(own(&text)) {
                assert!(!line.contains("std::fs"), "{path}:{number}: {line}");
            }
        }
    }
}

#[test]
fn specification_and_models_forbid_unsafe() {
    for name in ["spec", "model"] {
        let lib = fs::read_to_string(root().join(name).join("src/lib.rs")).expect("a lib.rs");
        assert!(lib.contains("#![forbid(unsafe_code)]"), "{name}");
        for (path, text) in files(&format!("{name}/src"), "rs") {
            for (number, line) in code(&text) {
                assert!(!line.contains("unsafe") || line.contains("forbid(unsafe_code)"), "{path}:{number}: {line}");
            }
        }
    }
}

#[test]
fn dependencies_point_one_way() {
    let order = ["spec", "model", "golden", "tests", "fuzz"];
    let crates = [
        ("spec", "vnic-spec"),
        ("model", "vnic-model"),
        ("golden", "vnic-golden"),
        ("tests", "vnic"),
        ("fuzz", "vnic-fuzz"),
    ];
    for (at, folder) in order.iter().enumerate() {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        for (later, package) in crates.iter().skip(at + 1) {
            for line in manifest.lines().map(str::trim) {
                let depends = line.starts_with(&format!("{later}."))
                    || line.starts_with(&format!("{later} ="))
                    || line.starts_with(&format!("{package} ="));
                assert!(!depends || *folder == "tests" && *later == "fuzz", "{folder}/Cargo.toml: {line}");
            }
        }
    }
}

/// Paths named by `path = ".."` in sections headed `section`.
fn built(manifest: &str, section: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(manifest)).expect("a manifest");
    let mut inside = false;
    let mut paths = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == section;
        } else if inside && let Some(path) = line.strip_prefix("path = ") {
            paths.insert(path.trim_matches('"').to_string());
        }
    }
    paths
}

fn named(folder: &str, deep: bool) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    let mut found = BTreeSet::new();
    for entry in entries.map(|entry| entry.expect("a readable folder").path()) {
        let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
        if entry.extension().is_some_and(|e| e == "rs") {
            found.insert(name);
        } else if deep && name != "src" && entry.join("main.rs").exists() {
            found.insert(format!("{name}/main.rs"));
        }
    }
    found
}

#[test]
fn every_test_file_is_a_test_binary() {
    assert_eq!(built("tests/Cargo.toml", "[[test]]"), named("tests", true));
}

#[test]
fn every_bench_is_built() {
    let files: BTreeSet<_> = named("tests/benches", false).into_iter().map(|name| format!("benches/{name}")).collect();
    assert!(!files.is_empty());
    assert_eq!(built("tests/Cargo.toml", "[[bench]]"), files);
}

#[test]
fn every_fuzz_target_is_built_and_has_a_corpus() {
    let files: BTreeSet<_> =
        named("fuzz/fuzz_targets", false).into_iter().map(|name| format!("fuzz_targets/{name}")).collect();
    assert!(!files.is_empty());
    assert_eq!(built("fuzz/Cargo.toml", "[[bin]]"), files);
    for file in files {
        let name = file.trim_start_matches("fuzz_targets/").trim_end_matches(".rs").to_string();
        let corpus = root().join("fuzz/corpus").join(&name);
        assert!(
            fs::read_dir(&corpus).is_ok_and(|mut entries| entries.next().is_some()),
            "{} is empty",
            corpus.display()
        );
    }
}

#[test]
fn repository_text_names_no_workplace() {
    for folder in ["spec", "model", "golden/src", "tests", "fuzz"] {
        for (path, text) in files(folder, "rs") {
            for (number, line) in text.lines().enumerate() {
                let workplace = ["/wo", "rk/"].concat();
                assert!(!line.contains(&workplace), "{path}:{}: {line}", number + 1);
            }
        }
    }
}
