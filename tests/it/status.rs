//! `status` and `forget` as a user runs them: against a simulated cluster with the stored state of a fleet.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use kube_state_fleet::commands;
use kube_state_fleet::simulator::{ResourceType, Simulator};
use serde_json::{Value, json};

/// Timeout of each command.
const LONG: Duration = Duration::from_secs(60);
const MEMBER: &str = "kube-state-fleet.io/member";
/// A Lease from the future has the age 0, so the output does not depend on the time that the test takes.
const FRESH: &str = "2999-01-01T00:00:00.000000Z";
const OLD: &str = "2020-01-01T00:00:00.000000Z";

struct World(Simulator);

impl World {
    /// A settled fleet of two members.
    async fn new() -> Self {
        let types = vec![ResourceType::of::<StatefulSet>(), ResourceType::of::<Lease>()];
        let world = Self(Simulator::start(([127, 0, 0, 1], 0).into(), types).await.expect("a free port"));
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": "ops", "name": "fleet"},
            "spec": {"replicas": 2, "selector": {}, "serviceName": "fleet", "template": {}},
        });
        world.0.apply(&set).expect("a StatefulSet");
        let record = json!({
            "version": 1, "revision": 7, "coordinator": id(0),
            "current": {"generation": 5, "total": 2, "hash": "xxhash64", "layout": 1,
                "fresh": {"generation": 1, "below": 2}},
        });
        world.write("kube-state-fleet.fleet", "kube-state-fleet.io/record", &record, FRESH);
        world.member(0, FRESH);
        world.member(1, FRESH);
        world
    }

    fn write(&self, name: &str, annotation: &str, state: &Value, renewed: &str) {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {
                "namespace": "ops", "name": name, "annotations": {annotation: state.to_string()},
                "labels": {
                    "app.kubernetes.io/managed-by": "kube-state-fleet", "kube-state-fleet.io/statefulset": "fleet",
                },
            },
            "spec": {"renewTime": renewed},
        });
        self.0.apply(&lease).expect("a Lease");
    }

    /// Writes the Lease of a member that serves. `future` is a field that this version does not know.
    fn member(&self, ordinal: u32, renewed: &str) {
        let state = json!({
            "id": id(ordinal), "program": "1.0.0", "address": "10.0.0.1:8082", "sequence": 9, "phase": "fit",
            "prepared": 5, "joined": 5, "follows": 7, "hash": "xxhash64", "layout": 1, "future": "kept",
        });
        self.write(&format!("kube-state-fleet.fleet.{ordinal}"), MEMBER, &state, renewed);
    }

    fn stored(&self, ordinal: u32) -> Value {
        let lease = self.0.get("leases", "ops", &format!("kube-state-fleet.fleet.{ordinal}")).expect("a Lease");
        let text = lease["metadata"]["annotations"][MEMBER].as_str().expect("an annotation");
        serde_json::from_str(text).expect("JSON")
    }

    /// Exit code, stdout and stderr of a command about the fleet.
    async fn run(&self, arguments: &[&str]) -> (ExitCode, String, String) {
        self.run_in("ops", arguments).await
    }

    async fn run_in(&self, namespace: &str, arguments: &[&str]) -> (ExitCode, String, String) {
        let (url, namespace) = (self.0.url(), format!("--fleet-namespace={namespace}"));
        let fixed = ["--apiserver", &url, "--statefulset=fleet", &namespace];
        let line = ["kube-state-fleet"].iter().chain(arguments).chain(&fixed);
        let line: Vec<_> = line.map(OsString::from).collect();
        let run = move || {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let code = commands::execute(line, &mut out, &mut err);
            (code, String::from_utf8(out).expect("UTF-8"), String::from_utf8(err).expect("UTF-8"))
        };
        tokio::time::timeout(LONG, tokio::task::spawn_blocking(run)).await.expect("in time").expect("no panic")
    }
}

fn id(ordinal: u32) -> Value {
    json!({"ordinal": ordinal, "pod": format!("uid-{ordinal}"), "nonce": 1})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_fleet_is_shown_as_text_and_as_json() {
    let world = World::new().await;
    let (code, out, err) = world.run(&["status"]).await;
    let expected = "\
ops/fleet: settled
  replicas 2, generation 5, shards 2, absent [], untaken [], coordinator 0

MEMBER  POD     ROLE     PHASE        LEASE CRASHES  FOLLOWS  VERSION
0       fleet-0 present  serving         0s       0        7  1.0.0
1       fleet-1 present  serving         0s       0        7  1.0.0

Objects and proofs: kubectl -n ops port-forward fleet-0 8080 (--port),
then open http://localhost:8080/
";
    assert_eq!((code, out.as_str(), err.as_str()), (ExitCode::SUCCESS, expected, ""));

    let (code, out, _) = world.run(&["status", "--output=json"]).await;
    let row = |ordinal: u32| {
        json!({
            "ordinal": ordinal, "pod": format!("fleet-{ordinal}"), "role": "present", "phase": "serving",
            "leaseAge": 0, "version": "1.0.0", "crashes": 0, "follows": 7,
        })
    };
    let expected = json!({
        "fleet": "ops/fleet", "settled": true, "replicas": 2, "generation": 5, "total": 2, "absent": [], "untaken": [],
        "next": null, "coordinator": 0, "paused": false, "members": [row(0), row(1)], "problems": [],
    });
    assert_eq!((code, serde_json::from_str::<Value>(&out).expect("JSON")), (ExitCode::SUCCESS, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_and_a_damaged_lease_are_problems() {
    let world = World::new().await;
    world.member(1, OLD);
    world.write("kube-state-fleet.fleet.2", MEMBER, &json!("\u{1b}[2J"), FRESH);
    let (code, out, err) = world.run(&["status"]).await;
    assert_eq!((code, err.as_str()), (ExitCode::from(1), ""), "{out}");
    assert!(out.starts_with("ops/fleet: NOT SETTLED\n"), "{out}");
    assert!(out.contains("  problem: the Leases of members [1] have expired\n"), "{out}");
    assert!(out.contains("  problem: the Lease of member 2 cannot be read: "), "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_namespace_and_a_missing_permission_are_named() {
    let world = World::new().await;
    let (code, out, err) = world.run_in("shop", &["status"]).await;
    assert_eq!((code, out.as_str()), (ExitCode::from(2), ""));
    assert!(
        err.contains("no StatefulSet and no Leases of shop/fleet: set --statefulset and --fleet-namespace"),
        "{err}"
    );
    world.0.faults("leases", |faults| faults.refuse = Some(403)).expect("a resource");
    for (command, verb) in [(["status", "--output=table"], "list"), (["forget", "1"], "get")] {
        let (code, _, err) = world.run(&command).await;
        assert_eq!(code, ExitCode::from(2), "{err}");
        let expected = format!("missing permission \"{verb} leases.coordination.k8s.io\" in namespace \"ops\"");
        assert!(err.contains(&expected), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_renews_its_lease_is_forgotten_only_by_force() {
    let world = World::new().await;
    let renewals = async {
        loop {
            world.member(1, FRESH);
            tokio::time::sleep(Duration::from_millis(100)).await;
            // Another time makes another version.
            world.member(1, "2999-01-01T00:00:01.000000Z");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let refused = tokio::select! {
        () = renewals => unreachable!("it has no end"),
        refused = world.run(&["forget", "1"]) => refused,
    };
    let (code, out, err) = refused;
    assert_eq!((code, out.as_str()), (ExitCode::from(2), ""));
    assert!(err.contains("member 1 is alive: it has just renewed its Lease"), "{err}");
    assert_eq!(world.stored(1)["phase"], "fit");

    let (code, out, err) = world.run(&["forget", "1", "--force"]).await;
    assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""), "{out}");
    assert_eq!(out, "member 1 of ops/fleet is declared gone; the others take over its objects\n");
    assert_eq!(world.stored(1)["phase"], "left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_member_is_forgotten_and_an_unknown_one_is_an_error() {
    let world = World::new().await;
    world.member(1, OLD);
    let mut expected = world.stored(1);
    let (code, out, err) = world.run(&["forget", "1"]).await;
    assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""), "{out}");
    expected["phase"] = json!("left");
    expected["sequence"] = json!(9_u64 + (1 << 32));
    assert_eq!(world.stored(1), expected, "all other fields stay");

    let (code, out, err) = world.run(&["forget", "7"]).await;
    assert_eq!((code, out.as_str()), (ExitCode::from(2), ""));
    assert!(err.contains("member 7 of ops/fleet has no Lease that describes it"), "{err}");
}
