//! A simulated process: a whole replica without sockets. It can be suspended, and its path to the API server can fail.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, stream};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use twox_hash::XxHash64;

use super::network::{Network, latency};
use super::objects::LastScrape;
use super::seeded::{self, Exposures};
use super::trace::Trace;
use crate::exposition::{Format, Selection};
use crate::fleet::audit::CoverageView;
use crate::fleet::clock::Clock;
use crate::fleet::coverage::{CoverageReport, CoverageRequest, KnownVersions, SeenError};
use crate::fleet::handover::{Cause, HandoverState, Now};
use crate::fleet::record::{Endpoint, KeyDigest};
use crate::fleet::report::ReplicaReport;
use crate::fleet::{self, FleetHandle, Host};
use crate::replica::launch::Launch;
use crate::replica::leave;
use crate::replica::live_settings::LiveSettings;
use crate::replica::resources::Resources;
use crate::replica::security::Security;
use crate::replica::tasks::Tasks;
use crate::server::{Members, Reporter, ScrapeTracker, Scraper};
use crate::settings::Settings;
use crate::sharding::{Digest, Slice};
use crate::simulator::{Body, Broken, Simulator};
use crate::sync::watch;

/// Where the objects are.
const OBJECTS: &str = "/api/v1/namespaces/shop/pods";
/// The fleet port of every process.
const PORT: u16 = 8082;
/// The wall clock at time 0 of a simulation, in Unix milliseconds.
const EPOCH: i64 = 1_800_000_000_000;

/// The path of a process to the API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// It works.
    #[default]
    Open,
    /// Packets vanish. Requests arrive later.
    Silent,
    /// Connections are refused, and open ones are reset.
    Refused,
    /// Requests fail with 503.
    Failing,
    /// Requests take up to this time.
    Slow(Duration),
    /// Every second answer to a write is lost, after the write.
    LosesAnswers,
    /// Watches deliver nothing.
    Deaf,
}

/// The clocks of a process.
#[derive(Debug)]
pub struct Clocks {
    start: Instant,
    boot: Duration,
    /// The error of the wall clock in milliseconds.
    pub error: AtomicI64,
}

impl Clock for Clocks {
    fn now(&self) -> Now {
        let elapsed = self.start.elapsed();
        let unix = EPOCH + elapsed.as_millis() as i64 + self.error.load(Relaxed);
        Now { boot: self.boot + elapsed, unix: unix as u64 }
    }
}

/// A task that is not polled while its process is suspended.
struct Suspendable {
    suspended: watch::Receiver<bool>,
    resumed: Option<BoxFuture<'static, ()>>,
    task: BoxFuture<'static, ()>,
}

impl Suspendable {
    fn new(suspended: watch::Receiver<bool>, task: BoxFuture<'static, ()>) -> Self {
        Self { suspended, resumed: None, task }
    }
}

impl Future for Suspendable {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        while *self.suspended.borrow() {
            let mut suspended = self.suspended.clone();
            let resumed = self.resumed.get_or_insert_with(|| {
                async move {
                    if suspended.wait_for(|suspended| !*suspended).await.is_err() {
                        // The process was killed, and is being dropped.
                        std::future::pending().await
                    }
                }
                .boxed()
            });
            std::task::ready!(resumed.poll_unpin(context));
            self.resumed = None;
        }
        self.task.poll_unpin(context)
    }
}

/// Answers no questions of audits and pages.
struct Silent;

impl CoverageView for Silent {
    fn report(&self, _: &CoverageRequest) -> CoverageReport {
        CoverageReport::default()
    }

    fn cluster_versions(&self, _: &str) -> KnownVersions {
        KnownVersions::None
    }

    fn seen_at(&self, _: &str, _: u64) -> Result<Digest, SeenError> {
        Err(SeenError::Listing)
    }
}

impl Reporter for Silent {
    fn report(&self) -> ReplicaReport {
        ReplicaReport::default()
    }

    fn others(&self) -> std::collections::BTreeMap<u32, Option<Endpoint>> {
        std::collections::BTreeMap::new()
    }
}

/// A running process.
pub struct Process {
    pub ordinal: u32,
    pub ip: IpAddr,
    pub member: Arc<FleetHandle>,
    pub clocks: Arc<Clocks>,
    path: watch::Sender<Path>,
    suspended: watch::Sender<bool>,
    network: Network,
    resources: Arc<Resources>,
    scrape_tracker: Arc<ScrapeTracker>,
    exposures: Exposures,
    pub last_scrape: LastScrape,
    generation: u64,
    /// It was ready once.
    was_ready: bool,
    tasks: Tasks,
    /// Why it cannot be a member any more.
    unfit: Arc<OnceLock<String>>,
    /// Ends when it has left.
    leaving: Option<JoinHandle<()>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(leaving) = &self.leaving {
            leaving.abort();
        }
        self.network.suspend(self.ip, false);
        self.network.close(self.ip);
    }
}

impl Process {
    /// Starts a process in a pod.
    pub fn start(
        settings: &Settings,
        ordinal: u32,
        ip: IpAddr,
        start: Instant,
        api: &Arc<Simulator>,
        lists: Duration,
        network: &Network,
    ) -> Self {
        let mut settings = settings.clone();
        let fleet = settings.fixed.fleet.as_mut().expect("it is a member");
        fleet.pod = format!("fleet-{ordinal}");
        fleet.ip = Some(ip);
        let fleet = fleet.clone();
        let clocks = Arc::new(Clocks {
            start,
            boot: Duration::from_secs(fastrand::u64(100..100_000)),
            error: AtomicI64::new(fastrand::i64(-300..300)),
        });
        let (path, suspended) = (watch::Sender::new(Path::Open), watch::Sender::new(false));
        let pause = suspended.subscribe();
        let (trace, started) = (network.trace.clone(), AtomicU64::new(0));
        let tasks = Tasks::wrapping(CancellationToken::new(), move |task| {
            let task = traced(trace.clone(), ordinal, started.fetch_add(1, Relaxed), task);
            let task = task.instrument(tracing::info_span!("member", ordinal));
            Suspendable::new(pause.clone(), task.boxed()).boxed()
        });
        let client = client(Arc::clone(api), lists, path.subscribe(), (network.trace.clone(), ordinal));
        let live = LiveSettings::new(&settings);
        let launch = Launch {
            settings: &settings,
            client: client.clone(),
            config: None,
            live: &live,
            security: Security { web: None, access: None, members: None },
            spawner: tasks.spawner(),
        };
        let (resources, _custom, _namespaces) = launch.watch_resources(&Slice::none()).expect("no thread is needed");
        let key = KeyDigest(std::array::from_fn(|_| fastrand::u8(..)));
        let roster = Arc::default();
        let (member, task) = fleet::run(fleet::Start {
            client,
            settings: fleet,
            listen: SocketAddr::new(ip, PORT),
            server: None,
            hash: settings.hasher(),
            overlap: settings.fixed.handover_overlap,
            on_lost_quorum: settings.fixed.on_lost_quorum,
            events: settings.fixed.fleet_events,
            seamless: settings.fixed.seamless_handover,
            loader: seeded::loader(Arc::clone(&resources) as _),
            host: Host { clock: Arc::clone(&clocks) as _, dialer: Arc::new(network.dialer(ip, key)), memory: || None },
            roster: Arc::clone(&roster),
        });
        let unfit = Arc::new(OnceLock::new());
        let ended = Arc::clone(&unfit);
        tasks.spawner().spawn("fleet-member".to_owned(), async move {
            let error = task.await;
            ended.get_or_init(|| error.to_string());
        });
        let members =
            Members { fleet: Arc::clone(&member), coverage_view: Arc::new(Silent), reporter: Arc::new(Silent), roster };
        network.listen(ip, key, members);
        Self {
            ordinal,
            ip,
            member,
            clocks,
            path,
            suspended,
            network: network.clone(),
            resources,
            scrape_tracker: Arc::default(),
            exposures: Exposures::default(),
            last_scrape: LastScrape::default(),
            generation: 0,
            was_ready: false,
            tasks,
            unfit,
            leaving: None,
        }
    }

    /// Returns why it has ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        let stopped = self.tasks.ended().now_or_never()?.err()?;
        Some(self.unfit.get().cloned().unwrap_or_else(|| stopped.to_string()))
    }

    pub fn set_path(&self, path: Path) {
        self.path.send_if_modified(|before| std::mem::replace(before, path) != path);
    }

    /// Whether requests arrive, and watches are heard.
    pub fn reads_api(&self) -> bool {
        *self.path.borrow() == Path::Open
    }

    pub fn suspend(&self, suspended: bool) {
        if self.is_suspended() == suspended {
            return;
        }
        self.network.suspend(self.ip, suspended);
        self.suspended.send_replace(suspended);
    }

    pub fn is_suspended(&self) -> bool {
        *self.suspended.borrow()
    }

    pub fn is_ready(&self) -> bool {
        self.member.snapshot().ready && !self.is_suspended()
    }

    /// Returns the slice that it exposes, if it has just become ready for the first time. `None` if it has to take over ranges of a
    /// dismissed member since then: a replica stays ready meanwhile.
    pub fn first_ready(&mut self) -> Option<Arc<Slice>> {
        let is_first = self.is_ready() && !self.was_ready;
        self.was_ready |= is_first;
        let status = &self.member.snapshot().status;
        let takes_over =
            status.change.as_ref().is_some_and(|change| change.cause == Cause::Dismissal) && !status.loaded;
        (is_first && !takes_over).then(|| self.member.exposed()).flatten()
    }

    /// Returns whether it takes part in another generation than at the last call.
    pub fn has_moved(&mut self) -> bool {
        let generation = self.member.snapshot().status.generation;
        std::mem::replace(&mut self.generation, generation) != generation
    }

    /// Returns the other members that serve, as far as it knows.
    pub fn known_members(&self) -> Vec<u32> {
        let status = &self.member.snapshot().status;
        let grows = matches!(status.handover, HandoverState::Preparing | HandoverState::Switching);
        let total = status.total.max(status.replicas.filter(|_| grows).unwrap_or_default());
        (0..total).filter(|member| *member != self.ordinal && !status.absent.contains(member)).collect()
    }

    /// Returns the answer to a scrape; `None` if there is none, or it is 503.
    pub fn scrape(&self) -> Option<Vec<u8>> {
        if self.is_suspended() {
            return None;
        }
        self.scrape_tracker.complete(&self.scrape_tracker.record(Scraper::new([10, 9, 9, 9].into(), [])));
        let exposed = self.exposures.of(&self.member, self.clocks.boot())?;
        let pieces: Vec<_> = self.resources.store().scrape(&Selection::All, Format::Text, &exposed).collect();
        let text = pieces.concat();
        self.network.trace.add(|| format!("member {} serves {}", self.ordinal, XxHash64::oneshot(0, &text)));
        Some(text)
    }

    /// Whether it was told to leave, and has left.
    pub fn has_left(&self) -> bool {
        self.leaving.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Sends SIGTERM. Returns whether it has left.
    pub fn terminate(&mut self) -> bool {
        let leaving = self.leaving.get_or_insert_with(|| {
            let (member, scrape_tracker) = (Arc::clone(&self.member), Arc::clone(&self.scrape_tracker));
            let leave = async move { leave::leave(&member, &scrape_tracker, None).await };
            tokio::spawn(Suspendable::new(self.suspended.subscribe(), leave.boxed()))
        });
        leaving.is_finished()
    }
}

/// Records each poll of a task of member `ordinal`.
async fn traced(trace: Trace, ordinal: u32, number: u64, mut task: BoxFuture<'static, ()>) {
    poll_fn(|context| {
        trace.add(|| format!("member {ordinal} runs task {number}"));
        task.poll_unpin(context)
    })
    .await;
}

/// Returns a client of `api` by way of `path`, for the member with this ordinal. A list of the objects takes up to `longest`.
fn client(
    api: Arc<Simulator>,
    longest: Duration,
    path: watch::Receiver<Path>,
    (trace, ordinal): (Trace, u32),
) -> kube::Client {
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (api, mut path, trace) = (Arc::clone(&api), path.clone(), trace.clone());
        async move {
            trace.add(|| format!("member {ordinal} requests {} {}", request.method(), request.uri()));
            sleep(latency()).await;
            let writes = *request.method() != Method::GET;
            let query = request.uri().query().unwrap_or_default();
            let watches = query.contains("watch=");
            let lists = !watches || query.contains("sendInitialEvents=");
            let lists_objects = lists && request.uri().path() == OBJECTS;
            // TCP repeats what was lost.
            let heard = path.wait_for(|path| *path != Path::Silent).await.map(|path| *path);
            let Ok(now) = heard else { return Err(std::io::ErrorKind::TimedOut.into()) };
            match now {
                Path::Refused => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
                Path::Failing => {
                    let status = r#"{"kind":"Status","code":503,"message":"overloaded"}"#;
                    let body = Full::from(status).map_err(|never| match never {}).boxed_unsync();
                    let mut answer: Response<Body> = Response::new(body);
                    *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                    return Ok(answer);
                }
                Path::Slow(most) => sleep(most.mul_f64(fastrand::f64())).await,
                Path::LosesAnswers | Path::Deaf | Path::Open | Path::Silent => {}
            }
            let answer = api.answer(request).await;
            if lists_objects {
                sleep(longest.mul_f64(fastrand::f64())).await;
            }
            if let Path::Slow(most) = now {
                sleep(most.mul_f64(fastrand::f64())).await;
            }
            if now == Path::LosesAnswers && writes && fastrand::bool() {
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            sleep(latency()).await;
            Ok(answer.map(|body| delivered(body, path, watches)))
        }
    });
    kube::Client::new(service, "ops")
}

/// Returns `body` as it arrives by way of `path`.
fn delivered(body: Body, path: watch::Receiver<Path>, watches: bool) -> Body {
    let frames = stream::unfold((body, path), move |(mut body, mut path)| async move {
        loop {
            let now = *path.borrow_and_update();
            match now {
                Path::Refused => return Some((Err(Broken::from("connection reset")), (body, path))),
                Path::Silent | Path::Deaf if watches || now == Path::Silent => {
                    if path.changed().await.is_err() {
                        return None;
                    }
                }
                _ => {
                    tokio::select! {
                        biased;
                        Ok(()) = path.changed() => {}
                        frame = body.frame() => return frame.map(|frame| (frame, (body, path))),
                    }
                }
            }
        }
    });
    StreamBody::new(frames).boxed_unsync()
}
