//! `migrate --values`, with each value of kube-state-metrics' chart. The end-to-end case `manifests` renders the chart with the output.

use std::collections::BTreeMap;
use std::process::ExitCode;

use kube_state_fleet::commands;
use serde_json::{Map, Value};

/// The values of that chart with their defaults, and what each must do in this project's chart.
const TABLE: &str = include_str!("../data/chart-values.yaml");

type Values = BTreeMap<String, Value>;

/// Runs the command. Returns whether it succeeds, its output, and the values in it.
fn migrate(values: &Value) -> (bool, String, Value) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), values.to_string()).expect("written");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let line = ["kube-state-fleet".into(), "migrate".into(), "--values".into(), file.path().into()];
    let code = commands::execute(line, &mut out, &mut err);
    let out = String::from_utf8(out).expect("text");
    assert!(err.is_empty(), "{}", String::from_utf8_lossy(&err));
    let printed = serde_saphyr::from_str(&out).unwrap_or_else(|error| panic!("{error}:\n{out}"));
    (code == ExitCode::SUCCESS, out, printed)
}

fn nested(values: &Values) -> Value {
    let mut nested = Value::Object(Map::new());
    for (name, value) in values {
        let place = name.split('.').fold(&mut nested, |place, part| &mut place[part]);
        *place = value.clone();
    }
    nested
}

fn text(row: &Value, key: &str) -> Option<String> {
    row[key].as_str().map(str::to_owned)
}

#[test]
fn each_value_of_kube_state_metrics_chart_is_kept_or_refused_by_name() {
    let rows: Vec<Value> = serde_saphyr::from_str(TABLE).expect("YAML");
    let defaults = rows.iter().filter(|row| row.get("default").is_some());
    let defaults: Values = defaults.map(|row| (text(row, "value").expect("a name"), row["default"].clone())).collect();
    assert_eq!(defaults.len(), 185);
    let (is_complete, out, printed) = migrate(&nested(&defaults));
    assert!(is_complete, "{out}");
    assert_eq!((&printed["replicas"], &printed["autosharding"]["enabled"]), (&1.into(), &false.into()));

    let mut kept = 0;
    for row in &rows {
        let name = text(row, "value").expect("a name");
        let with = row["with"].as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
        let mut values: Values = defaults.clone().into_iter().chain(with).collect();
        values.insert(name.clone(), row["set"].clone());
        let (is_complete, out, printed) = migrate(&nested(&values));
        let now = name.split('.').fold(&printed, |place, part| &place[part]);
        match name.as_str() {
            // Where kube-state-metrics' image is says nothing about this one.
            "image.repository" | "image.tag" | "image.sha" => assert!(is_complete && now.is_null(), "{name}: {out}"),
            // A ServiceMonitor can have it.
            "prometheus.monitor.bearerTokenFile" => {
                assert_eq!((now, &printed["prometheus"]["monitor"]["kind"]), (&row["set"], &"ServiceMonitor".into()));
            }
            _ if row["refused"].is_string() => {
                let parent = name.split('.').next().unwrap_or_default();
                let refused = format!("# REFUSED: {parent}");
                assert!(!is_complete && out.contains(&refused) && *now != row["set"], "{name}: {out}");
            }
            _ => {
                assert!(is_complete, "{name}: {out}");
                assert_eq!(now, &row["set"], "{name}");
                kept += 1;
            }
        }
    }
    assert!(kept > 150, "{kept}");
}
