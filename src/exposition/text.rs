//! The text formats: Prometheus text 0.0.4 and OpenMetrics, as kube-state-metrics prints them.

use std::collections::BTreeSet;

use super::block::lines;
use super::header::{Header, MetricType};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Text,
    /// `application/openmetrics-text`: names are unchanged, TYPE may be info and stateset, `# EOF` ends the text.
    OpenMetrics,
}

impl Format {
    /// Returns the value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The resources that a scrape selects.
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

/// Returns the end of a text.
pub(super) const fn end(format: Format) -> &'static [u8] {
    match format {
        Format::Text => b"",
        Format::OpenMetrics => b"# EOF\n",
    }
}

/// Writes the series of one object in the family `name`, one per line. `labels` are those that all series of the object share, from
/// the brace on. Of series that carry all others themselves, they are those of the Namespace, from a comma on.
pub(super) fn write_series(out: &mut Vec<u8>, name: &[u8], labels: &[u8], section: &[u8]) {
    for line in lines(section) {
        out.extend_from_slice(name);
        let rest = write_first_labels(out, labels, line);
        out.extend_from_slice(rest);
    }
}

/// Writes `labels`, as [`write_series`] takes them. Returns the rest of the line.
fn write_first_labels<'l>(out: &mut Vec<u8>, labels: &[u8], line: &'l [u8]) -> &'l [u8] {
    let Some(of_namespace) = labels.strip_prefix(b",") else {
        out.extend_from_slice(labels);
        return line;
    };
    out.push(b'{');
    out.extend_from_slice(of_namespace);
    let own = line.strip_prefix(b"{");
    out.push(if own.is_some() { b',' } else { b'}' });
    own.unwrap_or(line)
}

/// Like [`write_series`], with a timestamp behind each value, as [`timestamp`] returns it.
pub(super) fn write_timed_series(out: &mut Vec<u8>, name: &[u8], labels: &[u8], section: &[u8], timestamp: &[u8]) {
    for line in lines(section) {
        out.extend_from_slice(name);
        let rest = write_first_labels(out, labels, line);
        out.extend_from_slice(rest.strip_suffix(b"\n").unwrap_or(rest));
        out.extend_from_slice(timestamp);
    }
}

/// Returns the end of a line with this timestamp, in Unix milliseconds. The text format counts milliseconds, OpenMetrics
/// seconds.
pub(super) fn timestamp(millis: u64, format: Format) -> Box<[u8]> {
    let text = match format {
        Format::Text => format!(" {millis}\n"),
        Format::OpenMetrics => format!(" {}.{:03}\n", millis / 1000, millis % 1000),
    };
    text.into_bytes().into_boxed_slice()
}

/// Writes the header of a family.
pub(super) fn write_header(out: &mut Vec<u8>, header: &Header, format: Format) {
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
