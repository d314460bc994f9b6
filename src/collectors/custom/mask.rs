//! The fields of an object that paths reach, so that the reader skips all others, above all `managedFields`.
//!
//! A tree over all paths of a resource. It contains everything that may change a series: the whole value at the end of a label
//! path, and all entries of a map or list if its entries count.

use super::path::{Path, Step};

/// The index of a node.
pub(super) type NodeId = usize;

/// The node of the object.
pub(super) const ROOT: NodeId = 0;

#[derive(Clone, Debug, Default)]
struct Node {
    /// Whether the whole value counts.
    whole: bool,
    /// The node of each entry of a map or list, for any key.
    entries: Option<NodeId>,
    /// The node of each item of a list.
    items: Option<NodeId>,
    /// The nodes of the fields of a map.
    fields: Vec<(String, NodeId)>,
}

/// The tree.
#[derive(Clone, Debug)]
pub(super) struct Mask(Vec<Node>);

/// The nodes of a value: several, because paths overlap.
pub(super) type NodeIds = Vec<NodeId>;

/// The part of a value that counts.
pub(super) enum Counts {
    Whole,
    At(NodeIds),
}

impl Counts {
    /// Returns the nodes, or `None` if the whole value counts.
    pub fn into_narrow(self) -> Option<NodeIds> {
        match self {
            Self::Whole => None,
            Self::At(nodes) => Some(nodes),
        }
    }
}

impl Default for Mask {
    fn default() -> Self {
        Self(vec![Node::default()])
    }
}

impl Mask {
    /// Adds a path that starts at `from`, and returns the node of its end.
    pub fn add(&mut self, from: NodeId, path: &Path) -> NodeId {
        path.steps().iter().fold(from, |at, step| self.add_step(at, step))
    }

    /// Adds a step from `at`, and returns the node of its end.
    pub fn add_step(&mut self, at: NodeId, step: &Step) -> NodeId {
        match step {
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
        }
    }

    /// Adds the field at this path of names.
    pub fn add_fields(&mut self, names: &[&str]) {
        names.iter().fold(ROOT, |at, name| self.field_of(at, name));
    }

    /// Adds the whole value at `path`.
    pub fn add_whole(&mut self, from: NodeId, path: &Path) {
        let end = self.add(from, path);
        self.0[end].whole = true;
    }

    /// Returns the node of the entries of the map or list at `of`. Each entry counts, at least by its presence.
    pub fn entries_of(&mut self, of: NodeId) -> NodeId {
        if let Some(at) = self.0[of].entries {
            return at;
        }
        let at = self.new_node();
        self.0[of].entries = Some(at);
        at
    }

    fn items_of(&mut self, of: NodeId) -> NodeId {
        if let Some(at) = self.0[of].items {
            return at;
        }
        let at = self.new_node();
        self.0[of].items = Some(at);
        at
    }

    fn field_of(&mut self, of: NodeId, name: &str) -> NodeId {
        if let Some((_, at)) = self.0[of].fields.iter().find(|(field, _)| field == name) {
            return *at;
        }
        let at = self.new_node();
        self.0[of].fields.push((name.to_owned(), at));
        at
    }

    fn new_node(&mut self) -> NodeId {
        self.0.push(Node::default());
        self.0.len() - 1
    }

    /// Returns the names of the fields of the object that paths name.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.0[ROOT].fields.iter().map(|(name, _)| name.as_str())
    }

    /// Returns whether a path names these fields, one within the other.
    pub fn names(&self, fields: &[&str]) -> bool {
        let field =
            |at: NodeId, name: &&str| self.0[at].fields.iter().find(|(field, _)| field == name).map(|(_, at)| *at);
        fields.iter().try_fold(ROOT, field).is_some()
    }

    /// Returns the part of the object that counts.
    pub fn root(&self) -> Counts {
        self.counts(vec![ROOT]).unwrap_or(Counts::At(Vec::new()))
    }

    /// Returns the part of the field `name` that counts, in a map at `at`. `None` if no path reaches it.
    pub fn field(&self, at: &[NodeId], name: &str) -> Option<Counts> {
        let named = |node: &Node| node.fields.iter().find(|(field, _)| field == name).map(|(_, at)| *at);
        self.counts(at.iter().flat_map(|at| named(&self.0[*at]).into_iter().chain(self.0[*at].entries)).collect())
    }

    /// Returns the part of each item that counts, in a list at `at`. The item of a negative index is unknown until the list ends.
    pub fn item(&self, at: &[NodeId]) -> Option<Counts> {
        let indexed = |node: &Node| -> Vec<NodeId> {
            node.fields.iter().filter(|(name, _)| name.parse::<i64>().is_ok()).map(|(_, at)| *at).collect()
        };
        let nodes = at.iter().flat_map(|at| {
            let node = &self.0[*at];
            indexed(node).into_iter().chain(node.entries).chain(node.items)
        });
        self.counts(nodes.collect())
    }

    fn counts(&self, nodes: NodeIds) -> Option<Counts> {
        if nodes.iter().any(|at| self.0[*at].whole) {
            return Some(Counts::Whole);
        }
        (!nodes.is_empty()).then_some(Counts::At(nodes))
    }
}
