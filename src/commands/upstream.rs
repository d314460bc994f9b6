//! The flags of kube-state-metrics v2.20.0, as facts.

/// Name, type and default, after a line of headings.
const FLAGS: &str = include_str!("docs/ksm-flags.tsv");

/// A flag there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UpstreamFlag {
    /// Without its hyphens.
    pub name: &'static str,
    /// Whether it needs no value.
    pub is_switch: bool,
    /// As its help shows it, empty for none.
    pub default: &'static str,
}

/// All of them.
pub(super) fn flags() -> impl Iterator<Item = UpstreamFlag> {
    FLAGS.lines().skip(1).filter_map(|line| {
        let mut columns = line.split('\t');
        let name = columns.next()?;
        let kind = columns.next().unwrap_or_default();
        Some(UpstreamFlag { name, is_switch: kind == "bool", default: columns.next().unwrap_or_default() })
    })
}

/// That of this name.
pub(super) fn flag(name: &str) -> Option<UpstreamFlag> {
    flags().find(|flag| flag.name == name)
}
