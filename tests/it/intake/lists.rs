//! Lists: streaming lists, pages, retries and refusals.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kube_state_fleet::intake::ShardState;
use kube_state_fleet::sharding::Hasher;
use tokio::time::{Instant, sleep};

use super::wire::{bookmark, event, list, object, pod};
use super::{only, pods, start, value};

#[tokio::test(start_paused = true)]
async fn a_streaming_list_continues_as_a_watch() {
    let mut run = start(pods());
    let call = run.server.streaming_list().await;
    assert!(call.accept.starts_with("application/vnd.kubernetes.protobuf,"), "{}", call.accept);
    assert!(call.uri.starts_with("/api/v1/pods?"));
    let stream = call.protobuf();
    stream.send(pod("ADDED", "a", 7)).send(pod("ADDED", "b", 5));
    run.expect_calls(&["init", "apply a 7", "apply b 5"]).await;
    assert!(!run.status.settled.load(Ordering::Relaxed));
    stream.send(bookmark(9, true));
    run.expect_calls(&["done 9"]).await;
    assert!(run.status.settled.load(Ordering::Relaxed));
    stream.send(pod("MODIFIED", "a", 10)).send(pod("DELETED", "b", 11));
    run.expect_calls(&["apply a 10", "delete b 11"]).await;
    assert_eq!((value(&run.status.watches), value(&run.status.lists)), (1, 0));
    assert_eq!((value(&run.status.applied), value(&run.status.deleted), value(&run.status.listed_objects)), (3, 1, 2));
    assert!(value(&run.status.last_event) > 1_700_000_000);
    run.server.knows(11, pod("DELETED", "b", 11));
    drop(stream);
    run.server.watch("11").await;
}

#[tokio::test(start_paused = true)]
async fn frames_may_be_cut_anywhere() {
    let mut run = start(pods());
    let stream = run.server.streaming_list().await.protobuf();
    let bytes = [pod("ADDED", "a", 7), pod("ADDED", "b", 8), bookmark(9, true)].concat();
    for byte in bytes.chunks(1) {
        stream.send(byte.to_vec());
    }
    run.expect_calls(&["init", "apply a 7", "apply b 8", "done 9"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_a_streaming_list_is_asked_for_pages() {
    for status in [400, 422] {
        let mut run = start(pods());
        run.server.streaming_list().await.refuse(status);
        let call = run.server.page(None).await;
        assert_eq!(call.parameter("limit").as_deref(), Some("500"));
        assert_eq!(call.parameter("resourceVersion"), None);
        call.protobuf().send(list("PodList", 20, "more", &[object("a", 7), object("b", 8)]));
        run.expect_calls(&["init", "apply a 7", "apply b 8"]).await;
        run.server.page(Some("more")).await.protobuf().send(list("PodList", 20, "", &[object("c", 9)]));
        run.expect_calls(&["apply c 9", "done 20"]).await;
        run.server.watch("20").await.refuse(410);
        // No streaming list is requested again.
        run.server.page(None).await;
        assert_eq!((value(&run.status.watches), value(&run.status.lists), value(&run.status.list_errors)), (0, 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ignores_sendinitialevents_is_asked_for_pages() {
    // It sends a plain bookmark, ends the watch, or sends nothing more.
    for how in 0..3 {
        let mut run = start(pods());
        let stream = run.server.streaming_list().await.protobuf();
        stream.send(pod("ADDED", "a", 7));
        let mut held = None;
        match how {
            0 => drop(stream.send(bookmark(9, false))),
            1 => drop(stream),
            _ => held = Some(stream),
        }
        run.server.page(None).await.protobuf().send(list("PodList", 20, "", &[object("a", 7)]));
        run.expect_calls(&["init", "apply a 7", "rewind", "init", "apply a 7", "done 20"]).await;
        run.server.watch("20").await;
        drop(held);
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_page_leads_to_a_list_without_pages() {
    let mut run = start(pods());
    run.server.streaming_list().await.refuse(422);
    run.server.page(None).await.protobuf().send(list("PodList", 20, "more", &[object("a", 7)]));
    run.server.page(Some("more")).await.refuse(410);
    let call = run.server.page(None).await;
    assert_eq!(call.parameter("limit"), None);
    call.protobuf().send(list("PodList", 30, "", &[object("b", 8)]));
    run.expect_calls(&["init", "apply a 7", "rewind", "init", "apply b 8", "done 30"]).await;
    assert_eq!((value(&run.status.lists), value(&run.status.list_errors)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_is_retried() {
    let mut run = start(pods());
    run.server.streaming_list().await.refuse(422);
    let whole = list("PodList", 20, "", &[object("a", 7), object("b", 8)]);
    run.server.page(None).await.protobuf().send(whole[..whole.len() - 20].to_vec());
    let broken = run.server.page(None).await.protobuf();
    broken.send(whole[..whole.len() - 20].to_vec());
    run.expect_calls(&["init", "apply a 7", "rewind", "init", "apply a 7"]).await;
    broken.break_off();
    run.server.page(None).await.protobuf().send(whole);
    run.expect_calls(&["rewind", "init", "apply a 7", "apply b 8", "done 20"]).await;
    assert_eq!(value(&run.status.list_errors), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_list_is_dropped() {
    let mut run = start(pods());
    run.server.streaming_list().await.refuse(422);
    let since = Instant::now();
    let silent = run.server.page(None).await.protobuf();
    let call = run.server.page(None).await;
    assert!(silent.is_dropped());
    assert!(since.elapsed() >= Duration::from_secs(150) && since.elapsed() < Duration::from_secs(152));
    // A server that does not answer at all is dropped, too.
    let since = Instant::now();
    let again = run.server.page(None).await;
    assert!(since.elapsed() >= Duration::from_secs(150) && since.elapsed() < Duration::from_secs(153));
    drop((call, again));
}

#[tokio::test(start_paused = true)]
async fn retries_back_off_with_jitter() {
    let mut run = start(pods());
    let mut delays = Vec::new();
    run.server.call().await.hang_up();
    for _ in 0..10 {
        let since = Instant::now();
        run.server.streaming_list().await.hang_up();
        delays.push(since.elapsed());
    }
    assert!(delays[0] < Duration::from_secs(1), "{delays:?}");
    // A recovered API server is used within seconds.
    assert!(delays.iter().all(|d| *d <= Duration::from_millis(2_401)), "{delays:?}");
    assert!(delays[9] >= Duration::from_secs(2), "{delays:?}");
    assert!(delays.iter().any(|d| d.as_millis() % 250 > 1), "{delays:?}");
    let stream = run.server.streaming_list().await.protobuf();
    assert_eq!(value(&run.status.watch_errors), 11);
    assert!(!run.status.settled.load(Ordering::Relaxed));
    stream.send(bookmark(9, true));
    run.expect_calls(&["init", "done 9"]).await;
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_respected() {
    let mut run = start(pods());
    run.server.call().await.answer(429, "application/json", &[("retry-after", "20")]);
    let since = Instant::now();
    run.server.streaming_list().await;
    assert!(since.elapsed() >= Duration::from_secs(20) && since.elapsed() <= Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn a_refused_resource_is_settled_and_retried_soon_and_then_slowly() {
    for status in [403, 404, 405] {
        let mut run = start(pods());
        run.server.streaming_list().await.refuse(status);
        sleep(Duration::from_millis(1)).await;
        assert!(run.status.settled.load(Ordering::Relaxed));
        assert_eq!(value(&run.status.refused), u64::from(status));
        // The server may only lag; a permission or a custom resource may follow shortly.
        for seconds in [1, 2, 4, 8, 16, 30, 30, 30, 30] {
            run.server.quiet(Duration::from_secs(seconds).mul_f64(0.99)).await;
            run.server.streaming_list().await.refuse(status);
            sleep(Duration::from_millis(1)).await;
        }
        run.server.quiet(Duration::from_secs(299)).await;
        run.server.streaming_list().await.protobuf().send(pod("ADDED", "a", 7)).send(bookmark(9, true));
        run.expect_calls(&["init", "apply a 7", "done 9"]).await;
        assert_eq!(value(&run.status.refused), 0);
        // A resource that the server does not have is no error.
        let counts = (value(&run.status.watch_errors), value(&run.status.list_errors), value(&run.status.not_served));
        assert_eq!(counts, if status == 403 { (10, 0, 0) } else { (0, 0, 10) });
    }
}

#[tokio::test(start_paused = true)]
async fn only_objects_in_the_slice_are_handed_over() {
    let mut source = pods();
    let shard = Arc::new(ShardState::new(only(Hasher::XxHash64, &["mine"])));
    source.shard = Arc::clone(&shard);
    let mut run = start(source);
    let stream = run.server.streaming_list().await.protobuf();
    stream.send([pod("ADDED", "mine", 7), pod("ADDED", "other", 8), bookmark(9, true)].concat());
    run.expect_calls(&["init", "apply mine 7", "done 9"]).await;
    stream.send([pod("DELETED", "other", 10), pod("DELETED", "mine", 11)].concat());
    run.expect_calls(&["delete mine 11"]).await;
    assert_eq!((value(&run.status.foreign), value(&run.status.listed_objects)), (2, 2));
    // The slice may change while the source runs.
    shard.set_desired(only(Hasher::XxHash64, &["other"]));
    sleep(Duration::from_millis(1)).await;
    stream.send([pod("ADDED", "mine", 12), pod("ADDED", "other", 13)].concat());
    run.expect_calls(&["apply other 13"]).await;
}

#[tokio::test(start_paused = true)]
async fn the_object_limit_applies_to_all_shards_together() {
    let mut source = pods();
    source.object_limit = 2;
    source.use_cache = true;
    source.shard = Arc::new(ShardState::new(only(Hasher::XxHash64, &["mine"])));
    let mut run = start(source);
    let call = run.server.page(None).await;
    assert_eq!(call.parameter("limit").as_deref(), Some("2"));
    assert_eq!(call.parameter("resourceVersion").as_deref(), Some("0"));
    // A list from the cache may ignore the limit.
    let items = [object("other", 1), object("mine", 2), object("third", 3)];
    call.protobuf().send(list("PodList", 20, "more", &items));
    run.expect_calls(&["init", "apply mine 2", "done 20"]).await;
    assert_eq!((value(&run.status.listed_objects), value(&run.status.foreign)), (2, 1));
    let stream = run.server.watch("20").await.protobuf();
    // The limit is reached: no object may be added, but known objects may change.
    stream.send([pod("DELETED", "third", 21), pod("DELETED", "mine", 21)].concat());
    stream.send([pod("ADDED", "fourth", 22), pod("ADDED", "mine", 23)].concat());
    run.expect_calls(&["delete mine 21"]).await;
    run.expect_no_calls().await;
    stream.send([pod("DELETED", "other", 24), pod("MODIFIED", "mine", 25), pod("MODIFIED", "mine", 26)].concat());
    run.expect_calls(&["apply mine 25", "apply mine 26"]).await;
}

#[tokio::test(start_paused = true)]
async fn objects_that_do_not_decode_are_counted_and_kept() {
    let mut run = start(pods());
    let stream = run.server.streaming_list().await.protobuf();
    let broken = event("ADDED", "Pod", b"\x0a\x7f");
    stream.send(
        [pod("ADDED", "bad-1", 7), broken, pod("DELETED", "", 7), pod("ADDED", "b", 8), bookmark(9, true)].concat(),
    );
    run.expect_calls(&["init", "keep bad-1", "apply b 8", "done 9"]).await;
    assert_eq!(value(&run.status.undecodable), 3);
    // Its deletion needs nothing but metadata.
    stream.send(pod("DELETED", "bad-1", 10));
    run.expect_calls(&["delete bad-1 10"]).await;
}

#[tokio::test(start_paused = true)]
async fn fields_that_cannot_be_read_are_counted_and_their_objects_applied() {
    let mut run = start(pods());
    let stream = run.server.streaming_list().await.protobuf();
    stream.send([pod("ADDED", "odd-1", 7), pod("ADDED", "b", 8), bookmark(9, true)].concat());
    run.expect_calls(&["init", "apply odd-1 7", "apply b 8", "done 9"]).await;
    assert_eq!((value(&run.status.unreadable_fields), value(&run.status.applied)), (2, 2));
    assert_eq!(value(&run.status.undecodable), 0);
}

#[tokio::test(start_paused = true)]
async fn a_list_without_a_list_of_pods_is_an_error_and_not_an_empty_list() {
    let with = |kind: &str, items: &str| format!(r#"{{"kind":"{kind}","metadata":{{"resourceVersion":"9"}}{items}}}"#);
    for body in [
        with("PodList", r#","items":"x""#),
        with("PodList", r#","items":{}"#),
        with("PodList", r#","items":1"#),
        with("PodList", r#","items":true"#),
        with("PodList", ""),
        with("ServiceList", r#","items":[]"#),
        with("Pod", r#","items":[]"#),
        with("", r#","items":[]"#),
        r#"{"metadata":{"resourceVersion":"9"},"items":[]}"#.to_owned(),
        r#"{"kind":"PodList","items":[]}"#.to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\"x\"".to_owned(),
    ] {
        let mut run = start(pods());
        run.server.streaming_list().await.refuse(422);
        run.server.page(None).await.json().send(body.clone());
        run.server.page(None).await.json().send(with("PodList", r#","items":null"#));
        run.expect_calls(&["init", "init", "done 9"]).await;
        assert_eq!((value(&run.status.lists), value(&run.status.list_errors)), (1, 1), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn new_pages_without_end_are_an_error() {
    let mut run = start(pods());
    run.server.streaming_list().await.refuse(422);
    let mut token = None;
    // Each page has another token, and the same object.
    for page in 0..10_000 {
        let next = page.to_string();
        run.server.page(token.as_deref()).await.protobuf().send(list("PodList", 20, &next, &[object("a", 7)]));
        token = Some(next);
    }
    run.server.page(None).await.protobuf().send(list("PodList", 20, "", &[object("a", 7)]));
    run.server.watch("20").await;
    assert_eq!((value(&run.status.lists), value(&run.status.list_errors)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_page_without_end_is_an_error() {
    let mut run = start(pods());
    run.server.streaming_list().await.refuse(422);
    let page = run.server.page(None).await.json();
    page.send(r#"{"kind":"PodList","metadata":{"resourceVersion":"9"},"items":[]"#.to_owned());
    for _ in 0..61 {
        sleep(Duration::from_secs(5)).await;
        page.send(" ".to_owned());
    }
    run.server.page(None).await.protobuf().send(list("PodList", 20, "", &[object("a", 7)]));
    run.expect_calls(&["init", "init", "apply a 7", "done 20"]).await;
    assert_eq!((value(&run.status.lists), value(&run.status.list_errors)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn pages_that_do_not_end_are_an_error() {
    let mut run = start(pods());
    run.server.streaming_list().await.refuse(422);
    run.server.page(None).await.protobuf().send(list("PodList", 20, "one", &[]));
    run.server.page(Some("one")).await.protobuf().send(list("PodList", 20, "two", &[]));
    run.server.page(Some("two")).await.protobuf().send(list("PodList", 20, "one", &[]));
    run.server.page(None).await.protobuf().send(list("PodList", 20, "", &[object("a", 7)]));
    run.expect_calls(&["init", "init", "apply a 7", "done 20"]).await;
    assert_eq!((value(&run.status.lists), value(&run.status.list_errors)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_of_an_unknown_type_is_counted_and_changes_nothing() {
    let mut run = start(pods());
    let stream = run.server.streaming_list().await.protobuf();
    stream.send(pod("ADDED", "a", 7)).send(bookmark(9, true)).send(pod("MOVED", "a", 10)).send(pod("", "a", 11));
    stream.send(pod("MODIFIED", "a", 12));
    run.expect_calls(&["init", "apply a 7", "done 9", "apply a 12"]).await;
    assert_eq!((value(&run.status.undecodable), value(&run.status.watch_errors)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn json_that_only_go_reads_is_repaired_and_counted() {
    let mut run = start(pods());
    let items = r#"{"metadata":{"uid":"a","resourceVersion":"7","labels":{"x":"\ud800","\udc00":""}},"spec":{"priority":1e999}},
        {"metadata":{"uid":"b","resourceVersion":"8"}}"#;
    let list =
        format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"9"}},"items":[{items}]}}"#);
    run.server.streaming_list().await.refuse(422);
    run.server.page(None).await.json().send(list);
    run.expect_calls(&["init", "apply a 7", "apply b 8", "done 9"]).await;
    assert_eq!((value(&run.status.unreadable_fields), value(&run.status.undecodable)), (2, 0));
}
