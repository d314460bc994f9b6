//! Prints the estimate, as text or as JSON.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::iter::Sum;

use serde::Serialize;

use crate::commands::output::columns;

/// Maximum number of families, and of labels, in the table.
const MAX_ROWS: usize = 20;

/// Rows for what belongs to no resource or family.
const HEADERS: &str = "(HELP and TYPE lines)";
const SHARED: &str = "(labels of objects)";

/// The number of series and their size in bytes. Memory includes the series and their cached compressed text.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Weight {
    pub series: u64,
    /// Uncompressed.
    pub text_bytes: u64,
    pub gzip_bytes: u64,
    pub memory_bytes: u64,
}

impl Sum for Weight {
    fn sum<I: Iterator<Item = Self>>(weights: I) -> Self {
        weights.fold(Self::default(), |a, b| Self {
            series: a.series + b.series,
            text_bytes: a.text_bytes + b.text_bytes,
            gzip_bytes: a.gzip_bytes + b.gzip_bytes,
            memory_bytes: a.memory_bytes + b.memory_bytes,
        })
    }
}

/// The estimate of a cluster. The sizes of text and gzip are those of one scrape, including HELP and TYPE lines.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub objects: u64,
    #[serde(flatten)]
    pub weight: Weight,
    /// The part of it that belongs to no series: HELP and TYPE lines, and the frame of gzip. Each replica has it.
    pub headers: Weight,
    pub replicas: Replicas,
    pub resources: Vec<Resource>,
    pub entries: Vec<Entry>,
}

/// The recommended number of replicas.
#[derive(Debug, Serialize)]
pub(super) struct Replicas {
    /// The maximum size of an uncompressed scrape of a replica, in bytes.
    pub scrape_size: u64,
    /// The smallest number with which no scrape is larger; `None` if there is none.
    pub count: Option<u32>,
    /// The size of the largest scrape with this number.
    pub largest_text_bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Resource {
    #[serde(rename = "resource")]
    pub name: String,
    pub objects: u64,
    /// The part of the memory that belongs to no family: the labels of the objects.
    pub shared_memory_bytes: u64,
    #[serde(flatten)]
    pub weight: Weight,
    pub families: Vec<Family>,
    pub labels: Vec<Label>,
}

#[derive(Debug, Serialize)]
pub(super) struct Family {
    #[serde(rename = "family")]
    pub name: String,
    #[serde(flatten)]
    pub weight: Weight,
}

/// A label, summed over all series of a resource.
#[derive(Debug, Serialize)]
pub(super) struct Label {
    #[serde(rename = "label")]
    pub name: String,
    /// The number of distinct values.
    pub values: u64,
    pub series: u64,
    pub text_bytes: u64,
}

/// The series and bytes that an entry of an allowlist adds.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub flag: &'static str,
    pub entry: String,
    pub series: u64,
    pub text_bytes: u64,
}

impl Weight {
    /// Returns the columns series, text, gzipped and memory of a table.
    fn cells(self) -> [String; 4] {
        [number(self.series), bytes(self.text_bytes), bytes(self.gzip_bytes), bytes(self.memory_bytes)]
    }
}

/// Prints the full estimate as JSON.
pub(super) fn json(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}

/// Prints a summary as text.
pub(super) fn table(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let Report { objects, weight: Weight { series, text_bytes, gzip_bytes, memory_bytes }, .. } = report;
    writeln!(out, "{} objects, {} series", number(*objects), number(*series))?;
    writeln!(out, "size of a full scrape: {} as text, {} gzipped", bytes(*text_bytes), bytes(*gzip_bytes))?;
    writeln!(
        out,
        "memory: {} for series and their compressed text, in addition to the program itself",
        bytes(*memory_bytes)
    )?;
    writeln!(out, "{}", advice(&report.replicas))?;

    let mut resources: Vec<_> = report.resources.iter().filter(|r| r.objects > 0).collect();
    resources.sort_by_key(|r| Reverse(r.weight.text_bytes));
    let rows = resources.iter().map(|r| {
        let [series, text, gzipped, memory] = r.weight.cells();
        [r.name.clone(), number(r.objects), series, text, gzipped, memory]
    });
    let headers = [bytes(report.headers.text_bytes), bytes(report.headers.gzip_bytes)];
    let [text, gzipped] = headers.clone();
    let rows = rows.chain([[HEADERS.to_owned(), String::new(), String::new(), text, gzipped, String::new()]]);
    columns(out, ["resource", "objects", "series", "text", "gzipped", "memory"], rows)?;

    let families = report.resources.iter().flat_map(|r| &r.families).filter(|f| f.weight.series > 0);
    let mut families: Vec<_> = families.collect();
    families.sort_by_key(|f| Reverse(f.weight.text_bytes));
    let rows = families.iter().take(MAX_ROWS).map(|f| {
        let [series, text, gzipped, memory] = f.weight.cells();
        [f.name.clone(), series, text, gzipped, memory, share(f.weight.text_bytes, *text_bytes)]
    });
    // What belongs to no family, so that the parts add up.
    let [text, gzipped] = headers;
    let part = share(report.headers.text_bytes, *text_bytes);
    let shared = bytes(report.resources.iter().map(|r| r.shared_memory_bytes).sum());
    let rest = [
        [HEADERS.to_owned(), String::new(), text, gzipped, String::new(), part],
        [SHARED.to_owned(), String::new(), String::new(), String::new(), shared, String::new()],
    ];
    let rows = rows.chain(rest);
    columns(out, ["family", "series", "text", "gzipped", "memory", "share"], rows)?;
    more(out, families.len(), "families")?;

    let labels = report.resources.iter().flat_map(|r| r.labels.iter().map(move |label| (&r.name, label)));
    let mut labels: Vec<_> = labels.collect();
    labels.sort_by_key(|(_, label)| Reverse(label.text_bytes));
    let rows = labels.iter().take(MAX_ROWS).map(|(resource, l)| {
        let share = share(l.text_bytes, *text_bytes);
        [format!("{resource}: {}", l.name), number(l.values), number(l.series), bytes(l.text_bytes), share]
    });
    columns(out, ["label", "values", "series", "text", "share"], rows)?;
    more(out, labels.len(), "labels")?;

    if !report.entries.is_empty() {
        let rows = report.entries.iter().map(|e| {
            [format!("{} {}", e.flag, e.entry), number(e.series), bytes(e.text_bytes), share(e.text_bytes, *text_bytes)]
        });
        columns(out, ["allowlist entry", "series", "text", "share"], rows)?;
    }
    out.flush()
}

fn advice(replicas: &Replicas) -> String {
    let limit = bytes(replicas.scrape_size);
    let largest = bytes(replicas.largest_text_bytes);
    match replicas.count {
        Some(1) => format!("replicas: 1; its scrape has {largest}, the limit is {limit} (--scrape-size)"),
        Some(count) => {
            format!("replicas: {count}; the largest scrape has {largest}, the limit is {limit} (--scrape-size)")
        }
        None => format!(
            "replicas: no number meets the limit of {limit} (--scrape-size); exclude families, or raise the limit"
        ),
    }
}

fn more(out: &mut dyn Write, all: usize, what: &str) -> io::Result<()> {
    match all.checked_sub(MAX_ROWS) {
        Some(left @ 1..) => writeln!(out, "and {left} more {what} (use --output json to list all)"),
        _ => Ok(()),
    }
}

/// Formats a number with commas between thousands.
fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats bytes in the unit that leaves one to three digits before the point.
fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut scaled = value as f64;
    let mut unit = 0;
    while scaled >= 999.95 && unit + 1 < UNITS.len() {
        scaled /= 1e3;
        unit += 1;
    }
    if unit == 0 { format!("{value} B") } else { format!("{scaled:.1} {}", UNITS[unit]) }
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "0 %".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bytes_are_easy_to_read() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 999, 1000, 999_949, 999_950, 1_500_000_000].map(bytes),
            ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.5 GB"]
        );
        assert_eq!([share(0, 0), share(1, 8)], ["0 %", "12.5 %"]);
    }
}
