//! The series of one object, encoded once when it changes and copied at every scrape.
//!
//! A [`Block`] holds the label block that all its series share (`namespace="a",pod="b"`) and, family by family in the
//! order of the resource's table, what is left of each series: a label suffix and the value's text. One allocation an object.

use twox_hash::XxHash64;

use super::number::write_number;

/// All series of one object. Layout: `u32` length of the label block, the label block, then for each family that has
/// series a section: `u16` index of the family, `u32` length of what follows, and per series `u32` length of the suffix,
/// the suffix, `u8` length of the value, the value. Integers are little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block(Box<[u8]>);

/// One series of a [`Block`]: the part of its labels that is its own, and the text of its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub suffix: &'a [u8],
    pub value: &'a [u8],
}

/// Where the next family section of a block starts; scrapes keep one an object, since they walk family by family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor(u32);

impl Block {
    /// Bytes held.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    pub(super) fn labels(&self) -> &[u8] {
        let (length, rest) = take_u32(&self.0);
        &rest[..length as usize]
    }

    pub(super) fn start(&self) -> Cursor {
        let (length, _) = take_u32(&self.0);
        Cursor(4 + length)
    }

    /// The series of `family`, if the section at the cursor is of that family; the cursor then moves past it.
    /// Families must be asked for in rising order.
    pub(super) fn family(&self, cursor: &mut Cursor, family: u16) -> Option<Lines<'_>> {
        loop {
            let section = &self.0[cursor.0 as usize..];
            if section.len() < 6 {
                return None;
            }
            let index = u16::from_le_bytes([section[0], section[1]]);
            if index > family {
                return None;
            }
            let (length, rest) = take_u32(&section[2..]);
            cursor.0 += 6 + length;
            if index == family {
                return Some(Lines(&rest[..length as usize]));
            }
        }
    }
}

/// The series of one family of one object.
pub(super) struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let (length, rest) = take_u32(self.0);
        let (suffix, rest) = rest.split_at(length as usize);
        let (value, rest) = rest[1..].split_at(rest[0] as usize);
        self.0 = rest;
        Some(Line { suffix, value })
    }
}

fn take_u32(bytes: &[u8]) -> (u32, &[u8]) {
    let (head, rest) = bytes.split_at(4);
    (u32::from_le_bytes([head[0], head[1], head[2], head[3]]), rest)
}

/// Builds a [`Block`]: the shared labels first, then each family once, in the order of the table.
#[derive(Debug)]
pub struct BlockBuilder {
    bytes: Vec<u8>,
    labelled: bool,
    samples: Samples,
}

impl BlockBuilder {
    /// Starts with the labels that all series of the object carry.
    pub fn new(shared: &[(&str, &str)]) -> Self {
        let mut bytes = vec![0; 4];
        write_labels(&mut bytes, shared);
        let length = bytes.len() - 4;
        set_u32(&mut bytes, 0, length);
        Self { bytes, labelled: length > 0, samples: Samples::default() }
    }

    /// Adds the series that `fill` emits to the family with this index of the resource's table.
    pub fn family(&mut self, index: u16, fill: impl FnOnce(&mut Samples)) {
        self.samples.clear(self.labelled);
        fill(&mut self.samples);
        if self.samples.bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(&index.to_le_bytes());
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&self.samples.bytes);
        set_u32(&mut self.bytes, at, self.samples.bytes.len());
    }

    /// The finished block.
    pub fn finish(self) -> Block {
        Block(self.bytes.into_boxed_slice())
    }
}

/// Takes the series of one family of one object. A label set that was there already is left out: the first one counts.
#[derive(Debug, Default)]
pub struct Samples {
    bytes: Vec<u8>,
    /// The hash of each suffix and where it lies in `bytes`.
    suffixes: Vec<(u64, u32, u32)>,
    /// Whether the shared label block has labels, so that a suffix starts with a comma.
    labelled: bool,
}

impl Samples {
    fn clear(&mut self, labelled: bool) {
        self.bytes.clear();
        self.suffixes.clear();
        self.labelled = labelled;
    }

    /// Emits one series: the object's shared labels, then `labels`, and `value`.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        if self.labelled && !labels.is_empty() {
            self.bytes.push(b',');
        }
        write_labels(&mut self.bytes, labels);
        let end = self.bytes.len();
        set_u32(&mut self.bytes, start, end - start - 4);
        let suffix = &self.bytes[start + 4..end];
        let hash = XxHash64::oneshot(0, suffix);
        let repeated =
            |&(h, from, to): &(u64, u32, u32)| h == hash && &self.bytes[from as usize..to as usize] == suffix;
        if self.suffixes.iter().any(repeated) {
            self.bytes.truncate(start);
            return;
        }
        self.suffixes.push((hash, start as u32 + 4, end as u32));
        self.bytes.push(0);
        write_number(&mut self.bytes, value);
        // A number has 24 characters at most.
        self.bytes[end] = (self.bytes.len() - end - 1) as u8;
    }
}

/// `a="b",c="d"`, values escaped as the text format wants it: backslash, quote and line feed.
fn write_labels(out: &mut Vec<u8>, labels: &[(&str, &str)]) {
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        for byte in value.bytes() {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'"' => out.extend_from_slice(b"\\\""),
                b'\n' => out.extend_from_slice(b"\\n"),
                other => out.push(other),
            }
        }
        out.push(b'"');
    }
}

/// NB: objects are bounded by etcd's request limit (1.5 MiB by default), far below what a `u32` counts.
fn set_u32(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
}
