//! Counts the series and bytes of an exposition by family, and those of its labels. No I/O.

use std::collections::{BTreeMap, HashSet};

use memchr::{memchr, memchr2};
use twox_hash::XxHash64;

/// The counts of the text read so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Counts by the name of the family.
    pub families: BTreeMap<String, Count>,
    /// Counts by the name of the label.
    pub labels: BTreeMap<String, Label>,
    /// The beginning of an incomplete line.
    rest: Vec<u8>,
}

/// The number of series, and the size of their text with line feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub series: u64,
    pub bytes: u64,
}

/// A label of some series.
#[derive(Debug, Default)]
pub(super) struct Label {
    /// The hashes of its distinct values.
    pub values: HashSet<u64>,
    /// The number of series that have it.
    pub series: u64,
    /// The bytes that it adds to their text: name, value and punctuation.
    pub bytes: u64,
}

impl Tally {
    /// Reads the next chunk of the text.
    pub fn read(&mut self, text: &[u8]) {
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(text);
        let mut start = 0;
        while let Some(length) = memchr(b'\n', &rest[start..]) {
            self.line(&rest[start..start + length]);
            start += length + 1;
        }
        rest.drain(..start);
        self.rest = rest;
    }

    fn line(&mut self, line: &[u8]) {
        if matches!(line.first(), None | Some(b'#')) {
            return;
        }
        let name = memchr2(b'{', b' ', line).unwrap_or(line.len());
        with(&mut self.families, &line[..name], |count: &mut Count| {
            count.series += 1;
            count.bytes += line.len() as u64 + 1;
        });
        let Some((b'{', mut labels)) = line[name..].split_first().map(|(first, rest)| (*first, rest)) else { return };
        while let Some(equals) = memchr(b'=', labels) {
            let (name, quoted) = (&labels[..equals], &labels[equals + 1..]);
            let value = quoted_length(quoted);
            with(&mut self.labels, name, |label: &mut Label| {
                label.values.insert(XxHash64::oneshot(0, &quoted[..value]));
                label.series += 1;
                // Includes the comma or brace that follows.
                label.bytes += (name.len() + 1 + value + 1) as u64;
            });
            match quoted.get(value) {
                Some(b',') => labels = &quoted[value + 1..],
                _ => return,
            }
        }
    }
}

/// Returns the length of the quoted value at the beginning of `text`, including the quotes.
fn quoted_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(next) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += next;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// Changes the value of a name. Copies the name only the first time, since there are few names and many lines.
fn with<T: Default>(map: &mut BTreeMap<String, T>, name: &[u8], change: impl FnOnce(&mut T)) {
    let name = std::str::from_utf8(name).unwrap_or_default();
    match map.get_mut(name) {
        Some(value) => change(value),
        None => change(map.entry(name.to_owned()).or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a b\n# TYPE a gauge\na{x=\"1\",y=\"q\\\"}, \\\\\"} 1\na{x=\"2\"} 1\nb 3\n";

    #[test]
    fn series_bytes_and_labels_are_counted_wherever_the_text_is_cut() {
        for cut in 0..TEXT.len() {
            let mut tally = Tally::default();
            let (first, second) = TEXT.as_bytes().split_at(cut);
            tally.read(first);
            tally.read(second);
            assert_eq!(tally.families["a"], Count { series: 2, bytes: 35 });
            assert_eq!(tally.families["b"], Count { series: 1, bytes: 4 });
            let label = |name: &str| {
                let label = &tally.labels[name];
                (label.values.len(), label.series, label.bytes)
            };
            assert_eq!((label("x"), label("y")), ((2, 2, 12), (1, 1, 13)));
            assert_eq!(tally.labels.len(), 2);
        }
    }
}
