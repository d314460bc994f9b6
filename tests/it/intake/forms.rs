//! The forms of objects: JSON, Tables, metadata only, and forms that were not requested.

use std::time::Duration;

use kube_state_fleet::intake::{Form, Source};
use serde_json::json;
use tokio::time::Instant;

use super::wire::{self, event, json_bookmark, json_object, line, list, object, table};
use super::{pods, start, value};

fn secrets() -> Source {
    let mut source = pods();
    source.endpoint.kind = "Secret".to_owned();
    source.endpoint.plural = "secrets".to_owned();
    source.endpoint.form = Form::Table;
    source
}

fn configmaps() -> Source {
    let mut source = pods();
    source.endpoint.kind = "ConfigMap".to_owned();
    source.endpoint.plural = "configmaps".to_owned();
    source.endpoint.form = Form::Metadata;
    source
}

fn partial(uid: &str, version: u64) -> serde_json::Value {
    json_object("PartialObjectMetadata", uid, version)
}

#[tokio::test(start_paused = true)]
async fn a_server_without_protobuf_answers_in_json() {
    let mut source = pods();
    source.namespace = Some("ns".to_owned());
    (source.endpoint.protobuf, source.endpoint.typed) = (false, false);
    source.endpoint.group = "example.org".to_owned();
    let mut run = start(source);
    let call = run.server.streaming_list().await;
    assert!(call.uri.starts_with("/apis/example.org/v1/namespaces/ns/pods?"));
    assert_eq!(call.accept, "application/json");
    call.refuse(422);
    // The keys are sorted, as in lists of custom resources: the items come before metadata and kind.
    let items = json!({"apiVersion": "example.org/v1", "items": [json_object("Pod", "a", 7), json_object("Pod", "bad", 8)],
        "kind": "AllThePods", "metadata": {"continue": "", "resourceVersion": "20"}});
    let answer = run.server.page(None).await.json();
    for piece in items.to_string().as_bytes().chunks(7) {
        answer.send(piece.to_vec());
    }
    drop(answer);
    run.expect_calls(&["init", "apply a 7", "keep bad", "done 20"]).await;
    let stream = run.server.watch("20").await.json();
    stream.send(line("MODIFIED", &json_object("Pod", "a", 21)) + &line("DELETED", &json_object("Pod", "bad", 22)));
    run.expect_calls(&["apply a 21", "delete bad 22"]).await;
    stream.send(line("BOOKMARK", &json_bookmark("Pod", 30, false)));
    run.server.knows(22, line("DELETED", &json_object("Pod", "bad", 22)));
    drop(stream);
    run.server.watch("30").await;
}

#[tokio::test(start_paused = true)]
async fn json_can_stream_a_list_and_report_an_expired_version() {
    let mut run = start(pods());
    let stream = run.server.streaming_list().await.json();
    stream.send(line("ADDED", &json_object("Pod", "a", 7)) + &line("BOOKMARK", &json_bookmark("Pod", 9, true)));
    run.expect_calls(&["init", "apply a 7", "done 9"]).await;
    stream.send(line("ERROR", &json!({"kind": "Status", "message": "too old", "reason": "Expired", "code": 410})));
    run.server.streaming_list().await;
}

#[tokio::test(start_paused = true)]
async fn a_table_has_the_type_of_each_row() {
    let mut run = start(secrets());
    let call = run.server.streaming_list().await;
    assert_eq!(call.accept, "application/json;as=Table;g=meta.k8s.io;v=v1");
    assert_eq!(call.parameter("includeObject").as_deref(), Some("Metadata"));
    let stream = call.json();
    let end = json_bookmark("PartialObjectMetadata", 9, true);
    stream
        .send(line("ADDED", &table(true, "Opaque", partial("a", 7))))
        .send(line("ADDED", &table(false, "kubernetes.io/tls", partial("b", 8))))
        .send(line("BOOKMARK", &table(false, "", end)));
    run.expect_calls(&["init", "apply a 7 Opaque", "apply b 8 kubernetes.io/tls", "done 9"]).await;
    stream.send(line("DELETED", &table(false, "Opaque", partial("a", 10))));
    run.expect_calls(&["delete a 10"]).await;
    run.server.knows(10, line("DELETED", &table(true, "Opaque", partial("a", 10))));
    drop(stream);
    let stream = run.server.watch("10").await.json();
    stream.send(line("ADDED", &table(false, "Other", partial("c", 11))));
    run.expect_calls(&["apply c 11 Other"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_table_is_listed_row_by_row() {
    let mut run = start(secrets());
    run.server.streaming_list().await.refuse(422);
    let mut answer = table(true, "Opaque", partial("a", 7));
    answer["metadata"]["resourceVersion"] = "20".into();
    // The parts of a Table come in this order; `json!` would sort them.
    let text = format!(
        r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":{},"rows":{}}}"#,
        answer["metadata"], answer["columnDefinitions"], answer["rows"]
    );
    run.server.page(None).await.json().send(text);
    run.expect_calls(&["init", "apply a 7 Opaque", "done 20"]).await;
}

#[tokio::test(start_paused = true)]
async fn only_metadata_is_requested_and_accepted() {
    let mut run = start(configmaps());
    let call = run.server.streaming_list().await;
    assert!(call.accept.split(", ").all(|f| f.contains(";as=PartialObjectMetadata;g=meta.k8s.io;v=v1")));
    let stream = call.protobuf();
    stream.send(event("ADDED", "PartialObjectMetadata", &object("a", 7)));
    stream.send(event("ADDED", "ConfigMap", &object("whole", 8)));
    stream.send(wire::bookmark(9, true));
    run.expect_calls(&["init", "apply a 7", "keep whole", "done 9"]).await;
    assert_eq!(value(&run.status.wrong_form), 1);
    stream.send(event("DELETED", "ConfigMap", &object("whole", 10)));
    run.expect_calls(&["delete whole 10"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_whole_secret_is_dropped_undecoded() {
    let mut run = start(secrets());
    let stream = run.server.streaming_list().await.json();
    let mut whole = json_object("Secret", "whole", 8);
    whole["data"] = json!({"password": "aGlkZGVu"});
    stream
        .send(line("ADDED", &whole))
        .send(line("ADDED", &table(true, "Opaque", whole)))
        .send(line("BOOKMARK", &table(false, "", json_bookmark("PartialObjectMetadata", 9, true))));
    run.expect_calls(&["init", "keep whole", "keep whole", "done 9"]).await;
    assert_eq!(value(&run.status.wrong_form), 2);
    assert_eq!(value(&run.status.applied), 0);
}

#[tokio::test(start_paused = true)]
async fn a_list_in_another_form_is_dropped_undecoded() {
    let whole = json!({"kind": "SecretList", "items": [json_object("Secret", "a", 1)]}).to_string();
    let unnamed = json!({"items": [json_object("Secret", "a", 1)]}).to_string();
    for (source, content_type, body) in [
        (secrets(), "application/json", whole.into_bytes()),
        (secrets(), "application/json", unnamed.into_bytes()),
        (secrets(), "application/vnd.kubernetes.protobuf", list("SecretList", 9, "", &[object("a", 1)])),
        (configmaps(), "application/vnd.kubernetes.protobuf", list("ConfigMapList", 9, "", &[object("a", 1)])),
        (pods(), "application/vnd.kubernetes.protobuf", list("PartialObjectMetadataList", 9, "", &[object("a", 1)])),
        (pods(), "text/html", b"<html>".to_vec()),
    ] {
        let mut run = start(source);
        run.server.streaming_list().await.refuse(422);
        run.server.page(None).await.answer(200, content_type, &[]).send(body);
        run.server.page(None).await;
        while let Ok(call) = run.calls.try_recv() {
            assert_eq!(call, "init");
        }
        assert_eq!((value(&run.status.wrong_form), value(&run.status.list_errors)), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_carried_secret_data_is_replaced() {
    let mut run = start(secrets());
    let stream = run.server.streaming_list().await.json();
    let mut applied = partial("a", 7);
    applied["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
    let end = json_bookmark("PartialObjectMetadata", 9, true);
    stream.send(line("ADDED", &table(true, "Opaque", applied.clone())));
    run.expect_calls(&["init", "apply a 7 Opaque"]).await;
    // Not during the list, but soon after.
    run.server.quiet(Duration::from_secs(20)).await;
    stream.send(line("BOOKMARK", &table(false, "", end)));
    run.expect_calls(&["done 9"]).await;
    let since = Instant::now();
    let stream = run.server.watch("9").await.json();
    assert_eq!(since.elapsed().as_secs(), 5);
    // An object without the annotation of `kubectl apply` does not cause it.
    stream.send(line("ADDED", &table(true, "Opaque", partial("b", 10))));
    run.server.quiet(Duration::from_secs(20)).await;
    applied["metadata"]["resourceVersion"] = "11".into();
    stream.send(line("MODIFIED", &table(false, "Opaque", applied)));
    run.server.watch("11").await;
    assert_eq!(value(&run.status.watch_errors), 0);
}
