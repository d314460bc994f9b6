//! Finds the keys of a configuration that mean nothing. kube-state-metrics ignores them without a word, and a metric with a
//! misspelt key serves other values than its author expects.
//!
//! The valid keys are those of the types in [`file`], and no second list. A key whose value an alias uses elsewhere is a place for
//! an anchor, and no mistake.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::Error;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_saphyr::{Location, Spanned};

use super::file::{self, Text};
use crate::settings::yaml;

/// How many characters of a key are shown.
const SHOWN: usize = 64;

/// The key below which every key is the name of a label.
const LABELS: &str = "labelsFromPath";

/// Keys of a Kubernetes object, which a configuration may have although nothing reads them.
const OF_ANY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Line, key and reason of each unknown key, in the order of the text.
pub(super) type UnknownKeys = Vec<(u64, String, String)>;

/// Returns the unknown keys of `document`, which is a valid configuration.
pub(super) fn keys(document: &str) -> UnknownKeys {
    let Ok(root) = yaml::from_str::<Spanned<Node>>(document) else { return Vec::new() };
    let mut search = Search { anchors: BTreeSet::new(), seen: BTreeSet::new(), found: Vec::new() };
    search.aliases(&root);
    search.level(&root.value, Level::File, "");
    search.found
}

/// A part of the text: its maps and lists.
enum Node {
    Map(Vec<(Spanned<Text>, Spanned<Self>)>),
    List(Vec<Spanned<Self>>),
    Scalar,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        macro_rules! scalars {
            ($($visit:ident: $type:ty),*) => {
                $(fn $visit<E>(self, _: $type) -> Result<Node, E> {
                    Ok(Node::Scalar)
                })*
            };
        }
        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64,
                visit_str: &str, visit_bytes: &[u8]);

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Node, D::Error> {
                Node::deserialize(value)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Node::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
                let mut map = Vec::new();
                while let Some(field) = fields.next_entry()? {
                    map.push(field);
                }
                Ok(Node::Map(map))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A map of the configuration with keys of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    File,
    Spec,
    Resource,
    GroupVersionKind,
    Metric,
    Each,
    Gauge,
    Info,
    StateSet,
    ValueFrom,
    /// The value of a label, whose key may have any name.
    LabelFrom,
}

impl Level {
    const ALL: [Self; 11] = [
        Self::File,
        Self::Spec,
        Self::Resource,
        Self::GroupVersionKind,
        Self::Metric,
        Self::Each,
        Self::Gauge,
        Self::Info,
        Self::StateSet,
        Self::ValueFrom,
        Self::LabelFrom,
    ];

    /// The key whose value it is; empty for the whole file.
    const fn name(self) -> &'static str {
        match self {
            Self::File => "",
            Self::Spec => "spec",
            Self::Resource => "resources",
            Self::GroupVersionKind => "groupVersionKind",
            Self::Metric => "metrics",
            Self::Each => "each",
            Self::Gauge => "gauge",
            Self::Info => "info",
            Self::StateSet => "stateSet",
            Self::ValueFrom => "valueFrom",
            Self::LabelFrom => LABELS,
        }
    }

    /// Whether kube-state-metrics does not have it.
    fn is_richer(self) -> bool {
        matches!(self, Self::ValueFrom | Self::LabelFrom)
    }

    /// Its keys.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::File => fields::<file::File>(),
            Self::Spec => fields::<file::Spec>(),
            Self::Resource => fields::<file::Resource>(),
            Self::GroupVersionKind => fields::<file::Gvk>(),
            Self::Metric => fields::<file::Metric>(),
            Self::Each => fields::<file::Each>(),
            Self::Gauge => fields::<file::Gauge>(),
            Self::Info => fields::<file::Info>(),
            Self::StateSet => fields::<file::StateSet>(),
            Self::ValueFrom => fields::<file::ValueSource>(),
            Self::LabelFrom => fields::<file::LabelSource>(),
        }
    }

    /// The level below one of its keys. The keys of labels may have any name.
    fn below(self, key: &str) -> Option<Self> {
        self.keys().contains(&key).then(|| Self::ALL.into_iter().find(|level| level.name() == key))?
    }
}

/// Returns the names of the fields of a struct, as serde knows them.
fn fields<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    struct Names<'a>(&'a mut &'static [&'static str]);
    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = Error;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(de::Error::custom("only the names are wanted"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut names: &'static [&'static str] = &[];
    // It always fails, after the names are known.
    let _ = T::deserialize(Names(&mut names));
    names
}

struct Search {
    /// Where the values begin that aliases use.
    anchors: BTreeSet<(u64, u64)>,
    /// The keys found so far, since an alias shows the same key again.
    seen: BTreeSet<(u64, u64)>,
    found: UnknownKeys,
}

fn place(at: &Location) -> (u64, u64) {
    (at.line(), at.column())
}

impl Search {
    /// Finds the anchors that aliases use.
    fn aliases(&mut self, node: &Spanned<Node>) {
        if node.defined == node.referenced {
            return each_child(node, |child| self.aliases(child));
        }
        // Its parts seem to be aliases as well.
        self.anchors.insert(place(&node.defined));
    }

    /// Whether an alias elsewhere uses a part of the value.
    fn is_for_aliases(&self, node: &Spanned<Node>) -> bool {
        let mut is = self.anchors.contains(&place(&node.defined));
        each_child(node, |child| is = is || self.is_for_aliases(child));
        is
    }

    fn level(&mut self, node: &Node, level: Level, path: &str) {
        match node {
            Node::Scalar => {}
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.level(&item.value, level, &format!("{path}[{index}]"));
                }
            }
            Node::Map(fields) => {
                for (key, value) in fields {
                    self.key(key, value, level, path);
                }
            }
        }
    }

    fn key(&mut self, key: &Spanned<Text>, value: &Spanned<Node>, level: Level, path: &str) {
        let name = key.value.0.as_str();
        let path = format!("{path}{}{}", if path.is_empty() { "" } else { "." }, shown(name));
        if level.keys().contains(&name) {
            match (level.below(name), &value.value) {
                (Some(below @ Level::LabelFrom), Node::Map(labels)) => {
                    for (label, value) in labels {
                        self.level(&value.value, below, &format!("{path}.{}", shown(&label.value.0)));
                    }
                }
                (Some(Level::LabelFrom) | None, _) => {}
                (Some(below), value) => self.level(value, below, &path),
            }
            return;
        }
        let is_free = level == Level::File && OF_ANY_OBJECT.contains(&name);
        // A key that an alias or a merge brings here is in use.
        let is_anchor = key.defined == key.referenced && self.is_for_aliases(value);
        if is_free || is_anchor || !self.seen.insert(place(&key.defined)) {
            return;
        }
        self.found.push((key.defined.line(), path, format!("unknown key, ignored; {}", advice(name, level))));
    }
}

fn shown(key: &str) -> String {
    key.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

fn each_child(node: &Spanned<Node>, mut visit: impl FnMut(&Spanned<Node>)) {
    match &node.value {
        Node::Scalar => {}
        Node::List(items) => items.iter().for_each(visit),
        Node::Map(fields) => fields.iter().for_each(|(_, value)| visit(value)),
    }
}

/// What the author may have meant by the unknown key `name`.
fn advice(name: &str, level: Level) -> String {
    let elsewhere = |key: &str| {
        let mut levels: Vec<_> = Level::ALL.into_iter().filter(|level| level.keys().contains(&key)).collect();
        // A key that kube-state-metrics knows is rarely meant for the richer format.
        if levels.iter().any(|level| !level.is_richer()) {
            levels.retain(|level| !level.is_richer());
        }
        let levels: Vec<_> = levels.into_iter().map(Level::name).collect();
        match levels.as_slice() {
            [] => None,
            [""] => Some("the top level".to_owned()),
            [one] => Some((*one).to_owned()),
            [others @ .., last] => Some(format!("{} or {last}", others.join(", "))),
        }
    };
    if let Some(levels) = elsewhere(name) {
        return format!("it belongs in {levels}");
    }
    if let Some(key) = nearest(name, level.keys()) {
        return format!("did you mean {key}?");
    }
    let all: Vec<_> = Level::ALL.into_iter().flat_map(|level| level.keys().iter().copied()).collect();
    if let Some((key, levels)) = nearest(name, &all).and_then(|key| Some((key, elsewhere(key)?))) {
        return format!("did you mean {key}, which belongs in {levels}?");
    }
    format!("expected one of {}", level.keys().join(", "))
}

/// The key that differs from `name` in the fewest letters, whatever their case, if these are at most a third of it.
fn nearest(name: &str, keys: &[&'static str]) -> Option<&'static str> {
    let name = name.to_lowercase();
    let limit = (name.chars().count() / 3).max(1);
    let distance = |key: &str| strsim::damerau_levenshtein(&name, &key.to_lowercase());
    // A longer name would only cost time.
    let keys = keys.iter().filter(|_| name.len() <= SHOWN).map(|key| (distance(key), *key));
    keys.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= limit).map(|(_, key)| key)
}
