use std::collections::BTreeMap;

use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job as BatchJob};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node as CoreNode, Pod as CorePod, Secret, Service};
use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// The cluster as a server stores it: by plural, namespace and name.
type Cluster = BTreeMap<(String, String, String), Value>;

/// The plural of an object, checked by its type.
fn plural(object: &Value) -> &'static str {
    fn read<T: Resource + DeserializeOwned>(object: &Value) -> &'static str {
        serde_json::from_value::<T>(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"));
        T::URL_PATH_SEGMENT
    }
    match object["kind"].as_str().expect("a kind") {
        "Pod" => read::<CorePod>(object),
        "Node" => read::<CoreNode>(object),
        "Namespace" => read::<Namespace>(object),
        "Service" => read::<Service>(object),
        "ConfigMap" => read::<ConfigMap>(object),
        "Secret" => read::<Secret>(object),
        "Deployment" => read::<Deployment>(object),
        "ReplicaSet" => read::<ReplicaSet>(object),
        "DaemonSet" => read::<DaemonSet>(object),
        "HorizontalPodAutoscaler" => read::<HorizontalPodAutoscaler>(object),
        "CronJob" => read::<CronJob>(object),
        "Job" => read::<BatchJob>(object),
        other => panic!("an unexpected {other}"),
    }
}

fn put(cluster: &mut Cluster, object: Value) {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    cluster.insert((plural(&object).to_owned(), text("namespace"), text("name")), object);
}

fn born(life: &mut Life) -> Cluster {
    let mut cluster = Cluster::new();
    let objects = life.objects();
    let count = objects.len();
    for object in objects {
        put(&mut cluster, object);
    }
    assert_eq!(cluster.len(), count, "each object once");
    cluster
}

fn live(life: &mut Life, cluster: &mut Cluster, second: i64) -> Vec<News> {
    let step = life.step(Timestamp::from_second(second).expect("a time"));
    for change in step.changes {
        match change {
            Change::Apply(object) => put(cluster, object),
            Change::Delete(resource, namespace, name) => {
                cluster.remove(&(resource.to_owned(), namespace, name)).expect("deleted objects exist");
            }
        }
    }
    step.news
}

fn all<'a>(cluster: &'a Cluster, plural: &'a str) -> impl Iterator<Item = &'a Value> {
    cluster.iter().filter(move |((p, ..), _)| p == plural).map(|(_, object)| object)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    #[test]
    fn a_cluster_has_as_many_pods_as_asked_for(seed: u64, pods in FEWEST_PODS..600) {
        let cluster = born(&mut Life::new(seed, pods, NOW));
        prop_assert_eq!(all(&cluster, "pods").count(), pods);
    }

    #[test]
    fn statuses_agree_with_the_pods_at_every_second(seed: u64, pods in FEWEST_PODS..120) {
        let mut life = Life::new(seed, pods, NOW);
        let mut cluster = born(&mut life);
        for second in 1..90 {
            live(&mut life, &mut cluster, second);
            for set in all(&cluster, "replicasets") {
                let own = |pod: &&Value| pod["metadata"]["ownerReferences"][0]["uid"] == set["metadata"]["uid"];
                let ready = |pod: &&Value| pod["status"]["containerStatuses"][0]["ready"] == true;
                prop_assert_eq!(all(&cluster, "pods").filter(own).count() as u64, set["status"]["replicas"].as_u64().unwrap_or(0));
                let ready = all(&cluster, "pods").filter(own).filter(ready).count();
                prop_assert_eq!(ready as u64, set["status"]["readyReplicas"].as_u64().unwrap_or(0));
            }
            let owners: Vec<_> = cluster.values().map(|object| &object["metadata"]["uid"]).collect();
            for owned in cluster.values().filter(|object| object["metadata"]["ownerReferences"].is_array()) {
                prop_assert!(owners.contains(&&owned["metadata"]["ownerReferences"][0]["uid"]), "{}", owned);
            }
        }
    }
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let lived = |seed| {
        let mut life = Life::new(seed, 40, NOW);
        let mut cluster = born(&mut life);
        let news: Vec<_> = (1..60).flat_map(|second| live(&mut life, &mut cluster, second)).collect();
        (cluster, news)
    };
    assert_eq!(lived(7), lived(7));
    assert_ne!(lived(7).1, lived(8).1);
}

#[test]
fn everything_that_is_promised_happens() {
    let mut life = Life::new(1, 60, NOW);
    let mut cluster = born(&mut life);
    let reason =
        |pod: &Value, pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let unschedulable = |pod: &Value| reason(pod, "/status/conditions/0/reason") == "Unschedulable";
    assert!(all(&cluster, "pods").any(unschedulable));
    let (mut whats, mut crashed, mut longest) = (BTreeSet::new(), false, 0);
    for second in 1..200 {
        let news = live(&mut life, &mut cluster, second);
        longest = longest.max(news.len());
        whats.extend(news.iter().map(|news| news.what));
        crashed |= all(&cluster, "pods")
            .any(|pod| reason(pod, "/status/containerStatuses/0/state/waiting/reason") == "CrashLoopBackOff");
    }
    assert_eq!(whats.into_iter().collect::<Vec<_>>(), ["crash", "job", "node", "rollout", "scale"]);
    assert!(crashed);
    assert!(longest <= 5, "{longest} lines at once are no calm");
    assert!(all(&cluster, "deployments").any(|deployment| deployment["metadata"]["generation"].as_u64() > Some(2)));
    assert_eq!(all(&cluster, "jobs").count(), KEPT_JOBS);
}
