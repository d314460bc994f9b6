//! Decodes an object's bytes into the type that its collector reads.

use serde::Deserializer;
use serde::de::Error as _;
use serde_json::{Map, Value};

use super::encoding::Encoding;
use super::fingerprint::{self, Fingerprinter, Room};
use super::form::Form;
use super::redact::kept;
use super::tree::Tree;
use super::unreadable::Unreadable;
use super::{discard, protobuf};
use crate::collectors::objects::{Message as _, View};
use crate::collectors::parts::FieldSet;
use crate::collectors::{Api, Resource};
use crate::sharding::Hashes;
use crate::shown::without_values;

/// One object of the shard, still encoded.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// `metadata.uid`.
    pub uid: &'a str,
    /// The hashes of the UID.
    pub hashes: Hashes,
    /// `metadata.resourceVersion` as a number, 0 if it is not one.
    pub version: u64,
    /// Whether it came with a list or its initial events, not because it just changed.
    pub listed: bool,
    /// The encoding of `bytes`.
    pub encoding: Encoding,
    /// The form of the object.
    pub form: Form,
    /// For [`Form::Table`]: the value of the column `Type`.
    pub table_type: Option<&'a str>,
    /// The object; for [`Form::Table`] its `PartialObjectMetadata`.
    pub bytes: &'a [u8],
    /// Where to note the fields that cannot be read.
    pub unreadable: &'a Unreadable,
}

impl<'a> Item<'a> {
    /// Returns a whole object that has just changed: for benches and tests.
    pub fn changed(
        uid: &'a str,
        version: u64,
        encoding: Encoding,
        bytes: &'a [u8],
        unreadable: &'a Unreadable,
    ) -> Self {
        let (hashes, form) = (Hashes::of(uid), Form::Object);
        Self { uid, hashes, version, listed: false, encoding, form, table_type: None, bytes, unreadable }
    }
}

impl Item<'_> {
    /// Returns the object's namespace and name, as far as they can be read without decoding it.
    pub fn names(&self) -> (String, String) {
        discard::names(self.encoding, self.bytes)
    }
}

/// Why an object did not decode. The messages name the field, and never show a value, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The protobuf message is malformed, or no collector reads its kind.
    #[error("malformed protobuf: {}", without_values(.0))]
    Protobuf(#[from] protobuf::Error),
    /// A custom resource came as protobuf, which custom resources do not have.
    #[error("a custom resource has no protobuf message")]
    CustomProtobuf,
    /// The JSON text is malformed, or its metadata cannot be read.
    #[error("{}: {}", if .0.is_data() { "does not fit its kind" } else { "malformed JSON" }, without_values(.0))]
    Json(#[from] serde_json::Error),
    /// The object says that it is of another kind.
    #[error("does not fit its kind: {field} is not {expected}")]
    Kind {
        /// `apiVersion` or `kind`.
        field: &'static str,
        /// What the field should be.
        expected: &'static str,
    },
}

impl<'a> Item<'a> {
    /// Decodes these fields, as far as the form holds them. Notes those that cannot be read.
    ///
    /// # Errors
    /// The bytes are no object in the item's encoding.
    pub fn decode<R: Resource>(&self, fields: FieldSet) -> Result<R::Object<'a>, DecodeError> {
        match self.encoding {
            Encoding::Protobuf => Ok(protobuf::read::<R>(self.bytes, self.form, fields, self.unreadable)?),
            Encoding::Json => json::<R>(self.bytes, self.form, fields, self.table_type, self.unreadable),
        }
    }

    /// Returns the fingerprints of the object's parts. `None` if it does not come as protobuf, or is malformed.
    pub fn fingerprints(&self, fingerprinter: &Fingerprinter, room: &mut Room) -> Option<Box<[u128]>> {
        let whole = (self.encoding, self.form) == (Encoding::Protobuf, Form::Object);
        whole.then(|| fingerprinter.of(self.bytes, room)).flatten()
    }

    /// Returns the fingerprint of a custom resource without managedFields and resourceVersion. `None` if it is malformed.
    pub fn fingerprint_of_custom(&self, room: &mut Room) -> Option<Box<[u128]>> {
        (self.encoding == Encoding::Json).then(|| fingerprint::of_json(self.bytes, room)).flatten()
    }

    /// Decodes the fields of a view of `fields.txt`. Notes those that cannot be read. `None` if there is no such view, or the
    /// object does not come whole and as protobuf.
    pub fn decode_view<R: Resource>(&self, view: &str) -> Option<R::Object<'a>> {
        let whole = (self.encoding, self.form) == (Encoding::Protobuf, Form::Object);
        whole.then(|| protobuf::read_view::<R>(self.bytes, view, self.unreadable)).flatten()
    }

    /// Returns the text of an object without a type, a custom resource.
    ///
    /// # Errors
    /// The object came as protobuf.
    pub const fn json(&self) -> Result<&[u8], DecodeError> {
        match self.encoding {
            Encoding::Protobuf => Err(DecodeError::CustomProtobuf),
            Encoding::Json => Ok(self.bytes),
        }
    }
}

/// Decodes all fields that any family reads and `form` would hold from JSON or a similar format (a `serde_json::Value`, a YAML document). The data of
/// a whole Secret or ConfigMap, and the annotation with a copy of it, are skipped without becoming values. Notes the fields that
/// cannot be read, and leaves them out.
///
/// # Errors
/// `object` is no object, or one of another kind.
pub fn decode_object<'a, 'de, R: Resource>(
    object: impl Deserializer<'de>,
    form: Form,
    unreadable: &Unreadable,
) -> Result<R::Object<'a>, DecodeError> {
    let table = protobuf::table(&R::API, FieldSet::More)?;
    let fields = kept(object, table, form, None, unreadable).map_err(serde_json::Error::custom)?;
    of_kind(&R::API, &fields)?;
    Ok(filled(&mut Tree::new(table, fields)))
}

fn json<'a, R: Resource>(
    text: &[u8],
    form: Form,
    fields: FieldSet,
    table_type: Option<&str>,
    unreadable: &Unreadable,
) -> Result<R::Object<'a>, DecodeError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let table = protobuf::table(&R::API, fields)?;
    let fields = kept(&mut reader, table, form, table_type, unreadable)?;
    reader.end()?;
    of_kind(&R::API, &fields)?;
    Ok(filled(&mut Tree::new(table, fields)))
}

fn filled<'a, T: View<'a> + Default>(tree: &mut Tree) -> T {
    let mut object = T::default();
    tree.fill(&mut object);
    object
}

/// Checks that an object does not say that it is of another kind.
fn of_kind(api: &Api, fields: &Map<String, Value>) -> Result<(), DecodeError> {
    for (field, expected) in [("apiVersion", api.api_version), ("kind", api.kind)] {
        if fields.get(field).is_some_and(|found| found != expected) {
            return Err(DecodeError::Kind { field, expected });
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json as object;

    use super::super::unreadable::NOT_UNICODE;
    use super::*;
    use crate::collectors::objects::Object;
    use crate::collectors::{ConfigMaps, Pods, Secrets};

    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

    fn item<'a>(encoding: Encoding, form: Form, bytes: &'a [u8], unreadable: &'a Unreadable) -> Item<'a> {
        let (hashes, table_type) = (Hashes::default(), None);
        Item { uid: "u", hashes, version: 0, listed: false, encoding, form, table_type, bytes, unreadable }
    }

    fn decode<R: Resource>(encoding: Encoding, form: Form, bytes: &[u8]) -> Result<R::Object<'_>, DecodeError> {
        item(encoding, form, bytes, Box::leak(Box::default())).decode::<R>(FieldSet::Usual)
    }

    fn whole(kind: &str) -> Value {
        object!({
            "apiVersion": "v1",
            "kind": kind,
            "data": {"password": "aGlkZGVu"},
            "stringData": {"password": "hidden"},
            "binaryData": {"key": "aGlkZGVu"},
            "metadata": {
                "name": "n",
                "annotations": {"a": "b", LAST_APPLIED: "hidden", "escaped \"key\"": "c"},
                "labels": {LAST_APPLIED: "a label of that name is only a label"},
                "managedFields": [{"manager": "kubectl", "time": "no time at all"}],
            },
            "type": "Opaque",
            "immutable": true,
        })
    }

    fn annotations<'o, 'a: 'o>(object: &'o impl Object<'a>) -> Vec<(&'o str, &'o str)> {
        object.metadata().annotations.iter().flatten().map(|(key, value)| (key, &**value)).collect()
    }

    #[test]
    fn a_whole_secret_is_read_for_metadata_and_type_alone() {
        let text = whole("Secret").to_string();
        let secret = decode::<Secrets>(Encoding::Json, Form::Table, text.as_bytes()).unwrap();
        assert_eq!(secret.type_.as_deref(), Some("Opaque"));
        assert_eq!(annotations(&secret), [("a", "b"), ("escaped \"key\"", "c")]);
        assert_eq!(secret.metadata.labels.as_ref().map(|labels| labels.len()), Some(1));
        assert_eq!(decode_object::<Secrets>(&whole("Secret"), Form::Table, &Unreadable::default()).unwrap(), secret);
        assert!(!format!("{secret:?}").contains("hidden"));
    }

    #[test]
    fn a_whole_config_map_is_read_for_metadata_alone() {
        let text = whole("ConfigMap").to_string();
        let map = decode::<ConfigMaps>(Encoding::Json, Form::Metadata, text.as_bytes()).unwrap();
        assert_eq!(map.metadata.name.as_deref(), Some("n"));
        assert_eq!(annotations(&map), [("a", "b"), ("escaped \"key\"", "c")]);
    }

    #[test]
    fn partial_metadata_and_the_printed_type_make_a_secret() {
        let row = object!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "n", "annotations": {LAST_APPLIED: "hidden"}},
        })
        .to_string();
        let unreadable = Unreadable::default();
        let item = Item {
            table_type: Some("helm.sh/release.v1"),
            ..item(Encoding::Json, Form::Table, row.as_bytes(), &unreadable)
        };
        let secret = item.decode::<Secrets>(FieldSet::Usual).unwrap();
        assert_eq!(secret.type_.as_deref(), Some("helm.sh/release.v1"));
        assert_eq!(secret.metadata.name.as_deref(), Some("n"));
        assert_eq!(annotations(&secret), []);
    }

    #[test]
    fn a_printed_type_wins_over_an_own_one() {
        let secret = whole("Secret").to_string();
        let unreadable = Unreadable::default();
        let item =
            Item { table_type: Some("printed"), ..item(Encoding::Json, Form::Table, secret.as_bytes(), &unreadable) };
        assert_eq!(item.decode::<Secrets>(FieldSet::Usual).unwrap().type_.as_deref(), Some("printed"));
    }

    #[test]
    fn protobuf_metadata_comes_without_the_last_applied_configuration_and_without_data() {
        // {metadata = {name = "n", annotations = {LAST_APPLIED: "hidden!!", "a": "b"}}, data = {"k": "v"}}
        let bytes = STANDARD
            .decode("CkkKAW5iPAowa3ViZWN0bC5rdWJlcm5ldGVzLmlvL2xhc3QtYXBwbGllZC1jb25maWd1cmF0aW9uEghoaWRkZW4hIWIGCgFhEgFiEgYKAWsSAXY=")
            .unwrap();
        let map = decode::<ConfigMaps>(Encoding::Protobuf, Form::Metadata, &bytes).unwrap();
        assert_eq!(map.metadata.name.as_deref(), Some("n"));
        assert_eq!(annotations(&map), [("a", "b")]);
        // Other resources show it, as kube-state-metrics does.
        let pod = decode::<Pods>(Encoding::Protobuf, Form::Object, &bytes[..bytes.len() - 8]).unwrap();
        assert_eq!(annotations(&pod), [("a", "b"), (LAST_APPLIED, "hidden!!")]);
    }

    #[test]
    fn an_object_of_another_kind_or_with_more_behind_it_is_an_error() {
        let pod = object!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "n"}}).to_string();
        assert!(decode::<Pods>(Encoding::Json, Form::Object, pod.as_bytes()).is_ok());
        assert!(decode::<Secrets>(Encoding::Json, Form::Object, pod.as_bytes()).is_err());
        assert!(decode::<Pods>(Encoding::Json, Form::Object, format!("{pod} {pod}").as_bytes()).is_err());
        assert!(decode::<Pods>(Encoding::Json, Form::Object, &pod.as_bytes()[1..]).is_err());
        assert!(decode::<Pods>(Encoding::Protobuf, Form::Object, pod.as_bytes()).is_err());
    }

    #[test]
    fn null_is_a_zero_value() {
        let unreadable = Unreadable::default();
        let pod = decode_object::<Pods>(
            object!({
                "metadata": {"name": null, "labels": {"a": null, "b": "c"}, "creationTimestamp": null},
                "spec": {"containers": [null, {"name": "a", "resources": {"limits": {"cpu": 2, "memory": null}}}]},
                "status": {"conditions": null, "containerStatuses": [{"name": "a", "restartCount": null}]},
            }),
            Form::Object,
            &unreadable,
        )
        .unwrap();
        let containers = pod.spec.unwrap().containers;
        assert_eq!((containers.len(), &*containers[0].name), (2, ""));
        let limits = containers[1].resources.as_ref().unwrap().limits.as_ref().unwrap();
        assert_eq!(
            limits.iter().map(|(name, limit)| (name, &*limit.0)).collect::<Vec<_>>(),
            [("cpu", "2"), ("memory", "0")]
        );
        let status = pod.status.unwrap();
        assert_eq!((status.conditions, status.container_statuses.unwrap()[0].restart_count), (None, 0));
        assert_eq!((pod.metadata.name, pod.metadata.creation_timestamp), (None, None));
        let labels = pod.metadata.labels.unwrap();
        assert_eq!(labels.iter().map(|(k, v)| (k, &**v)).collect::<Vec<_>>(), [("a", ""), ("b", "c")]);
        assert_eq!(unreadable.count(), 0);
    }

    #[test]
    fn a_value_that_does_not_fit_its_field_costs_no_other_field() {
        let object =
            |status: Value| object!({"metadata": {"name": "n", "labels": {"a": 1, "b": "c"}}, "status": status});
        let read = |status: Value| {
            let unreadable: &Unreadable = Box::leak(Box::default());
            let text = object(status).to_string().leak();
            let item = item(Encoding::Json, Form::Object, text.as_bytes(), unreadable);
            let pod = item.decode::<Pods>(FieldSet::Usual).unwrap();
            assert_eq!(pod.metadata.labels.unwrap().len(), 1);
            assert_eq!(unreadable.first(), "a");
            (pod.status.unwrap_or_default(), unreadable.count() - 1)
        };
        for (status, count) in [
            (object!({"phase": 7, "reason": "r"}), 1),
            (object!({"phase": ["x"], "startTime": "yesterday", "reason": "r"}), 2),
            (object!({"phase": {"a": {"b": []}}, "startTime": 5, "reason": "r"}), 2),
            (object!({"conditions": {}, "podIPs": "x", "reason": "r"}), 2),
            (object!({"conditions": ["x", {"type": false}], "podIPs": [1, {"ip": 1}], "reason": "r"}), 4),
            (object!({"startTime": "9999-12-31T23:59:59Z", "reason": "r"}), 0),
        ] {
            let (read, noted) = read(status.clone());
            assert_eq!((read.reason.as_deref(), noted), (Some("r"), count), "{status}");
        }
        assert_eq!(read(object!("x")), (Default::default(), 1));
        for (count, expected, unfit) in [
            (object!(2_147_483_648_u32), 0, 1),
            (object!(-2_147_483_648_i32), i32::MIN, 0),
            (object!(1e3), 1000, 0),
            (object!(1.5), 0, 1),
            (object!("7"), 0, 1),
            (object!(99_999_999_999_999_999_999.0), 0, 1),
            (object!(null), 0, 0),
        ] {
            let (read, noted) = read(object!({"containerStatuses": [{"name": "a", "restartCount": count}]}));
            assert_eq!((read.container_statuses.unwrap()[0].restart_count, noted), (expected, unfit), "{count}");
        }
    }

    #[test]
    fn text_in_protobuf_that_is_not_utf_8_is_noted() {
        // {metadata = {name = "n", labels = {"a": "\xff"}}}
        let bytes = [b"\x0a\x0b\x0a\x01n\x5a\x06\x0a\x01a\x12\x01\xff".as_slice()].concat();
        let unreadable = Unreadable::default();
        let item = item(Encoding::Protobuf, Form::Object, &bytes, &unreadable);
        let pod = item.decode::<Pods>(FieldSet::Usual).unwrap();
        assert_eq!(pod.metadata.labels.unwrap().get("a").map(|label| &**label), Some("\u{fffd}"));
        assert_eq!((unreadable.count(), unreadable.first().as_str()), (1, NOT_UNICODE));
    }

    #[test]
    fn an_object_whose_name_is_no_text_is_an_error() {
        for (form, name) in [(Form::Object, "name"), (Form::Metadata, "namespace")] {
            let text = object!({"metadata": {name: 7}}).to_string();
            let error = item(Encoding::Json, form, text.as_bytes(), &Unreadable::default())
                .decode::<Pods>(FieldSet::Usual)
                .unwrap_err();
            let expected = format!("does not fit its kind: metadata.{name}: not a text");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
        // Names elsewhere are fields like others.
        let text = object!({"metadata": {"name": null, "ownerReferences": [{"name": 7}]}}).to_string();
        assert!(decode::<Pods>(Encoding::Json, Form::Object, text.as_bytes()).is_ok());
    }

    #[test]
    fn only_text_that_is_no_object_is_an_error() {
        for text in ["[]", "1", "null", "{", "{\"a\":}", "", "{\"metadata\":7}"] {
            assert!(decode::<Pods>(Encoding::Json, Form::Object, text.as_bytes()).is_err(), "{text}");
        }
        assert!(decode::<Pods>(Encoding::Json, Form::Object, b"{\"metadata\":null,\"spec\":[]}").is_ok());
    }
}
