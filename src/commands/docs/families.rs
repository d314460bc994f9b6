//! The reference of metric families.

use std::fmt::Write as _;

use super::markdown::{GENERATED, cell};
use crate::collectors::{Family, Resource, Stability, Visitor, visit_all};
use crate::exposition::MetricType;
use crate::settings::resources::Kind;

/// The labels of each family, written by `tests/it/labels.rs`.
const LABELS: &str = include_str!("labels.txt");

/// The names of all families.
pub(in crate::commands) fn names() -> impl Iterator<Item = &'static str> {
    LABELS.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(':')).map(|(name, _)| name)
}

/// The labels that the series of a family have of their own; None for another metric.
pub(in crate::commands) fn own_labels(family: &str) -> Option<Vec<&'static str>> {
    let mut of_resource = "";
    for line in LABELS.lines() {
        let Some((name, labels)) = line.split_once(':') else { continue };
        match name.strip_prefix("  ") {
            None => of_resource = labels,
            Some(name) if name == family => {
                return Some(of_resource.split_whitespace().chain(labels.split_whitespace()).collect());
            }
            Some(_) => {}
        }
    }
    None
}

/// docs/metrics.md.
pub fn page() -> String {
    let mut pages = Families { contents: String::new(), tables: String::new(), count: 0 };
    visit_all(&mut pages);
    format!(
        "{GENERATED}\n# Metrics\n\nAll {} families. Their names, types, labels and values are those of kube-state-metrics v2.20.0, except for \
         `kube_state_fleet_*`, which only kube-state-fleet has. Types are those of OpenMetrics; text 0.0.4 prints info and stateset as gauge. STABLE families keep their names and labels. Families \
         marked *opt-in* are served only if `--metric-opt-in-list` names them.\n\nThe labels of a family follow the labels that all \
         series of the resource have. `label_*` stands for any number of labels whose names come from the object. A series \
         omits a label that does not apply to it.\n\n{}{}",
        pages.count, pages.contents, pages.tables
    )
}

struct Families {
    contents: String,
    tables: String,
    count: usize,
}

impl Visitor for Families {
    fn visit<R: Resource>(&mut self) {
        let kind = Kind::of::<R>();
        let api =
            if kind.group.is_empty() { kind.version.to_owned() } else { format!("{}/{}", kind.group, kind.version) };
        let requested = if kind.is_default() { "" } else { ", only with `--resources`" };
        // Writing to a String cannot fail.
        let _ = writeln!(self.contents, "- [{0}](#{0}): {1} families{requested}", kind.plural, R::FAMILIES.len());
        let _ = write!(
            self.tables,
            "\n## {}\n\n`{}` of `{api}`{requested}. Labels of all series: {}.\n\n| family | type | stability | labels | description |\n|---|---|---|---|---|\n",
            kind.plural,
            kind.kind,
            labels(kind.plural)
        );
        for family in R::FAMILIES {
            self.tables.push_str(&row(family));
        }
        self.count += R::FAMILIES.len();
    }
}

/// The labels of a family or of all series of a resource, as code.
fn labels(of: &str) -> String {
    let mut lines = LABELS.lines().filter_map(|line| line.trim_start().split_once(':'));
    let names = lines.find(|(name, _)| *name == of).map(|(_, labels)| labels).unwrap_or_default();
    names.split_whitespace().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn row<R: Resource>(family: &Family<R>) -> String {
    let kind = match family.kind {
        MetricType::Gauge => "gauge",
        MetricType::Counter => "counter",
        MetricType::Info => "info",
        MetricType::StateSet => "stateset",
    };
    let stability = match family.stability {
        Stability::Stable => "STABLE",
        Stability::Alpha => "ALPHA",
    };
    let opt_in = if family.opt_in { ", *opt-in*" } else { "" };
    format!("| `{}` | {kind} | {stability}{opt_in} | {} | {} |\n", family.name, labels(family.name), cell(family.help))
}
