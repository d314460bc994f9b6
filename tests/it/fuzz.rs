//! The fuzz harnesses on mutated test data, without coverage guidance. `scripts/fuzz` runs the same harnesses under libFuzzer.
//!
//! The mutations are deterministic: each round derives its random numbers from its own index, which a failure prints.

use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use flate2::read::GzDecoder;
use kube_state_fleet::collectors::{Resource, Visitor, name, visit_all};
use kube_state_fleet::fuzz;
use serde_json::{Value, json};

/// Rounds of the intake: about 5 s of CPU in a debug build.
const INTAKE_ROUNDS: u64 = 60_000;

/// Rounds of custom resources: about 5 s of CPU in a debug build.
const CUSTOM_ROUNDS: u64 = 5_000;

/// Rounds of rules: about 5 s of CPU in a debug build.
const RULES_ROUNDS: u64 = 20_000;

/// Objects that one file of the corpus contributes at most.
const OBJECTS: usize = 4;

/// Longer inputs are cut, because time is better spent on more inputs.
const LONGEST: usize = 16 << 10;

/// Pieces that steer a parser off its path: limits of varints, tags, delimiters, numbers and escapes.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\x0a\xff\x7f",
    b"k8s\0",
    b"\xed\xa0\x80",
    b"null",
    b"{}",
    b"[]",
    b"[[[[",
    b"\"",
    b"\\",
    b"\\ud800",
    b",",
    b"\n",
    b"-1",
    b"1e999",
    b"9223372036854775808",
    b"k8s.io/initial-events-end",
    b"kubectl.kubernetes.io/last-applied-configuration",
    b"kube_node_info",
    b"sum by (node) (",
    b"[5m:]",
    b" offset -1h",
    b" or ",
    b"expr: |-\n  ",
    b"[*]\n",
    b"[..]\n",
    b"[key]\n",
];

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

/// The lines of a compressed file, as JSON.
fn lines(path: PathBuf) -> impl Iterator<Item = Value> {
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    BufReader::new(GzDecoder::new(file)).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// Replaces, inserts, removes, copies and cuts parts of `input`.
fn mutate(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.u8(1..6) {
        let at = rng.usize(..=input.len());
        let end = rng.usize(at..=input.len().min(at + 64));
        match rng.u8(..8) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => input.extend_from_within(at..end),
            3 => drop(input.splice(at..end, PIECES[rng.usize(..PIECES.len())].iter().copied())),
            4 => drop(input.splice(at..at, PIECES[rng.usize(..PIECES.len())].iter().copied())),
            5 if !other.is_empty() => {
                let from = rng.usize(..other.len());
                let piece = &other[from..other.len().min(from + 128)];
                drop(input.splice(at..end, piece.iter().copied()));
            }
            // NB: most of what a bit changes is a length, a tag or a character, and the rest stays readable.
            _ if at < input.len() => input[at] ^= 1 << rng.u8(..8),
            _ => {}
        }
    }
    input.truncate(LONGEST);
}

/// Runs `harness` on every seed as it is, and then on mutated ones.
fn run(harness: fn(&[u8]), seeds: &[Vec<u8>], rounds: u64, prepare: fn(&mut Rng, &mut Vec<u8>)) {
    assert!(seeds.len() > 20, "only {} seeds", seeds.len());
    let run = |round: &str, input: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| harness(input))).is_err() {
            panic!("{round} panicked on b\"{}\"", input.escape_ascii());
        }
    };
    for (index, seed) in seeds.iter().enumerate() {
        run(&format!("seed {index}"), seed);
    }
    for round in 0..rounds {
        let mut rng = Rng::with_seed(round);
        let mut input = seeds[rng.usize(..seeds.len())].clone();
        let other = &seeds[rng.usize(..seeds.len())];
        mutate(&mut rng, &mut input, other);
        prepare(&mut rng, &mut input);
        run(&format!("round {round}"), &input);
    }
}

/// The plurals of all resources, in the order in which the harness numbers them.
fn plurals() -> Vec<&'static str> {
    struct Plurals(Vec<&'static str>);
    impl Visitor for Plurals {
        fn visit<R: Resource>(&mut self) {
            self.0.push(name::<R>());
        }
    }
    let mut plurals = Plurals(Vec::new());
    visit_all(&mut plurals);
    plurals.0
}

/// What the second byte of an input for the intake says.
const JSON: u8 = 1;
const REDUCED: u8 = 1 << 1;
const WATCH: u8 = 1 << 5;
const INITIAL: u8 = 1 << 6;

/// A protobuf field of bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(content);
    field
}

fn envelope(kind: &str, message: &[u8]) -> Vec<u8> {
    [b"k8s\0".to_vec(), field(1, &field(2, kind.as_bytes())), field(2, message)].concat()
}

/// Inputs for the intake: a resource, the form and kind of the response, the size of chunks, and then the response.
fn intake_seeds() -> Vec<Vec<u8>> {
    let plurals = plurals();
    let number = |plural: &str| plurals.iter().position(|p| *p == plural).unwrap() as u8;
    let mut seeds = Vec::new();
    for (file, how) in [
        ("configmaps.list.bin", 0),
        ("configmaps.metadata-list.bin", REDUCED),
        ("configmaps.metadata-watch.bin", REDUCED | WATCH),
        ("namespaces.watch.bin", WATCH | INITIAL),
        ("namespaces.watch.jsonl", WATCH | JSON),
        ("secrets.table-list.json", REDUCED | JSON),
        ("secrets.table-watch.jsonl", REDUCED | WATCH | JSON),
    ] {
        let (plural, _) = file.split_once('.').unwrap();
        let response = std::fs::read(data("wire").join(file)).unwrap();
        seeds.push([&[number(plural), how, u8::MAX], &response[..]].concat());
    }
    for plural in &plurals {
        for case in lines(data("corpus").join(format!("{plural}.jsonl.gz"))).take(OBJECTS) {
            let object = STANDARD.decode(case["protobuf"].as_str().unwrap()).unwrap();
            let kind = case["object"]["kind"].as_str().unwrap_or("Pod");
            let event = [field(1, b"ADDED"), field(2, &field(1, &envelope(kind, &object)))].concat();
            let event = [&(event.len() as u32).to_be_bytes()[..], &event].concat();
            let list = envelope(&format!("{kind}List"), &[field(1, &field(2, b"7")), field(2, &object)].concat());
            let line = json!({"type": "MODIFIED", "object": case["object"]}).to_string() + "\n";
            for (how, response) in [(WATCH, event), (0, list), (WATCH | JSON, line.into_bytes())] {
                seeds.push([&[number(plural), how, u8::MAX], &response[..]].concat());
            }
        }
    }
    seeds
}

#[test]
fn mutated_responses_panic_nowhere() {
    run(fuzz::intake, &intake_seeds(), INTAKE_ROUNDS, |rng, input| {
        // The mutations rarely meet the three bytes of the header, which choose the code that runs.
        if let Some(header) = input.first_chunk_mut::<3>() {
            if rng.bool() {
                header[1] ^= 1 << rng.u8(..8);
            }
            header[2] = rng.u8(..);
        }
    });
}

#[test]
fn mutated_configs_of_custom_resources_panic_nowhere() {
    let cases: Vec<_> = lines(data("custom/cases.jsonl.gz")).collect();
    let text = |case: &Value, key: &str| case[key].as_str().unwrap().to_owned();
    let richer =
        ["spec\n[*]\n[*]\n[..]\n[key]", "[*]\nstatus\n[*]\n[..]\n[..]\na", "[*]\n[*]\n[*]\n[*]", "spec\n[*]\na\n[*]"];
    let configs = cases.iter().map(|case| text(case, "config")).chain(richer.map(str::to_owned));
    let objects = cases.iter().cycle().map(|case| text(case, "object"));
    let seeds: Vec<_> =
        configs.zip(objects).map(|(config, object)| format!("{config}\0{object}").into_bytes()).collect();
    run(fuzz::custom, &seeds, CUSTOM_ROUNDS, |_, _| {});
}

/// The rules of kubernetes-mixin: a file of one rule for each, and the expression alone.
fn rule_seeds() -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(data("rules/kubernetes-mixin.rules.yaml")).unwrap();
    let mut seeds = Vec::new();
    for rule in text.split("\n  - ").skip(1) {
        let (rule, _) = rule.split_once("\n- name:").unwrap_or((rule, ""));
        seeds.push(format!("groups:\n- name: a\n  rules:\n  - {rule}\n").into_bytes());
        let (_, expression) = rule.split_once("expr: ").unwrap();
        let is_next = |line: &&str| line.starts_with("    ") && !line.starts_with("     ");
        let lines: Vec<_> = expression.lines().take_while(|line| !is_next(line)).collect();
        seeds.push(lines.join("\n").trim_start_matches('|').as_bytes().to_vec());
    }
    seeds
}

#[test]
fn mutated_rules_are_rewritten_once_and_can_be_read() {
    run(fuzz::rules, &rule_seeds(), RULES_ROUNDS, |_, _| {});
}
