//! The objects of a resource by namespace, for scrapes of some namespaces and for labels of Namespaces on series.
//!
//! An entry is the hash of the UID of an object. A slot has the number of its namespace, which decides: the index only finds slots.
//! Without [`ResourceStore::index_namespaces`] there is no index, and all slots have the number 0.
//!
//! [`ResourceStore::index_namespaces`]: super::ResourceStore::index_namespaces

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeBounds};

use super::block::write_labels;

/// What tells the namespace of an object of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespacedBy {
    /// `metadata.namespace`.
    Namespace,
    /// `metadata.name`: Namespaces belong to themselves, as in RBAC.
    Name,
}

/// The most bytes of labels that one Namespace adds to a series. Further labels are left out.
const MAX_LABELS: usize = 16 << 10;

/// The labels that each Namespace adds to every series of its objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NamespaceLabels(HashMap<Box<str>, Box<[u8]>>);

impl NamespaceLabels {
    /// Collects the labels of Namespaces, by their names. Names of labels are valid, and no two of a Namespace are equal. No object has
    /// such a label itself: whoever chooses the names makes sure of that.
    pub fn new<'a>(namespaces: impl IntoIterator<Item = (&'a str, Vec<(String, &'a str)>)>) -> Self {
        let text = |labels: Vec<(String, &str)>| {
            let mut text = Vec::new();
            for (name, value) in labels {
                let before = text.len();
                text.push(b',');
                write_labels(&mut text, &[(&name, value)]);
                if text.len() > MAX_LABELS {
                    text.truncate(before);
                    break;
                }
            }
            text.into_boxed_slice()
        };
        let named = namespaces.into_iter().map(|(namespace, labels)| (namespace.into(), text(labels)));
        Self(named.filter(|(_, text): &(_, Box<[u8]>)| !text.is_empty()).collect())
    }

    /// Returns the labels of a namespace as text that begins with a comma; nothing if it has none.
    pub(super) fn of(&self, namespace: &str) -> &[u8] {
        self.0.get(namespace).map_or(&[], |text| text)
    }
}

/// The number of a namespace; 0 stands for none. Valid while the namespace has objects.
pub type Number = u32;

/// The objects of a resource by namespace.
#[derive(Debug, Default)]
pub struct Namespaces {
    numbers: HashMap<Box<str>, Number>,
    /// By number, from 1 on.
    entries: Vec<Entry>,
    /// Numbers of namespaces that no longer have objects.
    free: Vec<Number>,
}

#[derive(Debug, Default)]
struct Entry {
    name: Box<str>,
    /// How many objects have each hash. It is one, unless hashes of two UIDs are equal.
    points: BTreeMap<u64, u32>,
}

impl Namespaces {
    /// Adds an object of `namespace`. Returns the number for its slot. An object without a namespace is not found.
    pub fn add(&mut self, namespace: &str, point: u64) -> Number {
        if namespace.is_empty() {
            return 0;
        }
        let number = self.number(namespace).unwrap_or_else(|| self.create(namespace));
        if let Some(entry) = self.entry_mut(number) {
            *entry.points.entry(point).or_default() += 1;
        }
        number
    }

    fn create(&mut self, namespace: &str) -> Number {
        let entry = Entry { name: namespace.into(), points: BTreeMap::new() };
        let number = match self.free.pop() {
            Some(number) => {
                self.entries[number as usize - 1] = entry;
                number
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as Number
            }
        };
        self.numbers.insert(namespace.into(), number);
        number
    }

    /// Removes an object that [`Namespaces::add`] added.
    pub fn remove(&mut self, number: Number, point: u64) {
        let Some(entry) = self.entry_mut(number) else { return };
        if let Some(count) = entry.points.get_mut(&point) {
            *count -= 1;
            if *count == 0 {
                entry.points.remove(&point);
            }
        }
        if entry.points.is_empty() {
            let name = std::mem::take(&mut entry.name);
            self.numbers.remove(&name);
            self.free.push(number);
        }
    }

    fn entry_mut(&mut self, number: Number) -> Option<&mut Entry> {
        self.entries.get_mut((number as usize).checked_sub(1)?)
    }

    /// Returns the number of a namespace; `None` if it has no objects.
    pub fn number(&self, namespace: &str) -> Option<Number> {
        self.numbers.get(namespace).copied()
    }

    /// Returns the name of a namespace; empty for none.
    pub fn name(&self, number: Number) -> &str {
        (number as usize).checked_sub(1).and_then(|at| self.entries.get(at)).map_or("", |entry| &entry.name)
    }

    /// Returns the names of all namespaces with objects, and their numbers.
    pub fn all(&self) -> impl Iterator<Item = (&str, Number)> {
        self.numbers.iter().map(|(name, number)| (&**name, *number))
    }

    /// Returns the hashes of the objects of a namespace in `range`, in order.
    pub fn points(&self, number: Number, range: impl RangeBounds<u64>) -> impl Iterator<Item = u64> {
        let entry = (number as usize).checked_sub(1).and_then(|at| self.entries.get(at));
        let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
        // Such a range panics.
        let is_empty = matches!(bounds, (Bound::Included(first), Bound::Included(last)) if first > last);
        entry
            .filter(|_| !is_empty)
            .into_iter()
            .flat_map(move |entry| entry.points.range(bounds))
            .map(|(point, _)| *point)
    }

    /// Returns the memory of the index in bytes, approximately: nodes of its trees are two thirds full.
    pub fn size(&self) -> usize {
        let each = (size_of::<u64>() + size_of::<u32>()) * 3 / 2;
        let points: usize = self.entries.iter().map(|entry| entry.points.len()).sum();
        let names: usize =
            self.numbers.keys().map(|name| 2 * name.len() + size_of::<Entry>() + size_of::<u64>() * 4).sum();
        points * each + names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_a_number_while_it_has_objects() {
        let mut namespaces = Namespaces::default();
        let (a, b) = (namespaces.add("a", 1), namespaces.add("b", 2));
        assert_eq!([namespaces.add("a", 7), namespaces.add("a", 1), namespaces.add("", 3)], [a, a, 0]);
        assert_eq!(namespaces.points(a, ..).collect::<Vec<_>>(), [1, 7]);
        assert_eq!(namespaces.points(a, 2..=7).collect::<Vec<_>>(), [7]);
        let (first, last) = (8, 7);
        assert_eq!(namespaces.points(a, first..=last).count(), 0, "an empty range");
        // Two objects have this hash.
        namespaces.remove(a, 1);
        assert_eq!(namespaces.points(a, ..).count(), 2);
        namespaces.remove(a, 1);
        namespaces.remove(a, 7);
        assert_eq!((namespaces.number("a"), namespaces.number("b")), (None, Some(b)));
        assert_eq!(namespaces.add("c", 9), a, "a free number is used again");
        assert_eq!(namespaces.points(0, ..).chain(namespaces.points(9, ..)).count(), 0);
    }
}
