//! The parts of an object that change apart from each other. Families declare which of them they read.
//!
//! Intake cuts objects into parts by these declarations, and compares their fingerprints. If a family reads a part that it does
//! not declare, its series become stale. Therefore families read all parts unless they declare otherwise, and
//! `tests/it/parts.rs` compares what every family shows after changes of single fields.

pub use crate::exposition::Parts;

/// Everything that is not another part: metadata, spec, and whatever else an object has.
pub const DESIRED: Parts = Parts::one(0);
/// The observed state.
pub const STATUS: Parts = Parts::one(1);
/// The observed states of the containers of a pod.
pub const CONTAINERS: Parts = Parts::one(2);

/// The parts into which the objects of a kind are cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The parts besides [`DESIRED`], by JSON name of a field, or by field and field within. Later lines win.
    pub parts: &'static [(&'static str, Parts)],
    /// The lists of `fields.txt`, by the last word of their headings, that are enough to collect the families of these parts.
    pub views: &'static [(&'static str, Parts)],
    /// The same for [`FieldSet::More`].
    pub more_views: &'static [(&'static str, Parts)],
}

/// The fields of the objects of a kind that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldSet {
    /// Those of the families that are served without being asked for, and of opt-in families that need no others.
    Usual,
    /// All that any family reads: the list with a `+` in `fields.txt`.
    More,
}

impl Cut {
    /// An object is one part.
    pub const NONE: Self = Self { parts: &[], views: &[], more_views: &[] };
    /// The status is a part.
    pub const STATUS: Self = Self { parts: &[("status", STATUS)], views: &[("status", STATUS)], more_views: &[] };

    /// Returns the number of parts.
    pub fn count(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.index() + 1).max().unwrap_or(1)
    }

    /// Returns the name of the first list that is enough for the families that read `changed`.
    pub fn view(&self, fields: FieldSet, changed: Parts) -> Option<&'static str> {
        let views = match fields {
            FieldSet::Usual => self.views,
            FieldSet::More => self.more_views,
        };
        views.iter().find(|(_, parts)| parts.covers(changed)).map(|(name, _)| *name)
    }
}
