#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

#[path = "../../../tests/it/common/k8s_types.rs"]
mod k8s_types;

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::fs::File;
use std::io::{BufRead, BufReader};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use self::k8s_types::*;
use super::table::{Field, Kind, Shape, Table};
use super::{Error, read};
use crate::collectors::parts::FieldSet;
use crate::collectors::time;
use crate::collectors::{
    Api, CertificateSigningRequests, CronJobs, Deployments, HorizontalPodAutoscalers, Leases, PersistentVolumes, Pods,
    Resource, Visitor, VolumeAttachments, visit_all,
};
use crate::intake::form::Form;
use crate::intake::redact::kept;
use crate::intake::unreadable::Unreadable;
use crate::intake::{DecodeError, decode_object};

/// Number of mutants of each recorded object.
const MUTANTS: usize = 1;

/// The objects of the corpus file `plural`, as JSON and as protobuf.
fn corpus(plural: &str) -> Vec<(Json, Vec<u8>)> {
    let path = format!("{}/tests/data/corpus/{plural}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    BufReader::new(GzDecoder::new(File::open(path).unwrap()))
        .lines()
        .map(|line| {
            let mut line: Json = serde_json::from_str(&line.unwrap()).unwrap();
            let protobuf = STANDARD.decode(line["protobuf"].as_str().unwrap()).unwrap();
            (line["object"].take(), protobuf)
        })
        .collect()
}

fn decode<R: Resource>(bytes: &[u8]) -> Result<R::Object<'_>, Error> {
    read::<R>(bytes, Form::Object, FieldSet::Usual, &Unreadable::default())
}

/// Removes the fields of `json` that `table` does not have, and empty arrays and maps, which protobuf does not have.
fn prune(json: &mut Json, table: &'static Table) {
    fn find(table: &'static Table, name: &str) -> Option<&'static Field> {
        table.fields.iter().find_map(|field| match (field.shape, field.kind) {
            (Shape::Inline, Kind::Message(inner)) => find(inner, name),
            _ => (field.name == name).then_some(field),
        })
    }
    let Json::Object(fields) = json else { return };
    fields.retain(|name, value| match find(table, name) {
        None => false,
        Some(Field { shape: Shape::Repeated | Shape::Map, .. }) if *value == json!([]) || *value == json!({}) => false,
        Some(Field { kind: Kind::Message(inner), shape, .. }) => {
            match (shape, value) {
                (Shape::Repeated, Json::Array(elements)) => {
                    elements.iter_mut().for_each(|e| prune(e, inner));
                    elements.retain(|e| inner.takes_named(&|name| e.get(name).is_some()));
                }
                (_, value) => prune(value, inner),
            }
            true
        }
        Some(_) => true,
    });
}

/// What a collector sees of an object.
#[derive(Default)]
struct Seen {
    /// Plural of the resource.
    plural: &'static str,
    api: Option<Api>,
    protobuf: Vec<u8>,
    json: Json,
    table: Option<&'static Table>,
    from_protobuf: Json,
    from_json: Json,
}

impl Visitor for Seen {
    fn visit<R: Resource>(&mut self) {
        if R::API.plural == self.plural {
            let from_protobuf =
                read::<R>(&self.protobuf, Form::Object, FieldSet::More, &Unreadable::default()).unwrap();
            let from_json = decode_object::<R>(&self.json, Form::Object, &Unreadable::default()).unwrap();
            self.api = Some(R::API);
            self.table = super::table(&R::API, FieldSet::More).ok();
            self.from_protobuf = serde_json::to_value(from_protobuf).unwrap();
            self.from_json = serde_json::to_value(from_json).unwrap();
        }
    }
}

/// Leaves the fields of a table, in the form in which both models write them: without null, and without empty lists and maps.
fn plain(mut json: Json, table: &'static Table) -> Json {
    fn without_nothing(json: &mut Json) {
        match json {
            Json::Object(fields) => {
                fields.values_mut().for_each(without_nothing);
                fields.retain(|_, value| !matches!(value, Json::Null) && *value != json!([]) && *value != json!({}));
            }
            Json::Array(elements) => elements.iter_mut().for_each(without_nothing),
            _ => {}
        }
    }
    prune(&mut json, table);
    without_nothing(&mut json);
    json
}

/// Returns whether two models show the same: one of them may leave out a zero that the other shows.
fn same(ours: &Json, theirs: &Json) -> bool {
    fn is_zero(value: Option<&Json>) -> bool {
        match value {
            Some(Json::Object(fields)) => fields.values().all(|value| is_zero(Some(value))),
            Some(value) => [json!(0), json!(""), json!(false)].contains(value),
            None => true,
        }
    }
    match (ours, theirs) {
        (Json::Object(ours), Json::Object(theirs)) => {
            ours.keys().chain(theirs.keys()).all(|name| match (ours.get(name), theirs.get(name)) {
                (Some(ours), Some(theirs)) => same(ours, theirs),
                (ours, theirs) => is_zero(ours) && is_zero(theirs),
            })
        }
        (Json::Array(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        // k8s-openapi always prints six digits of a MicroTime.
        (Json::String(our_text), Json::String(their_text)) => {
            let [ours, theirs] = [our_text, their_text].map(|text| time::parse(text).map(time::seconds));
            our_text == their_text || (ours.is_some() && ours == theirs)
        }
        _ => ours == theirs,
    }
}

/// Replaces a value in `json`, at some depth.
fn mutate(json: &mut Json, random: &mut Rng) {
    let inner = match json {
        Json::Object(fields) if random.u8(..8) > 0 => random.choice(fields.values_mut()),
        Json::Array(elements) if random.u8(..8) > 0 => random.choice(elements),
        _ => None,
    };
    if let Some(inner) = inner {
        return mutate(inner, random);
    }
    *json = match random.u8(..12) {
        0 => Json::Null,
        1 => random.bool().into(),
        2 => random.i32(..).into(),
        3 => random.i64(..).into(),
        4 => json!(1.5),
        5 => json!(""),
        6 => json!("100m"),
        7 => json!("2026-01-02T03:04:05Z"),
        8 => json!([]),
        9 => json!([null, "x", {"name": "y"}]),
        10 => json!({}),
        _ => json!({"name": "z", "a": null, "cpu": "1"}),
    };
}

/// Compares what collectors see of an object, of which values may not fit, with the type of k8s-openapi.
fn compare_mutant<T>(object: &Json, table: &'static Table)
where
    T: k8s_openapi::Resource + DeserializeOwned + Serialize + Debug,
{
    struct Decode<'a>(&'a Json, &'static str, Option<Result<Json, DecodeError>>);
    impl Visitor for Decode<'_> {
        fn visit<R: Resource>(&mut self) {
            if R::API.plural == self.1 {
                let decoded = decode_object::<R>(self.0, Form::Object, &Unreadable::default());
                self.2 = Some(decoded.map(|object| serde_json::to_value(object).unwrap()));
            }
        }
    }
    let mut decode = Decode(object, T::URL_PATH_SEGMENT, None);
    visit_all(&mut decode);
    let expected = kept(object, table, Form::Object, None, &Unreadable::default());
    let expected = expected.and_then(|fields| serde_json::from_value::<T>(Json::Object(fields)));
    match (decode.2.unwrap(), expected) {
        (Ok(seen), Ok(expected)) => {
            let (seen, expected) = (plain(seen, table), plain(serde_json::to_value(expected).unwrap(), table));
            assert!(same(&seen, &expected), "{object}\n{seen:#}\n{expected:#}");
        }
        (seen, expected) => assert_eq!(seen.is_ok(), expected.is_ok(), "{object} {expected:?}"),
    }
}

/// Compares what collectors see of the recorded objects and mutants of them with the types of k8s-openapi.
fn compare<T>(random: &mut Rng)
where
    T: k8s_openapi::Resource<Scope: 'static> + DeserializeOwned + Serialize + Debug,
{
    for (mut json, protobuf) in corpus(T::URL_PATH_SEGMENT) {
        if T::KIND == "StorageClass" {
            // kube-state-metrics writes the defaults into the object, which was recorded as protobuf after that.
            for (field, default) in [("reclaimPolicy", "Delete"), ("volumeBindingMode", "Immediate")] {
                json.as_object_mut().unwrap().entry(field).or_insert_with(|| default.into());
            }
        }
        let mut seen = Seen { plural: T::URL_PATH_SEGMENT, protobuf, json: json.clone(), ..Seen::default() };
        visit_all(&mut seen);
        let api = seen.api.unwrap();
        assert_eq!((api.api_version, api.kind, api.plural), (T::API_VERSION, T::KIND, T::URL_PATH_SEGMENT));
        assert_eq!((api.group(), api.version()), (T::GROUP, T::VERSION));
        let of_cluster = TypeId::of::<T::Scope>() == TypeId::of::<k8s_openapi::ClusterResourceScope>();
        assert_eq!(api.namespaced, !of_cluster, "{}", T::KIND);
        let table = seen.table.unwrap();
        for _ in 0..MUTANTS {
            let mut mutant = json.clone();
            mutate(&mut mutant, random);
            compare_mutant::<T>(&mutant, table);
        }
        prune(&mut json, table);
        let expected: T = serde_json::from_value(json).unwrap();
        let expected = plain(serde_json::to_value(expected).unwrap(), table);
        for seen in [seen.from_protobuf, seen.from_json] {
            let seen = plain(seen, table);
            assert!(same(&seen, &expected), "{}\n{seen:#}\n{expected:#}", T::KIND);
        }
    }
}

macro_rules! compare_all {
    ($($kind:ty),* $(,)?) => { let mut random = Rng::with_seed(std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..)));
        $(compare::<$kind>(&mut random);)* };
}

#[test]
fn both_encodings_of_the_corpus_give_the_objects_of_k8s_openapi() {
    with_k8s_types!(compare_all);
}

/// The wire format, written by hand.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Wire {
    fn varint(mut self, number: u32, value: i64) -> Self {
        self.raw(u64::from(number) << 3);
        self.raw(value.cast_unsigned());
        self
    }

    fn bytes(mut self, number: u32, value: impl AsRef<[u8]>) -> Self {
        self.raw(u64::from(number) << 3 | 2);
        self.raw(value.as_ref().len() as u64);
        self.0.extend(value.as_ref());
        self
    }

    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

impl AsRef<[u8]> for Wire {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn wire() -> Wire {
    Wire::default()
}

#[test]
fn scalars_that_are_no_pointers_are_absent_when_zero_and_pointers_are_not() {
    let spec = wire().bytes(1, "").varint(6, 0).varint(7, -1);
    let message = wire().bytes(1, wire().bytes(1, "").varint(7, 0)).bytes(2, spec);
    let cron = decode::<CronJobs>(message.as_ref()).unwrap();
    assert_eq!((cron.metadata.name, cron.metadata.generation), (None, None));
    let spec = cron.spec.unwrap();
    assert_eq!(spec.schedule, "");
    assert_eq!((spec.successful_jobs_history_limit, spec.failed_jobs_history_limit), (Some(0), Some(-1)));
    assert_eq!(spec.suspend, None);
}

#[test]
fn repeated_fields_and_maps_are_whole_wherever_their_parts_are() {
    let metadata = wire()
        .bytes(11, wire().bytes(1, "a").bytes(2, "1"))
        .bytes(1, "name")
        .bytes(11, wire().bytes(2, "2").bytes(1, "b"))
        .bytes(17, "skipped")
        .bytes(11, wire().bytes(1, "empty"))
        .bytes(11, wire().bytes(1, "a").bytes(2, "3"));
    let spec = wire()
        .bytes(2, wire().bytes(1, "first"))
        .bytes(10, "node")
        .bytes(2, wire().bytes(1, "second"))
        .bytes(20, wire().bytes(1, "init"));
    let message = wire().bytes(1, metadata).bytes(2, spec);
    let pod = decode::<Pods>(message.as_ref()).unwrap();
    let labels: Vec<_> = pod.metadata.labels.iter().flatten().map(|(k, v)| (k, &**v)).collect();
    assert_eq!(labels, [("a", "3"), ("b", "2"), ("empty", "")]);
    let spec = pod.spec.unwrap();
    assert_eq!(spec.node_name.as_deref(), Some("node"));
    assert_eq!(spec.containers.iter().map(|c| &*c.name).collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(spec.init_containers.unwrap()[0].name, "init");
}

#[test]
fn a_volume_is_read_only_if_it_has_a_claim() {
    let claim = wire().bytes(1, "data");
    let volumes = [
        wire().bytes(1, "scratch").bytes(2, wire().bytes(2, wire())),
        wire().bytes(1, "disk").bytes(2, wire().bytes(10, claim)),
        wire().bytes(1, "token"),
        // The ephemeral source is there, although it is empty.
        wire().bytes(1, "cache").bytes(2, wire().bytes(29, wire())),
    ];
    let spec = volumes.iter().fold(wire(), |spec, volume| spec.bytes(1, volume));
    let message = wire().bytes(2, spec);
    let pod = decode::<Pods>(message.as_ref()).unwrap();
    let volumes = pod.spec.unwrap().volumes.unwrap();
    let json = json!({"spec": {"volumes": [
        {"name": "scratch", "emptyDir": {}},
        {"name": "disk", "persistentVolumeClaim": {"claimName": "data"}},
        null,
        {"name": "token", "ephemeral": null},
        {"name": "cache", "ephemeral": {}},
    ]}});
    let of_json = decode_object::<Pods>(json, Form::Object, &Unreadable::default()).unwrap();
    assert_eq!(volumes.iter().map(|volume| &*volume.name).collect::<Vec<_>>(), ["disk", "cache"]);
    assert_eq!(volumes[0].persistent_volume_claim.as_ref().unwrap().claim_name, "data");
    assert!(volumes[1].ephemeral.is_some());
    assert_eq!(Some(volumes), of_json.spec.unwrap().volumes);
}

#[test]
fn times_are_null_when_empty_and_as_precise_as_in_json() {
    let time = |time: Wire| {
        let message = wire().bytes(1, wire().bytes(8, time));
        decode::<Pods>(message.as_ref()).map(|pod| pod.metadata.creation_timestamp.map(|time| time.0.to_string()))
    };
    assert_eq!(time(wire()).unwrap(), None);
    assert_eq!(time(wire().varint(1, 0).varint(2, 0)).unwrap().unwrap(), "1970-01-01T00:00:00Z");
    assert_eq!(time(wire().varint(1, -1).varint(2, 999)).unwrap().unwrap(), "1969-12-31T23:59:59Z");
    for second in [i64::MIN, -62_167_219_201, 253_402_300_799, 253_402_300_800, i64::MAX] {
        let message = wire().bytes(1, wire().bytes(8, wire().varint(1, second)));
        let pod = decode::<Pods>(message.as_ref()).unwrap();
        assert_eq!(crate::collectors::time::seconds(pod.metadata.creation_timestamp.unwrap().0), second);
    }

    let renewed = wire().varint(1, 1_700_000_000).varint(2, 123_456_789);
    let message = wire().bytes(2, wire().bytes(4, renewed));
    let lease = decode::<Leases>(message.as_ref()).unwrap();
    assert_eq!(lease.spec.unwrap().renew_time.unwrap().0.to_string(), "2023-11-14T22:13:20.123456Z");
}

#[test]
fn text_that_is_not_utf8_reads_as_the_api_server_writes_it_in_json() {
    let message = wire().bytes(1, wire().bytes(1, b"a\xf0\x9fb\xff"));
    let pod = decode::<Pods>(message.as_ref()).unwrap();
    assert_eq!(pod.metadata.name.as_deref(), Some("a\u{fffd}\u{fffd}b\u{fffd}"));
}

#[test]
fn a_value_that_does_not_fit_its_field_costs_no_other_field() {
    let decode = |bytes: Wire| {
        let unreadable = Unreadable::default();
        let pod = read::<Pods>(bytes.0.leak(), Form::Object, FieldSet::Usual, &unreadable).unwrap();
        (pod, unreadable.count(), unreadable.first())
    };
    let (pod, count, first) = decode(wire().bytes(3, wire().varint(5, 1).bytes(6, "address").varint(99, 1)));
    assert_eq!(pod.status.unwrap().pod_ip.as_deref(), Some("address"));
    assert_eq!((count, first.as_str()), (1, "hostIP"));
    // Malformed messages within the object: what precedes the fault is read.
    let (pod, count, first) =
        decode(wire().bytes(2, wire().bytes(10, "node").bytes(20, [0x08])).bytes(3, wire().bytes(1, "Running")));
    let spec = pod.spec.unwrap();
    assert_eq!((spec.node_name.as_deref(), spec.init_containers.map(|c| c.len())), (Some("node"), Some(1)));
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Running"));
    assert_eq!((count, first.as_str()), (1, "the rest of a message"));
    // A quantity, an entry and an element that are none.
    let limit = |name: &str, value: &str| wire().bytes(1, name).bytes(2, wire().bytes(1, value));
    let limits = wire()
        .bytes(1, limit("cpu", "many"))
        .bytes(1, limit("memory", "1Gi"))
        .varint(1, 5)
        .bytes(1, [0x08])
        .bytes(1, wire().bytes(1, "pods"));
    let spec = wire().bytes(2, wire().bytes(1, "a").bytes(8, limits)).varint(2, 1);
    let (pod, count, _) = decode(wire().bytes(2, spec));
    let containers = pod.spec.unwrap().containers;
    let limits = containers[0].resources.as_ref().unwrap().limits.as_ref().unwrap();
    let limits: Vec<_> = limits.iter().map(|(name, limit)| (name, &*limit.0)).collect();
    assert_eq!((containers.len(), limits, count), (1, vec![("memory", "1Gi"), ("pods", "0")], 4));
    // An int32 with more bits, which Go cuts.
    let status = wire().bytes(1, "a").varint(5, (1 << 32) + 7);
    let (pod, count, _) = decode(wire().bytes(3, wire().bytes(8, status)));
    assert_eq!((pod.status.unwrap().container_statuses.unwrap()[0].restart_count, count), (7, 0));
}

#[test]
fn an_object_that_breaks_off_and_a_kind_without_a_table_are_errors() {
    let message = wire().bytes(2, "").bytes(3, "");
    let error = decode::<Pods>(message.as_ref().split_last().unwrap().1).unwrap_err();
    assert_eq!(error.to_string(), "the message is cut off within a field");
    let error = super::table(&Api::namespaced("v1", "Event", "events"), FieldSet::Usual).unwrap_err();
    assert_eq!(error.to_string(), "no collector reads Event of v1");
}

/// Decodes the bytes as several kinds. None may panic, whatever the result.
fn survive(bytes: &[u8]) {
    let _ = decode::<Pods>(bytes);
    let _ = decode::<HorizontalPodAutoscalers>(bytes);
    let _ = decode::<PersistentVolumes>(bytes);
    let _ = decode::<Deployments>(bytes);
    let _ = decode::<Leases>(bytes);
    let _ = decode::<CertificateSigningRequests>(bytes);
    let _ = decode::<VolumeAttachments>(bytes);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(&bytes);
    }

    #[test]
    fn mutated_objects_never_panic(
        file in prop::sample::select(vec!["pods", "horizontalpodautoscalers", "persistentvolumes", "deployments", "leases"]),
        object in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        thread_local!(static FILES: RefCell<HashMap<&'static str, Vec<Vec<u8>>>> = RefCell::default());
        let mut bytes = FILES.with_borrow_mut(|files| {
            let objects = files.entry(file).or_insert_with(|| corpus(file).into_iter().map(|(_, bytes)| bytes).collect());
            object.get(objects).clone()
        });
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        survive(&bytes);
        survive(&bytes[..cut.index(bytes.len())]);
    }
}
