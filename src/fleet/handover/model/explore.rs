//! Explores every placement of few faults in a fleet of three members, depth first.
//!
//! The search starts from three fleets: one at rest, one that grows from two to three members, one in the middle of a roll. There
//! are decision points, [`SLOT`] apart. At each of them nothing happens, or one fault of one member or pair of members. Each kind
//! of fault happens once at most on a path, and a path has at most [`Limits::faults`] of them. After the last decision point the
//! faults end, and the fleet must settle within [`SETTLED`].
//!
//! | property | meaning |
//! |---|---|
//! | safety | at each step of the model, every sampled point is exposed as `invariants` demands |
//! | bounded liveness | after the last fault the fleet settles in time: all members, one generation, every point exposed once |
//!
//! What is explored is complete for the placements above, and for nothing else:
//! - Faults begin at decision points only, and have fixed durations.
//! - Delays, loads, clock skews and the order of messages are those of one seed for each start and fault. They are not varied.
//! - Between two decision points the model steps every 100 ms, and checks a sample of points of the hash space.
//! - The clocks of the machines are absolute, so that no two paths lead to the same state: the space is a tree. A model checker
//!   that merges equal states would find none.
//!
//! An API server that goes back in time is not among the faults.
//!
//! With two decision points and two faults these are 387 places. `EXPLORE_SLOTS` and `EXPLORE_FAULTS` enlarge the search. A
//! counterexample is printed as the script of its faults, followed by what the members logged.

use std::sync::Mutex;
use std::thread;

use super::World;
use super::actions::Action;

/// The time (ms) between two decision points. A planned change takes several.
const SLOT: u64 = 1_500;
/// How long (ms) the fleet may take to settle: a crashed member returns, loads, and takes its ranges again.
const SETTLED: u64 = 180_000;
/// The number of points of the hash space that are sampled.
const POINTS: usize = 24;
const MEMBERS: u32 = 3;
/// How long (ms) faults last: a crashed process restarts while the others replace it; a refusal outlasts any retry; a deaf
/// watch outlasts a renewal.
const RESTART: u64 = 4_000;
const REFUSAL: u64 = 8_000;
const DEAFNESS: u64 = 12_000;

/// The size of the search.
#[derive(Clone, Copy, Debug)]
struct Limits {
    slots: usize,
    faults: usize,
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
    Deafen(u32),
}

impl Fault {
    fn all() -> impl Iterator<Item = Self> {
        let pairs = (0..MEMBERS).flat_map(|a| (0..MEMBERS).map(move |b| (a, b))).filter(|(a, b)| a != b);
        let each = (0..MEMBERS).flat_map(|o| [Self::Crash(o), Self::Deafen(o)]);
        each.chain(pairs.map(|(a, b)| Self::Refuse(a, b)))
    }

    fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    fn action(self) -> Action {
        match self {
            Self::Crash(o) => Action::Crash(o, RESTART),
            Self::Refuse(a, b) => Action::Refuse(a, b, REFUSAL),
            Self::Deafen(o) => Action::Deafen(o, DEAFNESS),
        }
    }
}

/// A place in the tree: what has happened, and what it led to.
struct Place {
    start: Start,
    /// What happened at each decision point so far.
    script: Vec<Option<Fault>>,
    world: World,
}

impl Place {
    fn first(start: Start) -> Self {
        let mut world = World::new(1, if start == Start::Growing { MEMBERS - 1 } else { MEMBERS });
        world.step = 100;
        world.points.truncate(POINTS);
        world.settle(60_000).unwrap();
        world.gaps_excused_until = 0;
        match start {
            Start::Rest => {}
            Start::Growing => world.act(&Action::Scale(MEMBERS)),
            Start::Rolling => world.act(&Action::Roll),
        }
        if start != Start::Rest {
            // Until the new process has started.
            world.run_for(world.start_delay).unwrap();
        }
        Self { start, script: Vec::new(), world }
    }

    /// What may happen here.
    fn choices(&self, limits: Limits) -> Vec<Option<Fault>> {
        let past: Vec<Fault> = self.script.iter().copied().flatten().collect();
        let may_fail = past.len() < limits.faults;
        let new = Fault::all().filter(|fault| may_fail && !past.iter().any(|before| before.is_like(*fault)));
        std::iter::once(None).chain(new.map(Some)).collect()
    }

    /// The place at the next decision point, after this choice.
    fn after(&self, choice: Option<Fault>) -> Result<Self, String> {
        let script = self.script.iter().copied().chain([choice]).collect();
        let mut next = Self { start: self.start, script, world: self.world.clone() };
        if let Some(fault) = choice {
            next.world.act(&fault.action());
        }
        let outcome = next.world.run_for(SLOT);
        outcome.map_err(|error| format!("{}{error}", next.story()))?;
        Ok(next)
    }

    /// Visits all places from here on. Returns their number.
    fn explore(mut self, limits: Limits) -> Result<usize, String> {
        if self.script.len() == limits.slots {
            let outcome = self.world.settle(SETTLED);
            outcome.map_err(|error| format!("{}{error}", self.story()))?;
            return Ok(1);
        }
        let mut places = 1;
        for choice in self.choices(limits) {
            places += self.after(choice)?.explore(limits)?;
        }
        Ok(places)
    }

    /// What has happened, as a script.
    fn story(&self) -> String {
        let mut text = format!("a fleet in the situation {:?}\n", self.start);
        for (slot, fault) in self.script.iter().enumerate() {
            if let Some(fault) = fault {
                text += &format!("after {} ms: {fault:?}\n", slot as u64 * SLOT);
            }
        }
        text
    }
}

#[test]
fn every_placement_of_two_faults_keeps_the_promise() {
    let of = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let limits = Limits { slots: of("EXPLORE_SLOTS", 2), faults: of("EXPLORE_FAULTS", 2) };
    let starts = [Start::Rest, Start::Growing, Start::Rolling].map(Place::first);
    let branches = starts.iter().flat_map(|place| place.choices(limits).into_iter().map(move |choice| (place, choice)));
    let branches: Vec<_> = branches.map(|(place, choice)| place.after(choice)).collect();
    let queue = Mutex::new(branches.into_iter());
    let next = || queue.lock().unwrap().next();
    let work = || {
        let mut places = 0;
        while let Some(branch) = next() {
            places += branch?.explore(limits)?;
        }
        Ok::<_, String>(places)
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let places: Result<Vec<usize>, String> = outcomes.into_iter().collect();
    match places {
        Ok(places) => println!("{limits:?}: {} places", places.iter().sum::<usize>() + starts.len()),
        Err(story) => panic!("{story}"),
    }
}
