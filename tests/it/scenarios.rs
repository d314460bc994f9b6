//! Compares the output of `render` with that of kube-state-metrics, for a small varied cluster and many sets of flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::common::series;
use flate2::read::GzDecoder;
use kube_state_fleet::commands;
use serde::Deserialize;

#[derive(Deserialize)]
struct Scenario {
    flags: Vec<String>,
    custom_resource_state: Option<String>,
    /// Whether the scenario needs versions of objects that are not in the dump.
    live: bool,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/scenarios")
}

fn unzipped(name: &str) -> String {
    let path = folder().join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("scenarios are gzipped UTF-8");
    text
}

/// The number of occurrences of each series regardless of the order of its labels, and the type of each family.
struct Exposition {
    series: BTreeMap<String, usize>,
    types: BTreeMap<String, String>,
}

impl Exposition {
    fn parse(text: &str) -> Self {
        let (mut series, mut types) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (family, kind) = rest.split_once(' ').expect("a type");
                assert!(types.insert(family.to_owned(), kind.to_owned()).is_none(), "{family} is there twice");
            } else if !line.starts_with('#') {
                *series.entry(canonical(line)).or_default() += 1;
            }
        }
        Self { series, types }
    }

    fn without(&self, other: &Self) -> Vec<&String> {
        self.series.iter().filter(|(s, n)| other.series.get(*s).is_none_or(|m| m < n)).map(|(s, _)| s).collect()
    }
}

/// Returns a series with sorted labels.
fn canonical(line: &str) -> String {
    let (name, mut labels, value) = series::split(line);
    let value: f64 = value.parse().expect("a number");
    labels.sort_unstable();
    format!("{name}{{{}}} {value}", labels.join(","))
}

fn rendered(flags: &[String], file: &Path) -> String {
    let args = ["kube-state-fleet", "render"].into_iter().map(OsString::from);
    let args = args.chain(flags.iter().map(OsString::from)).chain([file.into()]);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = commands::execute(args, &mut out, &mut err);
    assert_eq!(code, ExitCode::SUCCESS, "{flags:?}: {}", String::from_utf8_lossy(&err));
    String::from_utf8(out).expect("an exposition is UTF-8")
}

#[test]
fn output_equals_that_of_kube_state_metrics_for_all_flags() {
    let mut cluster = tempfile::NamedTempFile::new().expect("a temporary file");
    cluster.write_all(unzipped("cluster.json.gz").as_bytes()).expect("room for the cluster");
    let mut names: Vec<_> = std::fs::read_dir(folder())
        .expect("the scenarios")
        .filter_map(|entry| entry.expect("an entry").file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .collect();
    names.sort();
    let (mut problems, mut compared) = (Vec::new(), 0);
    for name in names {
        let scenario = std::fs::read(folder().join(format!("{name}.json"))).expect("a scenario");
        let mut scenario: Scenario = serde_json::from_slice(&scenario).expect("a scenario is JSON");
        // Wildcards need the API server to list the kinds. An end-to-end case covers them.
        if scenario.live {
            continue;
        }
        if let Some(config) = &scenario.custom_resource_state {
            scenario.flags.push(format!("--custom-resource-state-config-file={}", folder().join(config).display()));
        }
        compared += 1;
        let expected = Exposition::parse(&unzipped(&format!("{name}.prom.gz")));
        let actual = Exposition::parse(&rendered(&scenario.flags, cluster.path()));
        problems.extend(expected.without(&actual).iter().map(|s| format!("{name}: - {s}")));
        problems.extend(actual.without(&expected).iter().map(|s| format!("{name}: + {s}")));
        for (family, kind) in &expected.types {
            let has_series = expected.series.keys().any(|s| s.split('{').next() == Some(family));
            if has_series && actual.types.get(family) != Some(kind) {
                problems.push(format!("{name}: {family} is {:?}, not {kind}", actual.types.get(family)));
            }
        }
    }
    assert!(compared >= 14, "{compared} scenarios");
    for problem in problems.iter().take(20) {
        println!("{problem}");
    }
    assert!(problems.is_empty(), "{} differences", problems.len());
}
