//! Runs the examples of docs/pods.md.

use std::process::Command;

const PAGE: &str = include_str!("../../docs/pods.md");

#[test]
fn the_example_of_the_page_shows_these_series() {
    let object = PAGE.split("```yaml\n").find(|part| part.starts_with("apiVersion")).expect("an object");
    let (object, rest) = object.split_once("```\n").expect("the block ends");
    let (_, output) = rest.split_once("```text\n").expect("its series");
    let (expected, _) = output.split_once("```").expect("the block ends");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("pod.yaml");
    std::fs::write(&file, object).expect("room for a file");
    let (_, config_of_page) = PAGE.split_once("```yaml\nmetric_opt_in_list").expect("a config");
    let (config_of_page, _) = config_of_page.split_once("```").expect("the block ends");
    let config = directory.path().join("config.yaml");
    std::fs::write(&config, format!("metric_opt_in_list{config_of_page}")).expect("room for a file");
    let output = Command::new(env!("CARGO_BIN_EXE_kube-state-fleet"))
        .args(["render", "--metric-allowlist=kube_state_fleet_pod_.*"])
        .arg(format!("--config={}", config.display()))
        .arg(&file)
        .output()
        .expect("it starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let shown: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(shown.join("\n"), expected.trim_end(), "{}", String::from_utf8_lossy(&output.stderr));
}
