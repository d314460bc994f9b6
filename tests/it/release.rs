//! The parts of a release, and the files that the forge reads: workflows, owners, updates of dependencies.

use std::path::{Path, PathBuf};

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
    for wanted in ["ci", "nightly"] {
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
    let manifest = text("Cargo.toml");
    assert_eq!(manifest.matches(".invalid/").count(), 3, "the repository, the image and the chart");
    for name in
        ["Dockerfile", "manifests/chart/Chart.yaml", "manifests/chart/values.yaml", "README.md", "fuzz/Cargo.toml"]
    {
        assert!(!text(name).contains(".invalid"), "{name} names a placeholder");
    }
}
