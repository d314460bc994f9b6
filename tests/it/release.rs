//! The parts of a release, and the files that the forge reads: workflows, owners, updates of dependencies.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The workflows with their paths.
fn workflows() -> Vec<(String, Value)> {
    let mut files: Vec<_> = std::fs::read_dir(path(".github/workflows")).unwrap().map(|entry| entry.unwrap()).collect();
    files.sort_by_key(std::fs::DirEntry::path);
    let read = |entry: std::fs::DirEntry| {
        let name = format!(".github/workflows/{}", entry.file_name().to_str().unwrap());
        let workflow = serde_saphyr::from_str(&text(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        (name, workflow)
    };
    files.into_iter().map(read).collect()
}

/// The steps of all workflows, each with the path of its workflow.
fn steps() -> Vec<(String, Value)> {
    let mut steps = Vec::new();
    for (name, workflow) in workflows() {
        for job in workflow["jobs"].as_object().unwrap_or_else(|| panic!("{name} has no jobs")).values() {
            assert!(job["timeout-minutes"].is_u64(), "{name}: a job without a limit of its time");
            let of_job = job["steps"].as_array().unwrap_or_else(|| panic!("{name}: a job without steps"));
            steps.extend(of_job.iter().map(|step| (name.clone(), step.clone())));
        }
    }
    steps
}

/// Words of a shell command that name a file of the repository.
fn scripts_of(command: &str) -> Vec<&str> {
    let words = command.split_whitespace();
    words.filter(|word| word.starts_with("scripts/") || word.starts_with(".ci/")).collect()
}

#[test]
fn every_script_that_a_workflow_runs_exists() {
    let mut found = 0;
    for (name, step) in steps() {
        for script in step["run"].as_str().map(scripts_of).unwrap_or_default() {
            assert!(path(script).is_file(), "{name} runs {script}, which does not exist");
            found += 1;
        }
    }
    assert!(found >= 4, "the workflows run {found} scripts");
    let names: Vec<_> = workflows().into_iter().map(|(name, _)| name).collect();
    for wanted in ["ci", "nightly", "release"] {
        assert!(names.contains(&format!(".github/workflows/{wanted}.yml")), "{names:?}");
    }
}

#[test]
fn workflows_use_only_actions_of_github_at_a_full_commit_and_drop_permissions() {
    for (name, step) in steps() {
        let Some(uses) = step["uses"].as_str() else { continue };
        let (action, commit) = uses.split_once('@').unwrap_or_else(|| panic!("{name}: {uses} has no version"));
        assert!(action.starts_with("actions/"), "{name}: {uses} is of a third party");
        let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_commit, "{name}: {uses} is not pinned to a commit");
    }
    for (name, workflow) in workflows() {
        let permissions = workflow["permissions"].as_object().unwrap_or_else(|| panic!("{name} sets no permissions"));
        // A job that needs more asks for it.
        assert!(permissions.values().all(|level| level == "read"), "{name}: {permissions:?}");
    }
}

#[test]
fn the_updates_of_dependencies_cover_every_list() {
    let updates: Value = serde_saphyr::from_str(&text(".github/dependabot.yml")).unwrap();
    let mut covered = Vec::new();
    for update in updates["updates"].as_array().unwrap() {
        let file = match update["package-ecosystem"].as_str().unwrap() {
            "cargo" => "Cargo.toml",
            "gomod" => "go.mod",
            "docker" => "Dockerfile",
            "github-actions" => ".github/workflows/ci.yml",
            other => panic!("{other} is not known here"),
        };
        let several = update["directories"].as_array().into_iter().flatten();
        for directory in several.chain(update.get("directory")) {
            let listed = path(directory.as_str().unwrap().trim_start_matches('/')).join(file);
            assert!(listed.is_file(), "{} does not exist", listed.display());
            covered.push(listed);
        }
    }
    for directory in ["", "e2e", "fuzz", "scripts"] {
        let children = std::fs::read_dir(path(directory)).unwrap().map(|entry| entry.unwrap().path());
        for directory in children.chain([path(directory)]) {
            for file in ["Cargo.toml", "go.mod"] {
                let list = directory.join(file);
                assert!(!list.is_file() || covered.contains(&list), "{} is not updated", list.display());
            }
        }
    }
}

/// Addresses that do not exist yet are in one place.
#[test]
fn only_the_manifest_of_the_crate_names_addresses_of_the_project() {
    for name in
        ["Dockerfile", "manifests/chart/Chart.yaml", "manifests/chart/values.yaml", "README.md", "fuzz/Cargo.toml"]
    {
        assert!(!text(name).contains(".invalid"), "{name} names a placeholder");
    }
}

/// Runs a part of `scripts/release` with `input`. Returns whether it succeeded, and its output. None without Python, which CI has.
fn python(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let mut command = Command::new("python3");
    command.args(arguments).current_dir(path("")).env("SOURCE_DATE_EPOCH", "1700000000");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("skipped: python3: {error}");
            return None;
        }
        child => child.expect("CI has Python"),
    };
    // A part that does not read its input closes the pipe.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let printed = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(printed).expect("UTF-8")))
}

const CHANGELOG: &str = "\
# Changelog

## 0.3.0 (unreleased)

- [FEATURE] Later.

## 0.2.0 (2026-02-03)

**Metrics**

- [FIX] See [the page](docs/pods.md#resize), [here](#below) and [there](https://example.com/x).

## 0.1.0 (2026-01-02)
";

#[test]
fn release_notes_are_the_section_of_the_version() {
    let notes = |arguments: &[&str]| python(&[&["scripts/releasing/notes.py"], arguments].concat(), CHANGELOG);
    let Some((true, text)) = notes(&["0.2.0"]) else { return };
    let (before, after) = text.split_once("(https://").expect("a link to the repository");
    assert_eq!(before, "**Metrics**\n\n- [FIX] See [the page]");
    let rest = "/blob/v0.2.0/docs/pods.md#resize), [here](#below) and [there](https://example.com/x).\n";
    assert!(after.ends_with(rest), "{text}");
    for (arguments, problem) in [
        (["0.3.0"].as_slice(), "must end with a date"),
        (&["0.1.0"], "is empty"),
        (&["0.1"], "it has 0.3.0, 0.2.0, 0.1.0"),
        (&["0.1.0", "--unreleased"], "is empty"),
    ] {
        let (success, printed) = notes(arguments).expect("Python is here");
        assert!(!success && printed.contains(problem), "{arguments:?}: {printed}");
    }
    assert_eq!(notes(&["0.3.0", "--unreleased"]), Some((true, "- [FEATURE] Later.\n".to_owned())));
}

#[test]
fn all_files_name_the_version_of_the_crate() {
    let Some(result) = python(&["scripts/releasing/versions.py"], "") else { return };
    assert_eq!(result, (true, String::new()));
    let version = python(&["scripts/releasing/addresses.py", "version"], "");
    assert_eq!(version, Some((true, format!("{}\n", env!("CARGO_PKG_VERSION")))));
    let notes = ["scripts/releasing/notes.py", env!("CARGO_PKG_VERSION"), "--unreleased"];
    assert!(python(&notes, &text("CHANGELOG.md")).is_some_and(|(success, _)| success), "no section of this version");
}

/// The head of a 64-bit ELF program with one segment of the kind `segment`.
fn program(machine: u16, segment: u32) -> Vec<u8> {
    let mut elf = vec![0; 120];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18..20].copy_from_slice(&machine.to_le_bytes());
    elf[32..40].copy_from_slice(&64_u64.to_le_bytes());
    elf[54..58].copy_from_slice(&[56, 0, 1, 0]);
    elf[64..68].copy_from_slice(&segment.to_le_bytes());
    elf
}

/// Writes a root file system with a program, as `scripts/image-rootfs` does.
fn root_file_system(root: &Path, program: &[u8]) {
    for (name, content) in [
        ("kube-state-fleet", program),
        ("etc/ssl/certs/ca-certificates.crt", b"certificates"),
        ("licenses/LICENSE", b"license"),
        ("licenses/THIRD-PARTY.txt.gz", b"licenses"),
    ] {
        let file = root.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
    }
    std::fs::set_permissions(root.join("kube-state-fleet"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The files of a folder, with their contents.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.file_name().unwrap().into(), std::fs::read(&path).unwrap());
        }
    }
    found
}

const X86_64: u16 = 62;
const ARM64: u16 = 183;
const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;

/// Writes a layout of the given root file systems, and returns what the check says.
fn layout(folder: &Path, roots: &[(&str, &Path)]) -> Option<(bool, String)> {
    let folder = folder.to_str().unwrap();
    let roots: Vec<_> = roots.iter().map(|(name, root)| format!("{name}={}", root.display())).collect();
    let mut write = vec!["scripts/releasing/image.py", "write", folder, "0123456789abcdef"];
    write.extend(roots.iter().map(String::as_str));
    let (success, printed) = python(&write, "")?;
    assert!(success, "{printed}");
    python(&["scripts/releasing/image.py", "check", folder], "")
}

#[test]
fn the_image_has_user_entry_point_and_files_of_the_dockerfile_and_the_same_bytes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let [amd64, arm64, first, second] = ["amd64", "arm64", "first", "second"].map(|name| folder.path().join(name));
    root_file_system(&amd64, &program(X86_64, LOAD));
    root_file_system(&arm64, &program(ARM64, LOAD));
    let roots = [("arm64", arm64.as_path()), ("amd64", amd64.as_path())];
    let Some((success, printed)) = layout(&first, &roots) else { return };
    assert!(success, "{printed}");
    assert_eq!(printed.matches("user 65532:65532").count(), 2, "{printed}");
    // Files of another time.
    root_file_system(&amd64, &program(X86_64, LOAD));
    layout(&second, &roots);
    assert_eq!(contents(&first), contents(&second));

    let blobs = contents(&first);
    let json = |content: &[u8]| serde_json::from_slice::<Value>(content).ok();
    let configs: Vec<_> =
        blobs.values().filter_map(|blob| json(blob)).filter(|blob| !blob["config"]["User"].is_null()).collect();
    assert_eq!(configs.len(), 2);
    for config in configs {
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/kube-state-fleet"]));
        assert_eq!(config["created"], "2023-11-14T22:13:20Z", "the time of the commit");
        assert_eq!(config["config"]["Labels"]["org.opencontainers.image.revision"], "0123456789abcdef");
    }
}

#[test]
fn the_check_of_the_image_finds_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (root, image) = (folder.path().join("root"), folder.path().join("image"));
    let mut number = 0;
    let mut check = |program: &[u8], change: &dyn Fn(&Path)| {
        number += 1;
        let root = root.join(number.to_string());
        root_file_system(&root, program);
        change(&root);
        layout(&image, &[("amd64", &root)])
    };
    let good = program(X86_64, LOAD);
    if check(&good, &|_| ()).is_none() {
        return;
    }
    let unreadable = |root: &Path| {
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(root.join("kube-state-fleet"), mode).unwrap();
    };
    for (program, change, problem) in [
        (program(ARM64, LOAD), &(|_: &Path| ()) as &dyn Fn(&Path), "machine 183"),
        (program(X86_64, INTERPRETER), &|_| (), "needs a loader"),
        (b"#!/bin/sh".to_vec(), &|_| (), "not a 64-bit ELF"),
        (good.clone(), &unreadable, "has mode 644"),
        (good.clone(), &|root| std::fs::write(root.join("shell"), "x").unwrap(), "'shell'"),
        (good.clone(), &|root| std::fs::remove_dir_all(root.join("licenses")).unwrap(), "has the files"),
        (good.clone(), &|root| std::fs::write(root.join("licenses/LICENSE"), "").unwrap(), "a file is empty"),
        (good.clone(), &|root| std::fs::write(root.join("licenses/LICENSE"), vec![0; 25_000_000]).unwrap(), "limit"),
    ] {
        let (success, printed) = check(&program, change).expect("Python is here");
        assert!(!success && printed.contains(problem), "{problem}: {printed}");
    }

    let checked = || python(&["scripts/releasing/image.py", "check", image.to_str().unwrap()], "").unwrap();
    check(&good, &|_| ());
    assert!(checked().0);
    let blobs: Vec<_> =
        std::fs::read_dir(image.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for blob in blobs {
        let content = std::fs::read(&blob).unwrap();
        let mut other = content.clone();
        other[content.len() / 2] ^= 1;
        std::fs::write(&blob, other).unwrap();
        assert!(!checked().0, "{} may be changed", blob.display());
        std::fs::remove_file(&blob).unwrap();
        assert!(!checked().0, "{} may be missing", blob.display());
        std::fs::write(&blob, content).unwrap();
    }
    let arm64 =
        python(&["scripts/releasing/image.py", "check", image.to_str().unwrap(), "amd64", "arm64"], "").unwrap();
    assert!(!arm64.0 && arm64.1.contains("amd64"), "{}", arm64.1);
}

#[test]
fn the_manifest_of_the_plugin_names_each_archive_with_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    for (architecture, content) in [("amd64", "one"), ("arm64", "two")] {
        let name = format!("kube-state-fleet_{}_linux_{architecture}.tar.gz", env!("CARGO_PKG_VERSION"));
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let Some((success, printed)) = python(&["scripts/releasing/krew.py", folder.path().to_str().unwrap()], "") else {
        return;
    };
    assert!(success, "{printed}");
    let manifest: Value = serde_saphyr::from_str(&printed).unwrap_or_else(|e| panic!("{e}: {printed}"));
    assert_eq!(manifest["metadata"]["name"], "ksf");
    assert_eq!(manifest["spec"]["version"], concat!("v", env!("CARGO_PKG_VERSION")));
    // krew requires these, and no period at the end of the short description.
    for key in ["homepage", "shortDescription", "description", "caveats"] {
        assert!(manifest["spec"][key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    let short = manifest["spec"]["shortDescription"].as_str().unwrap();
    assert!(short.len() <= 50 && !short.ends_with('.'), "{short}");
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    let digests: Vec<_> = platforms.iter().map(|platform| &platform["sha256"]).collect();
    assert_eq!(
        digests,
        [
            "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
            "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3",
        ]
    );
    for (platform, architecture) in platforms.iter().zip(["amd64", "arm64"]) {
        assert_eq!(platform["selector"]["matchLabels"], serde_json::json!({"os": "linux", "arch": architecture}));
        assert!(platform["uri"].as_str().unwrap().ends_with(&format!("_linux_{architecture}.tar.gz")));
        assert_eq!(platform["bin"], "kubectl-ksf");
        assert_eq!(platform["files"][0], serde_json::json!({"from": "kube-state-fleet", "to": "kubectl-ksf"}));
    }
}

#[test]
fn publishing_sends_what_was_checked_and_the_image_first() {
    let folder = tempfile::tempdir().unwrap();
    let [amd64, arm64, release] = ["amd64", "arm64", "release"].map(|name| folder.path().join(name));
    root_file_system(&amd64, &program(X86_64, LOAD));
    root_file_system(&arm64, &program(ARM64, LOAD));
    std::fs::create_dir(&release).unwrap();
    if layout(&release.join("image"), &[("amd64", &amd64), ("arm64", &arm64)]).is_none() {
        return;
    }
    std::fs::write(release.join("release-notes.md"), "foobar\n").unwrap();
    let sum = "aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f  release-notes.md\n";
    std::fs::write(release.join("SHA256SUMS"), sum).unwrap();
    let publish = || {
        let mut command = Command::new("scripts/publish");
        let output = command.arg("--print").arg(&release).current_dir(path("")).output().expect("a script");
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8"))
    };
    let (success, printed) = publish();
    assert!(success, "{printed}");
    let places = ["skopeo copy", "helm push", "gh release create"].map(|command| printed.find(command).expect(command));
    assert!(places.is_sorted(), "{printed}");
    assert!(printed.contains("/release-notes.md\n") && printed.contains("/SHA256SUMS "), "{printed}");

    std::fs::write(release.join("release-notes.md"), "other\n").unwrap();
    let (success, printed) = publish();
    assert!(!success && printed.contains("release-notes.md: FAILED"), "{printed}");
}

#[test]
fn a_release_refuses_placeholders() {
    let Some((success, printed)) = python(&["scripts/releasing/addresses.py", "--check"], "") else { return };
    let has_placeholders = text("Cargo.toml").contains(".invalid/");
    assert_eq!(success, !has_placeholders, "{printed}");
    assert!(success || printed.starts_with("Cargo.toml: placeholders instead of addresses: "), "{printed}");
}
