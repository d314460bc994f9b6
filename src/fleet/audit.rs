//! The audit: once a minute the coordinator asks all members and enters what follows into the ledger.
//!
//! Everything outside is behind a trait: who there is ([`Members`]), what this replica itself exposes and sees
//! ([`Witness`]), how others are asked ([`Ask`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::coverage::{
    Answer, Answers, Doubt, Ledger, Line, News, Proof, Question, Reach, Stand, common_version, exposed, generation,
};
use super::door::{self, Door};
use super::handover::Status;
use crate::sharding::Digest;
use crate::sync::lock;

/// How often a proof is tried.
const PERIOD: Duration = Duration::from_secs(60);

/// How soon it is tried again where there is none, or one that is not exact: longer than a switch takes.
const AGAIN: Duration = Duration::from_secs(5);

/// How often it is tried again before the next period. The tries fill a period: a quiet resource is known to all as of one
/// version when the next bookmark has come, and those come once a minute.
const RETRIES: u32 = 10;

/// How long a member may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer may be in bytes; one of a hundred resources has a tenth of it.
const LONGEST: usize = 256 << 10;

/// How the replica that audits is called.
const SELF: &str = "this replica";

/// A member other than this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// How it is called in messages.
    pub name: String,
    /// Where its telemetry port is, as `ip:port`; `None` if nobody knows, and then there is no proof.
    pub address: Option<String>,
}

impl Peer {
    /// Everyone else who may expose objects, as the coordinator with this status and ordinal knows them; `None` if it is none.
    /// Who is present but not live has an address all the same: if nobody answers there, nothing is proven.
    pub fn all(status: &Status, own: u32) -> Option<Vec<Self>> {
        if !status.coordinator {
            return None;
        }
        let present = |ordinal: &u32| !status.absent.contains(ordinal);
        let mut addresses = status.addresses((0..status.total).filter(present));
        addresses.remove(&own);
        Some(
            addresses
                .into_iter()
                .map(|(ordinal, address)| Self { name: format!("shard {ordinal}"), address })
                .collect(),
        )
    }
}

/// Who there is.
pub trait Members: Send + Sync {
    /// `namespace/name` of the StatefulSet.
    fn fleet(&self) -> String;
    /// Everyone else who may expose objects: who is present in the current generation, and who is live without being so.
    /// `None` while another replica coordinates, and audits.
    fn peers(&self) -> Option<Vec<Peer>>;
}

/// What this replica exposes at this moment, by its part in the fleet.
pub trait Vantage: Send + Sync {
    /// That.
    fn stand(&self) -> Stand;
}

/// What this replica exposes and sees.
pub trait Witness: Send + Sync {
    /// Its own answer.
    fn answer(&self, question: &Question) -> Answer;
    /// As of which versions it may know all objects of a resource, its own and all others.
    fn sight(&self, resource: &str) -> Reach;
    /// All objects of a resource as of a version.
    ///
    /// # Errors
    /// They are not known; the text says why.
    fn seen_at(&self, resource: &str, version: u64) -> Result<Digest, String>;
}

/// How others are asked.
pub trait Ask: Send + Sync {
    /// The answer of who listens at `address`, or why there is none.
    fn ask<'a>(&'a self, address: &'a str, question: &'a Question) -> BoxFuture<'a, Result<Answer, String>>;
}

/// What the audits have shown, as telemetry reads it. Nothing while another replica audits.
#[derive(Debug)]
pub struct Coverage {
    ledger: Mutex<Ledger>,
    began: Instant,
}

impl Default for Coverage {
    fn default() -> Self {
        Self { ledger: Mutex::default(), began: Instant::now() }
    }
}

impl Coverage {
    /// A line a resource.
    pub fn lines(&self) -> Vec<Line> {
        self.ledger().lines(self.began.elapsed())
    }

    /// A try to prove that `resource` is covered, and what came of it.
    pub fn enter(&self, resource: &str, tried: Result<Proof, Doubt>) {
        self.ledger().enter(resource, tried, self.began.elapsed());
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A panic cannot leave it half changed in a way that matters: the next audit enters everything anew.
        lock(&self.ledger)
    }
}

/// Who audits, and by what.
pub struct Audit {
    /// Who there is.
    pub members: Arc<dyn Members>,
    /// This replica.
    pub witness: Arc<dyn Witness>,
    /// How the others are asked.
    pub ask: Arc<dyn Ask>,
    /// Where the results go.
    pub coverage: Arc<Coverage>,
}

impl Audit {
    /// Audits once a minute while this replica is the coordinator, until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let forever = async {
            loop {
                let began = Instant::now();
                if self.round().await.is_none() {
                    self.coverage.ledger().clear();
                    // Who becomes the coordinator audits at once.
                    sleep(AGAIN).await;
                    continue;
                }
                tell(self.coverage.ledger().news(self.coverage.began.elapsed()));
                sleep(PERIOD.saturating_sub(began.elapsed())).await;
            }
        };
        stop.run_until_cancelled(forever).await;
    }

    /// Tries each resource until it is exact, is found wrong twice in a row, or has been tried often enough. `None` if this
    /// replica is not the coordinator.
    async fn round(&self) -> Option<()> {
        let mut wrong = BTreeSet::new();
        let mut only: Option<BTreeSet<String>> = None;
        for tries in 0..=RETRIES {
            if tries > 0 {
                sleep(AGAIN).await;
            }
            let mut again = BTreeSet::new();
            let results = self.attempt(only.as_ref()).await?;
            if only.is_none() {
                self.coverage.ledger().keep(|resource| results.contains_key(resource));
            }
            for (resource, tried) in results {
                let Some(tried) = tried else {
                    self.coverage.ledger().leave_out(&resource);
                    continue;
                };
                let final_word = match &tried {
                    Ok(proof) if proof.is_exact() => true,
                    // One that is not exact is only believed when it is found again.
                    Ok(_) => !wrong.insert(resource.clone()),
                    Err(_) => tries == RETRIES,
                };
                if final_word {
                    self.coverage.enter(&resource, tried);
                } else {
                    again.insert(resource);
                }
            }
            if again.is_empty() {
                break;
            }
            only = Some(again);
        }
        Some(())
    }

    /// One try for all resources, or `only` some. A resource has no result if the API server does not have it.
    async fn attempt(&self, only: Option<&BTreeSet<String>>) -> Option<BTreeMap<String, Option<Result<Proof, Doubt>>>> {
        let peers = self.members.peers()?;
        let mut question = Question { fleet: self.members.fleet(), versions: BTreeMap::new() };
        let first = self.ask_all(&peers, &question).await;
        let own = self.witness.answer(&question);
        let resources: Vec<_> =
            own.reach.keys().filter(|r| only.is_none_or(|only| only.contains(*r))).cloned().collect();
        let mut results = BTreeMap::new();
        let first = match first {
            Ok(answers) => answers,
            Err(doubt) => return Some(resources.into_iter().map(|r| (r, Some(Err(doubt.clone())))).collect()),
        };
        for resource in resources {
            match common_version(&resource, &first, self.witness.sight(&resource)) {
                Ok(Some(version)) => drop(question.versions.insert(resource, version)),
                Ok(None) => drop(results.insert(resource, None)),
                Err(doubt) => drop(results.insert(resource, Some(Err(doubt)))),
            }
        }
        // What was there first, what is exposed of it then: only the latter hangs on the generation.
        let seen: BTreeMap<_, _> =
            question.versions.iter().map(|(r, version)| (r.clone(), self.witness.seen_at(r, *version))).collect();
        let second = self.ask_all(&peers, &question).await.and_then(|answers| generation(&answers).map(|_| answers));
        for (resource, seen) in seen {
            let proof = second.as_ref().map_err(Clone::clone).and_then(|answers| {
                let exposed = exposed(&resource, answers)?;
                Ok(Proof { seen: seen.map_err(Doubt::Unseen)?, exposed })
            });
            results.insert(resource, Some(proof));
        }
        // Who was not there all the time may have exposed what nobody was asked about.
        if self.members.peers()? != peers {
            results.values_mut().flatten().for_each(|result| *result = Err(Doubt::Unsettled));
        }
        Some(results)
    }

    /// The answers of all, our own first.
    async fn ask_all(&self, peers: &[Peer], question: &Question) -> Result<Answers, Doubt> {
        let asked = peers.iter().map(|peer| async {
            let Peer { name, address } = peer;
            let address = address.as_ref().ok_or_else(|| Doubt::Silent(format!("{name} has no address")))?;
            let answer = timeout(PATIENCE, self.ask.ask(address, question)).await;
            match answer.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))) {
                Ok(answer) => Ok((name.clone(), answer)),
                Err(error) => Err(Doubt::Silent(format!("{name} at {address}: {error}"))),
            }
        });
        let answers: Result<Answers, Doubt> = join_all(asked).await.into_iter().collect();
        let mut all = vec![(SELF.to_owned(), self.witness.answer(question))];
        all.extend(answers?);
        Ok(all)
    }
}

fn tell(news: Vec<News>) {
    for News { resource, state, proof, doubt } in news {
        let (seen, exposed) = proof.map(|p| (p.seen.count, p.exposed.count)).unzip();
        match doubt {
            Some(doubt) => warn!(resource, "it cannot be proven that the fleet exposes each object once: {doubt}"),
            None if state.exact => info!(resource, seen, exposed, "the fleet exposes each object once again"),
            None => warn!(
                resource,
                seen,
                exposed,
                missing = state.missing,
                doubled = state.doubled,
                "the fleet does not expose each object once; `kube-state-fleet verify` names the objects"
            ),
        }
    }
}

/// Asks over HTTP: `POST /fleet/cover` on the telemetry port.
#[derive(Clone)]
pub struct OverHttp(pub Arc<dyn Door>);

impl Ask for OverHttp {
    fn ask<'a>(&'a self, address: &'a str, question: &'a Question) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async move {
            let body = serde_json::to_vec(question).map_err(|e| e.to_string())?;
            door::ask_for(&*self.0, address, door::COVER, Some(body), (LONGEST, PATIENCE)).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::record::Member;
    use crate::sharding::Hashes;

    const PODS: &str = "pods";

    /// A fleet of two, of which this is one: what each exposes, and what there is.
    struct World(Mutex<State>);

    #[derive(Clone)]
    struct State {
        peers: Option<Vec<Peer>>,
        own: Answer,
        other: Result<Answer, String>,
        seen: Result<Digest, String>,
        asked: usize,
    }

    fn digest(uids: &[&str]) -> Digest {
        let mut digest = Digest::default();
        uids.iter().for_each(|uid| digest.add(Hashes::of(uid)));
        digest
    }

    fn answer(uids: &[&str]) -> Answer {
        Answer {
            generation: 3,
            settled: true,
            reach: [(PODS.to_owned(), Reach::Versions { floor: 1, position: 9 })].into(),
            digests: [(PODS.to_owned(), digest(uids))].into(),
        }
    }

    impl World {
        fn state(&self) -> MutexGuard<'_, State> {
            self.0.lock().expect("no test panics in here")
        }
    }

    impl Members for World {
        fn fleet(&self) -> String {
            "monitoring/fleet".to_owned()
        }

        fn peers(&self) -> Option<Vec<Peer>> {
            self.state().peers.clone()
        }
    }

    impl Witness for World {
        fn answer(&self, _: &Question) -> Answer {
            self.state().own.clone()
        }

        fn sight(&self, _: &str) -> Reach {
            Reach::Versions { floor: 0, position: 9 }
        }

        fn seen_at(&self, _: &str, _: u64) -> Result<Digest, String> {
            self.state().seen.clone()
        }
    }

    impl Ask for World {
        fn ask<'a>(&'a self, _: &'a str, _: &'a Question) -> BoxFuture<'a, Result<Answer, String>> {
            let mut state = self.state();
            state.asked += 1;
            Box::pin(std::future::ready(state.other.clone()))
        }
    }

    /// A fleet that is well, and its audit.
    fn start() -> (Arc<World>, Arc<Coverage>, CancellationToken) {
        let peer = Peer { name: "fleet-1".to_owned(), address: Some("10.0.0.2:8081".to_owned()) };
        let world = Arc::new(World(Mutex::new(State {
            peers: Some(vec![peer]),
            own: answer(&["a", "b"]),
            other: Ok(answer(&["c"])),
            seen: Ok(digest(&["a", "b", "c"])),
            asked: 0,
        })));
        let coverage = Arc::new(Coverage::default());
        let audit = Audit {
            members: Arc::clone(&world) as _,
            witness: Arc::clone(&world) as _,
            ask: Arc::clone(&world) as _,
            coverage: Arc::clone(&coverage),
        };
        let stop = CancellationToken::new();
        tokio::spawn(audit.run(stop.clone()));
        (world, coverage, stop)
    }

    fn states(coverage: &Coverage) -> Vec<(bool, bool, bool, bool)> {
        let lines = coverage.lines();
        lines.iter().map(|l| (l.state.exact, l.state.missing, l.state.doubled, l.state.unproven)).collect()
    }

    const EXACT: [(bool, bool, bool, bool); 1] = [(true, false, false, false)];
    const MISSING: [(bool, bool, bool, bool); 1] = [(false, true, false, false)];
    const DOUBLED: [(bool, bool, bool, bool); 1] = [(false, false, true, false)];
    const UNPROVEN: [(bool, bool, bool, bool); 1] = [(false, false, false, true)];

    async fn seconds(count: u64) {
        sleep(Duration::from_secs(count)).await;
    }

    #[test]
    fn everyone_is_asked_who_may_expose_objects() {
        let member = |ordinal: u32, address: &str| -> Member {
            let id = serde_json::json!({ "ordinal": ordinal, "pod": "", "nonce": 0 });
            let member = serde_json::json!({ "id": id, "address": address, "hash": "xxhash64", "layout": 1 });
            serde_json::from_value(member).expect("the rest has defaults")
        };
        let mut status = Status {
            total: 5,
            absent: vec![3],
            coordinator: true,
            // One has become absent and lives, one is above the total and about to leave, one is out of sight.
            peers: vec![member(1, "b"), member(3, "d"), member(6, "g")],
            contacts: vec![member(1, "b"), member(2, "c"), member(7, "h")],
            ..Status::default()
        };
        let peers = Peer::all(&status, 0).expect("we coordinate");
        let found: Vec<_> = peers.iter().map(|peer| (peer.name.as_str(), peer.address.as_deref())).collect();
        let expected = [
            ("shard 1", Some("b")),
            ("shard 2", Some("c")),
            ("shard 3", Some("d")),
            ("shard 4", None),
            ("shard 6", Some("g")),
        ];
        assert_eq!(found, expected);
        status.coordinator = false;
        assert_eq!(Peer::all(&status, 0), None);
    }

    #[tokio::test(start_paused = true)]
    async fn gaps_and_doubles_are_told_when_they_were_found_twice() {
        let (world, coverage, _stop) = start();
        seconds(1).await;
        assert_eq!(states(&coverage), EXACT);
        world.state().other = Ok(answer(&[]));
        seconds(61).await;
        assert_eq!(states(&coverage), EXACT, "it was seen once");
        seconds(5).await;
        assert_eq!(states(&coverage), MISSING);
        world.state().other = Ok(answer(&["b", "c"]));
        seconds(70).await;
        assert_eq!(states(&coverage), DOUBLED);
        world.state().other = Ok(answer(&["c"]));
        seconds(70).await;
        assert_eq!(states(&coverage), EXACT);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_proven_for_minutes_is_unproven() {
        for doubt in [
            |s: &mut State| s.other = Err("connection refused".to_owned()),
            |s: &mut State| s.other = Ok(Answer { generation: 4, ..answer(&["c"]) }),
            |s: &mut State| s.own.settled = false,
            |s: &mut State| s.seen = Err("the server filters".to_owned()),
            |s: &mut State| s.other = Ok(Answer { digests: BTreeMap::new(), ..answer(&[]) }),
            |s: &mut State| s.peers.as_mut().expect("we coordinate")[0].address = None,
        ] {
            let (world, coverage, stop) = start();
            seconds(1).await;
            doubt(&mut world.state());
            seconds(170).await;
            assert_eq!(states(&coverage), EXACT);
            seconds(30).await;
            assert_eq!(states(&coverage), UNPROVEN);
            stop.cancel();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_coordinator_audits_and_who_becomes_it_tells_nothing_before_it_knows() {
        let (world, coverage, _stop) = start();
        seconds(1).await;
        let peers = world.state().peers.take();
        seconds(70).await;
        assert!(coverage.lines().is_empty());
        let asked = world.state().asked;
        seconds(600).await;
        assert_eq!(world.state().asked, asked, "nobody is asked");
        world.state().peers = peers;
        seconds(6).await;
        assert_eq!(states(&coverage), EXACT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resource_that_the_server_does_not_have_is_left_out() {
        let (world, coverage, _stop) = start();
        seconds(1).await;
        assert_eq!(coverage.lines().len(), 1);
        world.state().own.reach = [(PODS.to_owned(), Reach::Refused)].into();
        let other = Answer { reach: world.state().own.reach.clone(), ..answer(&[]) };
        world.state().other = Ok(other);
        seconds(61).await;
        assert!(coverage.lines().is_empty());
    }
}
