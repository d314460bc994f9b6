//! A controller of StatefulSets, as far as a fleet needs one. It creates Pods, terminates surplus ones, and rolls them
//! one at a time from the highest ordinal down when the template changes.
//!
//! It always works as with `podManagementPolicy: Parallel`, and does not support partitions. It does not run the
//! Pods: the caller plays the kubelet, writes their status, and deletes a Pod with a `deletionTimestamp` when its process has
//! ended. The Ready condition decides whether a Pod is Ready.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Value, json};

use super::error::ApiError;
use super::objects::{Event, Object, State, check};

/// Limit of rounds until nothing changes any more; each change is progress.
const ROUNDS: usize = 8;

/// The tables that the controller reads and writes.
#[derive(Clone, Copy)]
struct Tables {
    sets: usize,
    pods: usize,
}

/// Reconciles after a change, if StatefulSets have a controller.
pub(super) fn settle(state: &mut State) {
    if !state.controlled {
        return;
    }
    let find = |state: &State, name: &str| state.position(name).ok();
    let Some((sets, pods)) = find(state, "statefulsets.apps").zip(find(state, "pods")) else { return };
    let tables = Tables { sets, pods };
    if !concerned(state, tables) {
        return;
    }
    for _ in 0..ROUNDS {
        let before = state.version;
        collect_garbage(state, tables);
        let all: Vec<Object> = state.tables[sets].objects.values().cloned().collect();
        for set in all {
            keep(state, tables, &set);
        }
        if state.version == before {
            state.settled = Some([sets, pods].map(|table| state.tables[table].next()));
            break;
        }
    }
}

/// Whether something has changed that a StatefulSet depends on. Most changes are of Leases, and of Pods in other namespaces.
fn concerned(state: &mut State, tables: Tables) -> bool {
    let [sets, pods] = [tables.sets, tables.pods].map(|table| &state.tables[table]);
    let Some([of_sets, of_pods]) = state.settled.filter(|[of_sets, _]| *of_sets == sets.next()) else { return true };
    let Some(mut events) = pods.since(of_pods) else { return true };
    let is_near =
        |object: &Object| sets.objects.keys().any(|(namespace, _)| object["metadata"]["namespace"] == **namespace);
    let concerned = events.any(|event| match event {
        Event::Change { before, now, .. } => is_near(now) || before.as_ref().is_some_and(is_near),
        Event::Line(_) => false,
    });
    if !concerned {
        state.settled = Some([of_sets, pods.next()]);
    }
    concerned
}

/// Orphans the Pods of a StatefulSet, so that they survive its deletion (`propagationPolicy: Orphan`).
fn orphan(state: &mut State, set: &Value) {
    let Ok(pods) = state.position("pods") else { return };
    for pod in state.tables[pods].objects.values().cloned().collect::<Vec<_>>() {
        if owner(&pod).is_some_and(|owner| owner["uid"] == set["metadata"]["uid"]) {
            let mut free = Value::clone(&pod);
            if let Some(metadata) = free["metadata"].as_object_mut() {
                metadata.remove("ownerReferences");
            }
            // Read under the lock that is still held.
            let _ = state.update(pods, free, true);
        }
    }
}

/// Deletes an object for a client. A Pod that must terminate first is only marked, unless the grace period is 0. The Pods of a
/// StatefulSet stay if the request orphans them.
pub(super) fn delete(
    state: &mut State,
    table: usize,
    namespace: &str,
    name: &str,
    options: &Value,
) -> Result<Object, ApiError> {
    let object = state.get(table, namespace, name)?;
    let plural = state.tables[table].resource.plural.clone();
    if state.controlled && plural == "pods" && owner(&object).is_some() {
        let wanted = &options["preconditions"];
        check(&plural, name, wanted.get("uid"), wanted.get("resourceVersion"), &object["metadata"])?;
        if options["gracePeriodSeconds"] != 0 {
            state.terminate(table, &object);
            return state.get(table, namespace, name);
        }
    }
    if state.controlled && plural == "statefulsets" && options["propagationPolicy"] == "Orphan" {
        orphan(state, &object);
    }
    state.delete(table, namespace, name, &options["preconditions"])
}

/// The owner reference of a Pod to its StatefulSet.
fn owner(pod: &Value) -> Option<&Value> {
    let all = pod["metadata"]["ownerReferences"].as_array()?;
    all.iter().find(|owner| owner["kind"] == "StatefulSet" && owner["controller"] == true)
}

/// Deletes Pods whose StatefulSet no longer exists.
fn collect_garbage(state: &mut State, tables: Tables) {
    let of = |object: &Object| object["metadata"]["uid"].clone();
    let sets: Vec<Value> = state.tables[tables.sets].objects.values().map(of).collect();
    let gone = |pod: &&Object| owner(pod).is_some_and(|owner| !sets.contains(&owner["uid"]));
    let orphans: Vec<Object> = state.tables[tables.pods].objects.values().filter(gone).cloned().collect();
    for pod in orphans {
        state.terminate(tables.pods, &pod);
    }
}

/// Moves the Pods of one StatefulSet towards its spec, and updates its status.
fn keep(state: &mut State, tables: Tables, set: &Value) {
    let revision = revision(set);
    adopt(state, tables, set);
    let wanted = ordinals(set);
    let pods = own(state, tables, set);
    for (_, pod) in pods.iter().filter(|(ordinal, _)| !wanted.contains(ordinal)) {
        state.terminate(tables.pods, pod);
    }
    for ordinal in wanted.clone().filter(|ordinal| !pods.contains_key(ordinal)) {
        // A Pod of that name with another owner blocks it, as on a real server.
        let _ = state.create(tables.pods, pod(set, ordinal, &revision), false);
    }
    for (_, pod) in own(state, tables, set).range(wanted).rev() {
        if is_of(pod, &revision) && is_ready(pod) {
            continue;
        }
        if !is_of(pod, &revision) {
            state.terminate(tables.pods, pod);
        }
        break;
    }
    report(state, tables, set, &revision);
}

/// Adopts Pods with matching labels and name, and without an owner.
fn adopt(state: &mut State, tables: Tables, set: &Value) {
    let free = |pod: &&Object| {
        let labels = set["spec"]["selector"]["matchLabels"].as_object();
        pod["metadata"]["namespace"] == set["metadata"]["namespace"]
            && pod["metadata"]["ownerReferences"].as_array().is_none_or(Vec::is_empty)
            && ordinal(set, pod).is_some()
            && labels.into_iter().flatten().all(|(key, value)| pod["metadata"]["labels"].get(key) == Some(value))
    };
    let orphans: Vec<Object> = state.tables[tables.pods].objects.values().filter(free).cloned().collect();
    for pod in orphans {
        let mut adopted = Value::clone(&pod);
        adopted["metadata"]["ownerReferences"] = reference(set);
        // Read under the lock that is still held.
        let _ = state.update(tables.pods, adopted, true);
    }
}

/// The Pods of a StatefulSet, by ordinal.
fn own(state: &State, tables: Tables, set: &Value) -> BTreeMap<u64, Object> {
    let uid = &set["metadata"]["uid"];
    let pods = state.tables[tables.pods].objects.values();
    pods.filter(|pod| owner(pod).is_some_and(|owner| owner["uid"] == *uid))
        .filter_map(|pod| Some((ordinal(set, pod)?, Object::clone(pod))))
        .collect()
}

fn ordinals(set: &Value) -> Range<u64> {
    let start = set["spec"]["ordinals"]["start"].as_u64().unwrap_or(0);
    start..start.saturating_add(set["spec"]["replicas"].as_u64().unwrap_or(1))
}

fn ordinal(set: &Value, pod: &Value) -> Option<u64> {
    let name = pod["metadata"]["name"].as_str()?;
    name.strip_prefix(set["metadata"]["name"].as_str()?)?.strip_prefix('-')?.parse().ok()
}

fn is_of(pod: &Value, revision: &str) -> bool {
    pod["metadata"]["labels"]["controller-revision-hash"] == revision
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    pod["metadata"]["deletionTimestamp"].is_null()
        && conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// The revision name of a template: equal templates have equal names.
fn revision(set: &Value) -> String {
    let text = set["spec"]["template"].to_string();
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{}-{hash:08x}", set["metadata"]["name"].as_str().unwrap_or_default())
}

fn reference(set: &Value) -> Value {
    let metadata = &set["metadata"];
    json!([{
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": metadata["name"], "uid": metadata["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }])
}

fn pod(set: &Value, ordinal: u64, revision: &str) -> Value {
    let template = &set["spec"]["template"];
    let name = format!("{}-{ordinal}", set["metadata"]["name"].as_str().unwrap_or_default());
    let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    for (label, value) in [
        ("statefulset.kubernetes.io/pod-name", name.clone()),
        ("apps.kubernetes.io/pod-index", ordinal.to_string()),
        ("controller-revision-hash", revision.to_owned()),
    ] {
        labels.insert(label.to_owned(), value.into());
    }
    let mut metadata = json!({
        "name": name, "namespace": set["metadata"]["namespace"], "labels": labels, "ownerReferences": reference(set),
    });
    if template["metadata"]["annotations"].is_object() {
        metadata["annotations"] = template["metadata"]["annotations"].clone();
    }
    let mut spec = if template["spec"].is_object() { template["spec"].clone() } else { json!({}) };
    spec["hostname"] = name.into();
    spec["subdomain"] = set["spec"]["serviceName"].clone();
    json!({ "metadata": metadata, "spec": spec, "status": { "phase": "Pending" } })
}

fn report(state: &mut State, tables: Tables, set: &Value, revision: &str) {
    let pods = own(state, tables, set);
    let count = |is: &dyn Fn(&Object) -> bool| pods.values().filter(|pod| is(pod)).count();
    let ready = count(&|pod| is_ready(pod));
    let updated = count(&|pod| is_of(pod, revision) && pod["metadata"]["deletionTimestamp"].is_null());
    let rolled = updated == pods.len() && ready == pods.len();
    let old = set["status"]["currentRevision"].as_str().filter(|_| !rolled).unwrap_or(revision);
    let mut reported = set.clone();
    reported["status"] = json!({
        "observedGeneration": set["metadata"]["generation"], "replicas": pods.len(), "readyReplicas": ready,
        "availableReplicas": ready, "updatedReplicas": updated, "currentReplicas": count(&|pod| is_of(pod, old)),
        "currentRevision": old, "updateRevision": revision, "collisionCount": 0,
    });
    // Read under the lock that is still held.
    let _ = state.update(tables.sets, reported, true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{Options, ResourceType};

    const PODS: usize = 1;

    fn state() -> State {
        let resources = vec![
            ResourceType::new("apps", "v1", "statefulsets", "StatefulSet", true),
            ResourceType::new("", "v1", "pods", "Pod", true),
        ];
        State::new(resources, &Options { statefulsets: true, ..Options::default() })
    }

    fn set(replicas: u64, start: u64, image: &str) -> Value {
        json!({
            "metadata": { "name": "fleet", "namespace": "shop" },
            "spec": {
                "replicas": replicas, "ordinals": { "start": start }, "serviceName": "fleet",
                "selector": { "matchLabels": { "app": "fleet" } },
                "template": {
                    "metadata": { "labels": { "app": "fleet" } },
                    "spec": { "terminationGracePeriodSeconds": 7, "containers": [{ "image": image }] },
                },
            },
        })
    }

    fn create(state: &mut State, replicas: u64, start: u64) {
        state.create(0, set(replicas, start, "one"), false).expect("created");
        settle(state);
    }

    fn change(state: &mut State, spec: Value) {
        state.patch(0, "shop", "fleet", &json!({ "spec": spec })).expect("patched");
        settle(state);
    }

    /// Name of each Pod, whether it is terminating, and whether it is Ready.
    fn pods(state: &State) -> Vec<(String, bool, bool)> {
        let all = state.tables[PODS].objects.iter();
        all.map(|((_, name), pod)| (name.clone(), pod["metadata"]["deletionTimestamp"].is_string(), is_ready(pod)))
            .collect()
    }

    fn ready(state: &mut State, name: &str) {
        let status = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
        state.patch(PODS, "shop", name, &status).expect("patched");
        settle(state);
    }

    fn end(state: &mut State, name: &str) {
        state.delete(PODS, "shop", name, &Value::Null).expect("deleted");
        settle(state);
    }

    fn expected(pods: &[(&str, bool, bool)]) -> Vec<(String, bool, bool)> {
        pods.iter().map(|(name, ending, ready)| ((*name).to_owned(), *ending, *ready)).collect()
    }

    #[test]
    fn pods_are_made_owned_and_counted() {
        let mut state = state();
        create(&mut state, 2, 5);
        assert_eq!(pods(&state), expected(&[("fleet-5", false, false), ("fleet-6", false, false)]));
        let set = state.get(0, "shop", "fleet").expect("there");
        let pod = state.get(PODS, "shop", "fleet-5").expect("there");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], set["metadata"]["uid"]);
        assert_eq!(pod["metadata"]["labels"]["app"], "fleet");
        assert_eq!(pod["metadata"]["labels"]["controller-revision-hash"], set["status"]["updateRevision"]);
        ready(&mut state, "fleet-5");
        let set = state.get(0, "shop", "fleet").expect("there");
        assert_eq!((&set["status"]["replicas"], &set["status"]["readyReplicas"]), (&json!(2), &json!(1)));
        assert_eq!(set["status"]["observedGeneration"], set["metadata"]["generation"]);
    }

    #[test]
    fn surplus_pods_are_ended_and_removed_after_their_end() {
        let mut state = state();
        create(&mut state, 3, 0);
        change(&mut state, json!({ "replicas": 1 }));
        let left = [("fleet-0", false, false), ("fleet-1", true, false), ("fleet-2", true, false)];
        assert_eq!(pods(&state), expected(&left));
        let ending = state.get(PODS, "shop", "fleet-2").expect("there");
        assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 7);
        end(&mut state, "fleet-2");
        // A Pod that is wanted again is created only after the old one has ended.
        change(&mut state, json!({ "replicas": 2 }));
        assert_eq!(pods(&state), expected(&left[..2]));
        end(&mut state, "fleet-1");
        assert_eq!(pods(&state), expected(&[("fleet-0", false, false), ("fleet-1", false, false)]));
    }

    #[test]
    fn a_new_template_rolls_one_by_one_from_the_end() {
        let mut state = state();
        create(&mut state, 3, 0);
        for name in ["fleet-0", "fleet-1", "fleet-2"] {
            ready(&mut state, name);
        }
        let revision = |state: &State| state.get(0, "shop", "fleet").expect("there")["status"].clone();
        let old = revision(&state)["currentRevision"].clone();
        change(&mut state, json!({ "template": { "metadata": { "annotations": { "restarted": "now" } } } }));
        for (name, next) in [("fleet-2", Some("fleet-1")), ("fleet-1", Some("fleet-0")), ("fleet-0", None)] {
            let ending: Vec<_> = pods(&state).into_iter().filter(|(_, ending, _)| *ending).map(|(n, ..)| n).collect();
            assert_eq!(ending, [name], "one at a time");
            assert_eq!(revision(&state)["currentRevision"], old);
            end(&mut state, name);
            assert!(pods(&state).iter().all(|(_, ending, _)| !ending), "the next waits until {name} is Ready");
            ready(&mut state, name);
            let ending = pods(&state).into_iter().find(|(_, ending, _)| *ending).map(|(name, ..)| name);
            assert_eq!(ending.as_deref(), next);
        }
        let status = revision(&state);
        assert_eq!((&status["updatedReplicas"], &status["currentRevision"]), (&json!(3), &status["updateRevision"]));
        assert_ne!(status["currentRevision"], old);
    }

    #[test]
    fn pods_go_with_their_set_unless_it_lets_them_go_and_a_new_one_takes_them_in() {
        let mut state = state();
        create(&mut state, 1, 0);
        let uid = state.get(PODS, "shop", "fleet-0").expect("there")["metadata"]["uid"].clone();
        let old = state.get(0, "shop", "fleet").expect("there");
        orphan(&mut state, &old);
        state.delete(0, "shop", "fleet", &Value::Null).expect("deleted");
        settle(&mut state);
        assert_eq!(pods(&state), expected(&[("fleet-0", false, false)]));
        create(&mut state, 1, 0);
        let pod = state.get(PODS, "shop", "fleet-0").expect("there");
        let new = state.get(0, "shop", "fleet").expect("there");
        assert_eq!(pod["metadata"]["uid"], uid);
        assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], new["metadata"]["uid"]);
        state.delete(0, "shop", "fleet", &Value::Null).expect("deleted");
        settle(&mut state);
        assert_eq!(pods(&state), expected(&[("fleet-0", true, false)]));
    }
}
