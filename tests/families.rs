//! The tables list the families of kube-state-metrics in its order, with its types and promises.

use kube_state_fleet::collectors::{Resource, Stability, Visitor, name, visit_all};
use kube_state_fleet::exposition::MetricType;

/// What `families.tsv` says of a family, apart from its API: name, type, stability, opt-in.
type Row = (String, String, String, bool);

fn recorded(resource: &str) -> Vec<Row> {
    let text = include_str!("data/families.tsv");
    let rows = text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter(|row| row[0] == resource)
        .map(|row| (row[3].to_owned(), row[4].to_owned(), row[5].to_owned(), row[6] == "true"))
        .collect()
}

fn ours<R: Resource>() -> Vec<Row> {
    let row = |family: &kube_state_fleet::collectors::Family<R::Object>| {
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
        (family.name.to_owned(), kind.to_owned(), stability.to_owned(), family.opt_in)
    };
    R::FAMILIES.iter().map(row).collect()
}

#[derive(Default)]
struct Check {
    plurals: Vec<&'static str>,
}

impl Visitor for Check {
    fn visit<R: Resource>(&mut self) {
        assert_eq!(ours::<R>(), recorded(name::<R>()), "{}", name::<R>());
        for family in R::FAMILIES {
            assert!(family.help.ends_with('.'), "the HELP of {} is a sentence", family.name);
        }
        self.plurals.push(name::<R>());
    }
}

#[test]
fn families_are_those_of_kube_state_metrics() {
    let mut check = Check::default();
    visit_all(&mut check);
    assert!(check.plurals.is_sorted(), "resources are listed by name");
}
