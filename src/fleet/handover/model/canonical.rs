//! The canonical form of an explored world: equal forms behave equally, whatever led to them and whenever that was.
//!
//! The form is text: the `Debug` output of everything that the model and the machines hold, with the rules of this table. A value
//! without a rule stays as it is. So a forgotten rule costs merges, and a new field is part of the form without a change here.
//!
//! | value | in the form | why that is enough |
//! |---|---|---|
//! | a moment, of any clock | relative to now | no rule depends on absolute times |
//! | a gap of more than [`GAP`] between two past moments | [`GAP`] | no rule compares moments with a longer limit, except those with a cap below |
//! | the past end of something (`..until`) | `over` | it is compared with now alone |
//! | a moment with a cap ([`cap`]) | at most the cap ago | it is compared with now and this limit alone |
//! | a generation or revision | its rank | all comparisons are of order and equality; new numbers are higher than all that their writer knows |
//! | a number of a life, a statement, a refutation | its rank, of the ordinal or process | the same |
//! | a nonce, the UID and the address of a Pod | its number in order of appearance | these are compared for equality |
//! | a past nonce, a prepared generation | only while something else mentions it | nothing compares it otherwise |
//! | a time that only a report shows | absent | no decision depends on it |
//! | a caught-up process, the end of the log | positions from the end | the log is only read from there |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use twox_hash::XxHash64;

use super::{BOOT_CLOCKS, Message, ORIGIN, Pod, Process, World};
use crate::fleet::bounds;

/// The longest limit (ms) that two moments are compared with, and a step: `bounds::LEASE` + `RENEWAL`.
pub(super) const GAP: i64 = 20_100;
/// How long (ms) a store remembers its earlier states. No restore goes back further.
pub(super) const STORE_MEMORY: u64 = 30_000;
/// How long (ms) an exploration lasts at most, and the length of a clock's window of numbers.
const SPAN: i128 = 1_000_000_000;
/// Numbers with a gap of this size can be counted up to each other only by as many writers that do not know of the higher one.
const FAR: i128 = 8;

/// The canonical form of a world.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Form(pub String);

impl Form {
    pub fn of(world: &World) -> Self {
        let text = describe(world);
        let mut parser = Parser { text: &text, at: 0, now: world };
        let tree = parser.value();
        let mut writer = Writer { known_to_all: known_to_all(world), ..Writer::default() };
        writer.write(&tree, Place::default());
        writer.rank();
        writer.write(&tree, Place::default());
        Self(writer.form)
    }

    /// Returns the first difference to another form, with its surroundings.
    pub fn difference(&self, other: &Self) -> String {
        let at = self.0.bytes().zip(other.0.bytes()).position(|(a, b)| a != b).unwrap_or_default();
        let around = |text: &str| {
            String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(300)..text.len().min(at + 60)]).into_owned()
        };
        format!("{}\n\n{}", around(&self.0), around(&other.0))
    }

    /// Returns the hash of the form.
    pub fn key(&self) -> u128 {
        let half = |seed| u128::from(XxHash64::oneshot(seed, self.0.as_bytes()));
        half(0) << 64 | half(1)
    }
}

impl World {
    /// Forgets what the form leaves out, so that a world does not grow with its age, and lets the members act in the order of their
    /// ordinals.
    pub(super) fn forget_past(&mut self) {
        let is_read = self.processes.iter().filter(|process| process.alive).map(|process| process.cursor);
        let from = is_read.min().unwrap_or(self.log.len()).min(self.log.len());
        let old = |at: u64| at + STORE_MEMORY < self.now;
        let mut last = BTreeMap::new();
        for (place, (at, entry)) in self.log.iter().enumerate() {
            if place < from && old(*at) {
                last.insert(entry.lease_of(), place);
            }
        }
        let last: BTreeSet<usize> = last.into_values().collect();
        let is_kept: Vec<bool> = self
            .log
            .iter()
            .enumerate()
            .map(|(place, (at, _))| place >= from || !old(*at) || last.contains(&place))
            .collect();
        let new_place = |place: usize| match place {
            usize::MAX => usize::MAX,
            place => is_kept[..place].iter().filter(|kept| **kept).count(),
        };
        self.record_at = new_place(self.record_at);
        for process in &mut self.processes {
            process.cursor = new_place(process.cursor);
            process.stored = new_place(process.stored);
            process.own_writes.iter_mut().for_each(|(place, _)| *place = new_place(*place));
            for (_, message) in &mut process.inbox {
                if let Message::Stored(version, _) = message {
                    *version = new_place(*version);
                }
            }
        }
        let mut kept = is_kept.iter();
        self.log.retain(|_| *kept.next().unwrap());
        self.forget_processes();
    }

    /// Forgets the processes that have ended, unless a message of theirs is on its way.
    fn forget_processes(&mut self) {
        let inboxes = self.processes.iter().filter(|process| process.alive).flat_map(|process| &process.inbox);
        let senders: BTreeSet<usize> = inboxes
            .filter_map(|(_, message)| match message {
                Message::Heartbeat(from, ..) => Some(*from),
                _ => None,
            })
            .collect();
        let mut order: Vec<usize> =
            (0..self.processes.len()).filter(|p| self.processes[*p].alive || senders.contains(p)).collect();
        order.sort_by_key(|p| (self.processes[*p].ordinal, *p));
        let new_place = |p: usize| order.iter().position(|old| *old == p);
        for pod in self.pods.values_mut() {
            pod.process = pod.process.and_then(new_place);
        }
        let mut processes: Vec<_> = order.iter().map(|p| self.processes[*p].clone()).collect();
        for process in &mut processes {
            if !process.alive {
                process.inbox.clear();
            }
            for (_, message) in &mut process.inbox {
                if let Message::Heartbeat(from, ..) = message {
                    *from = new_place(*from).unwrap();
                }
            }
        }
        self.processes = processes;
    }
}

/// Returns the highest number that every member knows, and that every record has that may come back. New numbers are higher.
fn known_to_all(world: &World) -> i128 {
    let alive = world.processes.iter().filter(|process| process.alive);
    let known = alive.map(|process| process.machine.known_record().map_or(0, |record| record.revision));
    let stored = world.log.iter().filter_map(|(_, entry)| match entry {
        super::Entry::Record(record) => Some(record.revision),
        _ => None,
    });
    known.chain(stored).min().unwrap_or(0).into()
}

/// Returns what determines the future of a world, in the syntax of `Debug`.
fn describe(world: &World) -> String {
    let World {
        now,
        log,
        leases,
        hidden,
        record,
        form,
        record_at,
        unreadable_until,
        lossy,
        failing,
        jumps,
        addresses,
        foreign,
        api_down_until,
        api_cut,
        peers_cut,
        refused,
        deaf,
        stalled,
        orphaned_until,
        processes,
        pods,
        replicas,
        revision,
        missing,
        duplicated,
        gaps_excused_until,
        complete,
        broken,
        // They do not change, or only a report shows them.
        step: _,
        random: _,
        explored: _,
        record_writes: _,
        start_delay: _,
        hash: _,
        on_lost_quorum: _,
        overlap: _,
        seamless: _,
        memory: _,
        points: _,
        last_switch: _,
        overheard: _,
        seeded: _,
        history: _,
    } = world;
    let mut text = String::with_capacity(1 << 17);
    let from_end = |place: usize| log.len() as i64 - place as i64;
    write!(
        text,
        "World {{ leases: {leases:?}, hidden: {hidden:?}, record: {record:?}, form: {form:?}, record_at: {}, \
         unreadable_until: {unreadable_until}, lossy: {lossy:?}, failing: {failing:?}, jumps: {jumps:?}, \
         addresses: {addresses:?}, foreign: {foreign:?}, api_down_until: {api_down_until}, api_cut: {api_cut:?}, \
         peers_cut: {peers_cut:?}, refused: {refused:?}, deaf: {deaf:?}, stalled: {stalled:?}, \
         orphaned_until: {orphaned_until}, replicas: {replicas}, missing: {missing:?}, duplicated: {duplicated:?}, \
         gaps_excused_until: {gaps_excused_until}, complete: {complete}, broken: {broken:?}, pods: [",
        from_end(*record_at)
    )
    .unwrap();
    for (ordinal, pod) in pods {
        let Pod { uid, address, revision: of_pod, process, start, deleting, released } = pod;
        let behind = revision - of_pod;
        let process = process.map(|p| processes[p].ordinal);
        write!(
            text,
            "Pod {{ ordinal: {ordinal}, uid: {uid:?}, address: {address:?}, behind: {behind}, process: {process:?}, \
             start_until: {start}, deleting: {deleting:?}, released: {released:?} }}, "
        )
        .unwrap();
    }
    text += "], log: [";
    for (at, entry) in log {
        let age = (now - at).min(STORE_MEMORY);
        write!(text, "({age}, {entry:?}), ").unwrap();
    }
    text += "], processes: [";
    for process in processes.iter().filter(|process| process.alive) {
        describe_process(process, world, &mut text);
    }
    text += "] }";
    text
}

fn describe_process(process: &Process, world: &World, text: &mut String) {
    let Process {
        machine,
        ordinal,
        paused_until,
        deaf_since,
        deaf_last,
        confirmed_last,
        decision,
        loaded,
        loading,
        inbox,
        cursor,
        reads_from,
        written,
        renew,
        own_writes,
        unanswered,
        disturbed,
        next_read,
        next_heartbeat,
        announced,
        stored,
        misses_record,
        stamped,
        keys,
        api_cut_until,
        peers_cut_until,
        held,
        unwell_at,
        foreign,
        boot: _,
        skew: _,
        alive: _,
        // A resource that fails is not among the faults.
        started: _,
    } = process;
    let from_end = |place: usize| if place == usize::MAX { -1 } else { world.log.len() as i64 - place as i64 };
    // As `is_informed` and `note_isolation` compare it.
    let deaf = deaf_since.filter(|_| world.now <= deaf_last + bounds::RECONNECTION);
    let deaf = deaf.map(|since| (since, *deaf_last, *confirmed_last));
    let own_writes: Vec<_> = own_writes.iter().map(|(place, sent)| (from_end(*place), sent)).collect();
    write!(
        text,
        "Process {{ ordinal: {ordinal}, machine: {machine:?}, paused_until: {paused_until}, deaf: {deaf:?}, \
         decision: {decision:?}, loaded: {loaded:?}, loading: {loading:?}, cursor: {}, reads_until: {reads_from}, \
         written: {written:?}, renew_until: {renew}, own_writes: {own_writes:?}, unanswered: {unanswered}, \
         disturbed: {disturbed}, read_until: {next_read}, heartbeat_until: {next_heartbeat}, announced: {announced:?}, \
         stored: {}, misses_record: {misses_record}, stamped: {stamped:?}, keys: {keys:?}, \
         api_cut_until: {api_cut_until}, peers_cut_until: {peers_cut_until}, held: {held:?}, unwell_at: {unwell_at}, \
         foreign: {foreign}, inbox: [",
        from_end(*cursor),
        from_end(*stored)
    )
    .unwrap();
    for (at, message) in inbox {
        match message {
            Message::Event(event) => write!(text, "({at}, {event:?}), "),
            Message::Heartbeat(from, heartbeat, sent) => {
                let from = world.processes[*from].machine.own_member().id.clone();
                write!(text, "({at}, {from:?}, {heartbeat:?}, {sent:?}), ")
            }
            Message::Stored(version, record) => write!(text, "({at}, {}, {record:?}), ", from_end(*version)),
        }
        .unwrap();
    }
    *text += "] }, ";
}

/// A value in the syntax of `Debug`.
#[derive(Debug)]
enum Value<'a> {
    Word(&'a str),
    Text(&'a str),
    Number(i128),
    /// A moment, in milliseconds from now.
    Moment(i64),
    /// A moment of the wall clock, in milliseconds from now.
    WallMoment(i64),
    Struct(&'a str, Vec<(&'a str, Value<'a>)>),
    List(&'a str, Vec<Value<'a>>),
    Map(Vec<(Value<'a>, Value<'a>)>),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    now: &'a World,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while matches!(bytes[self.at], b' ' | b',') {
            self.at += 1;
        }
        bytes[self.at]
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
        let from = self.at;
        self.at += length;
        &self.text[from..self.at]
    }

    fn value(&mut self) -> Value<'a> {
        match self.peek() {
            b'"' => {
                self.at += 1;
                let from = self.at;
                let mut escaped = false;
                while escaped || self.text.as_bytes()[self.at] != b'"' {
                    escaped = !escaped && self.text.as_bytes()[self.at] == b'\\';
                    self.at += 1;
                }
                self.at += 1;
                Value::Text(&self.text[from..self.at - 1])
            }
            b'-' | b'0'..=b'9' => self.number(),
            b'[' | b'(' => Value::List("", self.list()),
            b'{' => self.map(),
            _ => {
                let name = self.take(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'));
                assert!(!name.is_empty(), "unexpected {}", &self.text[self.at..self.text.len().min(self.at + 80)]);
                match &self.text.as_bytes()[self.at..] {
                    [b'(', ..] => Value::List(name, self.list()),
                    [b' ', b'{', ..] => Value::Struct(name, self.fields()),
                    _ => Value::Word(name),
                }
            }
        }
    }

    fn list(&mut self) -> Vec<Value<'a>> {
        self.at += 1;
        let mut values = Vec::new();
        while !matches!(self.peek(), b']' | b')') {
            values.push(self.value());
        }
        self.at += 1;
        values
    }

    fn fields(&mut self) -> Vec<(&'a str, Value<'a>)> {
        self.at += 2;
        let mut fields = Vec::new();
        while self.peek() != b'}' {
            let name = self.take(|byte| byte != b':');
            self.at += 1;
            fields.push((name, self.value()));
        }
        self.at += 1;
        fields
    }

    /// Reads a map or a set.
    fn map(&mut self) -> Value<'a> {
        self.at += 1;
        let mut values = Vec::new();
        while self.peek() != b'}' {
            let key = self.value();
            let value = match self.text.as_bytes()[self.at] {
                b':' => {
                    self.at += 1;
                    self.value()
                }
                _ => Value::Word(""),
            };
            values.push((key, value));
        }
        self.at += 1;
        Value::Map(values)
    }

    /// Reads a number or a duration. Its size tells whether it is a moment, and of which clock.
    fn number(&mut self) -> Value<'a> {
        let digits = self.take(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
        let unit = self.take(|byte| byte.is_ascii_alphabetic() || byte > 127);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let nanos_per_unit: i128 = match unit {
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "µs" => 1_000,
            "ns" => 1,
            _ => return self.classify(whole.parse().unwrap()),
        };
        let part = format!("{part:0<9}");
        let (whole, part): (i128, i128) = (whole.parse().unwrap(), part.parse().unwrap());
        let nanos = whole * nanos_per_unit + part * nanos_per_unit / 1_000_000_000;
        match self.classify(nanos / 1_000_000) {
            Value::Moment(ms) => Value::Moment(ms),
            _ => Value::Number(nanos),
        }
    }

    fn classify(&self, number: i128) -> Value<'a> {
        let passed = i128::from(self.now.now - ORIGIN);
        let unix = i128::from(self.now.unix());
        let is_within = |origin: i128| (origin..origin + SPAN).contains(&number);
        let clock = BOOT_CLOCKS.into_iter().chain([ORIGIN]).map(i128::from).find(|origin| is_within(*origin));
        if let Some(origin) = clock {
            Value::Moment((number - origin - passed) as i64)
        } else if (1_700_000_000_000..1_800_000_000_000).contains(&number) {
            Value::WallMoment((number - unix) as i64)
        } else if (1_700_000_000..1_800_000_000).contains(&number) {
            Value::WallMoment((number * 1_000 - unix) as i64)
        } else {
            Value::Number(number)
        }
    }
}

/// Where a value is.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    /// The struct and the field that it is in.
    inside: &'a str,
    field: &'a str,
    /// The member that it is about: its ordinal and nonce.
    ordinal: i128,
    nonce: i128,
    /// How often the process of the machine around it has crashed.
    crashes: usize,
    /// Whether it describes a predecessor.
    predecessor: bool,
}

/// What a number counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Count {
    Generation,
    /// The lives of an ordinal.
    Life(i128),
    /// The statements of a process.
    Statement(i128),
    /// The suspicions of a process.
    Suspicion(i128),
}

/// Writes a form in two rounds: one that collects all numbers, and one that writes their ranks.
#[derive(Default)]
struct Writer {
    known_to_all: i128,
    numbers: BTreeMap<Count, BTreeSet<i128>>,
    moments: BTreeSet<i64>,
    /// The first generations of fleets, the generations of assignments, and the processes that something mentions.
    fresh: BTreeSet<i128>,
    assignments: BTreeSet<i128>,
    mentioned: BTreeSet<i128>,
    /// The results of the first round.
    ranks: BTreeMap<Count, BTreeMap<i128, i128>>,
    ages: BTreeMap<i64, i64>,
    is_second: bool,
    names: BTreeMap<String, usize>,
    form: String,
}

impl Writer {
    fn write<'a>(&mut self, value: &Value<'a>, place: Place<'a>) {
        match value {
            Value::Word(word) => self.form += word,
            Value::Text(text) => self.text(text),
            Value::Number(number) => self.number(*number, place),
            Value::Moment(ms) => self.moment(*ms, place),
            // What a Lease says is compared for equality, a crash with an hour.
            Value::WallMoment(ms) => write!(self.form, "{}w", (*ms).max(-3_601_000)).unwrap(),
            Value::List(name, values) => {
                self.form += name;
                self.form.push('[');
                for (index, value) in values.iter().enumerate() {
                    let ordinal = if place.field == "lives" { index as i128 } else { place.ordinal };
                    if !is_over(value, place) {
                        self.write(value, Place { ordinal, ..place });
                        self.form.push(' ');
                    }
                }
                self.form.push(']');
            }
            Value::Map(values) => {
                self.form.push('{');
                for (key, value) in values.iter().filter(|(_, value)| !is_over(value, place)) {
                    self.write(key, place);
                    self.form.push(':');
                    self.write(value, place);
                    self.form.push(' ');
                }
                self.form.push('}');
            }
            Value::Struct(name, fields) => self.fields(name, fields, place),
        }
    }

    fn fields<'a>(&mut self, name: &'a str, fields: &[(&'a str, Value<'a>)], mut place: Place<'a>) {
        let get = |name| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value);
        let number = |value: Option<&Value>| match value {
            Some(Value::Number(number)) => *number,
            _ => 0,
        };
        match name {
            "Process" => place.ordinal = number(get("ordinal")),
            "Incarnation" => {
                (place.ordinal, place.nonce) = (number(get("ordinal")), number(get("nonce")));
            }
            "Member" | "Suspicion" | "Peer" => {
                let member = match get("member") {
                    Some(Value::Struct(_, member)) => member.iter().find(|(field, _)| *field == "id").map(|(_, id)| id),
                    _ => get("id"),
                };
                if let Some(Value::Struct(_, id)) = member {
                    let of = |name| number(id.iter().find(|(field, _)| *field == name).map(|(_, value)| value));
                    (place.ordinal, place.nonce) = (of("ordinal"), of("nonce"));
                }
            }
            "Predecessor" => place.predecessor = true,
            "Facts" => {
                if let Some(Value::Struct(_, own)) = get("own")
                    && let Some((_, Value::List(_, crashes))) = own.iter().find(|(field, _)| *field == "crashes")
                {
                    place.crashes = crashes.len();
                }
            }
            "Machine" => {
                if let Some(Value::Struct(_, facts)) = get("facts")
                    && let Some((_, Value::Struct(_, own))) = facts.iter().find(|(field, _)| *field == "own")
                    && let Some((_, Value::List(_, crashes))) = own.iter().find(|(field, _)| *field == "crashes")
                {
                    place.crashes = crashes.len();
                }
            }
            _ => {}
        }
        let is_none = |name| matches!(get(name), Some(Value::Word("None")));
        self.form += name;
        self.form.push('{');
        for (field, value) in fields {
            let is_left_out = match (name, *field) {
                // Only reports show them.
                ("Machine", "history" | "notices" | "regressed_to")
                | ("FollowedRecord", "next_since")
                | ("Peer", "renewed_at")
                // It is computed before each use.
                | ("Machine", "proposal")
                // A cache.
                | ("Facts", "ranges") => true,
                ("FollowedRecord", "received_at") => is_none("switch_at"),
                ("Peer", "first_seen_at") => !is_none("lease_changed_at"),
                // What `facts.predecessor` is asked for.
                ("Member", field) if place.predecessor => !matches!(field, "id" | "phase" | "joined" | "prepared"),
                ("Incarnation", field) if place.predecessor => field == "nonce",
                _ => false,
            };
            if !is_left_out {
                self.form += field;
                self.form.push(':');
                self.write(value, Place { inside: name, field, ..place });
                self.form.push(' ');
            }
        }
        self.form.push('}');
    }

    /// Writes a text. The names of Pods are numbered in order of appearance.
    fn text(&mut self, text: &str) {
        if text.starts_with("pod-") {
            let next = self.names.len();
            let number = *self.names.entry(text.to_owned()).or_insert(next);
            write!(self.form, "pod{number}").unwrap();
        } else {
            self.form += text;
        }
    }

    fn number(&mut self, number: i128, place: Place) {
        let count = match place.field {
            "nonce" if self.is_second => {
                let next = self.names.len();
                let name = *self.names.entry(number.to_string()).or_insert(next);
                return write!(self.form, "{name}").unwrap();
            }
            "nonce" => {
                self.mentioned.insert(number);
                return;
            }
            "past_nonces" => {
                if self.is_second && self.mentioned.contains(&number) {
                    self.number(number, Place { field: "nonce", ..place });
                }
                return;
            }
            // These are compared with the first generations of fleets alone.
            "joined" | "prepared" if place.predecessor => {
                let rank = self.fresh.range(..=number).count();
                return write!(self.form, "{rank}").unwrap();
            }
            "last_served" => {
                let rank = self.fresh.range(..=number).count();
                return write!(self.form, "{rank}").unwrap();
            }
            "prepared" if place.inside == "Participation" => {
                if self.is_second && !self.assignments.contains(&number) {
                    return;
                }
                Count::Generation
            }
            "generation" | "revision" | "follows" | "found" | "prepared" | "joined" | "fresh_generation"
            | "announced" => {
                match (place.inside, place.field) {
                    ("ColdStart", "generation") => _ = self.fresh.insert(number),
                    ("Assignment", "generation") => _ = self.assignments.insert(number),
                    _ => {}
                }
                Count::Generation
            }
            "life" | "lives" => Count::Life(place.ordinal),
            "sequence" => Count::Statement(place.nonce),
            "refuted" | "number" => Count::Suspicion(place.nonce),
            "clock_offset" | "lease_offsets" | "reported_offset" | "ahead" => {
                return write!(self.form, "{}", error_of_offset(number)).unwrap();
            }
            _ => return write!(self.form, "{number}").unwrap(),
        };
        if self.is_second {
            let rank = self.ranks[&count][&number];
            write!(self.form, "{rank}").unwrap();
        } else if !(place.field == "prepared" && place.inside == "Participation") {
            self.numbers.entry(count).or_default().insert(number);
        }
    }

    fn moment(&mut self, ms: i64, place: Place) {
        if ms > 0 {
            return write!(self.form, "+{ms}t").unwrap();
        }
        if place.field.ends_with("until") {
            self.form += "over";
        } else if let Some(cap) = cap(place) {
            write!(self.form, "{}t", ms.max(-cap)).unwrap();
        } else if self.is_second {
            write!(self.form, "{}t", self.ages[&ms]).unwrap();
        } else {
            self.moments.insert(ms);
        }
    }

    /// Computes the ranks of all numbers, and the shortened ages of all moments. Ends the first round.
    fn rank(&mut self) {
        for (count, numbers) in &self.numbers {
            let mut ranks = BTreeMap::new();
            let smallest = numbers.first().copied().unwrap_or_default();
            // The rank of the number before, that number, and the size from which a gap is the same as a larger one.
            let (mut rank, mut before) = match count {
                Count::Generation | Count::Life(_) => (0, 0),
                Count::Statement(_) | Count::Suspicion(_) => (0, smallest),
            };
            for number in numbers {
                let most = match count {
                    Count::Generation if *number <= self.known_to_all => 1,
                    Count::Generation => FAR,
                    // Lives begin with 1, which has a meaning.
                    Count::Life(_) if before == 0 && *number > 1 => 3,
                    Count::Life(_) | Count::Statement(_) | Count::Suspicion(_) => 2,
                };
                rank += (number - before).min(most);
                before = *number;
                ranks.insert(*number, rank);
            }
            self.ranks.insert(*count, ranks);
        }
        let (mut age, mut before) = (0, 0);
        for ms in self.moments.iter().rev() {
            age -= (before - ms).min(GAP);
            before = *ms;
            self.ages.insert(*ms, age);
        }
        self.is_second = true;
        self.form.clear();
        self.names.clear();
    }
}

/// Whether an entry of a map or list has no effect any more.
fn is_over(value: &Value, place: Place) -> bool {
    let Value::Moment(ms) = value else { return false };
    match place.field {
        "lossy" | "api_cut" | "peers_cut" | "refused" | "deaf" | "stalled" if place.inside == "World" => *ms <= 0,
        "takeovers" | "dismissals" => *ms < -60_000,
        _ => false,
    }
}

/// Returns the longest limit (ms) with which a moment is compared, if it is compared with nothing else.
fn cap(place: Place) -> Option<i64> {
    Some(match (place.inside, place.field) {
        // The crash backoff, which is computed from the crashes.
        ("Machine", "full_share_since") => match place.crashes {
            0 => 0,
            crashes => (30_000 << (crashes - 1)).min(600_000),
        },
        ("StartWaits", "since") | ("CoordinatorMemory", "growing_since") => 120_100,
        ("Machine", "takeovers" | "dismissals") => 60_100,
        ("Peer", "refuted_at") => 10_100,
        ("Process", "unwell_at") => 20_100,
        ("Process", "disturbed") => 1_000,
        _ => return None,
    })
}

/// Returns by how much an estimate of the difference between two clocks is wrong. It is at most late by the delivery of a
/// Lease; from `timing::SWITCH_LEAD` on, more makes no difference.
fn error_of_offset(offset: i128) -> i128 {
    let clocks = || BOOT_CLOCKS.into_iter().map(i128::from);
    let errors = clocks().flat_map(|a| clocks().map(move |b| offset - (a - b)));
    errors.min_by_key(|error| error.abs()).unwrap_or(offset).max(-4_000)
}
