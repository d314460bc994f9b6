//! Prints the findings, as text or as JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::commands::output::columns;
use crate::settings::custom::CustomResources;
use crate::shown;

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Rule {
    UnknownKey,
    ReservedLabel,
    RepeatedName,
    HiddenEntry,
    UnknownKind,
    InfoWithoutLabels,
    /// A path leads through or to a list or map.
    Path,
    /// A value is no number or state.
    Value,
    RepeatedSeries,
    NoSeries,
}

/// A finding.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub rule: Rule,
    /// That of the key, or of the entry.
    pub line: Option<u64>,
    /// The key of the config, or the name of the metric.
    pub key: String,
    /// The number of objects that show it; 0 if the config alone does.
    pub objects: u64,
    pub message: String,
}

/// The series of a metric with the objects of the dump.
#[derive(Debug, Serialize)]
pub(super) struct Family {
    #[serde(rename = "family")]
    pub name: String,
    pub kind: String,
    pub objects: u64,
    pub series: u64,
    /// The most series of one object.
    pub most: u64,
}

impl Family {
    pub fn new(name: &str, kind: &str) -> Self {
        Self { name: name.to_owned(), kind: kind.to_owned(), objects: 0, series: 0, most: 0 }
    }
}

/// The result.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub findings: Vec<Finding>,
    pub families: Vec<Family>,
}

/// Prints JSON.
pub(super) fn json(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}

/// Prints a line per finding, and a table of the metrics.
pub(super) fn table(out: &mut dyn Write, custom: &CustomResources, report: &Report) -> io::Result<()> {
    for Finding { line, key, objects, message, .. } in &report.findings {
        let mut text = custom.origin().to_owned();
        if let Some(line) = line {
            text.push_str(&format!(": line {line}"));
        }
        if !key.is_empty() {
            text.push_str(&format!(": {}", shown::value(key)));
        }
        text.push_str(&format!(": {message}"));
        match objects {
            0 => {}
            1 => text.push_str(" (1 object)"),
            many => text.push_str(&format!(" ({many} objects)")),
        }
        writeln!(out, "{}", shown::line(&text))?;
    }
    if report.families.is_empty() {
        return Ok(());
    }
    let rows = report.families.iter().map(|family| {
        let [objects, series, most] = [family.objects, family.series, family.most].map(|number| number.to_string());
        [family.name.clone(), shown::value(&family.kind), objects, series, most]
    });
    columns(out, ["family", "kind", "objects", "series", "most of one object"], rows)
}
