//! Metrics of a config on built-in kinds (`--custom-resource-state-all-kinds`): they share the watch and the store of their resource.

use std::collections::BTreeSet;
use std::sync::Arc;

use fastrand::Rng;
use kube_state_fleet::collectors::custom::CustomCollector;
use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::{Collector, Family, Resource, Visitor, name, visit_all};
use kube_state_fleet::exposition::{Format, NamespaceLabels, NamespacedBy, ResourceStore, Selection, Store};
use kube_state_fleet::intake::{Encoding, Form, Item, Sink, Unreadable};
use kube_state_fleet::replica::{custom_sink, joined_sink, sink};
use kube_state_fleet::settings::custom::{CustomResources, Kinds};
use kube_state_fleet::settings::resources::Kind;
use kube_state_fleet::sharding::Slice;
use kube_state_fleet::simulator::{ResourceType, Simulator};
use serde_json::{Value as Json, json};

use crate::common::corpus::recorded;
use crate::common::series::split;
use crate::common::{get, namespace};
use crate::parts::{random_place, seed};
use crate::reload::{Exporter, cluster, series, until, without_a_gap};

/// Number of states of the object of each kind.
const STATES: u64 = 40;

/// A config for a kind: labels and values from the metadata and, except for Secrets, from the rest of the object.
fn config(kind: &Kind) -> String {
    let Kind { group, version, kind, .. } = kind;
    let rest = match *kind {
        "Secret" => "",
        _ => {
            "
        - name: conditions
          each: {type: Gauge, gauge: {path: [status, conditions], labelsFromPath: {type: [type]}, valueFrom: [status]}}
        - name: spec
          each: {type: Info, info: {path: [spec], labelsFromPath: {'spec_*': []}}}"
        }
    };
    format!(
        "
spec:
  resources:
    - groupVersionKind: {{group: '{group}', version: {version}, kind: {kind}}}
      metricNamePrefix: own
      labelsFromPath: {{object: [metadata, name], 'label_*': [metadata, labels], namespace_label_team: [metadata, uid]}}
      metrics:
        - name: generation
          each: {{type: Gauge, gauge: {{path: [metadata, generation], nilIsZero: true}}}}
        - name: kind
          each: {{type: Info, info: {{labelsFromPath: {{of: [kind], in: [apiVersion], type: [type]}}}}}}{rest}
"
    )
}

/// A store, and the sink that fills it.
struct Replica {
    objects: Arc<ResourceStore>,
    store: Store,
    sink: Box<dyn Sink>,
}

impl Replica {
    fn new(objects: Arc<ResourceStore>, sink: Box<dyn Sink>) -> Self {
        Self { store: Store::new(vec![Arc::clone(&objects)]), objects, sink }
    }

    /// Gives the series of objects in the namespace `home` the label `team`.
    fn label(self, by: NamespacedBy, home: &str, team: &str) -> Self {
        self.objects.index_namespaces(by);
        let labels = NamespaceLabels::new([(home, vec![("namespace_label_team".to_owned(), team)])]);
        self.objects.label_namespaces(&Arc::new(labels)).for_each(drop);
        self
    }

    /// Returns whether it decodes.
    fn apply(&mut self, uid: &str, version: u64, form: Form, object: &Json) -> bool {
        let (unreadable, text) = (Unreadable::default(), object.to_string());
        let item = Item {
            form,
            table_type: object["type"].as_str().filter(|_| form == Form::Table),
            ..Item::changed(uid, version, Encoding::Json, text.as_bytes(), &unreadable)
        };
        self.sink.apply(&item).is_ok()
    }

    fn series(&self) -> BTreeSet<String> {
        let text: Vec<u8> = self.store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
        let text = String::from_utf8(text).unwrap();
        let sorted = |line: &str| {
            let (name, mut labels, value) = split(line);
            labels.sort_unstable();
            format!("{name}{labels:?} {value}")
        };
        text.lines().filter(|line| !line.starts_with('#')).map(sorted).collect()
    }
}

fn collector<R: Resource>() -> Collector<R> {
    Collector::new(|family: &Family<R>| !family.opt_in, KeyFilter::None, KeyFilter::None)
        .promoting(KeyFilter::from_keys(["app"]))
}

struct Compare {
    random: Rng,
    compared: usize,
}

impl Visitor for Compare {
    /// Plays states of an object, and compares the joined series with those of each collector alone.
    fn visit<R: Resource>(&mut self) {
        let kind = Kind::of::<R>();
        let of = kind.group_version_kind();
        let custom = CustomResources::parse_for(Kinds::All, "config", &config(&kind)).expect("valid");
        let entry = custom.of_built_in(&kind).expect("it names the kind");
        let custom = || CustomCollector::new(&entry.definition, &of, |_| true, 0).yielding_names();
        let joined = || {
            let (own, custom) = (collector::<R>(), custom().beside());
            let headers = [own.headers(), custom.headers()].concat();
            let objects = ResourceStore::new(name::<R>(), headers);
            Replica::new(Arc::clone(&objects), joined_sink(own, custom, objects))
        };
        let form = if of.is_secret() { Form::Table } else { Form::Object };
        let objects: Vec<Json> = recorded::<R>().into_iter().map(|(object, _)| object).collect();
        let Some(mut state) = objects.first().cloned() else { return };
        let (by, key) = match kind.plural {
            "namespaces" => (NamespacedBy::Name, "name"),
            _ => (NamespacedBy::Namespace, "namespace"),
        };
        // It never changes.
        let home = state["metadata"][key].as_str().map(str::to_owned);
        let team = |version| if version < STATES / 2 { "one" } else { "two" };
        let of_home = home.clone().unwrap_or_default();
        let mut incremental = joined().label(by, &of_home, team(0));
        for version in 1..STATES {
            incremental = incremental.label(by, &of_home, team(version));
            let mut other = self.random.choice(&objects).cloned().unwrap_or_default();
            match self.random.u8(..8) {
                0..3 => *random_place(&mut state, &mut self.random) = random_place(&mut other, &mut self.random).take(),
                3 => *random_place(&mut state, &mut self.random) = Json::Null,
                4 => state = other,
                _ => {}
            }
            if !state["metadata"].is_object() {
                state = objects[0].clone();
            }
            // As in a list, whose objects name neither.
            if version % 2 == 0
                && let Some(fields) = state.as_object_mut()
            {
                fields.retain(|name, _| name != "kind" && name != "apiVersion");
            }
            state["metadata"][key] = home.clone().into();
            state["metadata"]["resourceVersion"] = version.to_string().into();
            state["metadata"]["managedFields"] = json!([{"manager": format!("m{version}")}]);
            let (own, beside) = (collector::<R>(), custom());
            let [of_own, of_custom] =
                [own.headers(), beside.headers()].map(|headers| ResourceStore::new(name::<R>(), headers));
            let label = |replica: Replica| replica.label(by, &of_home, team(version));
            let mut own = label(Replica::new(Arc::clone(&of_own), sink(own, of_own)));
            let mut beside = label(Replica::new(Arc::clone(&of_custom), custom_sink(beside, of_custom)));
            let is_valid = own.apply("changing", version, form, &state);
            // Its only sink knows no kind, so the object must name it.
            let mut named = state.clone();
            (named["kind"], named["apiVersion"]) = (of.kind.clone().into(), of.api_version().into());
            beside.apply("changing", version, form, &named);
            assert_eq!(incremental.apply("changing", version, form, &state), is_valid, "{state}");
            if is_valid {
                let mut expected = own.series();
                expected.extend(beside.series());
                let shown = incremental.series();
                let differing: Vec<_> = shown.symmetric_difference(&expected).collect();
                assert!(differing.is_empty(), "{of}: {differing:#?}\n{state}");
                let of_team = format!("{:?}", format!("namespace_label_team={:?}", team(version)));
                let labelled = shown.iter().filter(|line| line.contains(&of_team)).count();
                assert_eq!(labelled, if home.is_some() { shown.len() } else { 0 }, "{shown:#?}");
                self.compared += usize::from(!beside.series().is_empty());
            }
        }
    }
}

#[test]
fn changed_objects_show_the_series_of_both_collectors() {
    let mut compare = Compare { random: Rng::with_seed(seed()), compared: 0 };
    visit_all(&mut compare);
    assert!(compare.compared > 500, "{} states", compare.compared);
}

const CONFIG: &str = "
spec:
  resources:
    - groupVersionKind: {group: '', version: v1, kind: Pod}
      metricNamePrefix: own
      labelsFromPath: {object: [metadata, name]}
      metrics:
        - {name: pod_containers, each: {type: Gauge, gauge: {valueFrom: {count: [spec, containers]}}}}
    - groupVersionKind: {group: '', version: v1, kind: Service}
      metricNamePrefix: own
      labelsFromPath: {object: [metadata, name]}
      metrics:
        - {name: service_info, each: {type: Info, info: {labelsFromPath: {namespace: [metadata, namespace]}}}}
    - groupVersionKind: {group: '', version: v1, kind: Secret}
      metricNamePrefix: own
      labelsFromPath: {object: [metadata, name]}
      metrics:
        - name: secret_info
          labelsFromPath: {type: [type], kind: [kind], all: []}
          each: {type: Info, info: {path: [metadata, uid], labelsFromPath: {uid: []}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn entries_for_built_in_kinds_share_their_watch_and_come_and_go_with_a_reload() {
    let simulator = cluster("a").await;
    let resources = "resources: {pods: {}, secrets: {}}\n";
    let with = "custom_resource_state_all_kinds: true\n";
    let mut exporter = Exporter::start(|folder| {
        let [file, custom] = ["config.yaml", "custom.yaml"].map(|name| folder.join(name));
        std::fs::write(&custom, CONFIG).expect("written");
        let config = format!("{resources}{with}custom_resource_state_config_file: {}\n", custom.display());
        std::fs::write(&file, config).expect("written");
        let server = format!("--apiserver={}", simulator.url());
        vec![format!("--config={}", file.display()), server, "--telemetry-port=0".to_owned()]
    });
    let [metrics, telemetry] = exporter.addresses().await;
    until("readiness", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
    let now = get(metrics, "/metrics").await;
    let count = |answer: &str, name: &str| answer.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
    assert_eq!([count(&now, "kube_pod_info"), count(&now, "kube_service_info")], [20, 0]);
    assert_eq!(["own_pod_containers", "own_service_info", "own_secret_info"].map(|name| count(&now, name)), [20; 3]);
    let line = "own_pod_containers{customresource_group=\"\",customresource_kind=\"Pod\",customresource_version=\"v1\",object=\"a-1\"} 1";
    assert!(now.lines().any(|series| series == line), "{now}");
    assert!(now.contains("kind=\"Secret\",object=\"a-1\",type=\"Opaque\",uid=\""), "{now}");
    assert_eq!(["pods", "services", "secrets"].map(|resource| simulator.open_watches(resource)), [1; 3]);
    let accepts = |plural: &str| -> BTreeSet<String> {
        let of = |path: &str| path == format!("/api/v1/{plural}");
        simulator.requests().into_iter().filter(|request| of(&request.path)).map(|request| request.accept).collect()
    };
    assert_eq!(accepts("pods"), BTreeSet::from(["application/json".to_owned()]));
    assert!(accepts("secrets").iter().all(|accept| accept.contains("as=Table")), "{:?}", accepts("secrets"));
    // Only built-in kinds are named, so nothing is to be discovered.
    assert!(simulator.requests().iter().all(|request| !request.path.contains("customresourcedefinitions")));

    // One event, both collectors.
    let mut pod = simulator.get("pods", "shop", "a-1").expect("it exists");
    pod["spec"] =
        json!({"nodeName": "m", "containers": [{"name": "main", "image": "i"}, {"name": "more", "image": "i"}]});
    simulator.apply(&pod).expect("applied");
    let both = |answer: &str| answer.contains("object=\"a-1\"} 2") && answer.contains("node=\"m\"");
    until("the change", metrics, "/metrics", both).await;
    simulator.delete("pods", "shop", "a-2").expect("deleted");
    until("the end", metrics, "/metrics", |answer| count(answer, "own_pod_containers") == 19).await;
    assert_eq!(count(&get(metrics, "/metrics").await, "kube_pod_info"), 19);

    // The families of a config come and go beside those of the resource.
    let kept: BTreeSet<_> =
        series(&get(metrics, "/metrics").await).into_iter().filter(|series| series.starts_with("kube_pod")).collect();
    without_a_gap(metrics, &kept, async {
        exporter.write(resources);
        until("their end", metrics, "/metrics", |answer| !answer.contains("own_")).await;
        until("the end of a watch", metrics, "/metrics", |_| simulator.open_watches("services") == 0).await;
        let custom = exporter.folder.path().join("custom.yaml");
        exporter.write(&format!("{resources}{with}custom_resource_state_config_file: {}\n", custom.display()));
        until("their return", metrics, "/metrics", |answer| count(answer, "own_pod_containers") == 19).await;
    })
    .await;
    let watches = || ["pods", "services", "secrets"].map(|resource| simulator.open_watches(resource));
    until("one watch of each", metrics, "/metrics", |_| watches() == [1; 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn series_of_a_config_have_labels_of_their_namespaces() {
    let simulator = cluster("a").await;
    let namespace = |name: &str, team: &str| namespace(&simulator, name, &json!({ "team": team }));
    namespace("shop", "one");
    namespace("bank", "two");
    let config = |more: &str| format!("resources: {{pods: {{}}}}\ncustom_resource_state_all_kinds: true\n{more}");
    let promoting = config("promote_namespace_labels: [team]\n");
    let custom = CONFIG.replace("object: [metadata, name]", "object: [metadata, name], namespace_label_team: [kind]");
    let mut exporter = Exporter::start(|folder| {
        let file = folder.join("config.yaml");
        std::fs::write(&file, &promoting).expect("written");
        let (file, server) = (file.display(), simulator.url());
        let custom = format!("--custom-resource-state-config={custom}");
        [format!("--config={file}"), format!("--apiserver={server}"), custom, "--telemetry-port=0".to_owned()].to_vec()
    });
    let [metrics, telemetry] = exporter.addresses().await;
    until("readiness", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
    let with = |answer: &str, team: &str| {
        let label = format!("namespace_label_team=\"{team}\"");
        let count = |name: &str| {
            let own = answer.lines().filter(|line| line.starts_with(&format!("{name}{{")));
            own.filter(|line| split(line).1.contains(&label.as_str())).count()
        };
        ["kube_pod_info", "own_pod_containers", "own_service_info", "own_secret_info"].map(count)
    };
    let first = get(metrics, "/metrics").await;
    assert_eq!([with(&first, "one"), with(&first, "two")], [[10; 4]; 2], "{first}");
    // The watch of Namespaces counts, although none is served.
    let own = get(telemetry, "/metrics").await;
    for (name, result) in [("list", "success"), ("list", "error"), ("watch", "success"), ("watch", "error")] {
        let labels = format!("kube_state_metrics_{name}_total{{result=\"{result}\",resource=\"*v1.Namespace\"}} ");
        let count = own.lines().find_map(|line| line.strip_prefix(&labels)).and_then(|count| count.parse::<u64>().ok());
        // Its list came with the watch.
        let is_counted = (name, result) == ("watch", "success");
        assert_eq!(count.map(|count| count > 0), Some(is_counted), "{labels}: {own}");
    }
    for line in first.lines().filter(|line| line.starts_with("own_")) {
        assert_eq!(line.matches("namespace_label_team=").count(), 2, "{line}");
        assert!(line.contains("exported_namespace_label_team=\""), "{line}");
    }
    let kept: BTreeSet<_> = series(&first).into_iter().filter(|series| series.contains("\"bank\"")).collect();
    without_a_gap(metrics, &kept, async {
        namespace("shop", "three");
        until("the change", metrics, "/metrics", |answer| with(answer, "three") == [10; 4]).await;
        assert_eq!(with(&get(metrics, "/metrics").await, "one"), [0; 4]);
    })
    .await;
    exporter.write(&config(""));
    let bare = |answer: &str| answer.contains("own_pod_containers{") && !answer.contains("team=\"two\"");
    until("their end", metrics, "/metrics", bare).await;
    let last = get(metrics, "/metrics").await;
    assert!(!get(telemetry, "/metrics").await.contains("*v1.Namespace"), "it ends");
    assert!(last.contains(",namespace_label_team=\"Pod\"") && !last.contains("exported_"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_without_a_definition_is_found_by_discovery() {
    // As behind an APIService: the API server serves the kind, and has no CustomResourceDefinitions.
    let resources = vec![
        ResourceType::new("", "v1", "pods", "Pod", true),
        ResourceType::new("aggregated.example.com", "v1", "things", "Thing", true),
    ];
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), resources).await.expect("a free port");
    let thing = |name: &str, size: u32| {
        let metadata = json!({"namespace": "shop", "name": name});
        let thing =
            json!({"apiVersion": "aggregated.example.com/v1", "kind": "Thing", "metadata": metadata, "size": size});
        simulator.apply(&thing).expect("applied");
    };
    thing("a", 1);
    let config = "spec: {resources: [{groupVersionKind: {group: aggregated.example.com, version: v1, kind: Thing}, metricNamePrefix: own, \
                  metrics: [{name: size, labelsFromPath: {thing: [metadata, name]}, each: {type: Gauge, gauge: {path: [size]}}}]}]}";
    let mut exporter = Exporter::start(|_| {
        let server = format!("--apiserver={}", simulator.url());
        let config = format!("--custom-resource-state-config={config}");
        let others = ["--custom-resource-state-all-kinds", "--resources=pods", "--telemetry-port=0"].map(str::to_owned);
        [vec![server, config], others.to_vec()].concat()
    });
    let [metrics, telemetry] = exporter.addresses().await;
    until("readiness", telemetry, "/readyz", |answer| answer.starts_with("HTTP/1.1 200 ")).await;
    until("the kind", metrics, "/metrics", |answer| answer.contains("thing=\"a\"} 1")).await;
    assert_eq!(simulator.open_watches("things"), 1);
    thing("b", 2);
    until("a new object", metrics, "/metrics", |answer| answer.contains("thing=\"b\"} 2")).await;
    simulator.delete("things", "shop", "a").expect("deleted");
    until("the end of one", metrics, "/metrics", |answer| !answer.contains("thing=\"a\"")).await;
}
