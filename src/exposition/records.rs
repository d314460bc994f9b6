//! Compact storage for the sections of one family, because objects of a kind are similar.
//!
//! Equal sections share one record. A section that differs from another in a few places (a container ID, a node, an image tag)
//! is stored as these differences, which take a fifth or less for replicas of one workload.
//!
//! A record is a byte and a rest. If the byte is [`NONE`], the rest is the section. Otherwise the byte is the number of such a
//! record, its base, and the rest is a list of edits. An edit is the number of bytes to copy from the base, the number of
//! bytes to skip in it, the number of new bytes, and these. Numbers are LEB128. The remainder of the base follows the last edit.

use std::hint::black_box;
use std::ops::Range;

use memchr::memchr2;

/// Number of objects that a page may hold. Smaller pages compress worse (3 % at 64); larger pages make updates slower.
pub const PAGE: usize = 128;

/// No record.
pub const NONE: u8 = u8::MAX;

/// Number of objects in a page that is about to split. Each has at most one record.
const OBJECTS: usize = PAGE + 1;

/// Number of records that may exist only as a base of other records.
const BASES: u8 = 100;

const _: () = assert!(OBJECTS + (BASES as usize) < NONE as usize, "records are counted by a byte");

/// Shorter sections are stored whole, because edits would take as much.
const SHORT: usize = 32;

/// Number of recent whole sections to try as a base.
const TRIED: usize = 4;

/// Texts in one buffer, behind a few bytes of their owner. One buffer, because a reader waits for each piece of memory that it
/// has not read lately.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// The bytes of the owner, the end of each text among all texts as a little-endian `u32`, and the texts.
    buffer: Box<[u8]>,
    /// Number of bytes of the owner.
    head: u16,
    /// Number of texts.
    count: u16,
}

/// The size of an end.
const END: usize = size_of::<u32>();

impl Texts {
    /// Copies `head`, and the texts in `bytes` that end at `ends`.
    ///
    /// NB: pages limit both numbers to 255. etcd limits an object to 1.5 MiB by default, so the texts of a page fit into a `u32`.
    fn new(head: &[u8], ends: &[u32], bytes: &[u8]) -> Self {
        let mut buffer = Vec::with_capacity(head.len() + ends.len() * END + bytes.len());
        buffer.extend_from_slice(head);
        ends.iter().for_each(|end| buffer.extend_from_slice(&end.to_le_bytes()));
        buffer.extend_from_slice(bytes);
        Self { buffer: buffer.into_boxed_slice(), head: head.len() as u16, count: ends.len() as u16 }
    }

    /// Returns the bytes of the owner.
    pub fn head(&self) -> &[u8] {
        &self.buffer[..self.head.into()]
    }

    /// Returns the text with this index.
    pub fn get(&self, index: usize) -> &[u8] {
        let (ends, texts) = self.buffer[self.head.into()..].split_at(usize::from(self.count) * END);
        let end = |index: usize| {
            let bytes = ends[index * END..].first_chunk().copied().unwrap_or_default();
            u32::from_le_bytes(bytes) as usize
        };
        &texts[index.checked_sub(1).map_or(0, end)..end(index)]
    }

    /// Returns the memory of the texts and their index, in bytes.
    pub const fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Returns the number of texts.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Copies `texts`.
    pub fn of(texts: &[&[u8]]) -> Self {
        let mut end = 0;
        let ends: Vec<_> = texts
            .iter()
            .map(|text| {
                end += text.len() as u32;
                end
            })
            .collect();
        Self::new(&[], &ends, &texts.concat())
    }
}

/// Sections by their numbers.
#[derive(Clone, Debug)]
pub struct Records(Texts);

impl Records {
    /// Returns the bytes that [`RecordsBuilder::finish`] was given.
    pub fn head(&self) -> &[u8] {
        self.0.head()
    }

    /// Returns the memory of the records and the head, in bytes.
    pub const fn size(&self) -> usize {
        self.0.size()
    }

    /// Loads the section with this number into the cache of the processor.
    pub fn touch(&self, number: u8) {
        let first = |number: u8| self.0.get(number.into()).first().copied().unwrap_or(NONE);
        match first(number) {
            NONE => {}
            base => _ = black_box(first(base)),
        }
    }

    /// Returns the section with this number. Uses `room` to assemble a section that is stored as edits.
    pub fn get<'a>(&'a self, number: u8, room: &'a mut Vec<u8>) -> &'a [u8] {
        if let [NONE, section @ ..] = self.0.get(number.into()) {
            return section;
        }
        room.clear();
        self.parts(number, |part| {
            room.extend_from_slice(part);
            true
        });
        room
    }

    /// Returns whether the section with this number equals `section`.
    pub fn is(&self, number: u8, mut section: &[u8]) -> bool {
        let all = self.parts(number, |part| match section.strip_prefix(part) {
            Some(rest) => {
                section = rest;
                true
            }
            None => false,
        });
        all && section.is_empty()
    }

    /// Calls `each` with the parts of a section until it returns false. Returns whether it accepted all parts.
    fn parts<'a>(&'a self, number: u8, mut each: impl FnMut(&'a [u8]) -> bool) -> bool {
        let (base, edits) = match self.0.get(number.into()) {
            [NONE, section @ ..] => (section, [].as_slice()),
            [base, edits @ ..] => (self.0.get((*base).into()).get(1..).unwrap_or_default(), edits),
            [] => return true,
        };
        let mut rest = base;
        for Edit { copied, skipped, new } in Edits(edits) {
            let (same, left) = rest.split_at(copied);
            if !each(same) || !each(new) {
                return false;
            }
            rest = &left[skipped..];
        }
        each(rest)
    }
}

/// One step from a base to a section.
struct Edit<'a> {
    copied: usize,
    skipped: usize,
    new: &'a [u8],
}

impl Edit<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        for number in [self.copied, self.skipped, self.new.len()] {
            write_leb(out, number);
        }
        out.extend_from_slice(self.new);
    }
}

fn write_leb(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The remaining edits of a record.
struct Edits<'a>(&'a [u8]);

impl Edits<'_> {
    fn leb(&mut self) -> usize {
        let mut number = 0;
        let mut shift = 0;
        while let [byte, rest @ ..] = self.0 {
            self.0 = rest;
            number |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if *byte < 0x80 {
                break;
            }
        }
        number
    }
}

impl<'a> Iterator for Edits<'a> {
    type Item = Edit<'a>;

    fn next(&mut self) -> Option<Edit<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let (copied, skipped, length) = (self.leb(), self.leb(), self.leb());
        let (new, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(Edit { copied, skipped, new })
    }
}

/// Writes the edits that turn `base` into `section`. Returns whether they take at most `most` bytes.
///
/// Both are texts of labels and values: where they differ, they are assumed to match again at the next quote or line feed.
fn write_edits(out: &mut Vec<u8>, mut base: &[u8], mut section: &[u8], most: usize) -> bool {
    while out.len() <= most {
        let copied = common(base, section);
        (base, section) = (&base[copied..], &section[copied..]);
        if base.is_empty() && section.is_empty() {
            return true;
        }
        let part = |text: &[u8]| memchr2(b'"', b'\n', text).unwrap_or(text.len());
        let (skipped, new) = match (part(base), part(section)) {
            // One text has a quote where the other has a line feed or ends.
            (0, 0) => (base.len().min(1), section.len().min(1)),
            parts => parts,
        };
        Edit { copied, skipped, new: &section[..new] }.write(out);
        (base, section) = (&base[skipped..], &section[new..]);
    }
    false
}

/// Returns the length of the common prefix.
fn common(a: &[u8], b: &[u8]) -> usize {
    const WORD: usize = size_of::<u64>();
    let words = a.chunks_exact(WORD).zip(b.chunks_exact(WORD));
    let same = WORD * words.take_while(|(a, b)| a == b).count();
    same + a[same..].iter().zip(&b[same..]).take_while(|(a, b)| a == b).count()
}

/// Number of slots in the table of a [`RecordsBuilder`]: a power of two, and at least twice the number of records.
const TABLE: usize = 512;

/// The new numbers of records that were already adopted from another column.
pub struct Adopted([u8; NONE as usize]);

impl Default for Adopted {
    fn default() -> Self {
        Self([NONE; NONE as usize])
    }
}

/// Builds [`Records`], and numbers them in the order of insertion.
pub struct RecordsBuilder {
    ends: Vec<u32>,
    bytes: Vec<u8>,
    /// Record numbers by the hash of the record, with open addressing.
    table: [u8; TABLE],
    /// The most recent sections that are stored whole and may be a base.
    bases: [u8; TRIED],
    /// Number of records that were adopted only as a base.
    adopted_bases: u8,
    /// The record to try, and the best record so far.
    tried: [Vec<u8>; 2],
}

impl Default for RecordsBuilder {
    fn default() -> Self {
        Self {
            ends: Vec::with_capacity(PAGE),
            bytes: Vec::new(),
            table: [NONE; TABLE],
            bases: [NONE; TRIED],
            adopted_bases: 0,
            tried: Default::default(),
        }
    }
}

/// Returns the range of the record with this number, given the ends of all records.
fn range(ends: &[u32], number: u8) -> Range<usize> {
    let number = usize::from(number);
    number.checked_sub(1).map_or(0, |before| ends[before] as usize)..ends[number] as usize
}

impl RecordsBuilder {
    /// Reserves space for additional bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Adds a section and returns its number.
    pub fn add(&mut self, section: &[u8]) -> u8 {
        let start = self.bytes.len();
        if !self.encode_by_base(section) {
            self.bytes.push(NONE);
            self.bytes.extend_from_slice(section);
        }
        self.seal(start)
    }

    /// Writes `section` as the shortest edits of a recent section. Returns whether the edits are short enough.
    fn encode_by_base(&mut self, section: &[u8]) -> bool {
        if section.len() < SHORT {
            return false;
        }
        let Self { ends, bytes, bases, tried: [tried, best], .. } = self;
        best.clear();
        for base in bases.iter().filter(|base| **base != NONE) {
            let most = if best.is_empty() { section.len() / 4 * 3 } else { best.len() - 1 };
            tried.clear();
            tried.push(*base);
            if write_edits(tried, &bytes[range(ends, *base)][1..], section, most) {
                std::mem::swap(tried, best);
            }
        }
        bytes.extend_from_slice(best);
        !best.is_empty()
    }

    /// Copies a record of another column, in its encoding, and returns its new number.
    pub fn adopt(&mut self, old: &Records, number: u8, adopted: &mut Adopted) -> u8 {
        let known = adopted.0[usize::from(number)];
        if known != NONE {
            return known;
        }
        let own = match old.0.get(number.into()) {
            [NONE, ..] | [] => self.copy(old, number, NONE),
            [base, ..] => {
                let mut new = adopted.0[usize::from(*base)];
                if new == NONE && self.adopted_bases < BASES {
                    self.adopted_bases += 1;
                    new = self.adopt(old, *base, adopted);
                }
                match new {
                    // The number of bases is limited: encode the section again.
                    NONE => self.add(old.get(number, &mut Vec::new())),
                    base => self.copy(old, number, base),
                }
            }
        };
        adopted.0[usize::from(number)] = own;
        own
    }

    fn copy(&mut self, old: &Records, number: u8, base: u8) -> u8 {
        let start = self.bytes.len();
        self.bytes.push(base);
        self.bytes.extend_from_slice(old.0.get(number.into()).get(1..).unwrap_or_default());
        self.seal(start)
    }

    /// Returns the number of the record that starts at `start`: a new one, or that of an equal record.
    fn seal(&mut self, start: usize) -> u8 {
        let record = &self.bytes[start..];
        // Without edits, the section equals its base.
        if let [base] = *record
            && base != NONE
        {
            self.bytes.truncate(start);
            return base;
        }
        let mut at = fingerprint(record) as usize % TABLE;
        loop {
            match self.table[at] {
                NONE => break,
                number if self.bytes[range(&self.ends, number)] == *record => {
                    self.bytes.truncate(start);
                    return number;
                }
                _ => at = (at + 1) % TABLE,
            }
        }
        let number = self.ends.len() as u8;
        if record[0] == NONE && record.len() > SHORT {
            self.bases.rotate_right(1);
            self.bases[0] = number;
        }
        self.table[at] = number;
        self.ends.push(self.bytes.len() as u32);
        number
    }

    /// Returns the records behind `head`, if there are any, and starts over.
    pub fn finish(&mut self, head: &[u8]) -> Option<Records> {
        if self.ends.is_empty() {
            return None;
        }
        let texts = Texts::new(head, &self.ends, &self.bytes);
        (self.table, self.bases, self.adopted_bases) = ([NONE; TABLE], [NONE; TRIED], 0);
        self.ends.clear();
        self.bytes.clear();
        Some(Records(texts))
    }
}

/// A cheap hash: records differ mostly at their ends (values) or in the middle (addresses, names).
fn fingerprint(text: &[u8]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let word = |at: usize| text.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes);
    let last = match text.last_chunk() {
        Some(last) => u64::from_le_bytes(*last),
        None => text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let mixed = (word(text.len() / 2) ^ text.len() as u64).wrapping_mul(ODD) ^ last;
    mixed.wrapping_mul(ODD) >> 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section(records: &Records, number: u8) -> Vec<u8> {
        records.get(number, &mut Vec::new()).to_vec()
    }

    fn built(sections: &[impl AsRef<[u8]>]) -> (Vec<u8>, Records) {
        let mut builder = RecordsBuilder::default();
        let numbers = sections.iter().map(|section| builder.add(section.as_ref())).collect();
        (numbers, builder.finish(&[]).expect("there is one"))
    }

    fn container(id: u32, tag: &str) -> String {
        format!(
            ",container=\"app\",image=\"registry.example/team/app:{tag}\",container_id=\"containerd://{id:064x}\"}} 1\n"
        )
    }

    #[test]
    fn similar_sections_take_only_their_differences() {
        let sections: Vec<_> = (0..100).map(|id| container(id * 7_654_321, "v1").repeat(2)).collect();
        let (numbers, records) = built(&sections);
        for (number, expected) in numbers.iter().zip(&sections) {
            assert_eq!(section(&records, *number), expected.as_bytes());
        }
        let (kept, told) = (records.size(), sections.iter().map(String::len).sum::<usize>());
        assert!(kept < told / 2, "{kept} bytes of {told}");
    }

    #[test]
    fn equal_sections_share_a_record() {
        let texts =
            [container(1, "v1"), container(2, "v1"), container(1, "v1"), container(2, "v1"), "} 1\n".to_owned()];
        assert_eq!(built(&texts).0, [0, 1, 0, 1, 2]);
    }

    #[test]
    fn the_number_of_bases_is_limited() {
        // Each page has a base that no object uses, and a record that is encoded by it.
        let olds: Vec<_> = (0..OBJECTS as u32)
            .map(|id| {
                let name: String = (0..60).map(|at| char::from(b'a' + (id as u8).wrapping_mul(at) % 26)).collect();
                let (numbers, records) = built(&[format!(",{name}=\"1\"}} 1\n"), format!(",{name}=\"2\"}} 1\n")]);
                (numbers[1], records)
            })
            .collect();
        let mut builder = RecordsBuilder::default();
        let numbers: Vec<_> =
            olds.iter().map(|(number, old)| builder.adopt(old, *number, &mut Adopted::default())).collect();
        let records = builder.finish(&[]).expect("there is one");
        for (number, (old_number, old)) in numbers.iter().zip(&olds) {
            assert_eq!(section(&records, *number), section(old, *old_number));
        }
    }

    proptest! {
        #[test]
        fn added_and_adopted_sections_read_back(
            texts in proptest::collection::vec("[ab\"\n]{0,6}(, node=\"[ab]{1,40}\", unit=\"[abc\n]{1,9}\"){0,4}[ab\"\n]{1,3}", 1..OBJECTS),
            kept in proptest::collection::vec(any::<bool>(), OBJECTS),
            new in proptest::collection::vec("[ab\"\n]{1,90}", 0..3),
        ) {
            let (numbers, old) = built(&texts);
            let (mut builder, mut adopted) = (RecordsBuilder::default(), Adopted::default());
            let kept: Vec<_> = numbers.iter().zip(&texts).zip(kept).filter_map(|(one, kept)| kept.then_some(one)).collect();
            let mut expected: Vec<_> = kept
                .iter()
                .map(|(number, text)| (builder.adopt(&old, **number, &mut adopted), text.as_bytes()))
                .collect();
            expected.extend(new.iter().map(|text| (builder.add(text.as_bytes()), text.as_bytes())));
            let records = builder.finish(&[]);
            for (number, text) in numbers.iter().zip(&texts) {
                prop_assert_eq!(section(&old, *number), text.as_bytes());
            }
            for (number, text) in expected {
                prop_assert_eq!(section(records.as_ref().expect("one was added"), number), text);
            }
        }
    }
}
