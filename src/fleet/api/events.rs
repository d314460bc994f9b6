//! Posts the Events of a member.
//!
//! Each Event regards the StatefulSet of the fleet, or the Pod of the member while there is none. An Event is lost if the API server
//! does not accept it, or does not answer for long.

use std::convert::Infallible;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::discovery::Identity;
use super::request::{RequestError, with_timeout};
use crate::fleet::events::{Announcement, EventInbox, Memory, Outcome, RATE};
use crate::sync::watch;
use crate::token_bucket::TokenBucket;

/// The name of the reporting controller.
const CONTROLLER: &str = "kube-state-fleet";
/// The longest name of the reporting instance (`ReportingInstanceLengthLimit` in `pkg/apis/core/validation/events.go`).
const INSTANCE_BYTES: usize = 128;
/// How often an Event is tried, and the pause between two attempts, as in client-go (`maxTriesPerEvent` and
/// `defaultSleepDuration` in `tools/record/event.go`).
const MAX_TRIES: u32 = 12;
const PAUSE: Duration = Duration::from_secs(10);

/// Posts the Events of a queue, one at a time. `statefulset` is the UID of the StatefulSet, `None` while there is none.
pub async fn post_events(
    client: &Client,
    identity: &Identity,
    statefulset: watch::Receiver<Option<String>>,
    mut inbox: EventInbox,
) -> Infallible {
    let mut poster = Poster {
        api: Api::namespaced(client.clone(), &identity.names.namespace),
        identity,
        statefulset,
        memory: Memory::default(),
        posted: 0,
    };
    let (limiter, mut is_failing) = (TokenBucket::default(), false);
    while let Some(event) = inbox.recv().await {
        if !limiter.take(RATE) {
            inbox.note(Outcome::RateLimited);
            debug!(reason = event.reason, note = event.note, "dropped an Event: too many");
            continue;
        }
        let outcome = match poster.post(&event).await {
            Ok(()) => Outcome::Posted,
            Err(error) => {
                let (reason, note) = (event.reason, &event.note);
                if is_failing {
                    debug!(%error, reason, note, "cannot post an Event");
                } else {
                    warn!(
                        %error, reason,
                        "cannot post Events about the fleet, which works without them; for the permission add \
                         manifests/base/role.yaml, or turn Events off with --fleet-events=false"
                    );
                }
                if matches!(error, RequestError::Forbidden(_)) { Outcome::Forbidden } else { Outcome::Failed }
            }
        };
        is_failing = outcome != Outcome::Posted;
        inbox.note(outcome);
    }
    // The member posts no Events.
    std::future::pending().await
}

struct Poster<'a> {
    api: Api<Event>,
    identity: &'a Identity,
    statefulset: watch::Receiver<Option<String>>,
    memory: Memory,
    /// Number of Events that were created, for their names.
    posted: u64,
}

impl Poster<'_> {
    /// Posts an Event, with a few attempts while the API server does not work.
    async fn post(&mut self, event: &Announcement) -> Result<(), RequestError> {
        self.posted += 1;
        let mut tries = 0;
        loop {
            let error = match self.attempt(event).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            tries += 1;
            if tries == MAX_TRIES || !is_temporary(&error) {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    async fn attempt(&mut self, event: &Announcement) -> Result<(), RequestError> {
        let now = Instant::now();
        if let Some(same) = self.memory.same(event, now) {
            let (name, count) = (same.name.clone(), same.count.saturating_add(1));
            let series = json!({ "series": { "count": count, "lastObservedTime": time(event) } });
            match with_timeout(self.api.patch(&name, &PatchParams::default(), &Patch::Merge(series))).await {
                Ok(_) => {
                    self.memory.remember(event, name, count, now);
                    return Ok(());
                }
                // It has expired.
                Err(RequestError::NotFound) => self.memory.forget(&name),
                Err(error) => return Err(error),
            }
        }
        let object = self.object(event);
        let name = object.metadata.name.clone().unwrap_or_default();
        match with_timeout(self.api.create(&PostParams::default(), &object)).await {
            // The answer to an earlier attempt was lost.
            Ok(_) | Err(RequestError::Conflict) => {
                self.memory.remember(event, name, 1, now);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn object(&self, event: &Announcement) -> Event {
        let names = &self.identity.names;
        let pod = names.pod(names.ordinal);
        let reference = |api_version: &str, kind: &str, name: &str, uid: Option<&str>| ObjectReference {
            api_version: Some(api_version.to_owned()),
            kind: Some(kind.to_owned()),
            namespace: Some(names.namespace.clone()),
            name: Some(name.to_owned()),
            uid: uid.map(str::to_owned),
            ..ObjectReference::default()
        };
        // Without the permission to read the Pod, its name stands for its UID.
        let own = reference("v1", "Pod", &pod, Some(self.identity.pod.as_str()).filter(|uid| *uid != pod));
        let set = self.statefulset.borrow().clone();
        let set = set.map(|uid| reference("apps/v1", "StatefulSet", &names.statefulset, Some(&uid)));
        let (regarding, related) = match set {
            Some(set) => (set, event.of_member.then_some(own)),
            None => (own, None),
        };
        Event {
            metadata: ObjectMeta {
                // A label has the name of the Pod, so that it is at most 63 characters long.
                name: Some(format!("{pod}.{:x}.{:x}", event.at, self.posted)),
                namespace: Some(names.namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(time(event)),
            type_: Some(if event.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(event.reason.to_owned()),
            action: Some(event.action.to_owned()),
            note: Some(event.note.clone()),
            regarding: Some(regarding),
            related,
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(pod.chars().take(INSTANCE_BYTES).collect()),
            ..Event::default()
        }
    }
}

fn time(event: &Announcement) -> MicroTime {
    let at = i64::try_from(event.at).unwrap_or(i64::MAX);
    MicroTime(Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX))
}

/// Whether the same request may succeed later: the API server is away, or overloaded.
fn is_temporary(error: &RequestError) -> bool {
    match error {
        RequestError::Connection(_) | RequestError::Timeout => true,
        RequestError::Status { code, .. } => *code == 429 || *code >= 500,
        RequestError::Forbidden(_) | RequestError::NotFound | RequestError::Conflict => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use http::{Method, Request, Response};
    use http_body_util::{BodyExt, Full};
    use serde_json::Value;
    use tokio::time::timeout;

    use super::*;
    use crate::fleet::api::tests::names;
    use crate::fleet::events::{EventQueue, queue};
    use crate::fleet::handover::{Notice, Topic};
    use crate::sync::lock;

    const COLLECTION: &str = "/apis/events.k8s.io/v1/namespaces/ops/events";
    /// Of the API server.
    const OK: u16 = 200;

    /// An API server that gives the next answers of its script, and then always the same.
    struct Scripted {
        answers: Mutex<VecDeque<u16>>,
        then: u16,
        requests: Mutex<Vec<(Method, String, Value)>>,
    }

    impl Scripted {
        fn new(answers: &[u16], then: u16) -> Arc<Self> {
            let answers = Mutex::new(answers.iter().copied().collect());
            Arc::new(Self { answers, then, requests: Mutex::default() })
        }

        fn client(self: &Arc<Self>) -> Client {
            let api = Arc::clone(self);
            let service = tower::service_fn(move |request: Request<kube::client::Body>| {
                let api = Arc::clone(&api);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.expect("a whole body").to_bytes();
                    let sent: Value = serde_json::from_slice(&body).expect("JSON");
                    lock(&api.requests).push((head.method, head.uri.path().to_owned(), sent.clone()));
                    let code = lock(&api.answers).pop_front().unwrap_or(api.then);
                    let answer = match code {
                        OK => json!({ "metadata": sent["metadata"] }),
                        code => json!({ "kind": "Status", "status": "Failure", "message": "no", "code": code }),
                    };
                    let mut answer = Response::new(Full::<Bytes>::from(answer.to_string()));
                    *answer.status_mut() = http::StatusCode::from_u16(code).expect("a status");
                    Ok::<_, Infallible>(answer)
                }
            });
            Client::new(service, "ops")
        }

        fn requests(&self) -> Vec<(Method, String, Value)> {
            lock(&self.requests).drain(..).collect()
        }

        /// Posts the Events of a queue for so long.
        async fn post(self: &Arc<Self>, inbox: EventInbox, uid: Option<&str>, period: Duration) {
            let identity = Identity {
                names: names(),
                pod: "pod-uid".to_owned(),
                ip: None,
                owns_pod: Some(true),
                grace: Duration::ZERO,
                missing_permission: None,
            };
            let uid = watch::Sender::new(uid.map(str::to_owned));
            let client = self.client();
            let _ = timeout(period, post_events(&client, &identity, uid.subscribe(), inbox)).await;
        }
    }

    fn announce(events: &EventQueue, topic: Topic, text: &str) {
        let notice = Notice { warning: topic.is_warning(), text: text.to_owned(), topic: Some(topic) };
        events.announce(&[notice], true, 2, 1_700_000_000_123);
    }

    fn count(events: &EventQueue, outcome: &str) -> u64 {
        events.counts().find(|(name, _)| *name == outcome).expect("an outcome").1
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_regards_the_statefulset_and_equal_ones_are_counted() {
        let (events, inbox) = queue(true);
        announce(&events, Topic::QuorumLost, "a");
        announce(&events, Topic::HandoverCompleted, "b");
        announce(&events, Topic::HandoverCompleted, "b");
        let api = Scripted::new(&[], OK);
        api.post(inbox, Some("set-uid"), Duration::from_secs(1)).await;
        let requests = api.requests();
        let (method, path, event) = &requests[0];
        assert_eq!((method, path.as_str()), (&Method::POST, COLLECTION));
        let name = event["metadata"]["name"].as_str().expect("a name");
        let expected = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": { "name": name, "namespace": "ops" },
            "eventTime": "2023-11-14T22:13:20.123000Z",
            "type": "Warning", "reason": "QuorumLost", "action": "Confirm", "note": "member 2: a",
            "regarding": {
                "apiVersion": "apps/v1", "kind": "StatefulSet", "namespace": "ops", "name": "fleet", "uid": "set-uid",
            },
            "related": { "apiVersion": "v1", "kind": "Pod", "namespace": "ops", "name": "fleet-7", "uid": "pod-uid" },
            "reportingController": "kube-state-fleet", "reportingInstance": "fleet-7",
        });
        assert_eq!(*event, expected);
        let (_, _, event) = &requests[1];
        assert!(event["type"] == "Normal" && event["note"] == "b" && event["related"].is_null());
        let (method, path, series) = &requests[2];
        let name = event["metadata"]["name"].as_str().expect("a name");
        assert_eq!((method, path), (&Method::PATCH, &format!("{COLLECTION}/{name}")));
        assert_eq!(*series, json!({ "series": { "count": 2, "lastObservedTime": "2023-11-14T22:13:20.123000Z" } }));
        assert_eq!((requests.len(), count(&events, "posted")), (3, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_regards_the_pod_while_there_is_no_statefulset() {
        let (events, inbox) = queue(true);
        announce(&events, Topic::QuorumLost, "a");
        let api = Scripted::new(&[], OK);
        api.post(inbox, None, Duration::from_secs(1)).await;
        let (_, _, event) = &api.requests()[0];
        assert!(event["regarding"]["kind"] == "Pod" && event["regarding"]["uid"] == "pod-uid");
        assert!(event["related"].is_null());
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_event_is_created_again_and_a_lost_answer_is_no_failure() {
        let (events, inbox) = queue(true);
        for _ in 0..3 {
            announce(&events, Topic::HandoverCompleted, "b");
        }
        // The second notice finds no Event to count up. The first attempt to create one has succeeded, without an answer.
        let api = Scripted::new(&[OK, 404, 503, 409, OK], OK);
        api.post(inbox, Some("u"), Duration::from_secs(60)).await;
        let methods: Vec<_> = api.requests().into_iter().map(|(method, ..)| method.to_string()).collect();
        assert_eq!(methods, ["POST", "PATCH", "POST", "POST", "PATCH"]);
        assert_eq!(count(&events, "posted"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_event_costs_one_request_and_the_rate_is_limited() {
        let (events, inbox) = queue(true);
        for i in 0..40 {
            announce(&events, Topic::HandoverCompleted, &i.to_string());
        }
        let api = Scripted::new(&[], 403);
        api.post(inbox, Some("u"), Duration::from_secs(1)).await;
        assert_eq!(api.requests().len(), RATE.burst as usize);
        assert_eq!((count(&events, "forbidden"), count(&events, "rate_limited")), (25, 15));
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_is_away_is_tried_a_bounded_number_of_times() {
        let (events, inbox) = queue(true);
        announce(&events, Topic::HandoverCompleted, "a");
        let api = Scripted::new(&[], 503);
        api.post(inbox, Some("u"), Duration::from_secs(3600)).await;
        assert_eq!((api.requests().len(), count(&events, "failed")), (MAX_TRIES as usize, 1));
    }
}
