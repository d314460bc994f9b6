//! One answer to a scrape, made chunk by chunk as it is sent.
//!
//! Walks family by family, page by page, and asks the store for one column at a time: whoever reads slowly holds that column
//! and a chunk, and no lock. The order of pages is that of their keys, which never change: whatever is inserted, removed or
//! moved to other pages meanwhile, no object is printed twice, and none is left out that is there all the time.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use flate2::Compression;

use super::column::Column;
use super::gzip::{self, Deflated, Deflater, Trailer};
use super::page::{Key, Labels};
use super::store::{Joined, Served};
use super::text::{self, Format};
use crate::sharding::Slice;

/// How many bytes are made at a time, more or less.
const CHUNK: usize = 64 << 10;

/// After so many bytes of text were deflated, a chunk ends, so that others have their turn: about a millisecond.
const WORK: usize = 128 << 10;

/// Measured on series of pods: a third of the CPU of the usual level 6, for a body that is a fifth bigger. Level 1 saves
/// a tenth more and makes it two thirds bigger.
const LEVEL: Compression = Compression::new(2);

/// What is to be seen of a resource.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub exposed: Arc<Slice>,
    pub loaded: Arc<Slice>,
}

/// The series of one family of one page, and which of its objects are to be seen.
#[derive(Debug)]
pub(super) struct Piece {
    pub column: Arc<Column>,
    pub labels: Arc<Labels>,
    /// A bit for each object; `None` for all of them.
    pub visible: Option<u128>,
}

impl Piece {
    fn shows(&self, object: usize) -> bool {
        self.visible.is_none_or(|visible| visible >> object & 1 == 1)
    }
}

/// One answer to a scrape: an iterator over its chunks.
pub struct Scrape {
    served: Arc<Served>,
    /// What is to be seen of each resource; `None` where it is not selected.
    views: Vec<Option<View>>,
    format: Format,
    gzip: Option<Gzip>,
    /// Where to go on: family, member of the family, behind which key.
    family: usize,
    member: usize,
    after: Option<Key>,
    /// Whether the current family's HELP and TYPE are out.
    headed: bool,
    /// What is being printed, and from which object on.
    piece: Option<(Piece, usize)>,
    out: Vec<u8>,
    /// Where a section is put together.
    room: Vec<u8>,
    ended: bool,
}

/// What a gzipped answer needs.
struct Gzip {
    trailer: Trailer,
    /// Made when something has to be deflated.
    deflater: Option<Deflater>,
    /// How much was deflated for the current chunk.
    worked: usize,
}

impl Gzip {
    fn deflater(&mut self) -> &mut Deflater {
        self.deflater.get_or_insert_with(|| Deflater::new(LEVEL))
    }

    /// Deflates what `column` shows.
    fn deflate(&mut self, name: &[u8], piece: &Piece, room: &mut Vec<u8>) -> Deflated {
        let mut text = Vec::with_capacity(CHUNK);
        let mut length = 0;
        let deflater = self.deflater();
        for object in (0..piece.column.len()).filter(|object| piece.shows(*object)) {
            text::write_series(&mut text, name, piece.labels.get(object), piece.column.section(object, room));
            if text.len() >= CHUNK {
                length += text.len();
                deflater.write(&text);
                text.clear();
            }
        }
        deflater.write(&text);
        let deflated = deflater.finish();
        self.worked += length + text.len();
        deflated
    }

    fn send(&mut self, deflated: &Deflated, out: &mut Vec<u8>) {
        out.extend_from_slice(&deflated.bytes);
        self.trailer.add(deflated);
    }
}

fn deflated(text: &[u8]) -> Deflated {
    let mut deflater = Deflater::new(LEVEL);
    deflater.write(text);
    deflater.finish()
}

impl Scrape {
    pub(super) fn new(served: Arc<Served>, views: Vec<Option<View>>, format: Format) -> Self {
        Self {
            served,
            views,
            format,
            gzip: None,
            family: 0,
            member: 0,
            after: None,
            headed: false,
            piece: None,
            out: Vec::new(),
            room: Vec::new(),
            ended: false,
        }
    }

    /// The same as one gzip stream, of what was deflated for earlier scrapes and has not changed since, and of the rest. To be
    /// asked for before the first chunk.
    #[must_use]
    pub fn gzipped(self) -> Self {
        let gzip = Gzip { trailer: Trailer::default(), deflater: None, worked: 0 };
        Self { gzip: Some(gzip), out: gzip::HEAD.to_vec(), ..self }
    }

    /// HELP and TYPE of a family.
    fn write_header(&mut self, family: &Joined) {
        match &mut self.gzip {
            None => text::write_header(&mut self.out, &family.header, self.format),
            Some(gzip) => {
                let known = family.deflated[usize::from(self.format == Format::OpenMetrics)].get_or_init(|| {
                    let mut header = Vec::new();
                    text::write_header(&mut header, &family.header, self.format);
                    deflated(&header)
                });
                gzip.send(known, &mut self.out);
            }
        }
    }

    /// Writes a piece from `object` on; where to go on if the chunk is full before its end.
    fn write_piece(&mut self, name: &[u8], piece: &Piece, object: usize) -> Option<usize> {
        let Some(gzip) = &mut self.gzip else {
            for object in object..piece.column.len() {
                if piece.shows(object) {
                    let (labels, section) = (piece.labels.get(object), piece.column.section(object, &mut self.room));
                    text::write_series(&mut self.out, name, labels, section);
                    if self.out.len() >= CHUNK {
                        return Some(object + 1);
                    }
                }
            }
            return None;
        };
        if piece.visible.is_some() {
            let deflated = gzip.deflate(name, piece, &mut self.room);
            gzip.send(&deflated, &mut self.out);
        } else {
            // Who comes while it is made waits, and has it then.
            let known = piece.column.deflated.get_or_init(|| gzip.deflate(name, piece, &mut self.room));
            gzip.send(known, &mut self.out);
        }
        None
    }

    fn is_full(&self) -> bool {
        self.out.len() >= CHUNK || self.gzip.as_ref().is_some_and(|gzip| gzip.worked >= WORK)
    }

    /// Writes until the chunk is full or nothing is left.
    fn write(&mut self) {
        let served = Arc::clone(&self.served);
        while let Some(family) = served.families.get(self.family) {
            if !self.headed && family.members.iter().any(|(resource, _)| self.views[*resource].is_some()) {
                self.write_header(family);
            }
            self.headed = true;
            while let Some((resource, index)) = family.members.get(self.member) {
                loop {
                    if self.is_full() {
                        return;
                    }
                    let piece = self.piece.take().or_else(|| {
                        let view = self.views[*resource].as_ref()?;
                        let piece = served.resources[*resource].piece(*index, view, &mut self.after)?;
                        Some((piece, 0))
                    });
                    let Some((piece, object)) = piece else { break };
                    let more = self.write_piece(family.header.name.as_bytes(), &piece, object);
                    self.piece = more.map(|object| (piece, object));
                }
                self.member += 1;
                self.after = None;
            }
            self.family += 1;
            self.member = 0;
            self.headed = false;
        }
        self.write_end();
    }

    fn write_end(&mut self) {
        self.ended = true;
        let end = text::end(self.format);
        let Some(gzip) = &mut self.gzip else {
            self.out.extend_from_slice(end);
            return;
        };
        if !end.is_empty() {
            static END: LazyLock<Deflated> = LazyLock::new(|| deflated(text::end(Format::OpenMetrics)));
            gzip.send(&END, &mut self.out);
        }
        gzip.trailer.write(&mut self.out);
    }
}

impl Iterator for Scrape {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        self.out.reserve(CHUNK + CHUNK / 4);
        self.write();
        if let Some(gzip) = &mut self.gzip {
            gzip.worked = 0;
        }
        let out = std::mem::take(&mut self.out);
        (!out.is_empty()).then(|| out.into())
    }
}

#[cfg(test)]
mod tests;
