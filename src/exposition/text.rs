//! The writers of both text formats: Prometheus text 0.0.4 and OpenMetrics, as kube-state-metrics prints them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::block::Cursor;
use super::store::Joined;
use super::{Block, Header, MetricType};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Text,
    /// `application/openmetrics-text`: names stay as they are, info and stateset stand in TYPE, `# EOF` ends it.
    OpenMetrics,
}

impl Format {
    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Which resources a scrape wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// These, unless also excluded.
    Only(BTreeSet<String>, BTreeSet<String>),
    /// All but these.
    Except(BTreeSet<String>),
}

impl Selection {
    pub(super) fn selects(&self, resource: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(wanted, unwanted) => wanted.contains(resource) && !unwanted.contains(resource),
            Self::Except(unwanted) => !unwanted.contains(resource),
        }
    }
}

/// How much text is made at a time.
const CHUNK: usize = 128 << 10;

/// One answer to a scrape: an iterator over chunks of text. It holds the blocks that it will print, and one chunk.
#[derive(Debug)]
pub struct Scrape {
    families: Arc<Vec<Joined>>,
    /// The blocks of each resource, `None` where it is not selected.
    snapshots: Vec<Option<Vec<Arc<Block>>>>,
    cursors: Vec<Vec<Cursor>>,
    format: Format,
    /// Where to go on: family, member of the family, object.
    family: usize,
    member: usize,
    object: usize,
    /// Whether the current family's HELP and TYPE are out.
    headed: bool,
    ended: bool,
}

impl Scrape {
    pub(super) fn new(families: Arc<Vec<Joined>>, snapshots: Vec<Option<Vec<Arc<Block>>>>, format: Format) -> Self {
        let cursors = snapshots.iter().map(|s| s.iter().flatten().map(|block| block.start()).collect()).collect();
        Self { families, snapshots, cursors, format, family: 0, member: 0, object: 0, headed: false, ended: false }
    }

    /// Writes what is left of the current member; whether it is done.
    fn write_member(&mut self, out: &mut Vec<u8>) -> bool {
        let family = &self.families[self.family];
        let (resource, index) = family.members[self.member];
        let Some(blocks) = &self.snapshots[resource] else { return true };
        let name = family.header.name.as_bytes();
        while self.object < blocks.len() {
            if out.len() >= CHUNK {
                return false;
            }
            let block = &blocks[self.object];
            // Resources list their families in one order, so cursors only move on; a family that joins an
            // earlier one of another resource is out of that order and searched from the start.
            let mut searched = block.start();
            let cursor = if self.member == 0 { &mut self.cursors[resource][self.object] } else { &mut searched };
            self.object += 1;
            let Some(lines) = block.family(cursor, index) else { continue };
            let labels = block.labels();
            for line in lines {
                out.extend_from_slice(name);
                if !(labels.is_empty() && line.suffix.is_empty()) {
                    out.push(b'{');
                    out.extend_from_slice(labels);
                    out.extend_from_slice(line.suffix);
                    out.push(b'}');
                }
                out.push(b' ');
                out.extend_from_slice(line.value);
                out.push(b'\n');
            }
        }
        true
    }
}

impl Iterator for Scrape {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut out = Vec::with_capacity(CHUNK + CHUNK / 8);
        while let Some(family) = self.families.get(self.family) {
            if !self.headed && family.members.iter().any(|(r, _)| self.snapshots[*r].is_some()) {
                write_header(&mut out, &family.header, self.format);
                self.headed = true;
            }
            while self.member < self.families[self.family].members.len() {
                if !self.write_member(&mut out) {
                    return Some(out.into());
                }
                self.member += 1;
                self.object = 0;
            }
            self.family += 1;
            self.member = 0;
            self.headed = false;
            if out.len() >= CHUNK {
                return Some(out.into());
            }
        }
        self.ended = true;
        if self.format == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
        (!out.is_empty()).then(|| out.into())
    }
}

fn write_header(out: &mut Vec<u8>, header: &Header, format: Format) {
    let open = format == Format::OpenMetrics;
    out.extend_from_slice(b"# HELP ");
    out.extend_from_slice(header.name.as_bytes());
    out.push(b' ');
    for byte in header.help.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if open => out.extend_from_slice(b"\\\""),
            other => out.push(other),
        }
    }
    out.extend_from_slice(b"\n# TYPE ");
    out.extend_from_slice(header.name.as_bytes());
    out.extend_from_slice(match header.kind {
        MetricType::Counter => b" counter\n".as_slice(),
        MetricType::Info if open => b" info\n",
        MetricType::StateSet if open => b" stateset\n",
        MetricType::Gauge | MetricType::Info | MetricType::StateSet => b" gauge\n",
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::{BlockBuilder, Stamp, Store, Uid};
    use crate::sharding::{Hashes, Slice};

    const STAMP: Stamp = Stamp { version: 1, listed: false };

    fn header(name: &str, kind: MetricType) -> Header {
        Header { name: name.into(), help: "One \"thing\",\na \\ line.".into(), kind }
    }

    fn text(store: &Store, selection: &Selection, format: Format) -> String {
        let chunks: Vec<u8> = store.scrape(selection, format, &Slice::all()).flatten().collect();
        String::from_utf8(chunks).expect("UTF-8")
    }

    fn selected(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    /// Two resources of which the second joins a family of the first and has its own in another order.
    fn store() -> Store {
        let mut builder = Store::builder();
        let first = builder.resource("as", &[header("x", MetricType::Gauge), header("y", MetricType::Info)]);
        let second = builder.resource(
            "bs",
            &[header("z", MetricType::Counter), header("y", MetricType::Info), header("x", MetricType::Gauge)],
        );
        let store = builder.build();
        for (id, object) in [(first, "a"), (second, "b")] {
            let mut block = BlockBuilder::new(&[("object", object)]);
            for family in 0..3 {
                block.family(family, |s| s.sample(&[("l", "back\\slash \"quote\"\nline")], f64::from(family)));
            }
            store.resource(id).apply(0, Uid::from(object), Hashes::default(), STAMP, block.finish());
        }
        store
    }

    const LABEL: &str = r#"l="back\\slash \"quote\"\nline""#;

    #[test]
    fn a_family_of_two_resources_stands_together_under_one_header() {
        let expected = format!(
            "# HELP x One \"thing\",\\na \\\\ line.\n# TYPE x gauge\nx{{object=\"a\",{LABEL}}} 0\nx{{object=\"b\",{LABEL}}} 2\n\
             # HELP y One \"thing\",\\na \\\\ line.\n# TYPE y gauge\ny{{object=\"a\",{LABEL}}} 1\ny{{object=\"b\",{LABEL}}} 1\n\
             # HELP z One \"thing\",\\na \\\\ line.\n# TYPE z counter\nz{{object=\"b\",{LABEL}}} 0\n"
        );
        assert_eq!(text(&store(), &Selection::All, Format::Text), expected);
    }

    #[test]
    fn open_metrics_names_types_in_full_escapes_quotes_in_help_and_ends() {
        let open = text(&store(), &Selection::All, Format::OpenMetrics);
        assert!(open.contains("# HELP y One \\\"thing\\\",\\na \\\\ line.\n# TYPE y info\n"), "{open}");
        assert!(open.ends_with("\n# EOF\n"));
    }

    #[test]
    fn a_selection_leaves_out_series_and_headers() {
        let store = store();
        let only = |wanted: &[&str], unwanted: &[&str]| {
            text(&store, &Selection::Only(selected(wanted), selected(unwanted)), Format::Text)
        };
        assert_eq!(only(&["as"], &[]).matches("# TYPE").count(), 2);
        assert_eq!(only(&["bs"], &[]).matches("# TYPE").count(), 3);
        assert_eq!(only(&["as", "bs"], &["bs"]), only(&["as"], &[]));
        assert_eq!(only(&[], &[]), "");
        assert_eq!(text(&store, &Selection::Except(selected(&["bs"])), Format::Text), only(&["as"], &[]));
    }

    #[test]
    fn a_repeated_label_set_is_printed_once_and_the_first_counts() {
        let mut builder = Store::builder();
        let id = builder.resource("as", &[header("x", MetricType::Gauge)]);
        let store = builder.build();
        for object in ["1", "2"] {
            let mut block = BlockBuilder::new(&[]);
            block.family(0, |s| {
                s.sample(&[], 1.0);
                s.sample(&[("a", "b")], 2.0);
                s.sample(&[("a", "b")], 3.0);
                s.sample(&[], 4.0);
            });
            store.resource(id).apply(0, Uid::from(object), Hashes::default(), STAMP, block.finish());
        }
        let series = text(&store, &Selection::All, Format::Text);
        let series: Vec<_> = series.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(series, ["x 1", "x{a=\"b\"} 2", "x 1", "x{a=\"b\"} 2"]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(24))]
        #[test]
        fn wherever_a_chunk_ends_nothing_is_lost_or_repeated(objects in 0_usize..3000, padding in 0_usize..200) {
            let mut builder = Store::builder();
            let headers = [header("x", MetricType::Gauge), header(&"y".repeat(100), MetricType::Gauge)];
            let id = builder.resource("as", &headers);
            let store = builder.build();
            for object in 0..objects {
                let name = object.to_string();
                let mut block = BlockBuilder::new(&[("object", &name), ("padding", &"p".repeat(padding))]);
                block.family(0, |s| s.sample(&[], 0.0));
                block.family(1, |s| s.sample(&[], 0.0));
                store.resource(id).apply(0, Uid::from(name.as_str()), Hashes::default(), STAMP, block.finish());
            }
            let text = text(&store, &Selection::All, Format::Text);
            let lines: BTreeSet<_> = text.lines().collect();
            proptest::prop_assert_eq!(text.lines().count(), 2 * objects + 4);
            proptest::prop_assert_eq!(lines.len(), 2 * objects + 4);
        }
    }
}
