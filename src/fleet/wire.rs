//! Decodes texts of other processes: records, statements of members, heartbeats. Every field is bounded.
//!
//! A format that this program does not know is an error of its own ([`FormatError::Unknown`]). It never passes for an empty value:
//! a record that cannot be read is not a missing record, and an unknown layout does not mean that a member owns nothing.
//!
//! Members of neighbouring versions work together: unknown fields are ignored, and missing ones have defaults. docs/fleet.md has the
//! rule for changes, and tests/data/fleet the formats as files.

use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::format_error::FormatError;
use super::record::{
    Assignment, Heartbeat, Incarnation, LAYOUT, MAX_NUMBER, MOST_UNHEARD, Member, RECORD_VERSION, Record,
};
use crate::sharding::{Hasher, MOST_SHARDS};
use crate::shown;

/// Maximum length of a text in bytes.
const MAX_TEXT: usize = 256;
/// Maximum number of measured switches in a heartbeat. There is one for each cause.
const MAX_MEASURED: usize = 16;
/// Maximum number of crashes in a statement. Members send 8.
const MAX_CRASHES: usize = 64;

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// It has an unknown format, is malformed, too large, or contradicts itself.
    pub fn decode(text: &[u8]) -> Result<Self, FormatError> {
        Self::from_value(parse("record", text)?)
    }

    fn from_value(value: Value) -> Result<Self, FormatError> {
        let writer = writer(&value);
        let version = value.get("version").cloned().unwrap_or_else(|| RECORD_VERSION.into());
        known("record version", &version, &[RECORD_VERSION.into()], &writer)?;
        for assignment in ["/current", "/next/view"] {
            if let Some(assignment) = value.pointer(assignment) {
                known_rules(assignment, &writer)?;
            }
        }
        let record: Self = typed("record", value)?;
        text("statefulset", &record.statefulset)?;
        text("program", &record.program)?;
        process(&record.coordinator)?;
        number("revision", record.revision)?;
        if let Some(switch) = record.next.as_ref().and_then(|next| next.switch) {
            number("next.switch.at", switch.at)?;
        }
        let next = record.next.as_ref().map(|next| &next.view);
        for Assignment { absent, untaken, lives, .. } in [&record.current].into_iter().chain(next) {
            at_most("lives", lives.len(), MOST_SHARDS as usize)?;
            at_most("absent", absent.len(), MOST_SHARDS as usize)?;
            at_most("untaken", untaken.len(), MOST_SHARDS as usize)?;
            lives.iter().try_for_each(|life| number("lives", *life))?;
        }
        if record.is_sane() { Ok(record) } else { Err(FormatError::Contradiction(record.revision)) }
    }
}

impl Member {
    /// Reads the statement of a member.
    ///
    /// # Errors
    /// It has an unknown format, is malformed, or too large.
    pub fn decode(text: &[u8]) -> Result<Self, FormatError> {
        let value = parse("member", text)?;
        known_rules(&value, &writer(&value))?;
        let member: Self = typed("member", value)?;
        member.check()?;
        Ok(member)
    }

    fn check(&self) -> Result<(), FormatError> {
        process(&self.id)?;
        text("program", &self.program)?;
        number("boot", self.boot.unwrap_or_default())?;
        number("life", self.life)?;
        number("sequence", self.sequence)?;
        number("prepared", self.prepared.unwrap_or_default())?;
        number("joined", self.joined.unwrap_or_default())?;
        number("follows", self.follows)?;
        number("found", self.found)?;
        number("refuted", self.refuted)?;
        number("stamped", self.stamped.unwrap_or_default())?;
        at_most("crashes", self.crashes.len(), MAX_CRASHES)?;
        self.crashes.iter().try_for_each(|at| number("crashes", *at))?;
        at_most("suspects", self.suspects.len(), MOST_UNHEARD)?;
        for suspicion in &self.suspects {
            process(&suspicion.id)?;
            number("suspects.number", suspicion.number)?;
        }
        text("address", &self.address)?;
        match self.address.parse::<SocketAddr>() {
            Ok(_) => Ok(()),
            Err(error) => Err(FormatError::Malformed { what: "address", reason: error.to_string() }),
        }
    }
}

impl Heartbeat {
    /// Reads a heartbeat. A record in it that cannot be read is in [`Heartbeat::unreadable`]: the sender lives all the same.
    ///
    /// # Errors
    /// The rest has an unknown format, is malformed, or too large.
    pub fn decode(text: &[u8]) -> Result<Self, FormatError> {
        let mut value = parse("heartbeat", text)?;
        let record = value.as_object_mut().and_then(|heartbeat| heartbeat.remove("record"));
        if let Some(member) = value.get("member") {
            known_rules(member, &writer(member))?;
        }
        let mut heartbeat: Self = typed("heartbeat", value)?;
        self::text("fleet", &heartbeat.fleet)?;
        heartbeat.member.check()?;
        at_most("unheard", heartbeat.unheard.len(), MOST_UNHEARD)?;
        heartbeat.unheard.iter().try_for_each(process)?;
        at_most("measured", heartbeat.measured.len(), MAX_MEASURED)?;
        for (cause, switch) in &heartbeat.measured {
            self::text("measured", cause)?;
            number("measured.generation", switch.generation)?;
            number("measured.gap", switch.gap)?;
            number("measured.overlap", switch.overlap.unwrap_or_default())?;
        }
        number("confirmedAge", heartbeat.confirmed_age.unwrap_or_default())?;
        number("now", heartbeat.now)?;
        number("ahead", heartbeat.ahead.unwrap_or_default().unsigned_abs())?;
        match record.filter(|record| !record.is_null()).map(Record::from_value).transpose() {
            Ok(record) => heartbeat.record = record,
            Err(error) => heartbeat.unreadable = Some(error),
        }
        Ok(heartbeat)
    }
}

fn parse(what: &'static str, text: &[u8]) -> Result<Value, FormatError> {
    let malformed = |reason: String| FormatError::Malformed { what, reason: shown::value(&reason) };
    let value: Value = serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
    if value.is_object() { Ok(value) } else { Err(malformed("not an object".to_owned())) }
}

fn typed<T: DeserializeOwned>(what: &'static str, value: Value) -> Result<T, FormatError> {
    serde_json::from_value(value)
        .map_err(|error| FormatError::Malformed { what, reason: shown::value(&error.to_string()) })
}

/// Returns the version of the program that wrote a record or a statement.
fn writer(value: &Value) -> String {
    let program = value.get("program").and_then(Value::as_str).unwrap_or("unknown");
    shown::value(&program.chars().take(32).collect::<String>())
}

/// Checks the layout and the hash of an assignment or a statement. Missing ones are left to the parser.
fn known_rules(value: &Value, writer: &str) -> Result<(), FormatError> {
    if let Some(layout) = value.get("layout") {
        known("layout", layout, &[LAYOUT.into()], writer)?;
    }
    if let Some(hash) = value.get("hash") {
        known("hash", hash, &Hasher::ALL.map(|hash| hash.name().into()), writer)?;
    }
    Ok(())
}

fn known(what: &'static str, found: &Value, all: &[Value], writer: &str) -> Result<(), FormatError> {
    if all.contains(found) {
        return Ok(());
    }
    let listed: Vec<_> = all.iter().map(ToString::to_string).collect();
    let found = shown::value(&found.to_string().chars().take(32).collect::<String>());
    Err(FormatError::Unknown { what, found, known: listed.join(", "), writer: writer.to_owned() })
}

fn text(field: &'static str, text: &str) -> Result<(), FormatError> {
    at_most(field, text.len(), MAX_TEXT)
}

fn number(field: &'static str, number: u64) -> Result<(), FormatError> {
    if number <= MAX_NUMBER { Ok(()) } else { Err(FormatError::TooLarge { field, limit: MAX_NUMBER }) }
}

fn ordinal(field: &'static str, ordinal: u32) -> Result<(), FormatError> {
    at_most(field, ordinal as usize, MOST_SHARDS as usize - 1)
}

/// Checks the identity of a process: its ordinal, and the UID or the name of its Pod, which logs show.
fn process(id: &Incarnation) -> Result<(), FormatError> {
    ordinal("ordinal", id.ordinal)?;
    text("pod", &id.pod)?;
    let valid = id.pod.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if valid {
        Ok(())
    } else {
        let reason = "neither the UID nor the name of a pod".to_owned();
        Err(FormatError::Malformed { what: "pod", reason })
    }
}

const fn at_most(field: &'static str, size: usize, limit: usize) -> Result<(), FormatError> {
    if size <= limit { Ok(()) } else { Err(FormatError::TooLarge { field, limit: limit as u64 }) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::fleet::record::{ColdStart, KeyDigest, MeasuredSwitch, Next, Phase, Suspicion, SwitchTime};

    /// Reads a file of tests/data/fleet.
    fn golden(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fleet").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn id(ordinal: u32) -> Incarnation {
        Incarnation {
            ordinal,
            pod: format!("6f9c4b0e-0000-4000-8000-00000000000{ordinal}"),
            nonce: 0x0123_4567_89ab_cdef,
        }
    }

    fn record() -> Record {
        let current = Assignment {
            generation: 7,
            total: 3,
            absent: vec![2],
            untaken: BTreeSet::new(),
            hash: Hasher::XxHash64,
            layout: LAYOUT,
            fresh: ColdStart { generation: 1, below: 3 },
            lives: vec![1, 2],
        };
        let view = Assignment { generation: 9, total: 4, absent: vec![2], untaken: [2].into(), ..current.clone() };
        let next = Next { view, switch: Some(SwitchTime { at: 86_403_000 }), stamp_wait: None };
        Record {
            version: RECORD_VERSION,
            program: "0.1.0".to_owned(),
            revision: 9,
            coordinator: id(0),
            statefulset: "6f9c4b0e-0000-4000-8000-000000000100".to_owned(),
            current,
            next: Some(next),
        }
    }

    fn member() -> Member {
        Member {
            id: id(1),
            program: "0.1.0".to_owned(),
            address: "10.0.0.2:8082".to_owned(),
            key: Some(KeyDigest([0xab; 32])),
            renewed: None,
            boot: Some(86_400_123),
            life: 2,
            sequence: 12,
            phase: Phase::Fit,
            awaits: false,
            prepared: Some(9),
            joined: Some(7),
            loading: false,
            follows: 9,
            found: 10,
            hash: Hasher::XxHash64,
            layout: LAYOUT,
            capacity: Some(8_589_934),
            scrape_wait: None,
            stamped: None,
            crashes: vec![1_700_000_000],
            suspects: vec![Suspicion { id: id(2), number: 3 }],
            refuted: 2,
        }
    }

    fn heartbeat() -> Heartbeat {
        Heartbeat {
            fleet: "monitoring/kube-state-fleet".to_owned(),
            member: member(),
            record: Some(record()),
            unreadable: None,
            confirmed_age: Some(350),
            now: 86_400_123,
            ahead: Some(-12),
            unheard: vec![id(2)],
            measured: [("leave".to_owned(), MeasuredSwitch { generation: 7, gap: 12, overlap: Some(0) })].into(),
        }
    }

    fn pretty(value: &impl Serialize) -> String {
        serde_json::to_string_pretty(value).expect("JSON") + "\n"
    }

    /// A change of these files is a change of the protocol: see "Versions" in docs/fleet.md. `WRITE_WIRE=1` writes them.
    #[test]
    fn the_formats_are_those_of_the_golden_files() {
        let files = [
            ("record.json", pretty(&record())),
            ("member.json", pretty(&member())),
            ("heartbeat.json", pretty(&heartbeat())),
        ];
        for (name, text) in &files {
            if std::env::var_os("WRITE_WIRE").is_some() {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fleet");
                std::fs::write(folder.join(name), text).expect("it can be written");
            }
            assert_eq!(&golden(name), text, "{name}");
        }
        assert_eq!(Record::decode(files[0].1.as_bytes()), Ok(record()));
        assert_eq!(Member::decode(files[1].1.as_bytes()), Ok(member()));
        assert_eq!(Heartbeat::decode(files[2].1.as_bytes()), Ok(heartbeat()));
    }

    /// The version before had no record version, no program, no key, no capacity, no suspicions and no lives.
    #[test]
    fn the_formats_of_the_version_before_are_read() {
        let old = Record::decode(golden("previous/record.json").as_bytes()).expect("it is read");
        let mut expected = Record { program: String::new(), ..record() };
        expected.current.lives.clear();
        expected.next.as_mut().expect("a next assignment").view.lives.clear();
        assert_eq!(old, expected);
        let old = Member::decode(golden("previous/member.json").as_bytes()).expect("it is read");
        let expected = Member {
            program: String::new(),
            key: None,
            boot: None,
            capacity: None,
            suspects: Vec::new(),
            refuted: 0,
            found: 0,
            ..member()
        };
        assert_eq!(old, Member { address: "10.0.0.2:8081".to_owned(), ..expected });
    }

    /// A newer version adds fields.
    #[test]
    fn unknown_fields_are_ignored() {
        let newer = |name: &str| {
            let mut value: Value = serde_json::from_str(&golden(name)).expect("JSON");
            for part in ["", "/current", "/next/view", "/member", "/record", "/record/current"] {
                if let Some(object) = value.pointer_mut(part).and_then(Value::as_object_mut) {
                    object.insert("added".to_owned(), json!({ "by": ["a", "newer", "version"] }));
                }
            }
            value.to_string().into_bytes()
        };
        assert_eq!(Record::decode(&newer("record.json")), Ok(record()));
        assert_eq!(Member::decode(&newer("member.json")), Ok(member()));
        assert_eq!(Heartbeat::decode(&newer("heartbeat.json")), Ok(heartbeat()));
    }

    fn changed(name: &str, at: &str, to: Value) -> Vec<u8> {
        let mut value: Value = serde_json::from_str(&golden(name)).expect("JSON");
        *value.pointer_mut(at).unwrap_or_else(|| panic!("{name}: {at}")) = to;
        value.to_string().into_bytes()
    }

    #[test]
    fn an_unknown_version_layout_or_hash_is_an_error_of_its_own() {
        let unknown = |error: FormatError| match error {
            FormatError::Unknown { what, found, .. } => (what, found),
            other => panic!("{other}"),
        };
        for (at, to, what) in [
            ("/version", json!(2), "record version"),
            ("/version", json!("x"), "record version"),
            ("/current/layout", json!(2), "layout"),
            ("/current/hash", json!("sha256"), "hash"),
            ("/next/view/layout", json!(0), "layout"),
            ("/next/view/hash", json!("md5"), "hash"),
        ] {
            let error = Record::decode(&changed("record.json", at, to.clone())).expect_err(at);
            assert_eq!(unknown(error), (what, to.to_string()), "{at}");
            let heartbeat = Heartbeat::decode(&changed("heartbeat.json", &format!("/record{at}"), to.clone()));
            let heartbeat = heartbeat.expect("the sender lives");
            assert_eq!((heartbeat.member, heartbeat.record), (member(), None));
            assert_eq!(unknown(heartbeat.unreadable.expect("an error")), (what, to.to_string()), "{at}");
        }
        for (at, to, what) in [("/layout", json!(2), "layout"), ("/hash", json!("sha256"), "hash")] {
            let error = Member::decode(&changed("member.json", at, to.clone())).expect_err(at);
            assert_eq!(unknown(error), (what, to.to_string()), "{at}");
            let at = format!("/member{at}");
            let error = Heartbeat::decode(&changed("heartbeat.json", &at, to.clone())).expect_err(&at);
            assert_eq!(unknown(error), (what, to.to_string()), "{at}");
        }
        let error = Record::decode(&changed("record.json", "/version", json!(2))).expect_err("unknown").to_string();
        assert_eq!(
            error,
            "unknown record version 2 (version 0.1.0 of kube-state-fleet wrote it; this version knows 1); run a version that \
             knows it"
        );
    }

    #[test]
    fn every_field_is_bounded() {
        let long = json!("x".repeat(MAX_TEXT + 1));
        let many = json!((0..=MOST_SHARDS).collect::<Vec<_>>());
        for (at, to) in [
            ("/coordinator/pod", &long),
            ("/statefulset", &long),
            ("/program", &long),
            ("/current/absent", &many),
            ("/current/lives", &many),
            ("/next/view/untaken", &many),
            ("/current/total", &json!(MOST_SHARDS + 1)),
            ("/current/total", &json!(0)),
            ("/current/generation", &json!(10)),
            ("/current/absent", &json!([3])),
            ("/current/absent", &json!([2, 2])),
            ("/next/view/untaken", &json!([1])),
        ] {
            let error = Record::decode(&changed("record.json", at, to.clone())).expect_err(at);
            assert!(matches!(error, FormatError::TooLarge { .. } | FormatError::Contradiction(9)), "{at}: {error}");
        }
        let (high, later) = (json!(MAX_NUMBER + 1), json!(MOST_SHARDS));
        for (at, to) in [
            ("/revision", &high),
            ("/revision", &json!(u64::MAX)),
            ("/coordinator/ordinal", &later),
            ("/current/fresh/generation", &json!(8)),
            ("/current/fresh/below", &json!(MOST_SHARDS + 1)),
            ("/current/lives/0", &high),
            ("/current/lives/1", &json!(u64::MAX)),
            ("/next/view/lives/1", &high),
            ("/next/switch/at", &high),
        ] {
            let error = Record::decode(&changed("record.json", at, to.clone())).expect_err(at);
            assert!(matches!(error, FormatError::TooLarge { .. } | FormatError::Contradiction(9)), "{at}: {error}");
        }
        for at in [
            "boot",
            "life",
            "sequence",
            "prepared",
            "joined",
            "follows",
            "found",
            "refuted",
            "crashes/0",
            "suspects/0/number",
        ] {
            for to in [&high, &json!(u64::MAX)] {
                let error = Member::decode(&changed("member.json", &format!("/{at}"), to.clone())).expect_err(at);
                assert!(matches!(error, FormatError::TooLarge { .. }), "{at}: {error}");
                Heartbeat::decode(&changed("heartbeat.json", &format!("/member/{at}"), to.clone())).expect_err(at);
            }
            Member::decode(&changed("member.json", &format!("/{at}"), json!(MAX_NUMBER))).expect(at);
        }
        for (at, to) in [
            ("/confirmedAge", &high),
            ("/now", &high),
            ("/ahead", &high),
            ("/ahead", &json!(i64::MIN)),
            ("/unheard/0/ordinal", &later),
            ("/measured/leave/generation", &high),
            ("/measured/leave/gap", &high),
            ("/measured/leave/overlap", &high),
        ] {
            let error = Heartbeat::decode(&changed("heartbeat.json", at, to.clone())).expect_err(at);
            assert!(matches!(error, FormatError::TooLarge { .. }), "{at}: {error}");
        }
        for (at, to) in [
            ("/id/pod", &long),
            ("/suspects/0/id/ordinal", &later),
            ("/program", &long),
            ("/address", &long),
            ("/id/ordinal", &json!(MOST_SHARDS)),
            ("/crashes", &json!(vec![0; MAX_CRASHES + 1])),
        ] {
            let error = Member::decode(&changed("member.json", at, to.clone())).expect_err(at);
            assert!(matches!(error, FormatError::TooLarge { .. }), "{at}: {error}");
            let at = format!("/member{at}");
            Heartbeat::decode(&changed("heartbeat.json", &at, to.clone())).expect_err(&at);
        }
        for (at, to) in [
            ("/id/pod", json!("pod\n1")),
            ("/address", json!("host:80")),
            ("/key", json!("ab")),
            ("/key", long.clone()),
            ("/id", json!(1)),
        ] {
            let error = Member::decode(&changed("member.json", at, to)).expect_err(at);
            assert!(matches!(error, FormatError::Malformed { .. }), "{at}: {error}");
        }
        Heartbeat::decode(&changed("heartbeat.json", "/fleet", long)).expect_err("too long");
        for garbage in ["", "[]", "null", "1", "{", "{}", "\u{0}"] {
            Record::decode(garbage.as_bytes()).expect_err(garbage);
            Member::decode(garbage.as_bytes()).expect_err(garbage);
            Heartbeat::decode(garbage.as_bytes()).expect_err(garbage);
        }
    }

    #[test]
    fn the_largest_heartbeat_fits_into_a_message() {
        let mut heartbeat = heartbeat();
        let all: Vec<u32> = (0..MOST_SHARDS).rev().collect();
        let record = heartbeat.record.as_mut().expect("a record");
        let next = &mut record.next.as_mut().expect("a next assignment").view;
        for assignment in [&mut record.current, next] {
            (assignment.total, assignment.absent) = (MOST_SHARDS, all.clone());
            assignment.untaken = all.iter().copied().collect();
        }
        let text = serde_json::to_vec(&heartbeat).expect("JSON");
        assert!(text.len() < crate::fleet::peer_client::MAX_HEARTBEAT_BYTES / 2, "{}", text.len());
        assert_eq!(Heartbeat::decode(&text), Ok(heartbeat));
    }
}
