//! Changes of the desired slice while a source runs.

use std::sync::Arc;
use std::time::Duration;

use kube_state_fleet::intake::ShardState;
use kube_state_fleet::sharding::{Hasher, Slice};
use tokio::time::{Instant, sleep};

use super::server::{Call, Pieces};
use super::wire::{bookmark, error, list, list_in_two, object, pod};
use super::{Run, only, pods, start, value};

/// How long a source takes to read a batch of events.
const READ: Duration = Duration::from_millis(200);

/// The objects with these UIDs.
fn of(uids: &[&str]) -> Slice {
    only(Hasher::XxHash64, uids)
}

/// A source that holds `a` of `a`, `b` and `c` as of version 9, and its watch.
async fn synced_with_a() -> (Run, Arc<ShardState>, Pieces) {
    let mut source = pods();
    let shard = Arc::new(ShardState::new(of(&["a"])));
    source.shard = Arc::clone(&shard);
    let mut run = start(source);
    let stream = run.server.streaming_list().await.protobuf();
    assert!(!shard.is_live());
    stream.send([pod("ADDED", "a", 5), pod("ADDED", "b", 6), bookmark(6, true)].concat());
    stream.send([pod("ADDED", "c", 7), bookmark(9, false)].concat());
    run.expect_calls(&["init", "apply a 5", "done 6"]).await;
    sleep(READ).await;
    run.server.knows(7, pod("ADDED", "c", 7));
    assert_eq!((shard.visible(), shard.ready()), (Arc::new(of(&["a"])), Arc::new(of(&["a"]))));
    (run, shard, stream)
}

/// The request of a backfill, which must be at least as new as `version`.
async fn backfill_request(run: &mut Run, version: &str) -> Call {
    let call = run.server.page(None).await;
    assert_eq!(call.parameter("resourceVersion").as_deref(), Some(version), "{}", call.uri);
    assert_eq!(call.parameter("resourceVersionMatch").as_deref(), Some("NotOlderThan"));
    assert_eq!(call.parameter("limit"), None);
    call
}

/// A list that breaks off after `b`.
fn half_of_b() -> Vec<u8> {
    let [head, _] = list_in_two(9, &[object("b", 6), object("c", 7)], 1);
    head
}

/// A complete list.
fn whole(version: u64, items: &[Vec<u8>]) -> Vec<u8> {
    list("PodList", version, "", items)
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Each change of the slice wakes the source up. That is no news from the server.
#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_reopened_in_time_although_the_slice_changes_meanwhile() {
    let (mut run, shard, stream) = synced_with_a().await;
    let since = Instant::now() - READ;
    for _ in 0..4 {
        sleep(Duration::from_secs(30)).await;
        shard.set_desired(Slice::none());
        settle().await;
        shard.set_desired(of(&["a"]));
        backfill_request(&mut run, "9").await.protobuf().send(whole(9, &[object("a", 5)]));
    }
    run.server.watch("9").await;
    assert!(stream.is_dropped());
    assert_eq!(since.elapsed().as_secs(), 150);
}

#[tokio::test(start_paused = true)]
async fn a_backfill_runs_beside_the_watch() {
    let (mut run, shard, stream) = synced_with_a().await;
    let mut changed = shard.changed();
    stream.send(pod("MODIFIED", "b", 10));
    settle().await;
    shard.set_desired(of(&["a", "b"]));
    settle().await;
    // The watch reports both from here on.
    stream.send([pod("MODIFIED", "b", 11), pod("MODIFIED", "c", 12)].concat());
    run.expect_calls(&["apply b 11"]).await;
    let since = Instant::now();
    let backfill = backfill_request(&mut run, "12").await.protobuf();
    assert!(since.elapsed() <= Duration::from_millis(200), "{:?}", since.elapsed());
    let [head, tail] = list_in_two(13, &[object("a", 5), object("b", 11), object("c", 12)], 2);
    backfill.send(head);
    stream.send([pod("MODIFIED", "a", 13), pod("DELETED", "b", 14)].concat());
    // The backfill does not change served objects; the watch does.
    run.expect_calls(&["backfill: init", "apply a 13", "delete b 14", "backfill: apply b 11"]).await;
    assert!(!changed.has_changed().unwrap());
    assert_eq!(*shard.visible(), of(&["a"]));
    backfill.send(tail);
    drop(backfill);
    run.expect_calls(&["backfill: done 13"]).await;
    changed.changed().await.unwrap();
    assert_eq!((shard.visible(), shard.ready()), (Arc::new(of(&["a", "b"])), Arc::new(of(&["a", "b"]))));
    settle().await;
    assert!(!stream.is_dropped());
    stream.send(pod("ADDED", "b", 15));
    run.expect_calls(&["apply b 15"]).await;
    run.server.quiet(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn a_backfill_older_than_the_watch_is_rejected() {
    let (mut run, shard, stream) = synced_with_a().await;
    stream.send(pod("DELETED", "b", 12));
    settle().await;
    shard.set_desired(of(&["a", "b"]));
    settle().await;
    backfill_request(&mut run, "12").await.protobuf().send(whole(11, &[object("b", 6)]));
    run.expect_calls(&["backfill: init", "backfill: apply b 6"]).await;
    let again = backfill_request(&mut run, "12").await;
    assert_eq!(*shard.visible(), of(&["a"]));
    // Another server lags and says so.
    again.fail(504, "Too large resource version: 12, current: 11");
    backfill_request(&mut run, "12").await.protobuf().send(whole(12, &[]));
    run.expect_calls(&["backfill: init", "backfill: init", "backfill: done 12"]).await;
    settle().await;
    assert_eq!(*shard.visible(), of(&["a", "b"]));
    assert_eq!((value(&run.status.list_errors), value(&run.status.watch_errors)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_backfill_of_a_resource_that_the_server_lost_is_no_error() {
    let (mut run, shard, stream) = synced_with_a().await;
    shard.set_desired(of(&["a", "b"]));
    settle().await;
    backfill_request(&mut run, "9").await.refuse(404);
    let again = backfill_request(&mut run, "9").await;
    assert_eq!((value(&run.status.list_errors), value(&run.status.not_served)), (0, 1));
    drop((again, stream));
}

#[tokio::test(start_paused = true)]
async fn a_backfill_that_breaks_off_is_retried_as_a_streaming_list() {
    let (mut run, shard, _stream) = synced_with_a().await;
    shard.set_desired(of(&["a", "b"]));
    let backfill = backfill_request(&mut run, "9").await.protobuf();
    backfill.send(half_of_b());
    backfill.break_off();
    run.expect_calls(&["backfill: init", "backfill: apply b 6"]).await;
    let stream = run.server.streaming_list().await;
    assert_eq!(stream.parameter("resourceVersion").as_deref(), Some("9"));
    let stream = stream.protobuf();
    stream.send([pod("ADDED", "a", 5), pod("ADDED", "b", 6)].concat());
    run.expect_calls(&["backfill: init", "backfill: apply b 6"]).await;
    stream.send([pod("ADDED", "c", 7), bookmark(20, true), pod("ADDED", "b", 21)].concat());
    run.expect_calls(&["backfill: done 20"]).await;
    settle().await;
    assert!(stream.is_dropped());
    assert_eq!(*shard.visible(), of(&["a", "b"]));
    // The next backfill is one answer again. Without streaming lists every retry is, too.
    shard.set_desired(of(&["a", "b", "c"]));
    backfill_request(&mut run, "9").await.fail(504, "it took too long");
    run.server.streaming_list().await.refuse(422);
    for _ in 0..3 {
        backfill_request(&mut run, "9").await.fail(504, "it took too long");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_list_replaces_a_running_backfill() {
    for by_rewind in [false, true] {
        let (mut run, shard, stream) = synced_with_a().await;
        shard.set_desired(of(&["a", "b"]));
        let backfill = backfill_request(&mut run, "9").await.protobuf();
        backfill.send(half_of_b());
        run.expect_calls(&["backfill: init", "backfill: apply b 6"]).await;
        if by_rewind {
            drop(stream);
            run.server.watch("9").await.fail(504, "Too large resource version: 9, current: 3");
        } else {
            stream.send(error(410_u16.wrapping_sub(256) as u8));
        }
        let stream = run.server.streaming_list().await;
        assert_eq!(stream.parameter("resourceVersion"), None);
        assert!(backfill.is_dropped());
        // Served objects stay visible, but nothing is ready.
        assert_eq!((shard.visible(), shard.ready()), (Arc::new(of(&["a"])), Arc::default()));
        let stream = stream.protobuf();
        run.expect_calls(&["rewind", "init"]).await;
        stream.send([pod("ADDED", "a", 5), pod("ADDED", "b", 6), bookmark(30, true)].concat());
        run.expect_calls(&["apply a 5", "apply b 6", "done 30"]).await;
        settle().await;
        assert_eq!(*shard.ready(), of(&["a", "b"]));
        run.server.quiet(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_smaller_shard_takes_effect_at_once_and_cancels_the_backfill() {
    let (mut run, shard, stream) = synced_with_a().await;
    shard.set_desired(of(&["a", "b"]));
    let backfill = backfill_request(&mut run, "9").await.protobuf();
    backfill.send(half_of_b());
    run.expect_calls(&["backfill: init", "backfill: apply b 6"]).await;
    shard.set_desired(of(&["c"]));
    assert_eq!(*shard.visible(), Slice::none());
    let call = backfill_request(&mut run, "9").await;
    assert!(backfill.is_dropped());
    stream.send([pod("MODIFIED", "a", 10), pod("MODIFIED", "b", 11), pod("MODIFIED", "c", 12)].concat());
    run.expect_calls(&["backfill: init", "apply c 12"]).await;
    // The slice grows during the backfill; the next backfill has to wait.
    shard.set_desired(of(&["a", "c"]));
    settle().await;
    let backfill = call.protobuf();
    backfill.send(whole(12, &[object("a", 10), object("c", 12)]));
    drop(backfill);
    run.expect_calls(&["backfill: apply c 12", "backfill: done 12"]).await;
    let backfill = backfill_request(&mut run, "12").await.protobuf();
    assert_eq!(*shard.visible(), of(&["c"]));
    backfill.send(whole(12, &[object("a", 10)]));
    drop(backfill);
    run.expect_calls(&["backfill: init", "backfill: apply a 10", "backfill: done 12"]).await;
    settle().await;
    assert_eq!(*shard.visible(), of(&["a", "c"]));
}

#[tokio::test(start_paused = true)]
async fn a_backfill_waits_for_the_first_list() {
    let mut source = pods();
    let shard = Arc::new(ShardState::new(of(&["a"])));
    source.shard = Arc::clone(&shard);
    let mut run = start(source);
    let stream = run.server.streaming_list().await.protobuf();
    stream.send(pod("ADDED", "a", 5));
    run.expect_calls(&["init", "apply a 5"]).await;
    shard.set_desired(of(&["a", "b"]));
    run.server.quiet(Duration::from_secs(20)).await;
    stream.send([pod("ADDED", "b", 6), bookmark(9, true)].concat());
    run.expect_calls(&["done 9"]).await;
    backfill_request(&mut run, "9").await.protobuf().send(whole(9, &[object("b", 6)]));
    run.expect_calls(&["backfill: init", "backfill: apply b 6", "backfill: done 9"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_not_ready_while_its_watch_is_down_for_long() {
    let (mut run, shard, stream) = synced_with_a().await;
    shard.set_desired(of(&["a", "b"]));
    let backfill = backfill_request(&mut run, "9").await.protobuf();
    backfill.send(half_of_b());
    run.expect_calls(&["backfill: init", "backfill: apply b 6"]).await;
    // A watch that is resumed soon changes nothing.
    stream.break_off();
    let stream = run.server.watch("9").await.protobuf();
    stream.send(bookmark(10, false));
    settle().await;
    assert!(shard.is_live() && !backfill.is_dropped());
    drop(stream);
    let since = Instant::now();
    let call = run.server.watch("10").await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(*shard.ready(), of(&["a"]));
    let mut changed = shard.changed();
    changed.changed().await.unwrap();
    assert_eq!(since.elapsed().as_secs(), 5);
    assert_eq!((shard.visible(), shard.ready()), (Arc::new(of(&["a"])), Arc::default()));
    settle().await;
    assert!(backfill.is_dropped());
    let stream = call.protobuf();
    let backfill = backfill_request(&mut run, "10").await.protobuf();
    assert_eq!(*shard.ready(), of(&["a"]));
    backfill.send(whole(10, &[object("b", 6)]));
    drop(backfill);
    run.expect_calls(&["backfill: init", "backfill: apply b 6", "backfill: done 10"]).await;
    settle().await;
    assert_eq!(*shard.ready(), of(&["a", "b"]));
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn a_refused_resource_is_ready_whatever_is_desired() {
    for status in [403, 404, 405] {
        let mut source = pods();
        let shard = Arc::new(ShardState::new(of(&["a"])));
        source.shard = Arc::clone(&shard);
        let mut run = start(source);
        run.server.streaming_list().await.refuse(status);
        settle().await;
        shard.set_desired(of(&["b"]));
        assert_eq!(*shard.ready(), of(&["b"]));
        // Once the resource exists it has to be listed first, but it stays ready meanwhile.
        let stream = run.server.streaming_list().await.protobuf();
        run.expect_calls(&["init"]).await;
        assert_eq!(*shard.ready(), of(&["b"]));
        stream.send(bookmark(9, true));
        run.expect_calls(&["done 9"]).await;
        settle().await;
        assert_eq!(*shard.ready(), of(&["b"]));
        run.server.quiet(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_hash_keeps_visible_objects_visible() {
    let (mut run, shard, stream) = synced_with_a().await;
    let next = only(Hasher::Fnv1a64, &["a", "b"]);
    shard.set_desired(of(&["a"]).union(&next));
    let backfill = backfill_request(&mut run, "9").await.protobuf();
    backfill.send(whole(9, &[object("a", 5), object("b", 6), object("c", 7)]));
    drop(backfill);
    run.expect_calls(&["backfill: init", "backfill: keep a", "backfill: apply b 6", "backfill: done 9"]).await;
    settle().await;
    assert!(shard.visible().covers(&next) && shard.visible().covers(&of(&["a"])));
    shard.set_desired(next.clone());
    settle().await;
    assert_eq!(*shard.visible(), next);
    stream.send([pod("MODIFIED", "a", 10), pod("MODIFIED", "b", 11), pod("MODIFIED", "c", 12)].concat());
    run.expect_calls(&["apply a 10", "apply b 11"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_backfill_respects_the_object_limit() {
    let mut source = pods();
    let shard = Arc::new(ShardState::new(of(&["a"])));
    source.shard = Arc::clone(&shard);
    source.object_limit = 2;
    let mut run = start(source);
    run.server.page(None).await.protobuf().send(list("PodList", 9, "", &[object("a", 5), object("b", 6)]));
    run.expect_calls(&["init", "apply a 5", "done 9"]).await;
    let _stream = run.server.watch("9").await.protobuf();
    shard.set_desired(of(&["a", "b", "c"]));
    let call = run.server.page(None).await;
    assert_eq!(call.parameter("limit").as_deref(), Some("2"));
    let items = [object("a", 5), object("b", 6), object("c", 7)];
    call.protobuf().send(list("PodList", 9, "more", &items));
    run.expect_calls(&["backfill: init", "backfill: apply b 6", "backfill: done 9"]).await;
    assert_eq!(value(&run.status.listed_objects), 2);
}
