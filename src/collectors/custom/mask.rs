//! Which fields of an object are looked at, so that the rest (`managedFields` above all) is skipped as its text is read.
//!
//! A tree of what all paths of a resource may reach. It leaves out nothing that could change a series: what a path ends at
//! for a label is kept whole, and of a map or list whose entries count, all entries are kept.

use super::path::{Path, Step};

/// A place in the tree.
pub(super) type PlaceId = usize;

/// Where all paths begin.
pub(super) const ROOT: PlaceId = 0;

#[derive(Clone, Debug, Default)]
struct Place {
    /// Everything below counts.
    whole: bool,
    /// Where each entry of a map or list is, whatever its key.
    entries: Option<PlaceId>,
    /// Where each item of a list is.
    items: Option<PlaceId>,
    /// Where the fields of a map are.
    fields: Vec<(String, PlaceId)>,
}

/// The tree.
#[derive(Clone, Debug)]
pub(super) struct Mask(Vec<Place>);

/// The places that a value is at: paths overlap.
pub(super) type Places = Vec<PlaceId>;

/// What counts of a value.
pub(super) enum Counts {
    Whole,
    At(Places),
}

impl Counts {
    /// The places, or none where all of it counts.
    pub fn into_narrow(self) -> Option<Places> {
        match self {
            Self::Whole => None,
            Self::At(places) => Some(places),
        }
    }
}

impl Default for Mask {
    fn default() -> Self {
        Self(vec![Place::default()])
    }
}

impl Mask {
    /// The place that `path` ends at, seen from `from`.
    pub fn add(&mut self, from: PlaceId, path: &Path) -> PlaceId {
        path.steps().iter().fold(from, |at, step| match step {
            Step::Field { name, equals } => {
                if let Some((key, _)) = equals {
                    self.field_of(at, key);
                }
                self.field_of(at, name)
            }
            Step::Find { key, .. } => {
                let items = self.items_of(at);
                self.field_of(items, key);
                items
            }
        })
    }

    /// The field at the end of these, seen from the object, counts.
    pub fn add_fields(&mut self, names: &[&str]) {
        names.iter().fold(ROOT, |at, name| self.field_of(at, name));
    }

    /// Everything at `path` counts.
    pub fn add_whole(&mut self, from: PlaceId, path: &Path) {
        let end = self.add(from, path);
        self.0[end].whole = true;
    }

    /// The place of the entries of the map or list at `of`: each counts, if only by being there.
    pub fn entries_of(&mut self, of: PlaceId) -> PlaceId {
        if let Some(at) = self.0[of].entries {
            return at;
        }
        let at = self.new_place();
        self.0[of].entries = Some(at);
        at
    }

    fn items_of(&mut self, of: PlaceId) -> PlaceId {
        if let Some(at) = self.0[of].items {
            return at;
        }
        let at = self.new_place();
        self.0[of].items = Some(at);
        at
    }

    fn field_of(&mut self, of: PlaceId, name: &str) -> PlaceId {
        if let Some((_, at)) = self.0[of].fields.iter().find(|(field, _)| field == name) {
            return *at;
        }
        let at = self.new_place();
        self.0[of].fields.push((name.to_owned(), at));
        at
    }

    fn new_place(&mut self) -> PlaceId {
        self.0.push(Place::default());
        self.0.len() - 1
    }

    /// What counts of the object; none if nothing does.
    pub fn root(&self) -> Counts {
        self.counts(vec![ROOT]).unwrap_or(Counts::At(Vec::new()))
    }

    /// What counts of the field `name` of a map at `at`; none if it is not looked at.
    pub fn field(&self, at: &[PlaceId], name: &str) -> Option<Counts> {
        let named = |place: &Place| place.fields.iter().find(|(field, _)| field == name).map(|(_, at)| *at);
        self.counts(at.iter().flat_map(|at| named(&self.0[*at]).into_iter().chain(self.0[*at].entries)).collect())
    }

    /// What counts of each item of a list at `at`. Which one an index means is not known before the end of the list.
    pub fn item(&self, at: &[PlaceId]) -> Option<Counts> {
        let indexed = |place: &Place| -> Vec<PlaceId> {
            place.fields.iter().filter(|(name, _)| name.parse::<i64>().is_ok()).map(|(_, at)| *at).collect()
        };
        let places = at.iter().flat_map(|at| {
            let place = &self.0[*at];
            indexed(place).into_iter().chain(place.entries).chain(place.items)
        });
        self.counts(places.collect())
    }

    fn counts(&self, places: Places) -> Option<Counts> {
        if places.iter().any(|at| self.0[*at].whole) {
            return Some(Counts::Whole);
        }
        (!places.is_empty()).then_some(Counts::At(places))
    }
}
