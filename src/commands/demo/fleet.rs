//! The fleet in the simulated cluster: a StatefulSet, and a kubelet for it. Each of its Pods is a replica in
//! this process.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::error::DemoError;
use super::objects::time;
use super::replicas::{Addresses, Asked, FleetView};
use crate::replica::{Replica, StopReason};
use crate::settings::{Environment, Flags, Settings, SettingsError};
use crate::sharding::ordinal;
use crate::simulator::{ApiError, Simulator};

/// The namespace of the fleet.
const NAMESPACE: &str = "monitoring";
/// Name of the StatefulSet.
const NAME: &str = "kube-state-fleet";

/// The replicas, by the UID of their Pods.
pub(super) struct Fleet {
    flags: Flags,
    members: BTreeMap<String, Member>,
    /// Terminating replicas; each task returns the name of its Pod when it has ended.
    farewells: JoinSet<String>,
}

/// A Pod and its replica.
struct Member {
    name: String,
    ordinal: u32,
    /// `None` once it is terminating.
    replica: Option<Replica>,
    addresses: Addresses,
    ready: bool,
}

impl Fleet {
    /// Creates the StatefulSet. Its Pods start at the first [`Fleet::step`].
    pub fn create(simulator: &Simulator, flags: &Flags, replicas: u32) -> Result<Self, ApiError> {
        simulator.create(&stateful_set(replicas))?;
        Ok(Self { flags: flags.clone(), members: BTreeMap::new(), farewells: JoinSet::new() })
    }

    /// Sets the replica count.
    pub fn scale(simulator: &Simulator, replicas: u32) -> Result<(), ApiError> {
        let mut set = simulator.get("statefulsets", NAMESPACE, NAME)?;
        set["spec"]["replicas"] = replicas.into();
        simulator.update(&set).map(drop)
    }

    /// Acts as the kubelet: starts new Pods, stops terminating ones, and writes readiness.
    pub async fn step(&mut self, simulator: &Simulator) -> Result<(), DemoError> {
        while let Some(ended) = self.farewells.try_join_next() {
            if let Ok(name) = ended {
                simulator.delete("pods", NAMESPACE, &name)?;
            }
        }
        let mut pods = simulator.list("pods", NAMESPACE)?;
        pods.retain(|pod| pod["metadata"]["ownerReferences"][0]["name"] == NAME);
        let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        self.members.retain(|known, _| pods.iter().any(|pod| uid(pod) == *known));
        for pod in &pods {
            if !self.members.contains_key(&uid(pod)) {
                let member = Member::start(pod, &self.flags, simulator).await?;
                member.report(simulator)?;
                self.members.insert(uid(pod), member);
            }
            let Some(member) = self.members.get_mut(&uid(pod)) else { continue };
            if pod["metadata"]["deletionTimestamp"].is_string() {
                if let Some(replica) = member.replica.take() {
                    let name = member.name.clone();
                    self.farewells.spawn(async move {
                        replica.leave().await;
                        name
                    });
                }
                continue;
            }
            let ready = member.missing().await?.is_none();
            if ready != member.ready {
                member.ready = ready;
                member.report(simulator)?;
            }
        }
        Ok(())
    }

    /// The reason why not all `replicas` are ready, if they are not.
    pub async fn missing(&self, replicas: u32) -> Result<Option<(u32, String)>, DemoError> {
        for member in self.in_order() {
            if let Some(missing) = member.missing().await? {
                return Ok(Some((member.ordinal, missing)));
            }
        }
        let running = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        Ok((running < replicas).then(|| (running, "it has not been started".to_owned())))
    }

    /// The addresses of the replicas, by ordinal.
    pub fn addresses(&self) -> Vec<Addresses> {
        self.in_order().iter().map(|member| member.addresses).collect()
    }

    /// The objects that each replica serves, including terminating ones, by ordinal. All are asked concurrently.
    pub async fn ask(&self) -> Result<Vec<Asked>, DemoError> {
        let serving = self.in_order().into_iter().filter(|member| member.ready);
        let asked = serving.map(|member| async {
            match member.addresses.ask().await {
                Ok(asked) => Some(Ok(asked)),
                // It was terminating, and has just ended.
                Err(_) if member.replica.is_none() => None,
                Err(error) => Some(Err(DemoError::Asked(member.ordinal, error))),
            }
        });
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }

    /// The fleet as the first ready replica sees it, if there is one.
    pub async fn fleet_view(&self) -> Result<Option<FleetView>, DemoError> {
        let members = self.in_order();
        let Some(first) = members.iter().find(|member| member.ready && member.replica.is_some()) else {
            return Ok(None);
        };
        first.addresses.fleet_view().await.map(Some).map_err(|error| DemoError::Asked(first.ordinal, error))
    }

    /// Resolves when a replica ends by itself.
    pub async fn ended(&mut self) -> (u32, StopReason) {
        let running = self.members.values_mut().filter_map(|member| Some((member.ordinal, member.replica.as_mut()?)));
        let each = running.map(|(ordinal, replica)| {
            Box::pin(async move {
                match replica.stopped().await {
                    Err(reason) => (ordinal, reason),
                    // Stopped on purpose: the caller reports the reason.
                    Ok(()) => std::future::pending().await,
                }
            })
        });
        let each: Vec<_> = each.collect();
        if each.is_empty() {
            return std::future::pending().await;
        }
        futures::future::select_all(each).await.0
    }

    /// Stops all replicas without a handover, because none remains to take over.
    pub async fn stop(mut self) {
        self.farewells.abort_all();
        let replicas = self.members.into_values().filter_map(|member| member.replica);
        futures::future::join_all(replicas.map(Replica::stop)).await;
    }

    fn in_order(&self) -> Vec<&Member> {
        let mut members: Vec<_> = self.members.values().collect();
        members.sort_by_key(|member| member.ordinal);
        members
    }
}

impl Member {
    async fn start(pod: &Value, flags: &Flags, simulator: &Simulator) -> Result<Self, DemoError> {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let ordinal = ordinal(&name).unwrap_or_default();
        let url = simulator.url().parse().map_err(|error| std::io::Error::other(format!("{error}")));
        let config = kube::Config::new(url.map_err(DemoError::Start)?);
        let client = kube::Client::try_from(config).map_err(Box::new)?;
        let replica = Replica::start(settings(flags, &name)?, client).await?;
        let addresses = Addresses { metrics: replica.metrics_address(), telemetry: replica.telemetry_address() };
        Ok(Self { name, ordinal, replica: Some(replica), addresses, ready: false })
    }

    /// The reason why it is not ready, if it is not.
    async fn missing(&self) -> Result<Option<String>, DemoError> {
        self.addresses.ready().await.map_err(|error| DemoError::Asked(self.ordinal, error))
    }

    /// Writes its address and readiness into its Pod.
    fn report(&self, simulator: &Simulator) -> Result<(), ApiError> {
        let mut pod = simulator.get("pods", NAMESPACE, &self.name)?;
        let ready = if self.ready { "True" } else { "False" };
        let ip = Ipv4Addr::LOCALHOST.to_string();
        pod["status"] = json!({
            "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }],
            "conditions": [{ "type": "Ready", "status": ready, "lastTransitionTime": time(Timestamp::now()) }],
        });
        simulator.update(&pod).map(drop)
    }
}

/// As `--pod` on loopback, on free ports.
fn settings(flags: &Flags, pod: &str) -> Result<Settings, SettingsError> {
    let host = Some(Ipv4Addr::LOCALHOST.to_string());
    let flags = Flags {
        host: host.clone(),
        port: Some(0),
        telemetry_host: host,
        telemetry_port: Some(0),
        fleet_port: Some(0),
        pod: Some(pod.to_owned()),
        pod_namespace: Some(NAMESPACE.to_owned()),
        ..flags.clone().unsharded()
    };
    let ip = [("POD_IP".to_owned(), Ipv4Addr::LOCALHOST.to_string())];
    Settings::resolve(&flags, &Environment::from_variables(ip), || None).map(|(settings, _)| settings)
}

fn stateful_set(replicas: u32) -> Value {
    let labels = json!({ "app.kubernetes.io/name": NAME });
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": NAME, "namespace": NAMESPACE, "labels": labels },
        "spec": {
            "replicas": replicas, "serviceName": NAME, "podManagementPolicy": "Parallel",
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "nodeName": "node-1", "terminationGracePeriodSeconds": 60,
                    "containers": [{ "name": NAME, "image": "kube-state-fleet:0.1.0" }],
                },
            },
        },
    })
}
