//! Pods and custom resources under opt-in settings, and the events for them: what each setting costs.

use std::sync::Arc;

use kube_state_fleet::collectors::custom::{CustomCollector, GroupVersionKind};
use kube_state_fleet::collectors::labels::KeyFilter;
use kube_state_fleet::collectors::{Collector, Family, Pods};
use kube_state_fleet::exposition::{Format, NamespacedBy, ResourceStore, Selection, Store};
use kube_state_fleet::intake::{Encoding, Endpoint, Feed, Form};
use kube_state_fleet::replica::{custom_sink, joined_sink, sink};
use kube_state_fleet::settings::custom::{CustomResources, Kinds};
use kube_state_fleet::settings::resources::Kind;
use kube_state_fleet::sharding::Slice;
use serde_json::{Value, json};

use super::events::{Change, Events, half};
use super::wire::{New, field, set};
use super::{drain, namespace, teams};

/// The same pod as protobuf and as JSON.
const POD: (&[u8], &str) = (include_bytes!("../data/pod.bin"), include_str!("../data/pod.json"));

/// A metric of pods.
const PODS: &str = "
spec:
  resources:
    - groupVersionKind: {group: '', version: v1, kind: Pod}
      labelsFromPath: {namespace: [metadata, namespace], name: [metadata, name]}
      metrics:
        - {name: grace, each: {type: Gauge, gauge: {path: [spec, terminationGracePeriodSeconds]}}}
";

/// Metrics of pods in the richer format.
const PODS_RICH: &str = "
spec:
  resources:
    - groupVersionKind: {group: '', version: v1, kind: Pod}
      labelsFromPath: {namespace: [metadata, namespace], name: [metadata, name]}
      metrics:
        - name: port
          each:
            type: Gauge
            gauge:
              path: [spec, containers, '[*]', ports, '[*]']
              labelsFromPath: {container: ['[..]', '[..]', name], port: [name]}
              valueFrom: [containerPort]
        - {name: volumes, each: {type: Gauge, gauge: {valueFrom: {count: [spec, volumes]}}}}
        - {name: restarts, each: {type: Gauge, gauge: {valueFrom: {sum: [status, containerStatuses, '[*]', restartCount]}}}}
";

/// Metrics of custom resources.
const ROUTES: &str = "
spec:
  resources:
    - groupVersionKind: {group: example.com, version: v1, kind: Route}
      labelsFromPath: {namespace: [metadata, namespace], name: [metadata, name]}
      metrics:
        - {name: timeout, each: {type: Gauge, gauge: {path: [spec, timeout]}}}
        - name: condition
          each:
            type: Gauge
            gauge: {path: [status, conditions], labelsFromPath: {type: [type]}, valueFrom: [status]}
        - {name: phase, each: {type: StateSet, stateSet: {path: [status, phase], labelName: phase, list: [Ready, Pending]}}}
";

/// Metrics of custom resources in the richer format.
const ROUTES_RICH: &str = "
spec:
  resources:
    - groupVersionKind: {group: example.com, version: v1, kind: Route}
      labelsFromPath: {namespace: [metadata, namespace], name: [metadata, name]}
      metrics:
        - name: backend_weight
          each:
            type: Gauge
            gauge:
              path: [spec, rules, '[*]', backends, '[*]']
              labelsFromPath: {backend: ['[key]'], host: ['[..]', '[..]', host]}
              valueFrom: {path: [weight], default: 1}
        - {name: backends, each: {type: Gauge, gauge: {path: [spec, rules, '[*]'], labelsFromPath: {host: [host]}, valueFrom: {count: [backends]}}}}
        - {name: weight, each: {type: Gauge, gauge: {valueFrom: {sum: [spec, rules, '[*]', backends, '[*]', weight]}}}}
";

/// A setting, and what it adds.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    pub name: &'static str,
    /// Whether an opt-in family is served.
    serves: fn(&str) -> bool,
    /// Whether objects are indexed by namespace, and show a label of it.
    index: (bool, bool),
    config: Option<&'static str>,
    /// Whether the objects are custom resources instead of pods.
    is_custom: bool,
}

/// Pods with their default families.
const PLAIN: Choice = Choice { name: "none", serves: |_| false, index: (false, false), config: None, is_custom: false };

/// All settings with a cost of their own.
pub const ALL: [Choice; 11] = [
    PLAIN,
    Choice { name: "container-terminations", serves: |name| name.contains("pod_container_terminations"), ..PLAIN },
    Choice { name: "all-terminations", serves: |name| name.contains("terminations_total"), ..PLAIN },
    Choice { name: "evictions", serves: |name| name.contains("evictions_total"), ..PLAIN },
    Choice {
        name: "resources",
        serves: |name| name.starts_with("kube_state_fleet") && name.contains("resource"),
        ..PLAIN
    },
    Choice { name: "namespaced-scrapes", index: (true, false), ..PLAIN },
    Choice { name: "promote-namespace-labels", index: (true, true), ..PLAIN },
    Choice { name: "all-kinds", config: Some(PODS), ..PLAIN },
    Choice { name: "all-kinds-rich", config: Some(PODS_RICH), ..PLAIN },
    Choice { name: "custom", config: Some(ROUTES), is_custom: true, ..PLAIN },
    Choice { name: "custom-rich", config: Some(ROUTES_RICH), is_custom: true, ..PLAIN },
];

impl Choice {
    /// Creates a store with a page of objects, in half of the hash space.
    pub fn page(self) -> Events {
        self.empty(half()).page()
    }

    /// Creates a store with this number of objects, 200 in each namespace, whose columns are built.
    pub fn filled(self, objects: u32) -> Events {
        let mut events = self.empty(Slice::all());
        events.list((0..objects).map(super::uid));
        drain(events.store.scrape(&Selection::All, Format::Text, &Slice::all()));
        events
    }

    fn empty(self, slice: Slice) -> Events {
        let own = Collector::<Pods>::new(
            |family: &Family<_>| !family.opt_in || (self.serves)(family.name),
            KeyFilter::None,
            KeyFilter::None,
        );
        let custom = self.config.map(|config| match self.is_custom {
            true => self.collector(config),
            false => self.collector(config).beside(),
        });
        let headers = match (&custom, self.is_custom) {
            (Some(custom), true) => custom.headers(),
            (Some(custom), false) => [own.headers(), custom.headers()].concat(),
            (None, _) => own.headers(),
        };
        let store = ResourceStore::new("objects", headers);
        if self.index.0 {
            store.index_namespaces(NamespacedBy::Namespace);
        }
        if self.index.1 {
            store.label_namespaces(&teams(100_000, "checkout")).for_each(drop);
        }
        let is_json = custom.is_some();
        let sink = match (custom, self.is_custom) {
            (Some(custom), true) => custom_sink(custom, Arc::clone(&store)),
            (Some(custom), false) => joined_sink(own, custom, Arc::clone(&store)),
            (None, _) => sink(own, Arc::clone(&store)),
        };
        let (group, kind, plural) =
            if self.is_custom { ("example.com", "Route", "routes") } else { ("", "Pod", "pods") };
        let endpoint = Endpoint {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced: true,
            form: Form::Object,
            protobuf: !is_json,
            typed: !self.is_custom,
        };
        let (encoding, frame): (_, fn(&Change<'_>) -> Vec<u8>) = match (is_json, self.is_custom) {
            (false, _) => (Encoding::Protobuf, pod_message),
            (true, false) => (Encoding::Json, pod_text),
            (true, true) => (Encoding::Json, route),
        };
        Events::empty(Feed::new(endpoint, slice, sink), Store::new(vec![store]), encoding, Box::new(frame))
    }

    fn collector(self, config: &str) -> CustomCollector {
        let custom = CustomResources::parse_for(Kinds::All, "config", config).expect("it is valid");
        let (of, entry) = if self.is_custom {
            let [group, version, kind] = ["example.com", "v1", "Route"].map(str::to_owned);
            let of = GroupVersionKind { group, version, kind };
            let entry = custom.of(&of).expect("it names the kind");
            (of, entry)
        } else {
            let kind = Kind::of::<Pods>();
            (kind.group_version_kind(), custom.of_built_in(&kind).expect("it names the kind"))
        };
        CustomCollector::new(&entry.definition, &of, |_| true, 0)
    }
}

fn name(state: &Change<'_>) -> String {
    format!("checkout-service-{}-7d9f8b6c5d-{:05x}", state.number / 10, state.number)
}

fn node(state: &Change<'_>) -> String {
    format!("node-{:05}.example.internal", state.number / 30)
}

fn address(state: &Change<'_>) -> String {
    format!("10.{}.{}.{}", state.number >> 16 & 255, state.number >> 8 & 255, state.number & 255)
}

/// A pod as protobuf. An update ends its first container, and starts it again.
fn pod_message(state: &Change<'_>) -> Vec<u8> {
    let text = |text: String| New::Bytes(text.into_bytes().into());
    let (container, address) = (format!("containerd://{:064x}", u64::from(state.number) << 8), address(state));
    let edits: [(&[u32], New<'_>); 12] = [
        (&[1, 1], text(name(state))),
        (&[1, 3], text(namespace(state.number))),
        (&[1, 5], state.uid.into()),
        (&[1, 6], text(state.version.to_string())),
        (&[1, 17, 1], text(format!("kubelet-{:05}", state.invisible))),
        (&[2, 10], text(node(state))),
        (&[3, 6], text(address.clone())),
        (&[3, 12, 1], text(address)),
        // Of the first container: ready, restartCount, containerID.
        (&[3, 8, 4], New::Number(state.state % 2)),
        (&[3, 8, 5], New::Number(state.state)),
        (&[3, 8, 8], text(container)),
        // Its name, which is there already.
        (&[3, 8, 1], "server".into()),
    ];
    let object = edits.iter().fold(POD.0.to_vec(), |object, (path, new)| set(&object, path, new));
    let types = [field(1, b"v1"), field(2, b"Pod")].concat();
    let unknown = [b"k8s\0".to_vec(), field(1, &types), field(2, &object)].concat();
    [field(1, b"MODIFIED"), field(2, &field(1, &unknown))].concat()
}

/// An event as the API server writes it, with its type in front.
fn event(object: &str) -> Vec<u8> {
    format!(r#"{{"type":"MODIFIED","object":{object}}}"#).into_bytes()
}

/// The same pod as JSON, with its fields in the order of the API server.
fn pod_text(state: &Change<'_>) -> Vec<u8> {
    let text: String = POD.1.lines().map(str::trim_start).collect();
    let (before, statuses) = text.split_once("\"containerStatuses\"").expect("the pod has statuses");
    let put = |text: &str, key: &str, value: &str| {
        let (before, rest) = text.split_once(&format!("\"{key}\": ")).expect("the pod has the field");
        let end = rest.find([',', '}', '\n']).expect("the value ends");
        format!("{before}\"{key}\":{value}{}", &rest[end..])
    };
    let quoted = |text: &str| format!("\"{text}\"");
    let mut before = before.replace("127.1.0.1", &address(state));
    for (key, value) in [
        ("name", name(state)),
        ("namespace", namespace(state.number)),
        ("uid", state.uid.to_owned()),
        ("resourceVersion", state.version.to_string()),
        ("manager", format!("kubelet-{:05}", state.invisible)),
        ("nodeName", node(state)),
    ] {
        before = put(&before, key, &quoted(&value));
    }
    let statuses = put(statuses, "ready", if state.state % 2 == 1 { "true" } else { "false" });
    let statuses = put(&statuses, "restartCount", &state.state.to_string());
    let container = format!("containerd://{:064x}", u64::from(state.number) << 8);
    let statuses = put(&statuses, "containerID", &quoted(&container));
    event(&format!("{before}\"containerStatuses\"{statuses}"))
}

fn identify(object: &mut Value, state: &Change<'_>) {
    let metadata = &mut object["metadata"];
    metadata["name"] = name(state).into();
    metadata["namespace"] = namespace(state.number).into();
    metadata["uid"] = state.uid.into();
    metadata["resourceVersion"] = state.version.to_string().into();
    metadata["managedFields"][0]["manager"] = format!("kubelet-{:05}", state.invisible).into();
}

/// A custom resource with four rules of three backends.
fn route(state: &Change<'_>) -> Vec<u8> {
    let rule = |number: u32| {
        let host = format!("host-{number}.example.com");
        json!({"host": host, "backends": {"blue": {"weight": 9}, "green": {"weight": state.state}, "red": {}}})
    };
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-09-21T14:13:21Z"});
    let managed = json!({"operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {"f:phase": {}}}});
    let conditions = ["Accepted", "Programmed", "Ready"].map(condition);
    let mut route = json!({
        "apiVersion": "example.com/v1",
        "kind": "Route",
        "metadata": {"labels": {"app": "shop"}, "managedFields": [managed]},
        "spec": {"timeout": state.state, "rules": (0..4).map(rule).collect::<Vec<_>>()},
        "status": {"phase": "Ready", "conditions": conditions},
    });
    identify(&mut route, state);
    // In the order of the keys, as the API server writes custom resources.
    event(&route.to_string())
}
