//! Families of the resources that a pod has: in use after a resize, of the pod as a whole, and as the scheduler counts them.
//!
//! [`effective_requests`] and [`effective_limits`] follow `PodRequests` and `PodLimits` of `k8s.io/component-helpers/resource`, with
//! all features that the state of a pod reveals: a feature that is off leaves its fields unset. A resize can be seen in the status
//! (KEP-1287, for pods KEP-5419), pod-level resources in the spec (KEP-2837), and the claims of a node's resources in the status
//! (KEP-5517). The tests below compare them with the results of the Go functions.

use std::collections::BTreeMap;

use super::super::common::text;
use super::super::objects::{Container, ContainerStatus, Map, Pod, Quantity, ResourceRequirements};
use super::super::quantity::Amount;
use super::super::resources::{ResourceList, each_amount, each_with_unit, in_unit};
use super::containers::{Containers, Init, Main};
use super::parts::{spec_of, status_of};
use crate::exposition::Samples;

/// Amounts by the name of the resource.
type Amounts<'a> = BTreeMap<&'a str, Amount>;

pub fn status_requests<C: Containers>(pod: &Pod, samples: &mut Samples) {
    of_statuses::<C>(pod, |status| status.resources.as_ref().map(|resources| &resources.requests), samples);
}

pub fn status_limits<C: Containers>(pod: &Pod, samples: &mut Samples) {
    of_statuses::<C>(pod, |status| status.resources.as_ref().map(|resources| &resources.limits), samples);
}

pub fn allocated<C: Containers>(pod: &Pod, samples: &mut Samples) {
    of_statuses::<C>(pod, |status| Some(&status.allocated_resources), samples);
}

fn of_statuses<C: Containers>(
    pod: &Pod,
    list: for<'a> fn(&'a ContainerStatus<'a>) -> Option<&'a ResourceList<'a>>,
    samples: &mut Samples,
) {
    let node = text(&spec_of(pod).node_name);
    for status in C::statuses(pod) {
        let Some(list) = list(status) else { continue };
        each_with_unit(list, |resource, unit, amount| {
            let labels = [("container", &*status.name), ("node", node), ("resource", resource), ("unit", unit)];
            samples.sample(&labels, in_unit(unit, amount));
        });
    }
}

pub fn pod_requests(pod: &Pod, samples: &mut Samples) {
    of_pod(pod, spec_of(pod).resources.as_ref().map(|resources| &resources.requests), samples);
}

pub fn pod_limits(pod: &Pod, samples: &mut Samples) {
    of_pod(pod, spec_of(pod).resources.as_ref().map(|resources| &resources.limits), samples);
}

pub fn pod_status_requests(pod: &Pod, samples: &mut Samples) {
    of_pod(pod, status_of(pod).resources.as_ref().map(|resources| &resources.requests), samples);
}

pub fn pod_status_limits(pod: &Pod, samples: &mut Samples) {
    of_pod(pod, status_of(pod).resources.as_ref().map(|resources| &resources.limits), samples);
}

pub fn pod_allocated(pod: &Pod, samples: &mut Samples) {
    of_pod(pod, Some(&status_of(pod).allocated_resources), samples);
}

fn of_pod(pod: &Pod, list: Option<&ResourceList<'_>>, samples: &mut Samples) {
    let node = text(&spec_of(pod).node_name);
    each_with_unit(list.unwrap_or(&None), |resource, unit, amount| {
        samples.sample(&[("node", node), ("resource", resource), ("unit", unit)], in_unit(unit, amount));
    });
}

pub fn effective_requests(pod: &Pod, samples: &mut Samples) {
    emit(pod, effective::<Requests>(pod), samples);
}

pub fn effective_limits(pod: &Pod, samples: &mut Samples) {
    emit(pod, effective::<Limits>(pod), samples);
}

fn emit(pod: &Pod, amounts: Amounts<'_>, samples: &mut Samples) {
    let node = text(&spec_of(pod).node_name);
    each_amount(amounts, |resource, unit, amount| {
        samples.sample(&[("node", node), ("resource", resource), ("unit", unit)], in_unit(unit, amount));
    });
}

/// What requests and limits do differently.
trait Side {
    /// Whether these are requests.
    const REQUESTS: bool;
    /// Returns the list of this side.
    fn list<'a>(resources: &'a ResourceRequirements<'a>) -> &'a ResourceList<'a>;
}

struct Requests;

struct Limits;

impl Side for Requests {
    const REQUESTS: bool = true;

    fn list<'a>(resources: &'a ResourceRequirements<'a>) -> &'a ResourceList<'a> {
        &resources.requests
    }
}

impl Side for Limits {
    const REQUESTS: bool = false;

    fn list<'a>(resources: &'a ResourceRequirements<'a>) -> &'a ResourceList<'a> {
        &resources.limits
    }
}

/// Returns what the scheduler counts for a pod.
fn effective<'a, S: Side>(pod: &'a Pod<'a>) -> Amounts<'a> {
    let (spec, status) = (spec_of(pod), status_of(pod));
    let mut total = of_containers::<S>(pod);
    if S::REQUESTS {
        for claim in status.node_allocatable_resource_claim_statuses.iter().flatten() {
            add(&mut total, &read(&claim.resources));
        }
    }
    let wanted = side::<S>(spec.resources.as_ref());
    // NB: an infeasible resize of a pod whose status has no limits leaves the limits of the spec.
    let counts = |actual: &&ResourceRequirements<'_>| S::REQUESTS || S::list(actual).is_some() || !is_infeasible(pod);
    let resized = status
        .resources
        .as_ref()
        .filter(counts)
        .map(|actual| resized::<S>(pod, &wanted, actual, &status.allocated_resources));
    for (name, amount) in wanted.iter().filter(|(name, _)| is_of_pod(name)) {
        // A resource that the status does not have counts as zero.
        let zero = Amount::Short { value: 0, scale: 0 };
        total.insert(name, resized.as_ref().map_or(*amount, |resized| resized.get(name).copied().unwrap_or(zero)));
    }
    for (name, overhead) in amounts(&spec.overhead) {
        if S::REQUESTS {
            total.entry(name).and_modify(|amount| *amount = amount.plus(overhead)).or_insert(overhead);
        } else if let Some(limit) = total.get_mut(name).filter(|limit| !limit.is_zero()) {
            *limit = limit.plus(overhead);
        }
    }
    total
}

/// Returns whether a pod as a whole may have this resource (KEP-2837).
fn is_of_pod(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

/// Returns what the containers need together: all main containers and sidecars at once, or an init container with the sidecars
/// before it, whichever is more (KEP-753).
fn of_containers<'a, S: Side>(pod: &'a Pod<'a>) -> Amounts<'a> {
    let mut total = Amounts::new();
    for container in Main::specs(pod) {
        add(&mut total, &of_container::<S>(pod, container, true));
    }
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in Init::specs(pod) {
        let is_sidecar = container.restart_policy.as_deref() == Some("Always");
        let mut own = of_container::<S>(pod, container, is_sidecar);
        if is_sidecar {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            raise(&mut most, &sidecars);
        } else {
            add(&mut own, &sidecars);
            raise(&mut most, &own);
        }
    }
    raise(&mut total, &most);
    total
}

/// Returns what a container needs. `may_resize`: it can be resized in place, so its status counts.
fn of_container<'a, S: Side>(pod: &'a Pod<'a>, container: &'a Container<'a>, may_resize: bool) -> Amounts<'a> {
    let wanted = side::<S>(container.resources.as_ref());
    if !may_resize {
        return wanted;
    }
    // Of several statuses of the name, the last one counts.
    let statuses = Init::statuses(pod).iter().rev().chain(Main::statuses(pod).iter().rev());
    let Some(status) = statuses.into_iter().find(|status| status.name == container.name) else { return wanted };
    let Some(actual) = &status.resources else { return wanted };
    resized::<S>(pod, &wanted, actual, &status.allocated_resources)
}

/// Returns the amounts that count while a resize is under way: the largest, or, if the node cannot do it, those that are in use.
fn resized<'a, S: Side>(
    pod: &Pod,
    wanted: &Amounts<'a>,
    actual: &'a ResourceRequirements<'a>,
    allocated: &'a ResourceList<'a>,
) -> Amounts<'a> {
    let mut most = side::<S>(Some(actual));
    if S::REQUESTS {
        raise(&mut most, &amounts(allocated));
    }
    if !is_infeasible(pod) {
        raise(&mut most, wanted);
    }
    most
}

fn is_infeasible(pod: &Pod) -> bool {
    let mut conditions = status_of(pod).conditions.iter().flatten();
    let pending = conditions.find(|condition| condition.type_ == "PodResizePending");
    pending.is_some_and(|pending| pending.reason.as_deref() == Some("Infeasible"))
}

fn side<'a, S: Side>(resources: Option<&'a ResourceRequirements<'a>>) -> Amounts<'a> {
    resources.map(|resources| amounts(S::list(resources))).unwrap_or_default()
}

fn amounts<'a>(list: &'a ResourceList<'a>) -> Amounts<'a> {
    list.as_ref().map(read).unwrap_or_default()
}

/// Leaves out invalid quantities.
fn read<'a>(list: &'a Map<'a, Quantity<'a>>) -> Amounts<'a> {
    list.iter().filter_map(|(name, quantity)| Some((name, Amount::parse(&quantity.0)?))).collect()
}

fn add<'a>(total: &mut Amounts<'a>, more: &Amounts<'a>) {
    for (name, amount) in more {
        total.entry(name).and_modify(|sum| *sum = sum.plus(*amount)).or_insert(*amount);
    }
}

/// Sets every amount to the larger one.
fn raise<'a>(total: &mut Amounts<'a>, other: &Amounts<'a>) {
    for (name, amount) in other {
        total.entry(name).and_modify(|most| *most = most.max(*amount)).or_insert(*amount);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use std::borrow::Cow;
    use std::cmp::Ordering;
    use std::io::{BufRead, BufReader};

    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::super::Pods;
    use super::*;
    use crate::intake::{Form, Unreadable, decode_object};

    fn pod<'a>(of: &Json) -> Pod<'a> {
        decode_object::<Pods>(of, Form::Object, &Unreadable::default()).unwrap()
    }

    /// Returns whether two lists have the same resources with equal amounts.
    fn same(ours: &Amounts<'_>, theirs: &Amounts<'_>) -> bool {
        ours.len() == theirs.len()
            && theirs
                .iter()
                .all(|(name, amount)| ours.get(name).is_some_and(|own| own.compare(*amount) == Ordering::Equal))
    }

    /// Recorded by scripts/gen-pod-resources.
    #[test]
    fn effective_resources_are_those_of_the_scheduler() {
        let recorded = include_bytes!("../../../tests/data/pod-resources.jsonl.gz").as_slice();
        let mut resized = 0;
        for line in BufReader::new(GzDecoder::new(recorded)).lines() {
            let case: Json = serde_json::from_str(&line.unwrap()).unwrap();
            let pod = pod(&case["pod"]);
            let list = |side: &str| {
                let list: BTreeMap<String, String> = serde_json::from_value(case[side].clone()).unwrap();
                list.into_iter().map(|(name, amount)| (name.into(), Quantity(Cow::Owned(amount)))).collect()
            };
            let (requests, limits): (Map<'_, _>, Map<'_, _>) = (list("requests"), list("limits"));
            let (own_requests, own_limits) = (effective::<Requests>(&pod), effective::<Limits>(&pod));
            assert!(same(&own_requests, &read(&requests)), "requests: {own_requests:?}\n{case}");
            assert!(same(&own_limits, &read(&limits)), "limits: {own_limits:?}\n{case}");
            resized += usize::from(status_of(&pod).resources.is_some());
        }
        assert!(resized > 100, "{resized} pods with a resize");
    }

    fn list() -> impl Strategy<Value = Json> {
        proptest::collection::btree_map(
            proptest::sample::select(vec!["cpu", "memory", "hugepages-2Mi", "example.com/gpu"]),
            proptest::sample::select(vec!["0", "1m", "250m", "2", "1.5", "1Gi", "64Mi", "7n"]),
            0..4,
        )
        .prop_map(|list| json!(list))
    }

    proptest! {
        #[test]
        fn a_pod_counts_for_no_less_than_any_moment_of_it(
            main in proptest::collection::vec(list(), 0..4),
            init in proptest::collection::vec((list(), any::<bool>()), 0..4),
            overhead in list(),
        ) {
            let mains = main.iter().map(|requests| json!({"name": "m", "resources": {"requests": requests}}));
            let inits = init.iter().map(|(requests, sidecar)| {
                json!({"name": "i", "resources": {"requests": requests}, "restartPolicy": sidecar.then_some("Always")})
            });
            let spec = json!({"containers": mains.collect::<Vec<_>>(), "initContainers": inits.collect::<Vec<_>>(), "overhead": overhead});
            let pod = pod(&json!({"spec": spec}));
            let total = effective::<Requests>(&pod);
            let (mut running, mut sidecars) = (amounts(&spec_of(&pod).overhead), amounts(&spec_of(&pod).overhead));
            let requests = |container: &'static str, number: usize| {
                let spec = spec_of(&pod);
                let list = if container == "m" { &spec.containers } else { spec.init_containers.as_ref().unwrap() };
                side::<Requests>(list[number].resources.as_ref())
            };
            let covers = |moment: &Amounts<'_>| {
                moment.iter().all(|(name, amount)| total.get(name).is_some_and(|all| all.compare(*amount) != Ordering::Less))
            };
            for number in 0..main.len() {
                add(&mut running, &requests("m", number));
            }
            for (number, (_, sidecar)) in init.iter().enumerate() {
                let own = requests("i", number);
                if *sidecar {
                    add(&mut running, &own);
                    add(&mut sidecars, &own);
                    prop_assert!(covers(&sidecars));
                } else {
                    let mut starting = sidecars.clone();
                    add(&mut starting, &own);
                    prop_assert!(covers(&starting));
                }
            }
            prop_assert!(covers(&running));
        }
    }
}
