//! Watches: resuming, relisting, dead connections.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::server::{Call, Pieces};
use super::wire::{bookmark, error, list, object, pod};
use super::{Run, pods, start, value};

/// Lets a source read what it was sent.
async fn settle() {
    sleep(Duration::from_millis(200)).await;
}

/// A source that knows `a` and `b` as of version 9, and its watch.
async fn loaded() -> (Run, Pieces) {
    let mut run = start(pods());
    let stream = run.server.streaming_list().await.protobuf();
    stream.send([pod("ADDED", "a", 7), bookmark(7, true)].concat());
    stream.send([pod("ADDED", "b", 8), bookmark(9, false)].concat());
    run.expect_calls(&["init", "apply a 7", "done 7", "apply b 8"]).await;
    settle().await;
    run.server.knows(8, pod("ADDED", "b", 8));
    (run, stream)
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_is_resumed_where_it_was() {
    let (mut run, stream) = loaded().await;
    stream.send(pod("MODIFIED", "a", 12)).send(bookmark(15, false));
    run.expect_calls(&["apply a 12"]).await;
    run.server.knows(12, pod("MODIFIED", "a", 12));
    drop(stream);
    let since = Instant::now();
    let call = run.server.watch("15").await;
    assert!(since.elapsed() < Duration::from_millis(10), "resumed without a pause after a normal end");
    let seconds: u32 = call.parameter("timeoutSeconds").unwrap().parse().unwrap();
    assert!((290..=590).contains(&seconds));
    call.protobuf().send(pod("MODIFIED", "a", 16));
    run.expect_calls(&["apply a 16"]).await;
    run.server.knows(16, pod("MODIFIED", "a", 16));
    run.server.watch("16").await;
    assert_eq!((value(&run.status.watches), value(&run.status.watch_errors)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_off_is_resumed_after_a_pause() {
    let (mut run, stream) = loaded().await;
    stream.break_off();
    let since = Instant::now();
    run.server.watch("9").await;
    assert!(since.elapsed() >= Duration::from_millis(250) && since.elapsed() <= Duration::from_millis(501));
    assert_eq!(value(&run.status.watch_errors), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_each_watch_at_once_is_not_asked_in_a_loop() {
    let (mut run, stream) = loaded().await;
    drop(stream);
    let since = Instant::now();
    for _ in 0..10 {
        drop(run.server.watch("9").await.protobuf());
    }
    assert!(since.elapsed() > Duration::from_secs(30), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_expired_version_leads_to_a_relist_while_the_old_state_is_served() {
    for by_event in [true, false] {
        let (mut run, stream) = loaded().await;
        if by_event {
            stream.send(error(410_u16.wrapping_sub(256) as u8));
        } else {
            drop(stream);
            run.server.watch("9").await.refuse(410);
        }
        let stream = run.server.streaming_list().await.protobuf();
        run.expect_calls(&["rewind", "init"]).await;
        run.expect_no_calls().await;
        stream.send([pod("ADDED", "b", 20), pod("ADDED", "c", 21), bookmark(30, true)].concat());
        run.expect_calls(&["apply b 20", "apply c 21", "done 30"]).await;
        assert_eq!(value(&run.status.watch_errors), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_that_expired_in_an_outage_leads_to_a_prompt_relist() {
    let (mut run, stream) = loaded().await;
    drop(stream);
    for _ in 0..5 {
        run.server.watch("9").await.refuse(503);
    }
    run.server.watch("9").await.refuse(410);
    let since = Instant::now();
    run.server.streaming_list().await;
    assert!(since.elapsed() <= Duration::from_millis(500), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_restored_from_a_backup_is_listed_without_a_version() {
    let (mut run, stream) = loaded().await;
    drop(stream);
    run.server.watch("9").await.fail(504, "Too large resource version: 9, current: 3");
    let stream = run.server.streaming_list().await.protobuf();
    run.expect_calls(&["rewind", "init"]).await;
    stream.send([pod("ADDED", "b", 2), bookmark(3, true)].concat());
    run.expect_calls(&["apply b 2", "done 3"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_restored_server_that_accepts_a_watch_from_a_later_version_is_noticed() {
    for breaks in [true, false] {
        let (mut run, stream) = loaded().await;
        if breaks {
            stream.break_off();
        } else {
            drop(stream);
        }
        run.server.any_call().await.newest(3);
        let stream = run.server.streaming_list().await.protobuf();
        run.expect_calls(&["rewind", "init"]).await;
        stream.send([pod("ADDED", "b", 2), bookmark(3, true)].concat());
        run.expect_calls(&["apply b 2", "done 3"]).await;
    }
}

/// Breaks the watch of a source. Answers the read of the newest version, and returns the request that follows.
async fn reconnected(run: &mut Run, stream: Pieces) -> Call {
    stream.break_off();
    run.server.any_call().await.newest(20);
    run.server.any_call().await
}

#[tokio::test(start_paused = true)]
async fn a_resumed_watch_repeats_the_newest_known_event_and_goes_on() {
    let (mut run, stream) = loaded().await;
    let call = reconnected(&mut run, stream).await;
    assert_eq!(call.parameter("resourceVersion").as_deref(), Some("7"), "just before the newest event");
    let stream = call.protobuf();
    stream.send(pod("ADDED", "b", 8));
    run.expect_no_calls().await;
    assert_eq!(value(&run.status.position), 9);
    stream.send(pod("DELETED", "a", 10));
    run.expect_calls(&["delete a 10"]).await;
    // A deletion is repeated as well, and later changes are applied.
    let stream = reconnected(&mut run, stream).await.protobuf();
    stream.send([pod("DELETED", "a", 10), pod("DELETED", "b", 11)].concat());
    run.expect_calls(&["delete b 11"]).await;
    run.server.quiet(Duration::from_secs(60)).await;
    assert_eq!((value(&run.status.watches), value(&run.status.lists)), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_restored_server_whose_versions_have_caught_up_is_listed_from_scratch() {
    // The server lost all changes since 7.
    for (repeated, at_once) in [
        // Nothing changed since.
        (vec![], false),
        (vec![bookmark(9, false)], true),
        // Other changes have the versions, of another object or of the same one.
        (vec![pod("ADDED", "c", 8)], true),
        (vec![pod("MODIFIED", "b", 9)], true),
        (vec![pod("ADDED", "c", 21)], true),
        // The server has the newest known change, and others after it.
        (vec![pod("ADDED", "b", 8), pod("MODIFIED", "a", 9)], true),
        (vec![pod("ADDED", "b", 8), pod("DELETED", "b", 9)], true),
    ] {
        let (mut run, stream) = loaded().await;
        let call = reconnected(&mut run, stream).await;
        let since = Instant::now();
        let stream = call.protobuf();
        stream.send(repeated.concat());
        let list = run.server.streaming_list().await;
        assert_eq!(since.elapsed() < Duration::from_secs(1), at_once, "{:?}", since.elapsed());
        assert!(since.elapsed() < Duration::from_secs(12), "{:?}", since.elapsed());
        let stream = list.protobuf();
        run.expect_calls(&["rewind", "init"]).await;
        stream.send([pod("ADDED", "a", 7), bookmark(22, true)].concat());
        run.expect_calls(&["apply a 7", "done 22"]).await;
    }
}

/// A list does not show earlier deletions, so its objects cannot prove that the server did not go back.
#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_before_a_change_is_replaced_by_a_list() {
    let mut run = start(pods());
    let stream = run.server.streaming_list().await.protobuf();
    stream.send([pod("ADDED", "a", 7), bookmark(9, true)].concat());
    stream.send(bookmark(10, false));
    run.expect_calls(&["init", "apply a 7", "done 9"]).await;
    settle().await;
    let call = reconnected(&mut run, stream).await;
    assert_eq!(call.parameter("sendInitialEvents").as_deref(), Some("true"));
    assert_eq!(value(&run.status.watch_errors), 1, "that of the broken watch");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_before_it_repeats_an_event_is_checked_again() {
    let (mut run, mut stream) = loaded().await;
    for _ in 0..3 {
        let call = reconnected(&mut run, stream).await;
        assert_eq!(call.parameter("resourceVersion").as_deref(), Some("7"));
        stream = call.protobuf();
    }
    run.server.any_call().await;
    run.expect_calls(&["rewind"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_older_than_a_known_version_is_made_again_from_scratch() {
    let (mut run, stream) = loaded().await;
    stream.send(error(410_u16.wrapping_sub(256) as u8));
    let stream = run.server.streaming_list().await.protobuf();
    run.expect_calls(&["rewind", "init"]).await;
    stream.send([pod("ADDED", "b", 2), bookmark(3, true)].concat());
    run.expect_calls(&["apply b 2", "rewind"]).await;
    let stream = run.server.streaming_list().await.protobuf();
    stream.send([pod("ADDED", "b", 2), bookmark(3, true)].concat());
    run.expect_calls(&["init", "apply b 2", "done 3"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_in_time_is_resumed_without_another_read() {
    let (mut run, stream) = loaded().await;
    for _ in 0..3 {
        sleep(Duration::from_secs(100)).await;
        stream.send(bookmark(11, false));
    }
    sleep(Duration::from_millis(1)).await;
    drop(stream);
    assert_eq!(run.server.any_call().await.parameter("watch").as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn lists_that_expire_at_once_are_not_repeated_in_a_loop() {
    let mut run = start(pods());
    run.server.streaming_list().await.refuse(422);
    let since = Instant::now();
    for _ in 0..10 {
        run.server.page(None).await.protobuf().send(list("PodList", 20, "", &[object("a", 7)]));
        run.server.watch("20").await.refuse(410);
    }
    assert!(since.elapsed() > Duration::from_secs(30), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn another_error_event_leads_to_a_resumed_watch() {
    let (mut run, stream) = loaded().await;
    // 500
    stream.send(error(244));
    run.server.watch("9").await;
    assert_eq!(value(&run.status.watch_errors), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_server_repeatedly_fails_to_send_leads_to_a_list() {
    let (mut run, stream) = loaded().await;
    stream.send(error(244));
    run.server.watch("9").await.protobuf().send(error(244));
    let stream = run.server.streaming_list().await.protobuf();
    run.expect_calls(&["rewind", "init"]).await;
    stream.send([pod("ADDED", "b", 20), bookmark(30, true)].concat());
    run.expect_calls(&["apply b 20", "done 30"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_resource_is_dropped_after_minutes_and_a_forbidden_one_is_kept() {
    for (status, dropped) in [(404, true), (403, false)] {
        let (mut run, stream) = loaded().await;
        drop(stream);
        let since = Instant::now();
        for _ in 0..10 {
            run.server.watch("9").await.refuse(status);
        }
        assert!(since.elapsed() > Duration::from_secs(150), "after {:?}", since.elapsed());
        if dropped {
            run.expect_calls(&["init", "done 0"]).await;
            run.server.streaming_list().await;
        } else {
            run.server.watch("9").await;
            run.expect_no_calls().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_reopened() {
    let (mut run, stream) = loaded().await;
    let since = Instant::now();
    sleep(Duration::from_secs(100)).await;
    stream.send(bookmark(11, false));
    run.server.watch("11").await;
    assert!(stream.is_dropped());
    assert_eq!(since.elapsed().as_secs(), 250);
    assert_eq!(value(&run.status.watch_errors), 1);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_frame_ends_the_watch_but_not_the_source() {
    let (mut run, stream) = loaded().await;
    stream.send(vec![0xff; 9]);
    run.server.watch("9").await.protobuf().send(pod("ADDED", "c", 10));
    run.expect_calls(&["apply c 10"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_refused_later_keeps_known_objects() {
    let (mut run, stream) = loaded().await;
    drop(stream);
    run.server.watch("9").await.refuse(403);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(value(&run.status.refused), 403);
    run.expect_no_calls().await;
    assert_eq!((value(&run.status.watch_errors), value(&run.status.not_served)), (1, 0));
    run.server.watch("9").await.refuse(404);
    sleep(Duration::from_millis(1)).await;
    assert_eq!((value(&run.status.refused), value(&run.status.not_served)), (404, 1));
    run.server.watch("9").await.protobuf().send(pod("ADDED", "c", 10));
    run.expect_calls(&["apply c 10"]).await;
    assert_eq!((value(&run.status.refused), value(&run.status.watch_errors)), (0, 1));
}
