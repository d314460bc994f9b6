//! Checks the list of resources: it has all files of the folder, and its families are those of kube-state-metrics v2.20.0.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::{Collector, Family, Resource, Stability, Visitor, name, visit_all};
use kube_state_fleet::exposition::MetricType;
use kube_state_fleet::intake::{Form, Unreadable, decode_object};
use serde_json::json;

/// Files without a resource.
const HELPERS: [&str; 15] = [
    "collector",
    "common",
    "custom",
    "label_names",
    "labels",
    "mod",
    "objects",
    "parts",
    "quantity",
    "resources",
    "schedule",
    "selector",
    "states",
    "table",
    "time",
];

/// A family in `families.tsv`: resource, API version, kind, name, type, stability, opt-in.
type Row = [String; 7];

fn recorded() -> Vec<Row> {
    let rows = include_str!("../data/families.tsv").lines().skip(1);
    rows.map(|row| {
        let fields: Vec<String> = row.split('\t').map(str::to_owned).collect();
        fields.try_into().expect("a row has seven fields")
    })
    .collect()
}

/// Returns the families that kube-state-metrics does not have.
fn own() -> BTreeSet<&'static str> {
    include_str!("../data/own-families.txt").lines().filter(|line| !line.starts_with('#')).collect()
}

fn row<R: Resource>(family: &Family<R>) -> Row {
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
    [
        name::<R>().to_owned(),
        R::API.api_version.to_owned(),
        R::API.kind.to_owned(),
        family.name.to_owned(),
        kind.to_owned(),
        stability.to_owned(),
        family.opt_in.to_string(),
    ]
}

/// The registered resources and families.
#[derive(Default)]
struct Registry {
    /// The plurals, in order.
    resources: Vec<&'static str>,
    /// The file names, which are the kinds in lower case.
    files: BTreeSet<String>,
    /// In the order of the tables.
    families: Vec<Row>,
    helps: Vec<(&'static str, &'static str)>,
}

impl Visitor for Registry {
    fn visit<R: Resource>(&mut self) {
        self.resources.push(name::<R>());
        self.files.insert(R::API.kind.to_lowercase());
        self.families.extend(R::FAMILIES.iter().map(row::<R>));
        self.helps.extend(R::FAMILIES.iter().map(|family| (family.name, family.help)));
    }
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    visit_all(&mut registry);
    registry
}

#[test]
fn every_file_is_a_registered_kind_or_a_helper() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/collectors");
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a file has a name");
        files.insert(stem.to_owned());
    }
    let registered = registry().files;
    let strange: Vec<_> = files.difference(&registered).filter(|file| !HELPERS.contains(&file.as_str())).collect();
    assert!(strange.is_empty(), "neither registered nor in HELPERS: {strange:?}");
    let missing: Vec<_> = registered.difference(&files).collect();
    assert!(missing.is_empty(), "the file of a kind has its name in lower case: {missing:?}");
}

#[test]
fn resources_are_listed_once_and_by_name() {
    assert!(registry().resources.is_sorted_by(|a, b| a < b), "{:?}", registry().resources);
}

#[test]
fn family_names_are_unique_and_start_with_kube() {
    let mut seen = BTreeSet::new();
    for row in registry().families {
        assert!(row[3].starts_with("kube_"), "{}", row[3]);
        assert!(seen.insert(row[3].clone()), "duplicate family {}", row[3]);
    }
}

#[test]
fn help_texts_are_sentences_of_one_line() {
    for (family, help) in registry().helps {
        assert!(
            help.ends_with('.') && !help.contains('\n') && help.starts_with(|c: char| !c.is_lowercase()),
            "{family}"
        );
    }
}

#[test]
fn families_of_a_resource_are_those_of_kube_state_metrics_in_its_order() {
    let (registry, recorded, own) = (registry(), recorded(), own());
    for resource in registry.resources {
        let of_resource = |rows: &[Row]| {
            let upstream = rows.iter().filter(|row| row[0] == resource && !own.contains(row[3].as_str()));
            upstream.cloned().collect::<Vec<_>>()
        };
        assert_eq!(of_resource(&registry.families), of_resource(&recorded), "{resource}");
    }
}

#[test]
fn no_resource_and_no_family_is_missing() {
    let (registry, recorded) = (registry(), recorded());
    let ours: BTreeSet<&Row> = registry.families.iter().collect();
    let missing: BTreeSet<&str> =
        recorded.iter().filter(|row| !ours.contains(row)).map(|row| row[0].as_str()).collect();
    assert!(missing.is_empty(), "resources with missing families: {missing:?}");
    assert_eq!(registry.families.len(), recorded.len() + own().len());
}

#[test]
fn own_families_are_registered_and_opt_in() {
    let (registry, recorded) = (registry(), recorded());
    for name in own() {
        let row = registry
            .families
            .iter()
            .find(|row| row[3] == name)
            .unwrap_or_else(|| panic!("{name} is in own-families.txt but not registered"));
        assert_eq!(row[6], "true", "{name} must be opt-in");
        assert!(recorded.iter().all(|row| row[3] != name), "kube-state-metrics also has {name}");
    }
}

/// Collects objects of a kind without any fields: collectors must not require any part of them.
struct Hollow;

impl Visitor for Hollow {
    fn visit<R: Resource>(&mut self) {
        let collector = Collector::<R>::new(|_| true, KeyFilter::All, KeyFilter::All);
        for (spec, status) in [(json!(null), json!(null)), (json!({}), json!({}))] {
            let object = json!({
                "apiVersion": R::API.api_version,
                "kind": R::API.kind,
                "metadata": null,
                "spec": spec,
                "status": status,
            });
            let object = decode_object::<R>(&object, Form::of::<R>(), &Unreadable::default())
                .expect("an object with nothing in it parses");
            collector.collect(&object);
        }
    }
}

#[test]
fn an_object_with_nothing_in_it_is_no_problem() {
    visit_all(&mut Hollow);
}
