//! Finds kube-state-metrics in a manifest: its arguments and environment, and the objects that it depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::commands::render::input::{self, InputError, Object};

/// A container of kube-state-metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deployed {
    /// Kind and name of its workload.
    pub workload: String,
    /// Whether the workload is a StatefulSet.
    pub is_statefulset: bool,
    /// `spec.ordinals.start`.
    pub first_ordinal: u64,
    /// Arguments of the container, with references to known variables expanded.
    pub arguments: Vec<String>,
    /// Variables of the container.
    pub environment: BTreeMap<String, String>,
    /// `terminationGracePeriodSeconds` of the pod; the default is that of Kubernetes.
    pub grace_seconds: u64,
    /// The labels of the pods.
    pub labels: BTreeMap<String, String>,
    /// The ConfigMaps that the container mounts.
    pub mounts: Vec<Mount>,
}

/// A ConfigMap, as a container mounts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    path: PathBuf,
    config_map: String,
    /// The only key, for a mount of one file.
    sub_path: Option<String>,
    /// Keys by their path in the volume, if the volume renames them.
    items: BTreeMap<String, String>,
}

/// The relevant objects of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub deployed: Vec<Deployed>,
    /// Verbs that a Role or ClusterRole grants on Leases.
    lease_verbs: BTreeSet<String>,
    /// The contents of ConfigMaps, by name and key.
    config_maps: BTreeMap<String, BTreeMap<String, String>>,
    services: Vec<Service>,
}

/// A Service that selects pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub name: String,
    selector: BTreeMap<String, String>,
    /// Whether it also lists pods that are not Ready.
    pub publishes_not_ready: bool,
}

/// The verbs on Leases that a member of a fleet needs (`manifests/base/role.yaml`).
const LEASE_VERBS: [&str; 6] = ["get", "list", "watch", "create", "update", "delete"];
/// The default of `terminationGracePeriodSeconds`.
const GRACE_SECONDS: u64 = 30;

impl Manifest {
    pub fn read(text: &str) -> Result<Self, InputError> {
        let mut manifest = Self::default();
        input::objects(text, |_, object| manifest.take(&object))?;
        Ok(manifest)
    }

    /// Whether the roles permit to coordinate by Leases. kube-state-metrics' own role only lists them.
    pub fn has_leases(&self) -> bool {
        let grants = |verb: &str| self.lease_verbs.contains(verb);
        grants("*") || LEASE_VERBS.into_iter().all(grants)
    }

    /// The Services that select the pods of `deployed`.
    pub fn services(&self, deployed: &Deployed) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| {
            let has = |(key, value): (&String, &String)| deployed.labels.get(key) == Some(value);
            !service.selector.is_empty() && service.selector.iter().all(has)
        })
    }

    /// The content of a file in the container of `deployed`: of the ConfigMap that is mounted there, or, if the manifest shows no
    /// mount, of the only ConfigMap with a key of that name.
    pub fn file(&self, deployed: &Deployed, path: &Path) -> Option<&str> {
        let mounted = deployed.mounts.iter().filter_map(|mount| {
            let below = path.strip_prefix(&mount.path).ok()?.to_str()?;
            let key = match &mount.sub_path {
                Some(sub_path) if below.is_empty() => sub_path,
                Some(_) => return None,
                None => below,
            };
            let key = mount.items.get(key).map_or(key, String::as_str);
            Some((mount.path.components().count(), self.config_maps.get(&mount.config_map)?.get(key)?))
        });
        if let Some((_, text)) = mounted.max_by_key(|(depth, _)| *depth) {
            return Some(text);
        }
        let name = path.file_name()?.to_str()?;
        let mut texts = self.config_maps.values().filter_map(|data| data.get(name));
        texts.next().filter(|_| texts.next().is_none()).map(String::as_str)
    }

    fn take(&mut self, Object { kind, fields, .. }: &Object) {
        let object = Value::Object(fields.clone());
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        match kind.as_str() {
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => {
                self.workload(kind, &object, &object["spec"]["template"]);
            }
            "Pod" => self.workload(kind, &object, &object),
            "Role" | "ClusterRole" => {
                for rule in object["rules"].as_array().into_iter().flatten() {
                    let has = |key: &str, name: &str| texts(&rule[key]).any(|text| text == name || text == "*");
                    if has("apiGroups", "coordination.k8s.io") && has("resources", "leases") {
                        self.lease_verbs.extend(texts(&rule["verbs"]).map(str::to_owned));
                    }
                }
            }
            "ConfigMap" => self.config_maps.entry(name.to_owned()).or_default().extend(text_map(&object["data"])),
            "Service" => self.services.push(Service {
                name: name.to_owned(),
                selector: text_map(&object["spec"]["selector"]),
                publishes_not_ready: object["spec"]["publishNotReadyAddresses"] == true,
            }),
            _ => {}
        }
    }

    /// Adds the containers of a workload whose pods are as `template`.
    fn workload(&mut self, kind: &str, object: &Value, template: &Value) {
        let pod = &template["spec"];
        let containers: Vec<_> = pod["containers"].as_array().into_iter().flatten().collect();
        let is_meant = |container: &&&Value| {
            let of = |key: &str| container[key].as_str().unwrap_or_default();
            of("name").contains("kube-state-metrics") || of("image").contains("kube-state-metrics")
        };
        let meant: Vec<_> = containers.iter().filter(is_meant).collect();
        // In a private registry, the image may have any name.
        let meant = if meant.is_empty() && containers.len() == 1 { containers.iter().collect() } else { meant };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        for container in meant {
            let environment = environment(container);
            let words = |key: &str| texts(&container[key]);
            let arguments = words("command").skip(1).chain(words("args")).map(|text| expand(text, &environment));
            self.deployed.push(Deployed {
                workload: format!("{kind} {name}"),
                is_statefulset: kind == "StatefulSet",
                first_ordinal: object["spec"]["ordinals"]["start"].as_u64().unwrap_or_default(),
                arguments: arguments.collect(),
                environment,
                grace_seconds: pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(GRACE_SECONDS),
                labels: text_map(&template["metadata"]["labels"]),
                mounts: mounts(container, pod),
            });
        }
    }
}

/// The texts in a list.
fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn text_map(map: &Value) -> BTreeMap<String, String> {
    let pairs = map.as_object().into_iter().flat_map(Map::iter);
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn mounts(container: &Value, pod: &Value) -> Vec<Mount> {
    let volumes = || pod["volumes"].as_array().into_iter().flatten();
    let mounts = container["volumeMounts"].as_array().into_iter().flatten().filter_map(|mount| {
        let volume = volumes().find(|volume| volume["name"] == mount["name"])?;
        let items = volume["configMap"]["items"].as_array().into_iter().flatten();
        let items =
            items.filter_map(|item| Some((item["path"].as_str()?.to_owned(), item["key"].as_str()?.to_owned())));
        Some(Mount {
            path: mount["mountPath"].as_str()?.into(),
            config_map: volume["configMap"]["name"].as_str()?.to_owned(),
            sub_path: mount["subPath"].as_str().map(str::to_owned),
            items: items.collect(),
        })
    });
    mounts.collect()
}

fn environment(container: &Value) -> BTreeMap<String, String> {
    let variables = container["env"].as_array().into_iter().flatten();
    let known = variables.filter_map(|variable| {
        let field = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str();
        let value = match field {
            Some("metadata.name") => "pod-0",
            Some("status.podIP" | "status.hostIP") => "10.0.0.1",
            Some(_) => "x",
            None => variable["value"].as_str()?,
        };
        Some((variable["name"].as_str()?.to_owned(), value.to_owned()))
    });
    known.collect()
}

/// Expands `$(NAME)` as the kubelet does.
fn expand(text: &str, environment: &BTreeMap<String, String>) -> String {
    environment.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_found_among_sidecars_and_expanded() {
        let manifest = Manifest::read(
            "kind: StatefulSet\napiVersion: apps/v1\nmetadata: {name: ksm}\nspec:\n  ordinals: {start: 2}\n  template:\n    spec:\n      \
             containers:\n      - {name: proxy, image: proxy:1, args: [--upstream=x]}\n      - name: kube-state-metrics\n        \
             image: example.com/ksm:1\n        args: ['--pod=$(POD_NAME)', '--host=$(POD_IP)']\n        env:\n        \
             - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}\n        \
             - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}\n        - {name: SHARD, value: '1'}\n---\n\
             kind: ConfigMap\napiVersion: v1\ndata: {config.yaml: 'port: 1'}\n---\nkind: Role\napiVersion: x/v1\nrules:\n\
             - {apiGroups: [coordination.k8s.io], resources: [pods, leases]}\n",
        )
        .expect("it is YAML");
        let [found] = &manifest.deployed[..] else { panic!("{manifest:?}") };
        assert_eq!(found.arguments, ["--pod=pod-0", "--host=10.0.0.1"]);
        assert_eq!((found.workload.as_str(), found.is_statefulset, found.first_ordinal), ("StatefulSet ksm", true, 2));
        assert_eq!(found.environment["SHARD"], "1");
        assert_eq!(manifest.file(found, Path::new("/etc/config.yaml")), Some("port: 1"));
        assert!(!manifest.has_leases(), "no verbs");
    }

    #[test]
    fn files_are_those_of_the_mounted_config_map() {
        let manifest = Manifest::read(
            "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: ksm}\nspec:\n  template:\n    spec:\n      containers:\n      \
             - name: kube-state-metrics\n        volumeMounts:\n        - {name: a, mountPath: /etc/a}\n        \
             - {name: b, mountPath: /etc/b}\n        - {name: b, mountPath: /etc/one.yaml, subPath: config.yaml}\n        \
             - {name: other, mountPath: /etc/c}\n      volumes:\n      - {name: a, configMap: {name: first}}\n      \
             - {name: b, configMap: {name: second, items: [{key: config.yaml, path: renamed.yaml}]}}\n      \
             - {name: other, emptyDir: {}}\n---\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: first}\n\
             data: {config.yaml: one}\n---\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: second}\n\
             data: {config.yaml: two, only.yaml: three}\n",
        )
        .expect("it is YAML");
        let file = |path: &str| manifest.file(&manifest.deployed[0], Path::new(path));
        assert_eq!(file("/etc/a/config.yaml"), Some("one"));
        assert_eq!(file("/etc/b/renamed.yaml"), Some("two"));
        assert_eq!(file("/etc/one.yaml"), Some("two"));
        assert_eq!(file("/elsewhere/only.yaml"), Some("three"), "the only one of that name");
        assert_eq!(file("/elsewhere/config.yaml"), None, "two have that name");
    }
}
