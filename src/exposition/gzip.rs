//! Compresses text in pieces that join to one gzip stream (RFC 1951, RFC 1952).
//!
//! Each piece starts with an empty window and ends at a byte boundary. So pieces can be kept, reordered and copied into every
//! response. The checksum of the stream is combined from the checksums of the pieces.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// The header of a gzip stream: deflate, no name, no time, unknown origin.
pub const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// An empty final block, which ends the deflate stream.
const LAST: [u8; 2] = [3, 0];

/// Compressed text, and its contribution to the trailer.
#[derive(Debug)]
pub struct Deflated {
    /// The bytes to send.
    pub bytes: Box<[u8]>,
    crc: u32,
    /// The factor for checksums of earlier text: x to the power of the length in bits, modulo the polynomial of CRC-32.
    shift: u32,
    /// The length of the text, modulo 2^32.
    length: u32,
}

/// The trailer of a stream, updated piece by piece.
#[derive(Debug, Default)]
pub struct Trailer {
    crc: u32,
    length: u32,
}

impl Trailer {
    /// Adds a piece that was sent.
    pub const fn add(&mut self, piece: &Deflated) {
        self.crc = multiply(piece.shift, self.crc) ^ piece.crc;
        self.length = self.length.wrapping_add(piece.length);
    }

    /// Writes the end of the stream.
    pub fn write(&self, out: &mut impl Extend<u8>) {
        out.extend(LAST.into_iter().chain(self.crc.to_le_bytes()).chain(self.length.to_le_bytes()));
    }
}

/// Compresses one piece after the other.
pub struct Deflater {
    /// Large: a quarter of a megabyte.
    compress: Compress,
    crc: Crc,
    out: Vec<u8>,
}

impl Deflater {
    /// Creates a compressor.
    pub fn new(level: Compression) -> Self {
        Self { compress: Compress::new(level, false), crc: Crc::new(), out: Vec::new() }
    }

    /// Adds the next part of the text of a piece.
    pub fn write(&mut self, text: &[u8]) {
        self.crc.update(text);
        self.push(text, FlushCompress::None);
    }

    /// Finishes the piece.
    pub fn finish(&mut self) -> Deflated {
        self.push(&[], FlushCompress::Sync);
        self.compress.reset();
        let crc = std::mem::take(&mut self.crc);
        let bytes = self.out.as_slice().into();
        self.out.clear();
        Deflated { bytes, crc: crc.sum(), shift: power(crc.amount()), length: crc.amount() }
    }

    fn push(&mut self, mut text: &[u8], flush: FlushCompress) {
        loop {
            // If the output has space left, all input is consumed.
            self.out.reserve(text.len() / 4 + 64);
            let before = self.compress.total_in();
            // Fails only after the end of the stream, which is never written here.
            let status = self.compress.compress_vec(text, &mut self.out, flush);
            text = &text[(self.compress.total_in() - before) as usize..];
            let has_room = self.out.len() < self.out.capacity();
            if (text.is_empty() && has_room) || !matches!(status, Ok(Status::Ok | Status::BufError)) {
                return;
            }
        }
    }
}

/// The polynomial of CRC-32 (RFC 1952, section 8), lowest power in the highest bit.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// Returns the product of two polynomials, modulo the polynomial of CRC-32.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 1 << 31;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        bit >>= 1;
        b = if b & 1 == 0 { b >> 1 } else { (b >> 1) ^ POLYNOMIAL };
    }
    product
}

/// Returns x to the power of 8 times `bytes`, with one square per bit of `bytes`.
const fn power(mut bytes: u32) -> u32 {
    // x^0, and x^8.
    let (mut result, mut square) = (1 << 31, 1 << 23);
    while bytes != 0 {
        if bytes & 1 != 0 {
            result = multiply(square, result);
        }
        square = multiply(square, square);
        bytes >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]
        #[test]
        fn pieces_join_to_one_stream(
            texts in proptest::collection::vec(("[a-d]{0,40}", 0_usize..3000), 0..6),
            order in proptest::collection::vec(0_usize..6, 0..12),
        ) {
            let mut deflater = Deflater::new(Compression::new(2));
            let texts: Vec<_> = texts.into_iter().map(|(text, times)| text.repeat(times)).collect();
            let pieces: Vec<_> = texts
                .iter()
                .map(|text| {
                    text.as_bytes().chunks(1000).for_each(|part| deflater.write(part));
                    deflater.finish()
                })
                .collect();
            let (mut stream, mut expected, mut trailer) = (HEAD.to_vec(), String::new(), Trailer::default());
            for at in order.into_iter().filter(|at| *at < pieces.len()) {
                stream.extend_from_slice(&pieces[at].bytes);
                trailer.add(&pieces[at]);
                expected.push_str(&texts[at]);
            }
            trailer.write(&mut stream);
            let mut text = String::new();
            // The decoder fails if the checksum or the length is wrong.
            flate2::read::GzDecoder::new(stream.as_slice()).read_to_string(&mut text).expect("it is valid");
            prop_assert_eq!(text, expected);
        }
    }

    #[test]
    fn random_bytes_are_compressed() {
        let mut random = fastrand::Rng::with_seed(7);
        let text: Vec<u8> = (0..1_000_000).map(|_| random.u8(..)).collect();
        let mut deflater = Deflater::new(Compression::new(2));
        deflater.write(&text);
        let piece = deflater.finish();
        let (mut stream, mut trailer) = (HEAD.to_vec(), Trailer::default());
        stream.extend_from_slice(&piece.bytes);
        trailer.add(&piece);
        trailer.write(&mut stream);
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(stream.as_slice()).read_to_end(&mut read).expect("it is valid");
        assert!(read == text);
    }
}
