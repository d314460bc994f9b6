//! The flags of kube-state-metrics v2.20.0, with their types and defaults.

/// Name, type and default, after a header line.
const FLAGS: &str = include_str!("docs/ksm-flags.tsv");

/// A flag of kube-state-metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UpstreamFlag {
    /// Without dashes.
    pub name: &'static str,
    /// Whether it is a boolean, so that its value is optional.
    pub is_switch: bool,
    /// As in its help; empty for none.
    pub default: &'static str,
}

/// Returns all flags.
pub(super) fn flags() -> impl Iterator<Item = UpstreamFlag> {
    FLAGS.lines().skip(1).filter_map(|line| {
        let mut columns = line.split('\t');
        let name = columns.next()?;
        let kind = columns.next().unwrap_or_default();
        Some(UpstreamFlag { name, is_switch: kind == "bool", default: columns.next().unwrap_or_default() })
    })
}

/// Returns the flag `name`.
pub(super) fn flag(name: &str) -> Option<UpstreamFlag> {
    flags().find(|flag| flag.name == name)
}
