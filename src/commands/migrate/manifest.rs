//! Finds kube-state-metrics in a manifest: its arguments and environment, and the objects that it depends on.

use std::collections::BTreeMap;

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
}

/// The relevant objects of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub deployed: Vec<Deployed>,
    /// Whether a Role grants permissions on Leases.
    pub has_leases: bool,
    /// The contents of ConfigMaps, by file name.
    pub files: BTreeMap<String, String>,
}

impl Manifest {
    pub fn read(text: &str) -> Result<Self, InputError> {
        let mut manifest = Self::default();
        input::objects(text, |_, object| manifest.take(&object))?;
        Ok(manifest)
    }

    fn take(&mut self, Object { kind, fields, .. }: &Object) {
        let object = Value::Object(fields.clone());
        match kind.as_str() {
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => {
                self.workload(kind, &object, &object["spec"]["template"]["spec"]);
            }
            "Pod" => self.workload(kind, &object, &object["spec"]),
            "Role" | "ClusterRole" => {
                let rules = object["rules"].as_array().into_iter().flatten();
                let resources = rules.flat_map(|rule| rule["resources"].as_array().into_iter().flatten());
                self.has_leases |= resources.into_iter().any(|resource| resource == "leases");
            }
            "ConfigMap" => {
                let data = object["data"].as_object().into_iter().flat_map(Map::iter);
                self.files.extend(data.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))));
            }
            _ => {}
        }
    }

    fn workload(&mut self, kind: &str, object: &Value, pod: &Value) {
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
            let words = |key: &str| container[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            let arguments = words("command").skip(1).chain(words("args")).map(|text| expand(text, &environment));
            self.deployed.push(Deployed {
                workload: format!("{kind} {name}"),
                is_statefulset: kind == "StatefulSet",
                first_ordinal: object["spec"]["ordinals"]["start"].as_u64().unwrap_or_default(),
                arguments: arguments.collect(),
                environment,
            });
        }
    }
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
             - {resources: [pods, leases]}\n",
        )
        .expect("it is YAML");
        let [found] = &manifest.deployed[..] else { panic!("{manifest:?}") };
        assert_eq!(found.arguments, ["--pod=pod-0", "--host=10.0.0.1"]);
        assert_eq!((found.workload.as_str(), found.is_statefulset, found.first_ordinal), ("StatefulSet ksm", true, 2));
        assert_eq!(found.environment["SHARD"], "1");
        assert_eq!(manifest.files["config.yaml"], "port: 1");
        assert!(manifest.has_leases);
    }
}
