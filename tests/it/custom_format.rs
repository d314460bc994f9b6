//! The examples of docs/custom-resources.md: what the program prints for them is what the page shows.

use std::path::Path;
use std::process::{Command, Output};

const PAGE: &str = include_str!("../../docs/custom-resources.md");

/// The blocks of code of the page, with their languages.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'))
}

/// The block of YAML that begins with the name of its file.
fn file(name: &str) -> &'static str {
    let head = format!("# {name}\n");
    let found = blocks().find_map(|(language, text)| (language == "yaml").then(|| text.strip_prefix(head.as_str()))?);
    found.unwrap_or_else(|| panic!("the page has no {name}"))
}

fn program(directory: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_kube-state-fleet"));
    program.current_dir(directory).args(arguments).output().expect("the program starts")
}

/// A directory with the given files of the page.
fn directory(files: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for name in files {
        std::fs::write(directory.path().join(name), file(name)).expect("room for a file");
    }
    directory
}

#[test]
fn the_example_of_the_richer_format_prints_what_the_page_shows() {
    let directory = directory(&["routes.yaml", "route.yaml"]);
    let arguments = ["render", "--custom-resource-state-config-file=routes.yaml", "route.yaml"];
    let Output { stdout, stderr, status } = program(directory.path(), &arguments);
    assert!(status.success());
    assert_eq!(String::from_utf8_lossy(&stderr), "", "no remarks");
    let fixed = "customresource_group=\"example.com\",customresource_kind=\"Route\",customresource_version=\"v1\",";
    let text = String::from_utf8(stdout).expect("UTF-8").replace(fixed, "");
    let series: Vec<_> = text.lines().filter(|line| line.starts_with("route_")).collect();
    let shown =
        blocks().find(|(language, text)| *language == "text" && text.starts_with("route_")).expect("an output").1;
    assert_eq!(series, shown.lines().collect::<Vec<_>>());
}
