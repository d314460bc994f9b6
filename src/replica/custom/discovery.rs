//! The kinds without a CustomResourceDefinition that entries of the config name and the API server lists: those of aggregated API
//! servers, and built-in ones without a collector or in another version.
//!
//! API discovery has no watch, so the groups of these entries are read again from time to time. A group that does not answer
//! keeps the kinds that it had.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::super::followed;
use super::definitions::{CustomKind, KnownKinds};
use crate::collectors::custom::GroupVersionKind;
use crate::settings::Settings;
use crate::settings::custom::{CustomResources, Entry};
use crate::settings::resources;
use crate::sync::watch;

/// How often the groups are read.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The verbs that a source needs.
const VERBS: [&str; 2] = ["list", "watch"];
/// The most kinds of one group and version.
const MOST_KINDS: usize = 1_000;

/// Reads the groups that entries name.
pub(super) struct Discovery {
    client: kube::Client,
    settings: watch::Receiver<Arc<Settings>>,
    /// The kinds with a definition.
    defined: watch::Receiver<KnownKinds>,
    found: watch::Sender<KnownKinds>,
    /// The kinds of each group and version, as of its last answer.
    answers: BTreeMap<(String, String), Vec<CustomKind>>,
    /// The kinds whose missing verbs were logged.
    warned: HashSet<GroupVersionKind>,
}

impl Discovery {
    /// Finds nothing before [`Discovery::run`], which without entries for such kinds is known at once.
    pub fn new(
        client: kube::Client,
        settings: watch::Receiver<Arc<Settings>>,
        defined: watch::Receiver<KnownKinds>,
    ) -> Self {
        let wants = settings.borrow().live.custom.takes_all_kinds();
        let found = watch::Sender::new((!wants).then(|| Arc::from([])));
        Self { client, settings, defined, found, answers: BTreeMap::new(), warned: HashSet::new() }
    }

    /// Returns the kinds, and changes to them.
    pub fn found(&self) -> watch::Receiver<KnownKinds> {
        self.found.subscribe()
    }

    /// Reads the groups until the settings are gone.
    pub async fn run(mut self) {
        loop {
            let settings = Arc::clone(&self.settings.borrow());
            let custom = &settings.live.custom;
            let defined = self.defined.borrow().clone();
            let groups = groups(custom, defined.as_deref().unwrap_or_default());
            self.read(custom, &groups).await;
            tokio::select! {
                biased;
                changed = self.settings.changed() => if changed.is_err() { return },
                changed = self.defined.changed() => if changed.is_err() { return },
                () = sleep(INTERVAL), if !groups.is_empty() => {}
            }
        }
    }

    async fn read(&mut self, custom: &CustomResources, groups: &BTreeSet<&str>) {
        self.answers.retain(|(group, _), _| groups.contains(group.as_str()));
        if !groups.is_empty() {
            match self.versions(groups).await {
                Ok(versions) => {
                    self.answers.retain(|version, _| versions.contains(version));
                    for (group, version) in versions {
                        match self.resources(&group, &version).await {
                            Ok(found) => {
                                let kinds = self.kinds(custom, &group, &version, found);
                                self.answers.insert((group, version), kinds);
                            }
                            Err(error) => debug!(group, version, error, "the API group does not answer"),
                        }
                    }
                }
                Err(error) => debug!(error, "the API groups cannot be read"),
            }
        }
        followed::publish(&self.found, self.answers.values().flatten().cloned().collect());
    }

    /// Returns the versions of the groups.
    async fn versions(&self, groups: &BTreeSet<&str>) -> Result<BTreeSet<(String, String)>, String> {
        let mut versions = BTreeSet::new();
        if groups.contains("") {
            let core = answer(self.client.list_core_api_versions()).await?;
            versions.extend(core.versions.into_iter().map(|version| (String::new(), version)));
        }
        if groups.iter().any(|group| !group.is_empty()) {
            let all = answer(self.client.list_api_groups()).await?;
            for group in all.groups.into_iter().filter(|group| groups.contains(group.name.as_str())) {
                let of = |version| (group.name.clone(), version);
                versions.extend(group.versions.iter().map(|version| of(version.version.clone())));
            }
        }
        Ok(versions)
    }

    async fn resources(&self, group: &str, version: &str) -> Result<Vec<APIResource>, String> {
        let list = match group {
            "" => answer(self.client.list_core_api_resources(version)).await?,
            group => answer(self.client.list_api_group_resources(&format!("{group}/{version}"))).await?,
        };
        Ok(list.resources)
    }

    /// Returns the kinds that entries name and a source can read. Logs those that it cannot, once.
    fn kinds(
        &mut self,
        custom: &CustomResources,
        group: &str,
        version: &str,
        resources: Vec<APIResource>,
    ) -> Vec<CustomKind> {
        let mut kinds = Vec::new();
        for resource in resources.into_iter().take(MOST_KINDS) {
            let of = GroupVersionKind {
                group: resource.group.filter(|own| !own.is_empty()).unwrap_or_else(|| group.to_owned()),
                version: resource.version.filter(|own| !own.is_empty()).unwrap_or_else(|| version.to_owned()),
                kind: resource.kind,
            };
            // Subresources may have other kinds.
            let is_own = !resource.name.contains('/') && (of.group.as_str(), of.version.as_str()) == (group, version);
            let Some(entry) = custom.of(&of).filter(|entry| is_own && !is_read_as_built_in(entry, &of)) else {
                continue;
            };
            let missing: Vec<_> =
                VERBS.into_iter().filter(|verb| !resource.verbs.iter().any(|has| has == verb)).collect();
            if missing.is_empty() {
                kinds.push(CustomKind { of, plural: resource.name, namespaced: resource.namespaced, defined: false });
            } else if entry.kind.is_some() && self.warned.len() < MOST_KINDS && self.warned.insert(of.clone()) {
                let (missing, line) = (missing.join(" and "), entry.line);
                warn!(
                    kind = %of,
                    missing,
                    line,
                    "the entry serves nothing: the API server does not support the missing verbs for this kind"
                );
            }
        }
        kinds
    }
}

/// Returns an answer, or why there is none.
async fn answer<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match timeout(PATIENCE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Returns the groups of entries that name more than kinds with a definition and built-in ones.
fn groups<'c>(custom: &'c CustomResources, defined: &[CustomKind]) -> BTreeSet<&'c str> {
    if !custom.takes_all_kinds() {
        return BTreeSet::new();
    }
    let is_defined = |entry: &Entry| {
        entry.version.is_some() && entry.kind.is_some() && defined.iter().any(|kind| entry.matches(&kind.of))
    };
    custom.of_others().filter(|entry| !is_defined(entry)).map(|entry| entry.group.as_str()).collect()
}

/// Whether the kind is read as a built-in one: in the version of its collector, or in another one that the entry does not name.
fn is_read_as_built_in(entry: &Entry, of: &GroupVersionKind) -> bool {
    let mut same = resources::all().iter().filter(|known| known.group == of.group && known.kind == of.kind);
    same.any(|known| known.version == of.version || entry.version.is_none())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;
    use crate::settings::custom::Kinds;
    use crate::settings::{Environment, Flags};

    /// Answers as an API server with an aggregated one, whose group may not answer.
    fn answers(path: &str) -> Option<Value> {
        let resource = |name: &str, kind: &str, verbs: &[&str]| json!({"name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": verbs});
        let list = |version: &str, resources: Value| json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources});
        let all = &["get", "list", "watch"];
        Some(match path {
            "/apis" => {
                let group = |name: &str, version: &str| {
                    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
                    json!({"name": name, "versions": [version], "preferredVersion": version})
                };
                let groups = [group("apps", "v1"), group("metrics.k8s.io", "v1beta1"), group("other", "v1")];
                json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
            }
            "/apis/apps/v1" => list(
                "apps/v1",
                json!([
                    resource("deployments", "Deployment", all),
                    resource("deployments/scale", "Scale", all),
                    resource("controllerrevisions", "ControllerRevision", all),
                ]),
            ),
            "/apis/metrics.k8s.io/v1beta1" => {
                list("metrics.k8s.io/v1beta1", json!([resource("pods", "PodMetrics", &["get", "list"])]))
            }
            _ => return None,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn kinds_are_those_that_entries_name_and_a_source_can_read() {
        let server = tower::service_fn(|request: http::Request<Body>| async move {
            let found = answers(request.uri().path());
            let code = if found.is_some() { 200 } else { 503 };
            let body = found.unwrap_or_else(|| json!({"kind": "Status", "code": 503, "status": "Failure"}));
            let response = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            Ok::<_, Infallible>(response.expect("valid"))
        });
        let config = "spec: {resources: [
            {groupVersionKind: {group: apps, version: '*', kind: '*'}, metrics: []},
            {groupVersionKind: {group: metrics.k8s.io, kind: PodMetrics}, metrics: []},
            {groupVersionKind: {group: other, version: v1, kind: Thing}, metrics: []},
        ]}";
        let (mut settings, _) =
            Settings::resolve(&Flags::default(), &Environment::default(), || None).expect("they are valid");
        settings.live.custom = CustomResources::parse_for(Kinds::All, "config", config).expect("valid");
        let settings = watch::Sender::new(Arc::new(settings));
        let defined = watch::Sender::new(None);
        let client = kube::Client::new(server, "default");
        let mut discovery = Discovery::new(client, settings.subscribe(), defined.subscribe());
        let mut found = discovery.found();
        assert!(found.borrow().is_none());
        let other = GroupVersionKind { group: "other".into(), version: "v1".into(), kind: "Thing".into() };
        let known = CustomKind { of: other, plural: "things".into(), namespaced: true, defined: false };
        discovery.answers.insert(("other".into(), "v1".into()), vec![known]);
        let reads = async {
            found.changed().await.expect("it runs");
            let kinds = found.borrow().clone().expect("found");
            // Deployments have a collector, PodMetrics have no watch, and a group without an answer keeps its kinds.
            let names: Vec<_> = kinds.iter().map(|kind| kind.of.to_string()).collect();
            assert_eq!(names, ["ControllerRevision.v1.apps", "Thing.v1.other"]);
        };
        tokio::select! {
            () = discovery.run() => panic!("the settings are there"),
            () = reads => {}
        }
    }

    #[test]
    fn a_kind_with_a_definition_needs_no_discovery() {
        let config = "spec: {resources: [{groupVersionKind: {group: a.b, version: v1, kind: Foo}, metrics: []}]}";
        let of = GroupVersionKind { group: "a.b".into(), version: "v1".into(), kind: "Foo".into() };
        let defined = CustomKind { of, plural: "foos".into(), namespaced: true, defined: true };
        let custom = |kinds| CustomResources::parse_for(kinds, "config", config).expect("valid");
        assert_eq!(groups(&custom(Kinds::All), &[]), BTreeSet::from(["a.b"]));
        assert!(groups(&custom(Kinds::All), &[defined]).is_empty());
        assert!(groups(&custom(Kinds::Defined), &[]).is_empty());
    }
}
