//! One response to a scrape, generated chunk by chunk while it is sent.
//!
//! Walks family by family and page by page, and takes one column at a time from the store: a slow reader pins one column and
//! one chunk, and holds no lock. Pages are in the order of their keys, which never change. So a scrape prints no object
//! twice and skips no object that exists throughout, even if objects are inserted, removed or moved to other pages.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use flate2::Compression;

use super::column::Timed;
use super::gzip::{self, Deflated, Deflater, Trailer};
use super::page::Key;
use super::resource::ResourceStore;
use super::served::{JoinedFamily, Served};
use super::text::{self, Format};
use super::view::{Departing, DepartingSlices, Exposure, Piece};
use crate::sync::lock;

/// Approximate size of a chunk, in bytes.
const CHUNK: usize = 64 << 10;

/// Bytes of text to compress before a chunk ends and the task yields: about a millisecond of work.
const WORK: usize = 128 << 10;

/// Measured on series of pods: a third of the CPU time of the default level 6, for a body that is a fifth larger. Level 1
/// saves another tenth, for a body that is two thirds larger.
const LEVEL: Compression = Compression::new(2);

/// One response to a scrape: an iterator over its chunks.
pub struct Scrape {
    served: Arc<Served>,
    /// The exposed objects of each resource; `None` if the resource is not selected.
    exposures: Vec<Option<Exposure>>,
    /// Whether it shows objects of some namespaces only.
    filtered: bool,
    format: Format,
    /// The end of a line with a timestamp.
    timestamp: Box<[u8]>,
    gzip: Option<Gzip>,
    /// The position of the next piece: family, member of the family, key before it.
    family: usize,
    member: usize,
    after: Option<Key>,
    /// Whether HELP and TYPE of the current family are written.
    headed: bool,
    /// The current piece, and its next object.
    piece: Option<(Piece, usize)>,
    out: Vec<u8>,
    /// Buffer for a section.
    room: Vec<u8>,
    ended: bool,
}

/// The state of a gzipped response.
struct Gzip {
    trailer: Trailer,
    /// Created on first use.
    deflater: Option<Deflater>,
    /// Bytes of text that were compressed for the current chunk.
    worked: usize,
    /// Whether the text of a whole chunk is compressed at once, and no compressed column is copied or kept. Few objects of a column
    /// compress badly alone.
    whole: bool,
}

impl Gzip {
    fn deflater(&mut self) -> &mut Deflater {
        self.deflater.get_or_insert_with(|| Deflater::new(LEVEL))
    }

    /// Compresses the exposed series of `piece`.
    fn deflate(&mut self, name: &[u8], piece: &Piece, timestamp: &[u8], room: &mut Vec<u8>) -> Deflated {
        let mut text = Vec::with_capacity(CHUNK);
        let mut length = 0;
        let deflater = self.deflater();
        for object in (0..piece.column.len()).filter(|object| piece.shows(*object)) {
            write_object(&mut text, name, piece, object, timestamp, room);
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

    /// Returns a chunk that is compressed at once.
    fn chunk(&mut self, text: &[u8], is_last: bool) -> Vec<u8> {
        let mut out = if self.deflater.is_none() { gzip::HEAD.to_vec() } else { Vec::new() };
        let deflater = self.deflater();
        deflater.write(text);
        let deflated = deflater.finish();
        self.send(&deflated, &mut out);
        if is_last {
            self.trailer.write(&mut out);
        }
        out
    }

    fn send(&mut self, deflated: &Deflated, out: &mut Vec<u8>) {
        out.extend_from_slice(&deflated.bytes);
        self.trailer.add(deflated);
    }
}

/// Writes the series of an object of `piece`.
fn write_object(out: &mut Vec<u8>, name: &[u8], piece: &Piece, object: usize, timestamp: &[u8], room: &mut Vec<u8>) {
    let labels = piece.labels(object);
    let section = piece.column.section(object, room);
    match piece.departs(object) {
        true => text::write_timed_series(out, name, labels, section, timestamp),
        false => text::write_series(out, name, labels, section),
    }
}

fn deflated(text: &[u8]) -> Deflated {
    let mut deflater = Deflater::new(LEVEL);
    deflater.write(text);
    deflater.finish()
}

impl Scrape {
    pub(super) fn new(served: Arc<Served>, exposures: Vec<Option<Exposure>>, format: Format) -> Self {
        Self {
            served,
            exposures,
            filtered: false,
            format,
            timestamp: Box::default(),
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

    /// Switches to a gzip stream, before the first chunk. Reuses columns that an earlier scrape compressed and that have not
    /// changed since.
    #[must_use]
    pub fn gzipped(self) -> Self {
        let gzip = Gzip { trailer: Trailer::default(), deflater: None, worked: 0, whole: self.filtered };
        Self { gzip: Some(gzip), out: if self.filtered { Vec::new() } else { gzip::HEAD.to_vec() }, ..self }
    }

    /// Shows only the objects of these namespaces, before [`Scrape::gzipped`]: found by an index, so other objects cost nothing. The
    /// headers stay.
    #[must_use]
    pub fn of_namespaces(mut self, namespaces: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        let namespaces: Arc<[Box<str>]> = namespaces.into_iter().map(Into::into).collect();
        for exposure in self.exposures.iter_mut().flatten() {
            exposure.namespaces = Some(Arc::clone(&namespaces));
        }
        self.filtered = true;
        self
    }

    /// Adds a timestamp to the series of departing objects, before the first chunk.
    #[must_use]
    pub fn departing(mut self, departing: &Departing) -> Self {
        let slices = Arc::new(DepartingSlices::new(departing.slice.clone()));
        for exposure in self.exposures.iter_mut().flatten() {
            exposure.departing = Some(Arc::clone(&slices));
        }
        self.timestamp = text::timestamp(departing.at, self.format);
        self
    }

    /// Writes HELP and TYPE of a family.
    fn write_header(&mut self, family: &JoinedFamily) {
        match self.gzip.as_mut().filter(|gzip| !gzip.whole) {
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

    /// Writes a piece of `resource` from `object` on. Returns the next object if the chunk is full before the end of the piece.
    fn write_piece(&mut self, resource: &ResourceStore, name: &[u8], piece: &Piece, object: usize) -> Option<usize> {
        let Some(gzip) = self.gzip.as_mut().filter(|gzip| !gzip.whole) else {
            for object in object..piece.column.len() {
                if piece.shows(object) {
                    write_object(&mut self.out, name, piece, object, &self.timestamp, &mut self.room);
                    if self.out.len() >= CHUNK {
                        return Some(object + 1);
                    }
                }
            }
            return None;
        };
        // Other scrapes of the same column wait for a text that can be shared.
        if piece.departing != 0 {
            let (mut known, masks) = (lock(&piece.column.timed), (piece.visible, piece.departing));
            let fits = |known: &Timed| known.masks == masks && known.timestamp == self.timestamp;
            if !known.as_deref().is_some_and(fits) {
                let deflated = gzip.deflate(name, piece, &self.timestamp, &mut self.room);
                *known = Some(Box::new(Timed { timestamp: self.timestamp.clone(), masks, deflated }));
            }
            if let Some(known) = known.as_deref() {
                gzip.send(&known.deflated, &mut self.out);
            }
            drop(known);
            // After the text is there, so that none stays unseen.
            resource.keeps_timed();
        } else if piece.visible.is_some() {
            let deflated = gzip.deflate(name, piece, &[], &mut self.room);
            gzip.send(&deflated, &mut self.out);
        } else {
            let known = piece.column.deflated.get_or_init(|| gzip.deflate(name, piece, &[], &mut self.room));
            gzip.send(known, &mut self.out);
        }
        None
    }

    fn is_full(&self) -> bool {
        self.out.len() >= CHUNK || self.gzip.as_ref().is_some_and(|gzip| gzip.worked >= WORK)
    }

    /// Writes until the chunk is full or the exposition ends.
    fn write(&mut self) {
        let served = Arc::clone(&self.served);
        while let Some(family) = served.families.get(self.family) {
            if !self.headed && family.members.iter().any(|(resource, _)| self.exposures[*resource].is_some()) {
                self.write_header(family);
            }
            self.headed = true;
            while let Some((resource, index)) = family.members.get(self.member) {
                loop {
                    if self.is_full() {
                        return;
                    }
                    let piece = self.piece.take().or_else(|| {
                        let exposure = self.exposures[*resource].as_ref()?;
                        let piece = served.resources[*resource].piece(*index, exposure, &mut self.after)?;
                        Some((piece, 0))
                    });
                    let Some((piece, object)) = piece else { break };
                    let (resource, name) = (&served.resources[*resource], family.header.name.as_bytes());
                    let more = self.write_piece(resource, name, &piece, object);
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
        let Some(gzip) = self.gzip.as_mut().filter(|gzip| !gzip.whole) else {
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
        let mut out = std::mem::take(&mut self.out);
        if let Some(gzip) = &mut self.gzip {
            gzip.worked = 0;
            if gzip.whole {
                out = gzip.chunk(&out, self.ended);
            }
        }
        (!out.is_empty()).then(|| out.into())
    }
}

#[cfg(test)]
mod namespace_tests;
#[cfg(test)]
mod tests;
