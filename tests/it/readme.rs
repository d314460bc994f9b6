//! Runs the commands of the README and of `docs/selecting.md` that need no cluster, and compares their output with the page. The test binary
//! replaces `cargo run`, and a script that prints a dump replaces `kubectl`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const README: &str = include_str!("../../README.md");
const SELECTING: &str = include_str!("../../docs/selecting.md");
const TENANTS: &str = include_str!("../../docs/tenants.md");

/// The output of `kubectl get deployments -A -o yaml`.
const DUMP: &str = "\
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: shop, uid: 0c5a3c1e-6d7c-4f0e-9a53-5d3f0b1c7a11, generation: 4}
  spec: {replicas: 3}
  status: {replicas: 3, readyReplicas: 3}
";

/// A block of commands, with its mark and the output that follows.
struct Block<'a> {
    mark: &'a str,
    commands: &'a str,
    output: Option<&'a str>,
}

fn blocks() -> Vec<Block<'static>> {
    blocks_of(README)
}

fn blocks_of(page: &str) -> Vec<Block<'_>> {
    let mut parts = page.split("```console\n");
    let mut before = parts.next().expect("a beginning");
    let mut blocks = Vec::new();
    for part in parts {
        let (commands, rest) = part.split_once("```\n").expect("the block ends");
        let mark = before.trim_end().lines().last().unwrap_or_default();
        let output = rest.trim_start().strip_prefix("```text\n").and_then(|text| Some(text.split_once("```\n")?.0));
        blocks.push(Block { mark, commands, output });
        before = rest;
    }
    blocks
}

/// Programs under the names that the README calls, in a directory of their own.
struct Shims {
    directory: tempfile::TempDir,
}

impl Shims {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let shims = Self { directory };
        let program = env!("CARGO_BIN_EXE_kube-state-fleet");
        shims.add("bin/cargo", &format!("while [ \"$1\" != -- ]; do shift; done; shift; exec '{program}' \"$@\""));
        shims.add("target/release/kube-state-fleet", &format!("exec '{program}' \"$@\""));
        std::fs::write(shims.path("dump.yaml"), DUMP).expect("room for a file");
        shims.add("bin/kubectl", &format!("cat '{}'", shims.path("dump.yaml").display()));
        shims
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn add(&self, name: &str, script: &str) {
        let file = self.path(name);
        std::fs::create_dir_all(file.parent().unwrap_or(Path::new("/"))).expect("a directory");
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("room for a file");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// Runs the commands of a block in a shell, as in a clone with a built program.
    fn start(&self, commands: &str) -> Child {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        Command::new("sh")
            .args(["-euc", commands])
            .current_dir(self.directory.path())
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell")
    }
}

/// Numbers and the widths of columns differ from run to run.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for c in line.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match c {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            c => shape.push(c),
        }
    }
    shape
}

/// The topics of lines that begin with a time.
fn happened<'a>(lines: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let told = lines.into_iter().filter(|line| line.starts_with("    "));
    told.filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect()
}

#[test]
fn every_block_says_whether_it_is_tested() {
    let marks: BTreeSet<_> = blocks().iter().map(|block| block.mark).collect();
    let known = ["<!-- needs a cluster -->", "<!-- takes long -->", "<!-- tested -->"];
    assert_eq!(marks, known.into());
}

#[test]
fn the_demo_matches_the_readme() {
    let blocks = blocks();
    let block = blocks.iter().find(|block| block.commands.contains("-- demo")).expect("the demo is shown");
    assert_eq!(block.mark, "<!-- tested -->");
    let shown: Vec<&str> = block.output.expect("with its output").lines().collect();
    let introduction = shown.iter().position(|line| line.starts_with("The cluster is running")).expect("it lives") + 1;
    let wanted = happened(shown[introduction..].iter().copied());
    assert!(wanted.len() >= 5, "{wanted:?}");

    let shims = Shims::new();
    let mut demo = shims.start(block.commands);
    let lines = BufReader::new(demo.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let mut keys = demo.stdin.take().expect("a pipe");
    let mut printed = Vec::new();
    // A slow machine says how far it is before.
    for line in lines.skip_while(|line| !line.starts_with("A simulated cluster")) {
        printed.push(line);
        if printed.len() == introduction {
            keys.write_all(b"+").expect("it listens");
        }
        if printed.len() > introduction && happened(printed.iter().map(String::as_str)).is_superset(&wanted) {
            break;
        }
        assert!(printed.len() < 200, "not all of {wanted:?} happens: {printed:#?}");
    }
    keys.write_all(b"q").expect("it listens");
    assert!(demo.wait().expect("it ends").success(), "a key ends it");
    let shapes = |lines: &[&str]| lines.iter().map(|line| shape(line)).collect::<Vec<_>>();
    let printed: Vec<&str> = printed.iter().map(String::as_str).collect();
    assert_eq!(shapes(&printed[..introduction]), shapes(&shown[..introduction]));
}

#[test]
fn the_rendered_output_matches_the_readme() {
    let blocks = blocks();
    let tested = blocks.iter().filter(|block| block.mark == "<!-- tested -->" && !block.commands.contains("demo"));
    let shims = Shims::new();
    let mut count = 0;
    for block in tested {
        let output = shims.start(block.commands).wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", block.commands);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            block.output.expect("with its output"),
            "{}",
            block.commands
        );
        count += 1;
    }
    assert!(count >= 1, "no block is tested");
}

#[test]
fn the_examples_of_selecting_print_what_the_page_shows() {
    examples_print_what_the_page_shows(SELECTING, "shop.yaml");
}

#[test]
fn the_examples_of_labels_of_namespaces_print_what_the_page_shows() {
    examples_print_what_the_page_shows(TENANTS, "teams.yaml");
}

/// Runs the tested examples of a page, which shows the objects of this file.
fn examples_print_what_the_page_shows(page: &str, file: &str) {
    let shims = Shims::new();
    let (_, rest) = page.split_once(&format!("in `{file}`:\n\n```yaml\n")).expect("the page shows its objects");
    let (objects, _) = rest.split_once("```\n").expect("they end");
    std::fs::write(shims.path(file), objects).expect("room for a file");
    shims.add("bin/kube-state-fleet", &format!("exec '{}' \"$@\"", env!("CARGO_BIN_EXE_kube-state-fleet")));
    let blocks = blocks_of(page);
    let tested: Vec<_> = blocks.iter().filter(|block| block.mark == "<!-- tested -->").collect();
    assert!(!tested.is_empty());
    for block in tested {
        let output = shims.start(block.commands).wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", block.commands);
        let shown = block.output.expect("with its output");
        assert_eq!(String::from_utf8_lossy(&output.stdout), shown, "{}", block.commands);
    }
}
