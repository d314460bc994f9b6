//! Selectors of labels, and of server-side sharding, with servers that ignore or refuse the latter.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kube_state_fleet::intake::ShardState;
use kube_state_fleet::sharding::{Hasher, Slice};
use tokio::time::sleep;

use super::server::{Call, Pieces};
use super::wire::{bookmark, list, object, pod};
use super::{Run, only, pods, start};

fn of(uids: &[&str]) -> Slice {
    only(Hasher::Fnv1a64, uids)
}

/// The `shardSelector` of these UIDs.
fn selector(uids: &[&str]) -> String {
    let mut points: Vec<u64> = uids.iter().map(|uid| Hasher::Fnv1a64.hash(uid)).collect();
    points.sort_unstable();
    let range = |p: &u64| format!("shardRange(object.metadata.uid,'0x{p:016x}','0x{:016x}')", p + 1);
    points.iter().map(range).collect::<Vec<_>>().join(" || ")
}

fn asked(call: &Call) -> Option<String> {
    call.parameter("shardSelector")
}

fn begin(wanted: Slice) -> (Run, Arc<ShardState>) {
    let mut source = pods();
    let shard = Arc::new(ShardState::new(wanted));
    source.shard = Arc::clone(&shard);
    source.server_side = true;
    source.audited = true;
    (start(source), shard)
}

async fn synced_with_a() -> (Run, Arc<ShardState>, Pieces) {
    let (mut run, shard) = begin(of(&["a"]));
    let call = run.server.streaming_list().await;
    assert_eq!(asked(&call), Some(selector(&["a"])));
    let stream = call.protobuf();
    stream.send([pod("ADDED", "a", 5), bookmark(9, true)].concat());
    run.expect_calls(&["init", "apply a 5", "done 9"]).await;
    (run, shard, stream)
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn is_filtered(run: &Run) -> bool {
    run.status.filtered.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn the_watch_is_reopened_at_its_version_with_old_and_new_ranges() {
    let (mut run, shard, stream) = synced_with_a().await;
    assert!(is_filtered(&run));
    stream.send(bookmark(10, false));
    settle().await;
    shard.set_desired(of(&["a", "b"]));
    let call = run.server.watch("10").await;
    assert!(stream.is_dropped());
    assert_eq!(asked(&call), Some(selector(&["a", "b"])));
    let stream = call.protobuf();
    let call = run.server.page(None).await;
    assert_eq!((asked(&call), call.parameter("resourceVersion").as_deref()), (Some(selector(&["b"])), Some("10")));
    stream.send(pod("MODIFIED", "b", 12));
    run.expect_calls(&["backfill: init", "apply b 12"]).await;
    call.protobuf().send(list("PodList", 11, "", &[object("b", 6)]));
    run.expect_calls(&["backfill: apply b 6", "backfill: done 11"]).await;
    settle().await;
    assert_eq!(*shard.visible(), of(&["a", "b"]));
    assert!(is_filtered(&run) && run.status.uids_at(12).is_err());
    // The server no longer sends lost objects.
    shard.set_desired(of(&["b"]));
    let call = run.server.watch("12").await;
    assert_eq!(asked(&call), Some(selector(&["b"])));
    let _stream = call.protobuf();
    settle().await;
    assert!(shard.is_live());
    run.server.quiet(Duration::from_secs(60)).await;
}

/// Lets a watch last as long as requested. It ends at this version.
async fn end_in_time(stream: Pieces, version: u64) {
    for _ in 0..3 {
        sleep(Duration::from_secs(100)).await;
        stream.send(bookmark(version, false));
    }
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ignores_the_selector_is_detected() {
    let (mut run, shard) = begin(of(&["a"]));
    let stream = run.server.streaming_list().await.protobuf();
    stream.send([pod("ADDED", "a", 5), pod("ADDED", "b", 6)].concat());
    run.expect_calls(&["init", "apply a 5"]).await;
    settle().await;
    assert!(!is_filtered(&run));
    stream.send(bookmark(9, true));
    run.expect_calls(&["done 9"]).await;
    assert_eq!(run.status.uids_at(9).unwrap().count, 2);
    // Another server may support the selector.
    end_in_time(stream, 9).await;
    let stream = run.server.watch("9").await.protobuf();
    settle().await;
    assert!(is_filtered(&run) && run.status.uids_at(9).is_err());
    // This server does not, either: the source missed no events.
    stream.send(pod("DELETED", "b", 10));
    settle().await;
    assert!(!is_filtered(&run));
    assert_eq!((run.status.uids_at(9).unwrap().count, run.status.uids_at(10).unwrap().count), (2, 1));
    // Without a foreign object it is unknown whether the server filtered, so the source relists.
    end_in_time(stream, 10).await;
    end_in_time(run.server.watch("10").await.protobuf(), 11).await;
    let stream = run.server.watch("11").await.protobuf();
    stream.send(pod("ADDED", "b", 12));
    settle().await;
    assert!(!is_filtered(&run) && run.status.uids_at(12).is_err());
    // A repeated event of a foreign object shows the same.
    run.server.knows(12, pod("ADDED", "b", 12));
    stream.break_off();
    let _stream = run.server.watch("12").await.protobuf();
    settle().await;
    assert!(!is_filtered(&run));
    drop(shard);
}

#[tokio::test(start_paused = true)]
async fn a_refused_selector_is_left_out_for_a_while() {
    for status in [400, 414, 431, 500] {
        let (mut run, shard) = begin(of(&["a"]));
        run.server.streaming_list().await.refuse(status);
        let call = run.server.streaming_list().await;
        assert_eq!(asked(&call), None);
        let stream = call.protobuf();
        stream.send([pod("ADDED", "a", 5), pod("ADDED", "b", 6), bookmark(9, true)].concat());
        run.expect_calls(&["init", "apply a 5", "done 9"]).await;
        // The watch is not filtered, so it is not reopened.
        shard.set_desired(of(&["a", "b"]));
        let call = run.server.page(None).await;
        assert_eq!((asked(&call), call.parameter("resourceVersion").as_deref()), (None, Some("9")));
        call.protobuf().send(list("PodList", 9, "", &[object("b", 6)]));
        run.expect_calls(&["backfill: init", "backfill: apply b 6", "backfill: done 9"]).await;
        assert!(!stream.is_dropped());
        for _ in 0..9 {
            sleep(Duration::from_secs(60)).await;
            stream.send(bookmark(9, false));
        }
        sleep(Duration::from_secs(90)).await;
        drop(stream);
        assert_eq!(asked(&run.server.watch("9").await), Some(selector(&["a", "b"])));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_streaming_lists_is_not_blamed_for_the_selector() {
    let (mut run, _shard) = begin(of(&["a"]));
    run.server.streaming_list().await.refuse(400);
    run.server.streaming_list().await.refuse(400);
    let call = run.server.page(None).await;
    assert_eq!(asked(&call), Some(selector(&["a"])));
    call.protobuf().send(list("PodList", 9, "", &[object("a", 5)]));
    run.expect_calls(&["init", "apply a 5", "done 9"]).await;
    assert_eq!(asked(&run.server.watch("9").await), Some(selector(&["a"])));
}

#[tokio::test(start_paused = true)]
async fn an_empty_slice_requests_nothing() {
    let (mut run, shard) = begin(Slice::none());
    run.server.quiet(Duration::from_secs(60)).await;
    assert!(run.status.settled.load(Ordering::Relaxed) && shard.is_live());
    shard.set_desired(of(&["a"]));
    let stream = run.server.streaming_list().await.protobuf();
    assert!(!shard.is_live());
    stream.send([pod("ADDED", "a", 5), bookmark(9, true)].concat());
    run.expect_calls(&["init", "apply a 5", "done 9"]).await;
    settle().await;
    assert_eq!(*shard.ready(), of(&["a"]));
    shard.set_desired(Slice::none());
    settle().await;
    assert!(stream.is_dropped());
    run.server.quiet(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hash_unknown_to_the_server_sends_no_selector() {
    let mixed = of(&["a"]).union(&only(Hasher::XxHash64, &["b"]));
    for wanted in [mixed, Slice::all(), only(Hasher::XxHash64, &["a"])] {
        let (mut run, _shard) = begin(wanted);
        assert_eq!(asked(&run.server.streaming_list().await), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_everything_is_reopened_with_a_selector_for_a_part() {
    let (mut run, shard) = begin(Slice::all());
    let stream = run.server.streaming_list().await.protobuf();
    stream.send([pod("ADDED", "a", 5), pod("ADDED", "b", 6), bookmark(9, true)].concat());
    run.expect_calls(&["init", "apply a 5", "apply b 6", "done 9"]).await;
    shard.set_desired(of(&["b"]));
    assert_eq!(*shard.visible(), of(&["b"]));
    let call = run.server.watch("9").await;
    assert_eq!(asked(&call), Some(selector(&["b"])));
    run.server.quiet(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_leaves_the_label_selector_is_deleted_and_comes_back() {
    let mut source = pods();
    let shard = Arc::new(ShardState::new(of(&["a"])));
    source.shard = Arc::clone(&shard);
    source.label_selector = "app!=ci".to_owned();
    source.field_selector = "status.phase=Running".to_owned();
    (source.server_side, source.audited) = (true, true);
    let mut run = start(source);
    let check = |call: &Call, uids: &[&str]| {
        assert_eq!(call.parameter("labelSelector").as_deref(), Some("app!=ci"));
        assert_eq!(call.parameter("fieldSelector").as_deref(), Some("status.phase=Running"));
        assert_eq!(asked(call), Some(selector(uids)));
    };
    let call = run.server.streaming_list().await;
    check(&call, &["a"]);
    let stream = call.protobuf();
    stream.send([pod("ADDED", "a", 5), bookmark(9, true)].concat());
    run.expect_calls(&["init", "apply a 5", "done 9"]).await;
    // The server reports an object that no longer matches as deleted, as of the change, and as added when it matches again.
    stream.send(pod("DELETED", "a", 10));
    run.expect_calls(&["delete a 10"]).await;
    stream.send(pod("ADDED", "a", 12));
    run.expect_calls(&["apply a 12"]).await;
    // The watch is reopened with more ranges, and the backfill has the same selectors.
    shard.set_desired(of(&["a", "b"]));
    let call = run.server.watch("12").await;
    check(&call, &["a", "b"]);
    let _stream = call.protobuf();
    let call = run.server.page(None).await;
    check(&call, &["b"]);
    call.protobuf().send(list("PodList", 13, "", &[object("b", 6)]));
    run.expect_calls(&["backfill: init", "backfill: apply b 6", "backfill: done 13"]).await;
}
