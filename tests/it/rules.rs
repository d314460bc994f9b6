//! `rules`, on the rules of kubernetes-mixin. `tests/data/rules/moves.test.yaml` proves with promtool what the result is good for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kube_state_fleet::commands;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rules").join(name)
}

/// Returns the exit code and the output.
fn rules(arguments: &[&str]) -> (ExitCode, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let line = ["kube-state-fleet", "rules"].iter().chain(arguments).map(Into::into);
    let code = commands::execute(line, &mut out, &mut err);
    (code, String::from_utf8(out).expect("text"), String::from_utf8(err).expect("text"))
}

#[test]
fn the_rules_of_kubernetes_mixin_are_rewritten_as_recorded() {
    let before = data("kubernetes-mixin.rules.yaml");
    let (code, out, err) = rules(&[before.to_str().expect("UTF-8")]);
    let file = data("kubernetes-mixin.rewritten.yaml");
    if std::env::var_os("WRITE_RULES").is_some() {
        fs::write(&file, &out).expect("written");
    }
    assert!(fs::read_to_string(&file).is_ok_and(|recorded| recorded == out), "WRITE_RULES=1 writes the new result");
    assert_eq!(code, ExitCode::SUCCESS, "{err}");
    assert!(err.ends_with("58 rules, 37 rewritten, 0 remarks\n") && err.lines().count() == 1, "{err}");
    // Nothing is left to do.
    let (_, again, err) = rules(&[file.to_str().expect("UTF-8")]);
    assert!(again == out && err.contains(" 0 rewritten, 0 remarks"), "{err}");
}

#[test]
fn files_are_printed_as_documents_or_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let rule = |name: &str| format!("groups:\n- rules:\n  - record: {name}\n    expr: kube_node_info\n");
    let files = ["a", "b"].map(|name| folder.path().join(name));
    for (file, name) in files.iter().zip(["a", "b"]) {
        fs::write(file, rule(name)).expect("written");
    }
    let names = files.each_ref().map(|file| file.to_str().expect("UTF-8"));
    let expected =
        ["a", "b"].map(|name| rule(name).replace("kube_node_info", "max without (replica) (kube_node_info)"));
    let (code, out, err) = rules(&["--labels=replica", names[0], names[1]]);
    assert_eq!((code, out), (ExitCode::SUCCESS, expected.join("---\n")), "{err}");
    let (code, out, err) = rules(&["--labels=replica", "--write", names[0], names[1]]);
    assert_eq!((code, out.as_str()), (ExitCode::SUCCESS, ""), "{err}");
    assert_eq!(files.map(|file| fs::read_to_string(file).expect("a file")), expected);
}

#[test]
fn a_wrong_file_or_flag_is_named() {
    let (code, out, err) = rules(&["/nowhere/at/all"]);
    assert_eq!((code, out.as_str()), (ExitCode::from(1), ""));
    assert!(err.contains("/nowhere/at/all: cannot be read"), "{err}");
    for (flag, reason) in [
        ("--labels=a-b", "not the name of a label"),
        ("--resolution=5x", "not a duration"),
        ("--honor-labels=maybe", "maybe"),
    ] {
        let (code, _, err) = rules(&[flag, "f.yaml"]);
        assert!(code == ExitCode::from(2) && err.contains(reason), "{flag}: {err}");
    }
}
