//! Explores every order of faults in a fleet of three members, breadth first, and merges equal states.
//!
//! A state is a whole world: the machines, the messages on their way, the store, the Pods, and the faults that last. Two worlds
//! with the same [`Form`] are one state. There is a decision point every [`SLOT`]. At each, nothing happens, or one fault begins.
//! An episode of faults ends when the fleet has settled and no fault has begun for [`REST`]: then nothing remembers one, and the
//! next episode may begin. [`Limits`] bound the faults of an episode, and the decision points at which any may begin. Without the
//! second bound, the search ends when there is no new state: it has seen every order of faults, however long.
//!
//! | property | meaning |
//! |---|---|
//! | safety | at each step of the model, every sampled point is exposed as `invariants` demands |
//! | bounded liveness | from every state the fleet settles within [`SETTLED`] if no further fault begins |
//!
//! The exploration is complete for these faults and bounds, and for nothing else:
//! - Faults begin at decision points, and have fixed durations.
//! - Nothing is random: delays and loads take the same time always, members send and renew in fixed phases to each other. Their
//!   boot clocks differ, and their wall clocks run [`super::WALL_CLOCK_RATE`] times as fast as time.
//! - Between two decision points the model steps every 100 ms, and checks a sample of points of the hash space.
//!
//! `EXPLORE_FAULTS`, `EXPLORE_SLOTS` and `EXPLORE_STATES` set the limits of the ignored test, `EXPLORE_REFUSE` its choice of
//! `--on-lost-quorum`, and `EXPLORE_PROGRESS` lets it print its progress. A counterexample is printed as the script of its
//! faults, followed by what the members logged.
//!
//! Why not Stateright (0.31, about one release a year): the states, their canonical form and the invariants at each step between
//! two states would be the same code. It would replace the loop of [`Search::run`], and bring a web server and eight more crates.
//! Its `eventually` properties are checked per path and not after a merge, so bounded liveness would need its own pass as well.

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;

use super::actions::Action;
use super::canonical::Form;
use super::seeded::Seeded;
use super::{Explored, ORIGIN, World};
use crate::settings::OnLostQuorum;

/// The time (ms) between two decision points.
const SLOT: u64 = 1_000;
/// How long (ms) the fleet may take to settle: a crashed member waits for its backoff, loads, and takes its ranges again.
const SETTLED: u64 = 180_000;
/// How long (ms) no fault may begin before the next episode: the memory of crashes and dismissals ends.
const REST: u64 = 62_000;
/// How long (ms) after the last fault a settled fleet is followed in a bounded search: ranges that are not wanted are released.
const FOLLOWED: u64 = 15_000;
/// The number of points of the hash space that are sampled.
const POINTS: usize = 24;
const MEMBERS: u32 = 3;
/// How long (ms) faults last: a crashed process restarts while the others replace it; a refusal outlasts any retry; a deaf
/// watch outlasts a renewal.
const RESTART: u64 = 4_000;
const REFUSAL: u64 = 8_000;
const DEAFNESS: u64 = 12_000;
/// How far (ms) the store goes back: to before the last writes, and to before the expiry of a Lease.
const AGES: [u64; 2] = [3_000, 25_000];

/// The size of a search.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The most faults of an episode.
    faults: u32,
    /// At how many decision points a fault may begin; `None` for all. After the last one, a fleet that has settled is followed no
    /// further than [`FOLLOWED`] after the last fault.
    slots: Option<u32>,
    /// The most states.
    states: usize,
}

/// In which situation the faults begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Rest,
    Growing,
    Rolling,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Crash(u32),
    /// Connections from the first member to the second are refused.
    Refuse(u32, u32),
    /// Connections between two members are refused.
    RefuseBoth(u32, u32),
    Deafen(u32),
    /// The store is again as it was this many milliseconds ago.
    GoBack(u64),
}

impl Fault {
    fn all() -> impl Iterator<Item = Self> {
        let pairs = (0..MEMBERS).flat_map(|a| (0..MEMBERS).map(move |b| (a, b))).filter(|(a, b)| a != b);
        let each = (0..MEMBERS).flat_map(|o| [Self::Crash(o), Self::Deafen(o)]);
        let refusals = pairs.clone().map(|(a, b)| Self::Refuse(a, b));
        let both = pairs.filter(|(a, b)| a < b).map(|(a, b)| Self::RefuseBoth(a, b));
        each.chain(refusals).chain(both).chain(AGES.map(Self::GoBack))
    }

    fn begin(self, world: &mut World) {
        match self {
            Self::Crash(o) => world.act(&Action::Crash(o, RESTART)),
            Self::Refuse(a, b) => world.act(&Action::Refuse(a, b, REFUSAL)),
            Self::RefuseBoth(a, b) => {
                world.act(&Action::Refuse(a, b, REFUSAL));
                world.act(&Action::Refuse(b, a, REFUSAL));
            }
            Self::Deafen(o) => world.act(&Action::Deafen(o, DEAFNESS)),
            Self::GoBack(age) => world.act(&Action::Restore(age)),
        }
    }

    /// Whether it may begin: one that is active already does not.
    fn is_possible(self, world: &World) -> bool {
        let refused = |a, b| world.refuses(a, b);
        match self {
            Self::Crash(o) => world.pods.get(&o).is_some_and(|pod| pod.process.is_some()),
            Self::Refuse(a, b) => !refused(a, b),
            Self::RefuseBoth(a, b) => !refused(a, b) && !refused(b, a),
            Self::Deafen(o) => world.deaf.get(&o).is_none_or(|until| world.now >= *until),
            Self::GoBack(_) => true,
        }
    }
}

/// A world at a decision point, and the faults of its episode.
#[derive(Clone)]
struct Place {
    world: World,
    /// How many faults the episode has had, and how long ago (ms) the last one began, at most [`REST`].
    faults: u32,
    calm: u64,
}

impl Place {
    fn first(start: Start, on_lost_quorum: OnLostQuorum, seeded: Option<Seeded>) -> Result<Self, String> {
        let mut world = World::new(1, if start == Start::Growing { MEMBERS - 1 } else { MEMBERS });
        world.explored = Some(Explored::default());
        (world.now, world.gaps_excused_until) = (ORIGIN, ORIGIN + 20_000);
        (world.step, world.overlap, world.on_lost_quorum, world.seeded) = (100, 0, on_lost_quorum, seeded);
        world.points.truncate(POINTS);
        let text = |error| format!("{error}");
        world.settle(60_000).map_err(text)?;
        world.gaps_excused_until = 0;
        world.run_for(REST - world.now % SLOT).map_err(text)?;
        match start {
            Start::Rest => {}
            Start::Growing => world.act(&Action::Scale(MEMBERS)),
            Start::Rolling => world.act(&Action::Roll),
        }
        if start != Start::Rest {
            // Until the new process has started.
            world.run_for(world.start_delay).map_err(text)?;
        }
        world.forget_past();
        Ok(Self { world, faults: 0, calm: REST })
    }

    fn key(&self) -> u128 {
        let form = Form::of(&self.world);
        form.key() ^ u128::from(self.faults) << 64 ^ u128::from(self.calm)
    }

    /// Returns the faults that may begin here, and `None`.
    fn choices(&self, most: u32) -> impl Iterator<Item = Option<Fault>> {
        let faults = Fault::all().filter(move |fault| self.faults < most && fault.is_possible(&self.world));
        std::iter::once(None).chain(faults.map(Some))
    }

    /// Goes to the next decision point.
    fn advance(&mut self, choice: Option<Fault>) -> Result<(), String> {
        if let Some(fault) = choice {
            fault.begin(&mut self.world);
            (self.faults, self.calm) = (self.faults + 1, 0);
        }
        self.world.run_for(SLOT).map_err(|error| format!("{error}"))?;
        self.world.forget_past();
        self.calm = (self.calm + SLOT).min(REST);
        if self.calm == REST && self.world.is_settled() {
            self.faults = 0;
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let World { now, refused, deaf, .. } = &self.world;
        self.world.is_settled() && refused.values().chain(deaf.values()).all(|until| now >= until)
    }
}

/// A state that was visited.
struct Visited {
    /// The state before, and what happened there; `None` for the first state.
    from: Option<(u128, Option<Fault>)>,
    /// The next state if nothing happens.
    next: Option<u128>,
    is_settled: bool,
}

/// The result of a search.
#[derive(Default)]
struct Outcome {
    states: usize,
    /// The steps that led to a state that was known.
    merges: Vec<(u128, Option<Fault>, u128)>,
    /// The largest number of decision points that a new state takes.
    depth: u32,
    /// Whether no state is left to be followed.
    is_complete: bool,
    /// The longest time (ms) that the fleet took to settle.
    settles_within: u64,
    known: HashMap<u128, Visited>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { states, merges, depth, is_complete, settles_within, known: _ } = self;
        let merged = merges.len();
        write!(f, "{states} states, {merged} steps to known ones, depth {depth}, settled within {settles_within} ms")?;
        f.write_str(if *is_complete { ", no state left" } else { ", states left" })
    }
}

/// A search.
struct Search {
    start: Start,
    on_lost_quorum: OnLostQuorum,
    seeded: Option<Seeded>,
    limits: Limits,
    workers: usize,
    /// Whether fleets that have settled are followed to the end.
    follow: bool,
}

/// A step of a search: from where, what happened, and where that led.
type Step = (u128, Option<Fault>, Result<(u128, Place), String>);

impl Search {
    fn new(start: Start, limits: Limits) -> Self {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        Self { start, on_lost_quorum: OnLostQuorum::Serve, seeded: None, limits, workers, follow: false }
    }

    fn first(&self) -> Result<Place, String> {
        Place::first(self.start, self.on_lost_quorum, self.seeded)
    }

    fn run(&self) -> Result<Outcome, String> {
        let mut first = self.first()?;
        first.world.history.clear();
        let mut outcome = Outcome::default();
        let mut known: HashMap<u128, Visited> = HashMap::new();
        let key = first.key();
        known.insert(key, Visited { from: None, next: None, is_settled: first.is_settled() });
        let mut frontier = vec![(key, first)];
        while !frontier.is_empty() && known.len() < self.limits.states {
            let is_over = self.limits.slots.is_some_and(|slots| outcome.depth >= slots);
            let most = if is_over { 0 } else { self.limits.faults };
            let mut next = Vec::new();
            frontier.retain(|(_, place)| self.follow || !(is_over && place.is_settled() && place.calm >= FOLLOWED));
            for (from, choice, result) in self.steps(frontier, most) {
                let (key, place) = result.map_err(|_| self.story(&known, from, choice))?;
                if choice.is_none() {
                    known.get_mut(&from).unwrap().next = Some(key);
                }
                if known.contains_key(&key) {
                    outcome.merges.push((from, choice, key));
                    continue;
                }
                known.insert(key, Visited { from: Some((from, choice)), next: None, is_settled: place.is_settled() });
                next.push((key, place));
            }
            frontier = next;
            outcome.depth += 1;
            outcome.states = known.len();
            if std::env::var_os("EXPLORE_PROGRESS").is_some() {
                println!("{outcome} ({} to follow)", frontier.len());
            }
        }
        outcome.is_complete = frontier.is_empty();
        outcome.settles_within = self.check_liveness(&known)?;
        outcome.known = known;
        Ok(outcome)
    }

    /// Takes all steps from some places.
    fn steps(&self, places: Vec<(u128, Place)>, most: u32) -> Vec<Step> {
        let queue = Mutex::new(places.into_iter());
        let next = || queue.lock().unwrap().next();
        let work = || {
            let mut steps = Vec::new();
            while let Some((from, place)) = next() {
                for choice in place.choices(most) {
                    let mut after = place.clone();
                    let result = after.advance(choice);
                    after.world.history.clear();
                    steps.push((from, choice, result.map(|()| (after.key(), after))));
                }
            }
            steps
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.workers).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        })
    }

    /// Checks that from every state the fleet settles if nothing happens. Returns the longest time that it takes.
    fn check_liveness(&self, known: &HashMap<u128, Visited>) -> Result<u64, String> {
        let mut times: HashMap<u128, u64> = HashMap::new();
        for first in known.keys() {
            let (mut key, mut path) = (*first, Vec::new());
            let settled_after = loop {
                let state = &known[&key];
                match (times.get(&key), state.next) {
                    (Some(time), _) => break *time,
                    _ if state.is_settled => break 0,
                    // The search was cut off here.
                    (None, None) => break 0,
                    (None, Some(_)) if path.len() as u64 * SLOT > SETTLED => {
                        return Err(format!("does not settle\n{}", self.story(known, *first, None)));
                    }
                    (None, Some(next)) => {
                        path.push(key);
                        key = next;
                    }
                }
            };
            times.insert(key, settled_after);
            let mut time = settled_after;
            for key in path.into_iter().rev() {
                time += SLOT;
                times.insert(key, time);
            }
            if time > SETTLED {
                return Err(format!("settles after {time} ms\n{}", self.story(known, *first, None)));
            }
        }
        Ok(times.into_values().max().unwrap_or_default())
    }

    /// Returns what happened at each decision point up to a state, and then.
    fn script(known: &HashMap<u128, Visited>, key: u128, then: Option<Fault>) -> Vec<Option<Fault>> {
        let mut script = vec![then];
        let mut at = key;
        while let Some((before, choice)) = known[&at].from {
            script.push(choice);
            at = before;
        }
        script.reverse();
        script
    }

    /// Plays a script. Returns where it leads.
    fn play(&self, script: &[Option<Fault>]) -> Result<Place, String> {
        let mut place = self.first()?;
        for choice in script {
            place.advance(*choice)?;
        }
        Ok(place)
    }

    /// Plays the way to a state again, and what happened there. Returns the script and the log of the members.
    fn story(&self, known: &HashMap<u128, Visited>, key: u128, choice: Option<Fault>) -> String {
        let script = Self::script(known, key, choice);
        let mut text = format!("a fleet in the situation {:?}, {:?}\n", self.start, self.on_lost_quorum);
        for (slot, choice) in script.iter().enumerate() {
            if let Some(fault) = choice {
                text += &format!("after {} ms: {fault:?}\n", slot as u64 * SLOT);
            }
        }
        let settled = self.play(&script).and_then(|mut place| {
            place.world.settle(SETTLED).map_err(|error| format!("{error}"))?;
            Ok(place.world.history.join("\n"))
        });
        text + &settled.unwrap_or_else(|error| error)
    }
}

/// Sets a limit from the environment.
fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|text| text.parse().ok().expect("a number"))
}

/// Searches from all situations.
fn search(starts: &[Start], on_lost_quorum: OnLostQuorum, limits: Limits) {
    for start in starts {
        match (Search { on_lost_quorum, ..Search::new(*start, limits) }).run() {
            Ok(outcome) => println!("{start:?}, {on_lost_quorum:?}, {limits:?}: {outcome}"),
            Err(story) => panic!("{story}"),
        }
    }
}

#[test]
fn every_order_of_few_faults_keeps_the_promise() {
    let limits = |faults, slots| Limits { faults, slots: Some(slots), states: usize::MAX };
    search(&[Start::Rest, Start::Rolling], OnLostQuorum::Serve, limits(1, 2));
    search(&[Start::Growing], OnLostQuorum::Serve, limits(2, 2));
    search(&[Start::Rest], OnLostQuorum::Refuse, limits(1, 2));
}

/// `EXPLORE_SLOTS` bounds the decision points, `EXPLORE_STATES` the states. Without both, it ends when no new state is left.
#[test]
#[ignore = "takes hours; EXPLORE_FAULTS is the number of faults of an episode"]
fn every_order_of_faults_keeps_the_promise() {
    let states = number("EXPLORE_STATES").unwrap_or(usize::MAX);
    let limits = Limits { faults: number("EXPLORE_FAULTS").unwrap_or(1), slots: number("EXPLORE_SLOTS"), states };
    let refuses = std::env::var_os("EXPLORE_REFUSE").is_some();
    let on_lost_quorum = if refuses { OnLostQuorum::Refuse } else { OnLostQuorum::Serve };
    search(&[Start::Rest, Start::Growing, Start::Rolling], on_lost_quorum, limits);
}

/// The canonical form is sound: what led to equal forms does not matter any more.
#[test]
fn equal_forms_behave_equally() {
    // After an episode the fleet is at rest again. A search without a bound comes back to the first states.
    let limits = Limits { faults: 1, slots: Some(1), states: usize::MAX };
    let search = Search { follow: true, ..Search::new(Start::Rest, limits) };
    let outcome = search.run().unwrap();
    let mut pairs = Vec::new();
    for (from, choice, key) in &outcome.merges {
        let way = Search::script(&outcome.known, *from, *choice);
        let known = match outcome.known[key].from {
            Some((before, choice)) => Search::script(&outcome.known, before, choice),
            None => Vec::new(),
        };
        pairs.push((way, known));
    }
    // Of each kind of fault, the pair with the largest difference in time.
    pairs.sort_by_key(|(way, known)| std::cmp::Reverse(way.len().abs_diff(known.len())));
    let difference = pairs[0].0.len().abs_diff(pairs[0].1.len());
    assert!(difference > 50, "{difference}");
    let mut kinds = Vec::new();
    pairs.retain(|(way, known)| {
        let kind =
            [way, known].map(|script| script.first().copied().flatten().map(|fault| std::mem::discriminant(&fault)));
        let is_new = !kinds.contains(&kind);
        kinds.push(kind);
        is_new
    });
    println!("{} kinds of pairs", pairs.len());
    for (way, known) in &pairs {
        let (a, b) = (search.play(way).unwrap(), search.play(known).unwrap());
        for choice in [
            None,
            Some(Fault::Crash(1)),
            Some(Fault::RefuseBoth(0, 2)),
            Some(Fault::Deafen(0)),
            Some(Fault::GoBack(AGES[1])),
        ] {
            let (mut a, mut b) = (a.clone(), b.clone());
            for step in 0..20 {
                let (of_a, of_b) = (Form::of(&a.world), Form::of(&b.world));
                assert!(
                    of_a == of_b,
                    "{way:?} and {known:?} differ {step} steps after {choice:?}: {}",
                    of_a.difference(&of_b)
                );
                let choice = choice.filter(|_| step == 0);
                let outcomes = (a.advance(choice).is_ok(), b.advance(choice).is_ok());
                assert_eq!(outcomes, (true, true));
            }
        }
    }
}

/// The faults of `seeded` that concern these kinds of faults are found. Without them, the same searches find nothing.
#[test]
fn seeded_faults_are_found() {
    let found = [
        (Seeded::RefusalIsDeath, Start::Growing, "dismisses"),
        (Seeded::SuspicionUnanswered, Start::Rolling, "dismisses"),
        (Seeded::ConfirmationSkipped, Start::Growing, "schedules a switch that 1 does not know"),
        (Seeded::SwitchTimeChanges, Start::Rest, "changes a scheduled switch"),
        // Missing or duplicated, whichever state is visited first.
        (Seeded::ClocksIgnored, Start::Rest, " for 600 ms"),
    ];
    for (seeded, start, how) in found {
        let limits = Limits { faults: 1, slots: Some(2), states: usize::MAX };
        let story = Search { seeded: Some(seeded), ..Search::new(start, limits) }.run().err();
        let story = story.unwrap_or_else(|| panic!("{seeded:?} is not found"));
        assert!(story.contains("after ") && story.contains(how), "{seeded:?}: {story}");
    }
}
