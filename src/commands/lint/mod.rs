//! `lint-custom-resources`: checks a config of custom resources, alone and against the objects of a dump.
//!
//! A config that parses may still serve nothing: kube-state-metrics ignores unknown keys and paths that lead nowhere. The findings come
//! from the compiled config and from the collectors that serve it; [`report`] prints them.

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::cli::{LintCustomResources, Output};
use super::render::{self, input};
use crate::collectors::custom::{CustomCollector, GroupVersionKind, Metric, NO_VALUE};
use crate::file::ReadError;
use crate::settings::custom::{CustomConfigError, CustomResources, Entry, Kinds};
use crate::settings::resources;
use report::{Family, Finding, Report, Rule};

/// The most different findings about objects.
const FINDINGS: usize = 1_000;

/// The most kinds of a dump that are remembered.
const KINDS: usize = 10_000;

/// How many kinds a finding names.
const NAMED: usize = 3;

/// Why a config could not be checked.
#[derive(Debug, thiserror::Error)]
pub(super) enum LintError {
    #[error(transparent)]
    Config(#[from] CustomConfigError),
    #[error("{}: {reason}", render::name(file))]
    File { file: PathBuf, reason: ReadError },
    #[error("{}: {reason}", render::name(file))]
    Input { file: PathBuf, reason: input::InputError },
    #[error("{}: {position}: {reason}", render::name(file))]
    Object { file: PathBuf, position: input::Position, reason: serde_json::Error },
    #[error("writing the output failed: {0}")]
    Output(#[from] io::Error),
}

/// Prints the findings. Returns whether there are none.
pub(super) fn run(arguments: &LintCustomResources, out: &mut dyn Write) -> Result<bool, LintError> {
    let custom = CustomResources::read(&arguments.config, Kinds::all(arguments.custom_resource_state_all_kinds))?;
    let mut findings = of_config(&custom);
    let mut dump = Dump { custom: &custom, kinds: BTreeMap::new(), known: BTreeSet::new(), findings: BTreeMap::new() };
    for file in &arguments.dumps {
        dump.read(file)?;
    }
    let families = if arguments.dumps.is_empty() { Vec::new() } else { dump.finish(&mut findings) };
    let report = Report { findings, families };
    match arguments.output {
        Output::Table => report::table(out, &custom, &report)?,
        Output::Json => report::json(out, &report)?,
    }
    Ok(report.findings.is_empty())
}

/// What the config shows by itself.
fn of_config(custom: &CustomResources) -> Vec<Finding> {
    let at = |rule, error: &CustomConfigError| Finding {
        rule,
        line: error.line,
        key: error.key.clone(),
        objects: 0,
        message: error.reason.clone(),
    };
    let mut findings: Vec<_> = custom.unknown_keys().iter().map(|key| at(Rule::UnknownKey, key)).collect();
    findings.extend(custom.reserved().iter().map(|label| at(Rule::ReservedLabel, label)));
    findings.extend(custom.repeated().iter().map(|name| at(Rule::RepeatedName, name)));
    findings.extend(custom.hidden().map(|(line, later)| Finding {
        rule: Rule::HiddenEntry,
        line: Some(line),
        key: String::new(),
        objects: 0,
        message: format!("the entry of line {later} applies to the same objects and replaces this one"),
    }));
    for entry in custom.entries() {
        for metric in entry.definition.metrics.iter().filter(|metric| metric.series.is_info_without_labels()) {
            findings.push(Finding {
                rule: Rule::InfoWithoutLabels,
                line: Some(entry.line),
                key: metric.name.clone(),
                objects: 0,
                message: "no series: an Info needs a label, from labelsFromPath or labelFromKey".to_owned(),
            });
        }
    }
    findings.sort_by_key(|finding| finding.line);
    findings
}

/// The kinds and objects of a dump.
struct Dump<'c> {
    custom: &'c CustomResources,
    /// The kinds with an entry.
    kinds: BTreeMap<GroupVersionKind, Kind>,
    /// All kinds of objects and definitions.
    known: BTreeSet<GroupVersionKind>,
    /// The number of objects by rule, line, metric and message.
    findings: BTreeMap<(Rule, u64, String, String), u64>,
}

/// A kind with an entry.
struct Kind {
    line: u64,
    collector: CustomCollector,
    objects: u64,
    families: Vec<Family>,
}

impl Dump<'_> {
    fn read(&mut self, file: &Path) -> Result<(), LintError> {
        let text = render::read(file).map_err(|reason| LintError::File { file: file.to_owned(), reason })?;
        let mut invalid = None;
        input::objects(&text, |position, object| {
            let (group, version) = object.api_version.split_once('/').unwrap_or(("", &object.api_version));
            let of = of(group, version, &object.kind);
            let object = Value::Object(object.fields);
            if (of.group.as_str(), of.kind.as_str()) == ("apiextensions.k8s.io", "CustomResourceDefinition") {
                self.define(&object);
            }
            if let Err(reason) = self.take(&of, &object) {
                invalid.get_or_insert_with(|| LintError::Object { file: file.to_owned(), position, reason });
            }
            if self.known.len() < KINDS {
                self.known.insert(of);
            }
        })
        .map_err(|reason| LintError::Input { file: file.to_owned(), reason })?;
        invalid.map_or(Ok(()), Err)
    }

    /// Remembers the served kinds of a definition.
    fn define(&mut self, definition: &Value) {
        let spec = &definition["spec"];
        let [Some(group), Some(kind)] = [&spec["group"], &spec["names"]["kind"]].map(Value::as_str) else { return };
        let served = spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] != false);
        for version in served.filter_map(|version| version["name"].as_str()) {
            if self.known.len() < KINDS {
                self.known.insert(of(group, version, kind));
            }
        }
    }

    fn take(&mut self, of: &GroupVersionKind, object: &Value) -> Result<(), serde_json::Error> {
        let Some(entry) = self.custom.of(of).filter(|_| self.is_possible(of)) else { return Ok(()) };
        let kind = self.kinds.entry(of.clone()).or_insert_with(|| {
            // The problems of all metrics count, whatever their errorLogV.
            let collector = CustomCollector::new(&entry.definition, of, |_| true, u8::MAX);
            let family = |metric: &Metric| Family::new(&metric.name, &of.to_string());
            let families = entry.definition.metrics.iter().map(family).collect();
            Kind { line: entry.line, collector, objects: 0, families }
        });
        kind.objects += 1;
        let problems = kind.collector.collect(object)?.problems;
        let hints = kind.collector.hints(object)?;
        for (family, count) in kind.families.iter_mut().zip(&hints.series) {
            family.series += count.distinct;
            family.most = family.most.max(count.distinct);
        }
        let repeated = hints.series.iter().filter(|count| count.repeated > 0).map(|count| {
            let message =
                "several series with the same labels, of which the first is served; add a label that tells them apart";
            (Rule::RepeatedSeries, count.metric.clone(), message.to_owned())
        });
        // An optional field is no mistake. A metric that finds nothing in any object is reported at the end.
        let problems = problems.into_iter().filter(|problem| !problem.problem.ends_with(NO_VALUE));
        let problems = problems.map(|problem| (Rule::Value, problem.metric, problem.problem));
        let paths = hints.problems.into_iter().map(|problem| (Rule::Path, problem.metric, problem.problem));
        let line = kind.line;
        for (rule, metric, message) in problems.chain(paths).chain(repeated) {
            let key = (rule, line, metric, message);
            if self.findings.len() < FINDINGS || self.findings.contains_key(&key) {
                *self.findings.entry(key).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Adds the findings, and returns the metrics.
    fn finish(self, findings: &mut Vec<Finding>) -> Vec<Family> {
        let hidden: BTreeSet<_> = self.custom.hidden().map(|(line, _)| line).collect();
        for entry in self.custom.entries().iter().filter(|entry| !hidden.contains(&entry.line)) {
            if !self.known.iter().any(|of| entry.matches(of) && self.is_possible(of)) {
                findings.push(Finding {
                    rule: Rule::UnknownKind,
                    line: Some(entry.line),
                    key: String::new(),
                    objects: 0,
                    message: self.unknown(entry),
                });
            }
        }
        findings.extend(self.findings.into_iter().map(|((rule, line, key, message), objects)| Finding {
            rule,
            line: Some(line),
            key,
            objects,
            message,
        }));
        // Another finding about a metric explains why it has no series.
        let explained: BTreeSet<_> = findings.iter().map(|finding| finding.key.clone()).collect();
        let mut families = Vec::new();
        for kind in self.kinds.into_values() {
            for mut family in kind.families {
                family.objects = kind.objects;
                if family.series == 0 && !explained.contains(&family.name) {
                    findings.push(Finding {
                        rule: Rule::NoSeries,
                        line: Some(kind.line),
                        key: family.name.clone(),
                        objects: kind.objects,
                        message: "no series for any object of the dump; check the path".to_owned(),
                    });
                }
                families.push(family);
            }
        }
        findings.sort_by_key(|finding| finding.line);
        families
    }

    /// Whether entries may name the kind.
    fn is_possible(&self, of: &GroupVersionKind) -> bool {
        self.custom.takes_all_kinds() || !is_built_in(of)
    }

    /// Why an entry has no kind.
    fn unknown(&self, entry: &Entry) -> String {
        let [version, kind] = [&entry.version, &entry.kind].map(|part| part.as_deref().unwrap_or("*"));
        let wanted = self::of(&entry.group, version, kind).to_string();
        if resources::all().iter().any(|known| known.group == entry.group && known.kind == kind) {
            return match self.custom.takes_all_kinds() {
                true => format!("the dump has no object of {wanted}"),
                false => format!("{wanted} is built in; entries for it need --custom-resource-state-all-kinds"),
            };
        }
        let similar = |of: &&GroupVersionKind| of.group == entry.group || of.kind.eq_ignore_ascii_case(kind);
        let similar: Vec<_> = self.known.iter().filter(similar).take(NAMED).map(ToString::to_string).collect();
        let instead = if similar.is_empty() { String::new() } else { format!(", but {}", similar.join(", ")) };
        format!("the dump has neither an object nor a CustomResourceDefinition of {wanted}{instead}")
    }
}

fn of(group: &str, version: &str, kind: &str) -> GroupVersionKind {
    GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
}

fn is_built_in(of: &GroupVersionKind) -> bool {
    resources::all().iter().any(|known| (known.group, known.version, known.kind) == (&of.group, &of.version, &of.kind))
}
