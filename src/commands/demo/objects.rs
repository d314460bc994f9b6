//! The demo's objects as JSON: pure functions of the model in [`super::life`].

use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::{Daemon, Job, JobState, Node, OwnerRef, Pod, PodState, ReplicaSet, Workload};

/// The image of the reports' jobs.
pub(super) const REPORT_IMAGE: &str = "demo/report:v1";

pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.0}")
}

fn metadata(namespace: &str, name: &str, uid: &str, created: Timestamp) -> Value {
    let mut metadata = json!({ "name": name, "uid": uid, "creationTimestamp": time(created) });
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    metadata
}

fn owned_by(metadata: &mut Value, owner: &OwnerRef<'_>) {
    metadata["ownerReferences"] = json!([{
        "apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid, "controller": true,
        "blockOwnerDeletion": true,
    }]);
}

fn condition(kind: &str, is: bool, reason: &str, since: Timestamp) -> Value {
    json!({
        "type": kind, "status": if is { "True" } else { "False" }, "reason": reason, "message": "",
        "lastTransitionTime": time(since), "lastUpdateTime": time(since),
    })
}

fn pod_template(app: &str, image: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": app } },
        "spec": { "containers": [container(image)], "restartPolicy": "Always" },
    })
}

fn container(image: &str) -> Value {
    json!({
        "name": "main", "image": image,
        "resources": {
            "requests": { "cpu": "100m", "memory": "128Mi" },
            "limits": { "memory": "256Mi" },
        },
    })
}

pub(super) fn namespace(name: &str, uid: &str, created: Timestamp) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": metadata("", name, uid, created),
        "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
    })
}

pub(super) fn node(node: &Node) -> Value {
    let mut metadata = metadata("", &node.name, &node.uid, node.created);
    metadata["labels"] = json!({
        "kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": node.zone,
    });
    let taints = if node.ready {
        json!([])
    } else {
        json!([{ "key": "node.kubernetes.io/unreachable", "effect": "NoSchedule", "timeAdded": time(node.since) }])
    };
    let mut ready = condition("Ready", node.ready, "KubeletReady", node.since);
    if !node.ready {
        ready["status"] = "Unknown".into();
        ready["reason"] = "NodeStatusUnknown".into();
    }
    let calm = |kind| condition(kind, false, "KubeletIsCalm", node.created);
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": metadata,
        "spec": { "podCIDR": format!("10.{}.0.0/24", node.number), "providerID": format!("demo://{}", node.name), "taints": taints },
        "status": {
            "capacity": { "cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi" },
            "allocatable": { "cpu": "7800m", "memory": "30Gi", "pods": "110", "ephemeral-storage": "90Gi" },
            "addresses": [{ "type": "InternalIP", "address": node.address() }, { "type": "Hostname", "address": node.name }],
            "conditions": [calm("MemoryPressure"), calm("DiskPressure"), calm("PIDPressure"), ready],
            "nodeInfo": {
                "kernelVersion": "6.12.0", "osImage": "Demo Linux 13", "containerRuntimeVersion": "containerd://2.1.0",
                "kubeletVersion": "v1.36.0", "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64",
                "machineID": node.uid, "systemUUID": node.uid, "bootID": node.uid,
            },
        },
    })
}

pub(super) fn pod(
    pod: &Pod,
    namespace: &str,
    app: &str,
    image: &str,
    owner: &OwnerRef<'_>,
    node: Option<&Node>,
) -> Value {
    let mut metadata = metadata(namespace, &pod.name, &pod.uid, pod.created);
    metadata["labels"] = json!({ "app": app });
    owned_by(&mut metadata, owner);
    let is_job = owner.kind == "Job";
    let running = pod.state == PodState::Running;
    let ready = running && node.is_some_and(|node| node.ready);
    let done = pod.state == PodState::Succeeded;
    let phase = match pod.state {
        PodState::Unschedulable | PodState::Starting(_) => "Pending",
        // A pod counts as running while its container waits for the next attempt.
        PodState::Running | PodState::CrashLoop(_) => "Running",
        PodState::Succeeded => "Succeeded",
    };
    let crash = json!({
        "exitCode": 1, "reason": "Error", "startedAt": time(pod.started), "finishedAt": time(pod.changed),
    });
    let state = match pod.state {
        PodState::Unschedulable => Value::Null,
        PodState::Starting(_) => json!({ "waiting": { "reason": "ContainerCreating" } }),
        PodState::Running => json!({ "running": { "startedAt": time(pod.started) } }),
        PodState::CrashLoop(_) => json!({ "waiting": { "reason": "CrashLoopBackOff" } }),
        PodState::Succeeded => json!({ "terminated": {
            "exitCode": 0, "reason": "Completed", "startedAt": time(pod.started), "finishedAt": time(pod.changed),
        } }),
    };
    let mut status = json!({
        "phase": phase, "qosClass": "Burstable",
        "conditions": [
            condition("PodScheduled", node.is_some(), if node.is_some() { "" } else { "Unschedulable" }, pod.created),
        ],
    });
    if let Some(node) = node {
        let why = if done { "PodCompleted" } else { "" };
        status["conditions"] = json!([
            condition("PodScheduled", true, "", pod.created),
            condition("Initialized", true, why, pod.created),
            condition("ContainersReady", ready, why, pod.changed),
            condition("Ready", ready, why, pod.changed),
        ]);
        status["startTime"] = time(pod.created).into();
        status["hostIP"] = node.address().into();
        status["podIP"] = format!("10.{}.0.{}", node.number, pod.number % 250 + 2).into();
        status["podIPs"] = json!([{ "ip": status["podIP"] }]);
        status["containerStatuses"] = json!([{
            "name": "main", "image": image, "imageID": format!("{image}@sha256:{:064x}", pod.number),
            "containerID": format!("containerd://{}", pod.uid), "ready": ready, "started": running,
            "restartCount": pod.restarts, "state": state,
            "lastState": if pod.restarts > 0 { json!({ "terminated": crash }) } else { json!({}) },
        }]);
    }
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": {
            "nodeName": node.map(|node| &node.name), "serviceAccountName": "default", "schedulerName": "default-scheduler",
            "restartPolicy": if is_job { "Never" } else { "Always" }, "containers": [container(image)],
        },
        "status": status,
    })
}

pub(super) fn deployment(workload: &Workload, nodes: &[Node]) -> Value {
    let mut metadata = metadata(workload.namespace, workload.name, &workload.uid, workload.created);
    metadata["generation"] = workload.generation.into();
    metadata["labels"] = json!({ "app": workload.name });
    metadata["annotations"] = json!({ "deployment.kubernetes.io/revision": workload.revision.to_string() });
    let all: usize = workload.sets.iter().map(|set| set.pods.len()).sum();
    let ready: usize = workload.sets.iter().map(|set| set.ready(nodes)).sum();
    let updated = workload.sets.last().map_or(0, |set| set.pods.len());
    let available = ready + 1 >= workload.replicas;
    let progress = if workload.is_rolling_out() { "ReplicaSetUpdated" } else { "NewReplicaSetAvailable" };
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {
            "replicas": workload.replicas, "selector": { "matchLabels": { "app": workload.name } },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
            "template": pod_template(workload.name, &workload.image(workload.revision)),
        },
        "status": {
            "observedGeneration": workload.generation, "replicas": all, "updatedReplicas": updated,
            "readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": all - ready,
            "conditions": [
                condition("Available", available, if available { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" }, workload.created),
                condition("Progressing", true, progress, workload.created),
            ],
        },
    })
}

pub(super) fn replica_set(workload: &Workload, set: &ReplicaSet, nodes: &[Node]) -> Value {
    let mut metadata = metadata(workload.namespace, &set.name, &set.uid, set.created);
    metadata["generation"] = set.generation.into();
    metadata["labels"] = json!({ "app": workload.name });
    owned_by(&mut metadata, &workload.owner());
    let ready = set.ready(nodes);
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata,
        "spec": {
            "replicas": set.pods.len(), "selector": { "matchLabels": { "app": workload.name } },
            "template": pod_template(workload.name, &workload.image(set.revision)),
        },
        "status": {
            "observedGeneration": set.generation, "replicas": set.pods.len(), "fullyLabeledReplicas": set.pods.len(),
            "readyReplicas": ready, "availableReplicas": ready,
        },
    })
}

pub(super) fn service(workload: &Workload) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": metadata(workload.namespace, workload.name, &workload.service_uid, workload.created),
        "spec": {
            "type": "ClusterIP", "clusterIP": format!("10.96.0.{}", workload.number + 10),
            "selector": { "app": workload.name }, "ports": [{ "name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP" }],
        },
        "status": { "loadBalancer": {} },
    })
}

pub(super) fn autoscaler(workload: &Workload, uid: &str) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(workload.namespace, workload.name, uid, workload.created),
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name },
            "minReplicas": workload.fewest(), "maxReplicas": workload.most(),
            "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 70 } } }],
        },
        "status": {
            "currentReplicas": workload.sets.iter().map(|set| set.pods.len()).sum::<usize>(), "desiredReplicas": workload.replicas,
            "conditions": [condition("AbleToScale", true, "ReadyForNewScale", workload.created)],
        },
    })
}

pub(super) fn daemon_set(daemon: &Daemon, nodes: &[Node]) -> Value {
    let mut metadata = metadata(daemon.namespace, daemon.name, &daemon.uid, daemon.created);
    metadata["generation"] = 1.into();
    let wanted = nodes.len();
    let ready = nodes.iter().filter(|node| node.ready).count();
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata,
        "spec": {
            "selector": { "matchLabels": { "app": daemon.name } }, "template": pod_template(daemon.name, daemon.image),
            "updateStrategy": { "type": "RollingUpdate" },
        },
        "status": {
            "observedGeneration": 1, "desiredNumberScheduled": wanted, "currentNumberScheduled": wanted,
            "updatedNumberScheduled": wanted, "numberReady": ready, "numberAvailable": ready,
            "numberUnavailable": wanted - ready, "numberMisscheduled": 0,
        },
    })
}

pub(super) fn cron_job(namespace: &str, name: &str, uid: &str, created: Timestamp, jobs: &[Job]) -> Value {
    let active: Vec<Value> = jobs
        .iter()
        .filter(|job| !matches!(job.state, JobState::Complete))
        .map(|job| json!({ "apiVersion": "batch/v1", "kind": "Job", "namespace": namespace, "name": job.name, "uid": job.uid }))
        .collect();
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata(namespace, name, uid, created),
        "spec": {
            "schedule": "* * * * *", "concurrencyPolicy": "Forbid", "suspend": false,
            "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
            "jobTemplate": { "spec": { "template": pod_template(name, REPORT_IMAGE) } },
        },
        "status": { "active": active, "lastScheduleTime": jobs.last().map(|job| time(job.pod.created)) },
    })
}

pub(super) fn job(job: &Job, namespace: &str, owner: &OwnerRef<'_>) -> Value {
    let mut metadata = metadata(namespace, &job.name, &job.uid, job.pod.created);
    metadata["generation"] = 1.into();
    owned_by(&mut metadata, owner);
    let mut status = json!({ "startTime": time(job.pod.created), "active": 1 });
    if matches!(job.state, JobState::Complete) {
        status = json!({
            "startTime": time(job.pod.created), "completionTime": time(job.pod.changed), "succeeded": 1,
            "conditions": [condition("Complete", true, "CompletionsReached", job.pod.changed)],
        });
    }
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
        "spec": {
            "parallelism": 1, "completions": 1, "backoffLimit": 6,
            "template": pod_template(owner.name, REPORT_IMAGE),
        },
        "status": status,
    })
}

pub(super) fn config_map(namespace: &str, uid: &str, created: Timestamp) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(namespace, "app-config", uid, created),
        "data": { "greeting": "hello" },
    })
}

pub(super) fn secret(namespace: &str, uid: &str, created: Timestamp) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata(namespace, "app-secret", uid, created),
        "type": "Opaque", "data": { "password": "bm90IHNlcnZlZA==" },
    })
}
