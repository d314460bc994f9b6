//! Paths that iterate, and paths that go back: the steps `[*]`, `[..]` and `[key]`, which kube-state-metrics rejects.
//!
//! A [`Walk`] leads from a value to any number of ends. Each end is known with its [`Trail`], the values on the way to it, so that a
//! [`Reach`] can go back along the path. The cost of a walk is bounded by its steps times the size of the object.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use super::mask::{Mask, NodeId};
use super::path::{Path, PathError, Step};
use super::value::Value;

/// The step to each item of a list or entry of a map.
pub const EACH: &str = "[*]";
/// The step back along a path.
pub const BACK: &str = "[..]";
/// The step to the key of an entry.
pub const KEY: &str = "[key]";

/// Why a path with such steps is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// A step is invalid.
    #[error(transparent)]
    Step(#[from] PathError),
    /// A step that is not possible here.
    #[error("{0:?} is not possible here: {1}")]
    Misplaced(&'static str, &'static str),
}

/// Whether a step is one of those that kube-state-metrics rejects.
pub fn is_extended(step: &str) -> bool {
    [EACH, BACK, KEY].contains(&step)
}

#[derive(Clone, Debug, PartialEq)]
enum WalkStep {
    To(Step),
    Each,
}

/// A path in which `[*]` stands for each item of a list or entry of a map. `null` is no entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Walk(Vec<WalkStep>);

/// The place of a value in the value before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'v> {
    Start,
    Field(&'v str),
    Index(usize),
}

impl<'v> Place<'v> {
    fn text(self) -> Option<Cow<'v, str>> {
        match self {
            Self::Start => None,
            Self::Field(name) => Some(Cow::Borrowed(name)),
            Self::Index(index) => Some(Cow::Owned(index.to_string())),
        }
    }
}

/// The values on the way to an end, which is the last one.
pub(super) type Trail<'v, 'a> = Vec<(Option<&'v Value<'a>>, Place<'v>)>;

impl Walk {
    /// Parses a path from its parts.
    ///
    /// # Errors
    /// A part is in brackets and neither a lookup nor `[*]`.
    pub fn new<S: AsRef<str>>(parts: impl IntoIterator<Item = S>) -> Result<Self, WalkError> {
        let step = |part: S| match part.as_ref() {
            EACH => Ok(WalkStep::Each),
            BACK => Err(WalkError::Misplaced(BACK, "only labels and valueFrom go back along a path")),
            KEY => Err(WalkError::Misplaced(KEY, "only labels and valueFrom read a key")),
            part => Ok(WalkStep::To(Step::new(part)?)),
        };
        parts.into_iter().map(step).collect::<Result<_, _>>().map(Self)
    }

    /// The number of steps.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no steps.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it may have more than one end.
    pub fn iterates(&self) -> bool {
        self.0.contains(&WalkStep::Each)
    }

    /// The number of steps behind the last `[*]`, if there is one.
    pub fn behind_last_each(&self) -> Option<usize> {
        self.0.iter().rev().position(|step| *step == WalkStep::Each)
    }

    /// Calls `visit` with the trail to each end. A path without `[*]` has one end, at which there may be nothing; so have the steps behind
    /// the last `[*]`. `visit` returns whether to continue.
    pub(super) fn ends<'v, 'a>(&'v self, from: Option<&'v Value<'a>>, visit: &mut dyn FnMut(&Trail<'v, 'a>) -> bool) {
        let mut trail = vec![(from.and_then(Value::present), Place::Start)];
        descend(&self.0, &mut trail, visit);
    }

    /// Adds the values on the way to the mask. Returns their nodes.
    pub(super) fn need(&self, mask: &mut Mask, from: NodeId) -> Vec<NodeId> {
        let mut nodes = vec![from];
        let mut at = from;
        for step in &self.0 {
            at = match step {
                WalkStep::To(step) => mask.add_step(at, step),
                WalkStep::Each => mask.entries_of(at),
            };
            nodes.push(at);
        }
        nodes
    }
}

/// Continues a trail with `steps`. Only `[*]` recurses, and only into a list or map, so the depth is that of the object.
fn descend<'v, 'a>(
    steps: &'v [WalkStep],
    trail: &mut Trail<'v, 'a>,
    visit: &mut dyn FnMut(&Trail<'v, 'a>) -> bool,
) -> bool {
    let before = trail.len();
    let mut go_on = true;
    let mut at_end = true;
    for (index, step) in steps.iter().enumerate() {
        let value = trail.last().and_then(|(value, _)| *value);
        match step {
            WalkStep::To(step) => {
                let next = value.and_then(|value| step.get(value));
                let place = match (step, value) {
                    (Step::Find { .. }, Some(Value::List(items))) => {
                        let is_next = |item: &_| next.is_some_and(|next| std::ptr::eq(item, next));
                        items.iter().position(is_next).map_or(Place::Start, Place::Index)
                    }
                    (Step::Find { .. }, _) => Place::Start,
                    (Step::Field { name, .. }, _) => Place::Field(name),
                };
                trail.push((next, place));
            }
            WalkStep::Each => {
                at_end = false;
                let rest = &steps[index + 1..];
                let mut entry = |value: &'v Value<'a>, place, trail: &mut Trail<'v, 'a>| {
                    let Some(value) = value.present() else { return true };
                    trail.push((Some(value), place));
                    let go_on = descend(rest, trail, visit);
                    trail.pop();
                    go_on
                };
                go_on = match value {
                    Some(Value::List(items)) => {
                        items.iter().enumerate().all(|(at, item)| entry(item, Place::Index(at), trail))
                    }
                    Some(Value::Map(fields)) => fields.iter().all(|(key, item)| entry(item, Place::Field(key), trail)),
                    _ => true,
                };
                break;
            }
        }
    }
    if at_end {
        go_on = visit(trail);
    }
    trail.truncate(before);
    go_on
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, step) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            match step {
                WalkStep::To(step) => write!(f, "{step}")?,
                WalkStep::Each => f.write_str(EACH)?,
            }
        }
        f.write_str("]")
    }
}

/// Shows the place of an end: its path with keys and indices in place of `[*]`.
pub(super) struct Shown<'t, 'v, 'a>(pub &'t Trail<'v, 'a>);

impl fmt::Display for Shown<'_, '_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, (_, place)) in self.0.iter().skip(1).enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            f.write_str(&place.text().unwrap_or_default())?;
        }
        f.write_str("]")
    }
}

/// A path from an end: first any steps back, then the key there or a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reach {
    back: usize,
    key: bool,
    path: Path,
}

impl Reach {
    /// Parses a path from the ends of a path with `steps` steps.
    ///
    /// # Errors
    /// A part is in brackets and no lookup, or a step of this module stands where it means nothing.
    pub fn new<S: AsRef<str>>(parts: &[S], steps: usize) -> Result<Self, WalkError> {
        let back = parts.iter().take_while(|part| part.as_ref() == BACK).count();
        let mut rest = &parts[back..];
        if back > steps {
            return Err(WalkError::Misplaced(BACK, "it leads back beyond the object, where the path begins"));
        }
        let key = rest.first().is_some_and(|part| part.as_ref() == KEY);
        if key {
            rest = &rest[1..];
            if back == steps {
                return Err(WalkError::Misplaced(KEY, "the object itself has no key"));
            }
            if !rest.is_empty() {
                return Err(WalkError::Misplaced(KEY, "a key is a text; end the path with it"));
            }
        }
        for part in rest {
            match part.as_ref() {
                EACH => return Err(WalkError::Misplaced(EACH, "only path, count and sum iterate")),
                BACK => return Err(WalkError::Misplaced(BACK, "go back first, and forward then")),
                KEY => {
                    return Err(WalkError::Misplaced(
                        KEY,
                        "a key is that of an entry of the path, or of one before it",
                    ));
                }
                _ => {}
            }
        }
        Ok(Self { back, key, path: Path::new(rest)? })
    }

    /// The key of the end that is `back` steps before the last one.
    pub fn key(back: usize) -> Self {
        Self { back, key: true, path: Path::default() }
    }

    /// Whether many ends may read the same value.
    pub fn goes_back(&self) -> bool {
        self.back > 0
    }

    /// The path from where it goes back to.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where its path begins. `None` if there is nothing.
    pub(super) fn start<'v, 'a>(&self, trail: &Trail<'v, 'a>) -> Option<(Option<&'v Value<'a>>, Place<'v>)> {
        trail.get(trail.len().checked_sub(1 + self.back)?).copied()
    }

    /// Returns the value at the path. `memory` belongs to one walk.
    pub(super) fn get<'v, 'a>(&self, trail: &Trail<'v, 'a>, memory: &mut Memory<'v, 'a>) -> Option<Found<'v, 'a>> {
        let (value, place) = self.start(trail)?;
        if self.key {
            return place.text().map(Found::Key);
        }
        let found = match value {
            Some(value) if self.goes_back() => memory.found(&self.path, value),
            value => self.path.get(value),
        };
        found.map(Found::Value)
    }

    /// Adds the whole value at the path to the mask, whose nodes are those of the way to the end.
    pub(super) fn need(&self, mask: &mut Mask, nodes: &[NodeId], whole: bool) {
        let Some(at) = nodes.len().checked_sub(1 + self.back).and_then(|at| nodes.get(at)) else { return };
        if self.key {
            return;
        }
        if whole {
            mask.add_whole(*at, &self.path);
        } else {
            mask.add(*at, &self.path);
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let back = std::iter::repeat_n(BACK, self.back);
        let parts: Vec<_> = back.chain(self.key.then_some(KEY)).map(str::to_owned).collect();
        let path = self.path.steps().iter().map(ToString::to_string);
        write!(f, "[{}]", parts.into_iter().chain(path).collect::<Vec<_>>().join(", "))
    }
}

/// What paths from values before the ends led to. A walk comes to all ends behind a value before it comes to the next value, so the last
/// value of each path suffices. Without this, each entry of a list could look through the whole list.
#[derive(Debug, Default)]
pub(super) struct Memory<'v, 'a>(HashMap<*const Path, Known<'v, 'a>>);

#[derive(Debug)]
struct Known<'v, 'a> {
    from: &'v Value<'a>,
    found: Option<&'v Value<'a>>,
}

impl<'v, 'a> Memory<'v, 'a> {
    /// Returns whether this is another value than at the last call with this path.
    pub fn is_new(&mut self, path: &Path, from: &'v Value<'a>) -> bool {
        let before = self.0.insert(path, Known { from, found: None });
        before.is_none_or(|before| !std::ptr::eq(before.from, from))
    }

    fn found(&mut self, path: &Path, from: &'v Value<'a>) -> Option<&'v Value<'a>> {
        let find = || Known { from, found: path.get(Some(from)) };
        let known = self.0.entry(path).or_insert_with(find);
        if !std::ptr::eq(known.from, from) {
            *known = find();
        }
        known.found
    }
}

/// A value, or the key of one.
#[derive(Clone, Debug)]
pub(super) enum Found<'v, 'a> {
    Value(&'v Value<'a>),
    Key(Cow<'v, str>),
}

impl<'v> Found<'v, '_> {
    /// The text of a label.
    pub fn label(self) -> Cow<'v, str> {
        match self {
            Self::Value(value) => value.label(),
            Self::Key(key) => key,
        }
    }
}
