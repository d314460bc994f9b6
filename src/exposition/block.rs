//! The series of one object, as a collector generates them: encoded once when the object changes, copied at every scrape.
//!
//! A [`Block`] holds the labels that all its series share (`{namespace="a",pod="b"`) and one section per family, in the order of
//! the table of the resource. A section holds the part of each series after the shared labels, including the line feed. So a
//! scrape copies three parts per line: the name of the family, the shared labels, and the rest.

use std::collections::HashMap;

use twox_hash::XxHash64;

use super::number::write_number;

/// All series of one object. Layout: `u32` length of the shared labels, the shared labels, then for each family that has
/// series: `u16` index of the family, `u32` length of its section, the section. Integers are little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block(Vec<u8>);

/// Size of the header of a section: index of the family, length.
const SECTION_HEAD: usize = 6;

/// Up to this number of series, duplicates are found by comparing all label sets.
const FEW: usize = 16;

impl Block {
    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Adds the families of `other`, which has no shared labels, behind the first `families` ones.
    #[must_use]
    pub fn with(mut self, families: usize, other: &Self) -> Self {
        let (labels, mut rest) = take_u32(&other.0);
        debug_assert_eq!(labels, 0, "its series would lose their shared labels");
        while let [low, high, behind @ ..] = rest {
            // A resource has fewer families than a `u16` counts.
            let index = u16::from_le_bytes([*low, *high]).saturating_add(families as u16);
            let length = take_u32(behind).0 as usize;
            let (section, next) = rest.split_at(SECTION_HEAD + length);
            self.0.extend_from_slice(&index.to_le_bytes());
            self.0.extend_from_slice(&section[2..]);
            rest = next;
        }
        self
    }

    /// Frees unused capacity.
    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Returns the shared labels: nothing, or `{` and the labels without the closing brace. Those of a Namespace stand at the end, each
    /// behind a comma, also if there are no others.
    pub(super) fn labels(&self) -> &[u8] {
        let (length, rest) = take_u32(&self.0);
        &rest[..length as usize]
    }

    /// Replaces the last `old` bytes of the shared labels by `new`, which begins with a comma.
    pub(super) fn relabel(&mut self, old: usize, new: &[u8]) {
        let length = self.labels().len();
        if old > 0 || !new.is_empty() {
            let end = 4 + length;
            self.0.splice(end - old..end, new.iter().copied());
            set_u32(&mut self.0, 0, length - old + new.len());
        }
    }

    /// Returns the sections. Take them in the order of their families.
    pub(super) fn sections(&self) -> Sections<'_> {
        let (length, rest) = take_u32(&self.0);
        Sections(&rest[length as usize..])
    }
}

/// The remaining sections of a [`Block`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Sections<'a>(&'a [u8]);

impl<'a> Sections<'a> {
    /// Returns the section of `family`, empty if it has no series. Call it with ascending families.
    pub fn take(&mut self, family: u16) -> &'a [u8] {
        while let [low, high, rest @ ..] = self.0 {
            let index = u16::from_le_bytes([*low, *high]);
            if index > family {
                break;
            }
            let (length, rest) = take_u32(rest);
            let (section, rest) = rest.split_at(length as usize);
            self.0 = rest;
            if index == family {
                return section;
            }
        }
        &[]
    }
}

/// Returns the lines of a section, with their line feeds. Labels contain only escaped line feeds.
pub(super) fn lines(section: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', section).map(move |at| {
        let line = &section[start..=at];
        start = at + 1;
        line
    })
}

fn take_u32(bytes: &[u8]) -> (u32, &[u8]) {
    let (head, rest) = bytes.split_at(4);
    (u32::from_le_bytes([head[0], head[1], head[2], head[3]]), rest)
}

/// Builds a [`Block`]: the shared labels first, then each family once, in the order of the table.
#[derive(Debug)]
pub struct BlockBuilder(Samples);

impl BlockBuilder {
    /// Starts a block with the labels that all series of the object share.
    pub fn new(shared: &[(&str, &str)]) -> Self {
        Self::with_capacity(8 << 10, shared)
    }

    fn with_capacity(size: usize, shared: &[(&str, &str)]) -> Self {
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(&[0; 4]);
        if !shared.is_empty() {
            bytes.push(b'{');
            write_labels(&mut bytes, shared);
        }
        let length = bytes.len() - 4;
        set_u32(&mut bytes, 0, length);
        let labelled = !shared.is_empty();
        Self(Samples { bytes, lines: Vec::new(), hashed: HashMap::new(), labelled })
    }

    /// Starts a block beside the rest of an object whose series share labels, which it does not repeat.
    pub fn beside() -> Self {
        let mut block = Self::with_capacity(1 << 10, &[]);
        block.0.labelled = true;
        block
    }

    /// Adds the series that `fill` emits to the family with this index in the table of the resource.
    pub fn family(&mut self, index: u16, fill: impl FnOnce(&mut Samples)) {
        let samples = &mut self.0;
        let start = samples.bytes.len();
        samples.bytes.extend_from_slice(&index.to_le_bytes());
        samples.bytes.extend_from_slice(&[0; 4]);
        samples.lines.clear();
        samples.hashed.clear();
        fill(samples);
        if samples.lines.is_empty() {
            samples.bytes.truncate(start);
            return;
        }
        let length = samples.bytes.len() - start - SECTION_HEAD;
        set_u32(&mut samples.bytes, start + 2, length);
    }

    /// Returns the finished block.
    pub fn finish(self) -> Block {
        Block(self.0.bytes)
    }
}

/// Collects the series of one family of one object. Of several series with the same labels it keeps the first.
#[derive(Debug)]
pub struct Samples {
    /// The block so far.
    bytes: Vec<u8>,
    /// The ranges of the labels of each series of this family.
    lines: Vec<(usize, usize)>,
    /// Indices into `lines` by hash, once there are many.
    hashed: HashMap<u64, Vec<usize>>,
    /// Whether the object has shared labels.
    labelled: bool,
}

impl Samples {
    /// Emits one series with the shared labels of the object, `labels` and `value`. All names of labels are valid, and no two are
    /// equal. If one comes from an object, the collector makes sure of that.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let start = self.bytes.len();
        if !labels.is_empty() {
            self.bytes.push(if self.labelled { b',' } else { b'{' });
            write_labels(&mut self.bytes, labels);
        }
        if !self.is_first(start) {
            self.bytes.truncate(start);
            return;
        }
        if self.labelled || !labels.is_empty() {
            self.bytes.push(b'}');
        }
        self.bytes.push(b' ');
        write_number(&mut self.bytes, value);
        self.bytes.push(b'\n');
    }

    /// Returns whether the labels from `start` on are new, and records them.
    fn is_first(&mut self, start: usize) -> bool {
        let bytes = &self.bytes;
        let labels = &bytes[start..];
        let is_same = |(from, to): (usize, usize)| &bytes[from..to] == labels;
        if self.lines.len() < FEW {
            if self.lines.iter().any(|at| is_same(*at)) {
                return false;
            }
        } else {
            if self.hashed.is_empty() {
                for (index, (from, to)) in self.lines.iter().enumerate() {
                    self.hashed.entry(XxHash64::oneshot(0, &bytes[*from..*to])).or_default().push(index);
                }
            }
            let alike = self.hashed.entry(XxHash64::oneshot(0, labels)).or_default();
            if alike.iter().any(|index| is_same(self.lines[*index])) {
                return false;
            }
            alike.push(self.lines.len());
        }
        self.lines.push((start, bytes.len()));
        true
    }
}

/// Writes `a="b",c="d"`. The text format escapes backslash, quote and line feed in values.
pub(super) fn write_labels(out: &mut Vec<u8>, labels: &[(&str, &str)]) {
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        write_value(out, value.as_bytes());
        out.push(b'"');
    }
}

/// Copies a value. Few values need escapes.
fn write_value(out: &mut Vec<u8>, mut value: &[u8]) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'"' | b'\n');
    // Without an early exit the compiler vectorizes this loop.
    if value.iter().fold(false, |any, byte| any | special(byte)) {
        while let Some(at) = value.iter().position(special) {
            out.extend_from_slice(&value[..at]);
            out.push(b'\\');
            out.push(if value[at] == b'\n' { b'n' } else { value[at] });
            value = &value[at + 1..];
        }
    }
    out.extend_from_slice(value);
}

/// NB: etcd's request limit (1.5 MiB by default) bounds objects far below the range of a `u32`.
fn set_u32(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_labels_get_and_lose_an_end() {
        let mut block = BlockBuilder::new(&[("object", "a")]);
        block.family(3, |samples| samples.sample(&[("n", "1")], 1.0));
        let (before, mut block) = (block.finish(), BlockBuilder::new(&[("object", "a")]));
        block.family(3, |samples| samples.sample(&[("n", "1")], 1.0));
        let mut block = block.finish();
        block.relabel(0, b",x=\"1\"");
        assert_eq!(block.labels(), b"{object=\"a\",x=\"1\"");
        assert_eq!(block.sections().take(3), b",n=\"1\"} 1\n");
        block.relabel(6, b",yy=\"\"");
        assert_eq!(block.labels(), b"{object=\"a\",yy=\"\"");
        block.relabel(6, b"");
        assert_eq!(block, before);
        let mut bare = BlockBuilder::new(&[]).finish();
        bare.relabel(0, b",x=\"1\"");
        assert_eq!(bare.labels(), b",x=\"1\"");
        bare.relabel(6, b"");
        assert_eq!(bare, BlockBuilder::new(&[]).finish());
    }

    #[test]
    fn each_label_set_of_many_series_is_unique() {
        let mut block = BlockBuilder::new(&[("object", "a")]);
        block.family(3, |samples| {
            for number in (0..100).chain(0..100) {
                samples.sample(&[("number", &number.to_string())], f64::from(number));
            }
        });
        block.family(5, |_| {});
        block.family(7, |samples| samples.sample(&[("quoted", "a\"b\\c\nd")], 0.0));
        let block = block.finish();
        let mut sections = block.sections();
        assert_eq!(lines(sections.take(3)).count(), 100);
        assert_eq!(sections.take(5), b"");
        let quoted: Vec<_> = lines(sections.take(7)).collect();
        assert_eq!(quoted, [b",quoted=\"a\\\"b\\\\c\\nd\"} 0\n"]);
        assert_eq!(block.labels(), b"{object=\"a\"");
    }

    #[test]
    fn a_block_takes_the_families_of_another_behind_its_own() {
        let mut first = BlockBuilder::new(&[("object", "a")]);
        first.family(1, |samples| samples.sample(&[("b", "c")], 1.0));
        let mut second = BlockBuilder::new(&[]);
        second.family(0, |samples| samples.sample(&[], 2.0));
        second.family(2, |samples| samples.sample(&[("d", "e")], 3.0));
        let both = first.finish().with(2, &second.finish());
        assert_eq!(both.labels(), b"{object=\"a\"");
        let mut sections = both.sections();
        assert_eq!(sections.take(1), b",b=\"c\"} 1\n");
        assert_eq!(sections.take(2), b" 2\n");
        assert_eq!(sections.take(4), b"{d=\"e\"} 3\n");
    }
}
