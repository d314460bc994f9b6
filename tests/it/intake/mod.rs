//! A source against a scripted API server, on a paused clock.

mod audits;
mod backfills;
mod conditions;
mod forms;
mod lists;
mod model;
mod selectors;
mod server;
mod watches;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kube_state_fleet::intake::{self, DecodeError, Encoding, Endpoint, Form, Item, ShardState, Sink, Source, Status};
use kube_state_fleet::sharding::{Hasher, Hashes, Ranges, Slice};
use server::Server;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Records the calls of a source, prefixed with its own name. Objects whose UID starts with `bad` do not decode, and those with `odd` have two
/// fields that cannot be read.
struct Recorder {
    name: &'static str,
    calls: mpsc::UnboundedSender<String>,
}

impl Recorder {
    fn record(&self, call: &str) {
        let _ = self.calls.send(format!("{}{call}", self.name));
    }
}

impl Sink for Recorder {
    fn init(&mut self, _: &Slice) {
        self.record("init");
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        if item.uid.starts_with("bad") {
            return Err(DecodeError::CustomProtobuf);
        }
        if item.uid.starts_with("odd") {
            item.unreadable.note("a");
            item.unreadable.note("b");
        }
        assert_eq!(item.hashes, Hashes::of(item.uid));
        if item.encoding == Encoding::Json {
            serde_json::from_slice::<serde_json::Value>(item.bytes)?;
        }
        let table_type = item.table_type.map(|t| format!(" {t}")).unwrap_or_default();
        self.record(&format!("apply {} {}{table_type}", item.uid, item.version));
        Ok(())
    }

    fn keep(&mut self, uid: &str) {
        self.record(&format!("keep {uid}"));
    }

    fn rewind(&mut self) {
        self.record("rewind");
    }

    fn delete(&mut self, uid: &str, version: u64) {
        self.record(&format!("delete {uid} {version}"));
    }

    fn init_done(&mut self, version: u64) {
        self.record(&format!("done {version}"));
    }
}

/// A running source, with the calls of its sink and its status.
struct Run {
    server: Server,
    calls: mpsc::UnboundedReceiver<String>,
    status: Arc<Status>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A source of pods in all namespaces.
fn pods() -> Source {
    Source {
        endpoint: Endpoint {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            plural: "pods".to_owned(),
            namespaced: true,
            form: Form::Object,
            protobuf: true,
            typed: true,
        },
        namespace: None,
        field_selector: String::new(),
        label_selector: String::new(),
        shard: Arc::new(ShardState::new(Slice::all())),
        server_side: false,
        audited: false,
        use_cache: false,
        object_limit: 0,
        batch_delay: Duration::from_millis(100),
        summed_up: false,
    }
}

/// A slice that consists of these UIDs.
fn only(hasher: Hasher, uids: &[&str]) -> Slice {
    let points = uids.iter().map(|uid| u128::from(hasher.hash(uid)));
    Slice::of(hasher, Ranges::from_parts(points.map(|point| (point, point + 1))))
}

/// Starts a source.
fn start(source: Source) -> Run {
    let (status, stop) = (Arc::new(Status::default()), CancellationToken::new());
    let (server, client) = Server::new(Arc::clone(&status));
    let (recorder, calls) = mpsc::unbounded_channel();
    let sinks: [Box<dyn Sink>; 2] = [
        Box::new(Recorder { name: "", calls: recorder.clone() }),
        Box::new(Recorder { name: "backfill: ", calls: recorder }),
    ];
    let task = tokio::spawn(intake::run(client, source, sinks, Arc::clone(&status), stop.clone()));
    Run { server, calls, status, stop, task }
}

impl Run {
    /// Asserts the next calls of the sink.
    async fn expect_calls(&mut self, expected: &[&str]) {
        for expected in expected {
            let call = timeout(Duration::from_secs(1000), self.calls.recv()).await;
            assert_eq!(call.expect("a call in time").expect("a running source").as_str(), *expected);
        }
    }

    /// Asserts that the sink is not called for now.
    async fn expect_no_calls(&mut self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(self.calls.try_recv().is_err());
    }
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_source_ends_promptly() {
    // While it waits for an answer, while it reads one, and while it waits for a retry.
    for at in 0..3 {
        let mut run = start(pods());
        let call = run.server.call().await;
        let pieces = match at {
            0 => None,
            1 => Some(call.protobuf()),
            _ => {
                call.refuse(403);
                None
            }
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        let before = tokio::time::Instant::now();
        run.stop.cancel();
        run.task.await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert!(pieces.is_none_or(|p| p.is_dropped()));
    }
}
