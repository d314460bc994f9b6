//! `--namespaced-scrapes`: the series of a scrape of some namespaces, and the clients that may read them.

use futures::future::BoxFuture;
use http::StatusCode;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};

use kube_state_fleet::access::{AuthFilter, Review, ReviewError, TokenReviewer};
use kube_state_fleet::exposition::Format;
use kube_state_fleet::replica::Replica;
use kube_state_fleet::server::AuthLayer;
use kube_state_fleet::settings::{Flags, GoBool};
use kube_state_fleet::simulator::{ResourceType, Simulator};

use crate::common::{client, get};
use crate::server::TestReplica;

/// `reader` may read everything, `tenant` the namespaces `default` and `empty`.
struct FakeReviewer;

impl TokenReviewer for FakeReviewer {
    fn review<'a>(&'a self, token: &'a str, asked: &'a [String]) -> BoxFuture<'a, Result<Review, ReviewError>> {
        let allowed = |namespace: &String| token == "tenant" && ["default", "empty"].contains(&namespace.as_str());
        let namespaces = asked.iter().map(allowed).collect();
        Box::pin(std::future::ready(Ok(match token {
            "reader" => Review::Authenticated { everything: true, namespaces: Vec::new() },
            "tenant" | "stranger" => Review::Authenticated { everything: false, namespaces },
            _ => Review::Unauthenticated,
        })))
    }
}

/// A replica with 3 pods in the namespace `default`, and a node.
fn replica(namespaced: bool, filtered: bool) -> TestReplica {
    TestReplica::behind(true, 3, |routes| {
        AuthLayer::new(routes, None, filtered.then(|| AuthFilter::new(FakeReviewer))).with_namespaces(namespaced)
    })
}

async fn series(replica: &TestReplica, path: &str) -> Vec<String> {
    let answer = replica.get(path, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}");
    answer.text().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_scrape_of_namespaces_shows_their_objects_and_all_headers() {
    let replica = replica(true, false);
    assert_eq!(series(&replica, "/metrics").await.len(), 7);
    for path in [
        "/metrics?namespace=default",
        "/metrics?namespace=other&namespace=default",
        "/metrics/?namespace=other,default",
    ] {
        let series = series(&replica, path).await;
        assert_eq!(series.len(), 6, "{path}");
        assert!(series.iter().all(|line| line.contains("namespace=\"default\"")), "{series:?}");
    }
    assert_eq!(series(&replica, "/metrics?namespace=default&resources=nodes").await, [""; 0]);
    let none = replica.get("/metrics?namespace=unknown", &[]).await;
    let headers: Vec<_> =
        replica.text(Format::Text).lines().filter(|l| l.starts_with('#')).map(str::to_owned).collect();
    assert_eq!(none.text().lines().collect::<Vec<_>>(), headers);
    let open = [("accept", "application/openmetrics-text"), ("accept-encoding", "gzip")];
    let open = replica.get("/metrics?namespace=default", &open).await.inflated();
    assert!(
        open.ends_with("\n# EOF\n") && open.contains("# TYPE kube_pod_info info\nkube_pod_info{namespace=\"default\"")
    );
    let bad = replica.get("/metrics?namespace=Default", &[]).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        bad.text(),
        "?namespace=: \"Default\" is not a namespace: 63 lower-case letters, digits and hyphens at most\n"
    );
}

#[tokio::test]
async fn without_the_flag_the_parameter_is_ignored_as_by_kube_state_metrics() {
    let replica = replica(false, false);
    for path in ["/metrics?namespace=other", "/metrics?namespace=", "/metrics?namespace=Default"] {
        assert_eq!(replica.get(path, &[]).await.text(), replica.text(Format::Text));
    }
    let filtered = self::replica(false, true);
    let answer = filtered.get("/metrics?namespace=default", &[("authorization", "Bearer tenant")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.text(), "forbidden: missing permission \"get\" on the non-resource URL \"/metrics\"\n");
}

#[tokio::test]
async fn a_tenant_reads_its_namespaces_and_nothing_else() {
    let replica = replica(true, true);
    let everything = "forbidden: missing permission \"get\" on the non-resource URL \"/metrics\"";
    let hint = format!(
        "{everything}; with the permission \"get namespaces/metrics\" in a namespace, scrape /metrics?namespace=NAME\n"
    );
    let one = format!("{everything}, or \"get namespaces/metrics\" in the namespace \"other\"\n");
    let several = format!("{everything}, or \"get namespaces/metrics\" in each of the namespaces\n");
    for (token, path, lines) in [
        ("tenant", "/metrics?namespace=default", Ok(6)),
        ("tenant", "/metrics/?namespace=default", Ok(6)),
        ("tenant", "/metrics?namespace=empty", Ok(0)),
        ("tenant", "/metrics?namespace=default&namespace=empty&resources=pods", Ok(6)),
        ("tenant", "/metrics", Err(hint.as_str())),
        ("tenant", "/metrics?namespaces=default", Err(&hint)),
        ("tenant", "/metrics?namespace=other", Err(&one)),
        ("tenant", "/metrics?namespace=default,other", Err(&several)),
        ("tenant", "/?namespace=default", Err(everything)),
        ("tenant", "//metrics?namespace=default", Err(everything)),
        ("tenant", "/%6detrics?namespace=default", Err(everything)),
        ("stranger", "/metrics?namespace=other", Err(&one)),
        ("reader", "/metrics", Ok(7)),
        ("reader", "/metrics?namespace=default,other", Ok(6)),
    ] {
        let answer = replica.get(path, &[("authorization", &format!("Bearer {token}"))]).await;
        let seen = answer.text().lines().filter(|line| !line.starts_with('#')).count();
        match lines {
            Ok(lines) => assert_eq!((answer.status, seen), (StatusCode::OK, lines), "{token} {path}"),
            Err(reason) => {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{token} {path}");
                assert_eq!(answer.text().trim_end(), reason.trim_end(), "{token} {path}");
            }
        }
    }
    for token in ["", "unknown"] {
        let answer = replica.get("/metrics?namespace=default", &[("authorization", &format!("Bearer {token}"))]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

/// Returns the fenced block of docs/tenants.md after this mark.
fn block(mark: &str) -> &'static str {
    let page = include_str!("../../docs/tenants.md");
    let (_, rest) = page.split_once(&format!("<!-- {mark} -->\n```")).expect("the block");
    rest.split_once('\n').and_then(|(_, rest)| rest.split_once("```")).expect("its end").0
}

#[tokio::test]
async fn the_page_shows_what_a_replica_serves() {
    let resources = vec![ResourceType::of::<Namespace>(), ResourceType::of::<Node>(), ResourceType::of::<Pod>()];
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), resources).await.expect("a free port");
    for object in block("objects").split("---\n") {
        simulator.apply(&serde_saphyr::from_str::<serde_json::Value>(object).expect("YAML")).expect("applied");
    }
    let replica = Replica::start(
        crate::common::settings(Flags {
            port: Some(0),
            resources: ["pods", "nodes", "namespaces"].map(str::to_owned).to_vec(),
            metric_allowlist: ["kube_pod_info", "kube_node_spec_unschedulable", "kube_namespace_status_phase"]
                .map(str::to_owned)
                .to_vec(),
            namespaced_scrapes: Some(GoBool(true)),
            ..Flags::default()
        }),
        client(&simulator.url()),
    );
    let replica = replica.await.expect("it starts");
    let ready = async { while !get(replica.telemetry_address(), "/readyz").await.starts_with("HTTP/1.1 200 ") {} };
    tokio::time::timeout(std::time::Duration::from_secs(60), ready).await.expect("in time");
    let answer = get(replica.metrics_address(), "/metrics?namespace=shop").await;
    // One chunk of HTTP/1.1.
    let shown: String =
        answer.split_inclusive('\n').filter(|line| line.starts_with("# ") || line.starts_with("kube_")).collect();
    assert_eq!(shown, block("scrape"));
    replica.stop().await;
}
