//! What counts as a failure of a source, for its owner, which decides when a resource is degraded.

use std::sync::Arc;
use std::time::Duration;

use kube_state_fleet::intake::{Condition, ShardState, Source};
use kube_state_fleet::sharding::{Hasher, Slice};
use tokio::time::{Instant, sleep};

use super::server::Call;
use super::wire::{bookmark, list, object, pod};
use super::{Run, only, pods, start};

/// Leaves a request without an answer, or an answer without its end, for as long as it is kept.
type Held = Box<dyn std::any::Any>;

/// Answers a request.
type How = fn(Call) -> Held;

/// Ways in which a request fails, with the reason.
const FAILURES: [(&str, How); 8] = [
    ("status", |call| {
        call.refuse(500);
        Box::new(())
    }),
    ("status", |call| {
        call.refuse(429);
        Box::new(())
    }),
    ("connection", |call| Box::new(call.hang_up())),
    ("connection", |call| {
        let pieces = call.protobuf();
        pieces.send(vec![0; 3]);
        pieces.break_off();
        Box::new(())
    }),
    ("format", |call| Box::new(call.answer(200, "text/html", &[]))),
    ("format", |call| Box::new(call.json().send("<html>\n").is_dropped())),
    ("timeout", |call| Box::new(call)),
    ("timeout", |call| Box::new(call.protobuf())),
];

/// The index of the answer that cannot be read.
const UNREADABLE: usize = 5;

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Lets requests fail for 5 minutes.
async fn fail(run: &mut Run, how: How) {
    let mut held = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(300), async {
        loop {
            let call = run.server.call().await;
            assert!(held.len() < 2000, "a tight loop");
            held.push(how(call));
        }
    })
    .await;
}

fn source() -> (Source, Arc<ShardState>) {
    let source = pods();
    let shard = Arc::clone(&source.shard);
    (source, shard)
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_failure_of_a_list_counts() {
    for (at, (reason, how)) in FAILURES.into_iter().enumerate() {
        let (source, shard) = source();
        let mut run = start(source);
        fail(&mut run, how).await;
        let vitals = shard.vitals();
        assert_eq!(vitals.condition, Condition::Failing, "{at}");
        assert!(vitals.failures > 3, "{at}: {}", vitals.failures);
        assert_eq!(vitals.trouble.as_ref().map(|trouble| trouble.reason), Some(reason), "{at}: {vitals:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_failure_of_a_watch_counts_and_a_success_ends_it() {
    for (at, (reason, how)) in FAILURES.into_iter().enumerate() {
        let (source, shard) = source();
        let mut run = start(source);
        let stream = run.server.streaming_list().await.protobuf();
        stream.send(pod("ADDED", "a", 6)).send(bookmark(8, true)).send(pod("MODIFIED", "a", 9));
        sleep(Duration::from_millis(200)).await;
        assert_eq!(shard.vitals().condition, Condition::Fine);
        run.server.knows(9, pod("MODIFIED", "a", 9));
        stream.break_off();
        // An open watch may be quiet.
        if at == FAILURES.len() - 1 {
            continue;
        }
        fail(&mut run, how).await;
        assert_eq!(shard.vitals().condition, Condition::Failing, "{at}");
        let actual = shard.vitals().trouble.as_ref().map(|trouble| trouble.reason);
        // Events that cannot be read are skipped, so such a watch ends without one.
        let reason = if at == UNREADABLE { "connection" } else { reason };
        assert_eq!(actual, Some(reason), "{at}");
        // Whatever it requests next succeeds.
        let call = run.server.call().await;
        let (list, stream) = (call.parameter("resourceVersion").is_none(), call.protobuf());
        if list {
            stream.send(pod("ADDED", "a", 7));
            settle().await;
            assert_eq!(shard.vitals().condition, Condition::Retrying, "{at}");
            stream.send(bookmark(9, true));
        }
        settle().await;
        assert_eq!(shard.vitals().condition, Condition::Fine, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backfill_that_fails_counts_although_the_watch_works() {
    let part = only(Hasher::XxHash64, &["a"]);
    let source = Source { shard: Arc::new(ShardState::new(part)), ..pods() };
    let shard = Arc::clone(&source.shard);
    let mut run = start(source);
    let stream = run.server.streaming_list().await.protobuf();
    stream.send(pod("ADDED", "a", 7)).send(bookmark(9, true));
    settle().await;
    shard.set_desired(Slice::all());
    for _ in 0..3 {
        run.server.page(None).await.refuse(500);
        stream.send(pod("MODIFIED", "a", 10));
        settle().await;
        assert_eq!(shard.vitals().condition, Condition::Failing);
    }
    run.server.page(None).await.protobuf().send(list("PodList", 20, "", &[object("a", 10), object("b", 8)]));
    settle().await;
    assert_eq!(shard.vitals().condition, Condition::Fine);
}

#[tokio::test(start_paused = true)]
async fn a_refused_resource_does_not_fail() {
    let (source, shard) = source();
    let mut run = start(source);
    for code in [403, 404, 405] {
        run.server.call().await.refuse(code);
        settle().await;
        assert_eq!(shard.vitals().condition, Condition::Fine);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_trickles_for_ever_is_a_failure() {
    let (source, shard) = source();
    let mut run = start(source);
    let stream = run.server.streaming_list().await.protobuf();
    let start = Instant::now();
    for version in 1.. {
        if stream.is_dropped() {
            break;
        }
        stream.send(pod("ADDED", "a", version));
        sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(start.elapsed().as_secs() / 60, 10);
    assert_eq!(shard.vitals().condition, Condition::Failing);
    assert_eq!(shard.vitals().trouble.as_ref().map(|trouble| trouble.reason), Some("endless"));
}
