//! The tally of all UIDs that a source has seen, as of any version of the last minutes.

use std::sync::Arc;
use std::time::Duration;

use kube_state_fleet::intake::{ShardState, TallyError};
use kube_state_fleet::sharding::{Digest, Hasher, Slice};
use tokio::time::sleep;

use super::server::Pieces;
use super::wire::{bookmark, error, event, list, object, pod};
use super::{Run, only, pods, start};

/// The digest of a set of objects.
fn sum(uids: &[&str]) -> Digest {
    let sum = uids.iter().fold(0, |sum: u64, uid| sum.wrapping_add(Hasher::XxHash64.hash(uid)));
    Digest { count: uids.len() as u64, sum }
}

/// A source that holds `a` of `a` and `b` as of version 9, and its watch.
async fn watching() -> (Run, Pieces) {
    let mut source = pods();
    source.shard = Arc::new(ShardState::new(only(Hasher::XxHash64, &["a"])));
    source.audited = true;
    let mut run = start(source);
    let stream = run.server.streaming_list().await.protobuf();
    assert_eq!(run.status.uids_at(0), Err(TallyError::Incomplete));
    stream.send([pod("ADDED", "a", 5), pod("ADDED", "gone", 6), pod("ADDED", "b", 7)].concat());
    stream.send([pod("MODIFIED", "b", 8), pod("DELETED", "gone", 8), bookmark(9, true)].concat());
    run.expect_calls(&["init", "apply a 5", "done 9"]).await;
    (run, stream)
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn all_uids_are_summed_as_of_any_version() {
    let (run, stream) = watching().await;
    stream.send([pod("ADDED", "c", 10), pod("MODIFIED", "a", 11), pod("DELETED", "a", 13)].concat());
    stream.send(bookmark(15, false));
    settle().await;
    for (version, uids) in
        [(9, &["a", "b"][..]), (10, &["a", "b", "c"]), (12, &["a", "b", "c"]), (13, &["b", "c"]), (15, &["b", "c"])]
    {
        assert_eq!(run.status.uids_at(version), Ok(sum(uids)), "as of {version}");
    }
    assert_eq!(run.status.uids_at(8), Err(TallyError::TooOld { floor: 9 }));
    assert_eq!(run.status.uids_at(16), Err(TallyError::NotReached { position: 15 }));
}

#[tokio::test(start_paused = true)]
async fn old_versions_are_forgotten_at_the_limit() {
    let (run, stream) = watching().await;
    for version in 10..9010 {
        stream.send(pod("ADDED", &format!("uid-{version}"), version));
    }
    settle().await;
    let Err(TallyError::TooOld { floor }) = run.status.uids_at(9) else { panic!("version 9 is still known") };
    assert!((10..9009).contains(&floor), "{floor}");
    assert_eq!(run.status.uids_at(floor).unwrap().count, 2 + floor - 9);
    assert_eq!(run.status.uids_at(9009).unwrap().count, 9002);
}

#[tokio::test(start_paused = true)]
async fn a_list_replaces_the_tally_and_a_backfill_does_not() {
    let mut source = pods();
    let shard = Arc::new(ShardState::new(only(Hasher::XxHash64, &["a"])));
    source.shard = Arc::clone(&shard);
    source.audited = true;
    let mut run = start(source);
    let stream = run.server.streaming_list().await.protobuf();
    stream.send([pod("ADDED", "a", 5), pod("ADDED", "b", 7), bookmark(9, true)].concat());
    run.expect_calls(&["init", "apply a 5", "done 9"]).await;
    shard.set_desired(Slice::all());
    run.server.page(None).await.protobuf().send(list("PodList", 11, "", &[object("b", 7), object("c", 10)]));
    run.expect_calls(&["backfill: init", "backfill: apply b 7", "backfill: apply c 10", "backfill: done 11"]).await;
    assert_eq!(run.status.uids_at(9), Ok(sum(&["a", "b"])));
    stream.send(error(410_u16.wrapping_sub(256) as u8));
    let stream = run.server.streaming_list().await.protobuf();
    stream.send(pod("ADDED", "d", 20));
    run.expect_calls(&["rewind", "init", "apply d 20"]).await;
    // The earlier tally stays known until the list is complete.
    assert_eq!(run.status.uids_at(9), Ok(sum(&["a", "b"])));
    stream.send(bookmark(30, true));
    run.expect_calls(&["done 30"]).await;
    assert_eq!(run.status.uids_at(30), Ok(sum(&["d"])));
    assert_eq!(run.status.uids_at(9), Err(TallyError::TooOld { floor: 30 }));
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_object_makes_the_tally_incomplete() {
    let (mut run, stream) = watching().await;
    stream.send([event("ADDED", "Pod", b"\x0a\x7f"), pod("ADDED", "c", 11)].concat());
    settle().await;
    assert_eq!(run.status.uids_at(11), Err(TallyError::Incomplete));
    stream.send(error(410_u16.wrapping_sub(256) as u8));
    run.server.streaming_list().await.protobuf().send([pod("ADDED", "c", 11), bookmark(30, true)].concat());
    run.expect_calls(&["rewind", "init", "done 30"]).await;
    assert_eq!(run.status.uids_at(30), Ok(sum(&["c"])));
}
