//! The hashes of UIDs.

use twox_hash::XxHash64;

/// The function from a UID to a point of the hash space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hasher {
    /// xxHash64 with seed 0: even and fast. The default.
    #[default]
    XxHash64,
    /// FNV-1a, 64 bits: the hash of the API server for `shardSelector` (KEP-5866).
    Fnv1a64,
}

impl Hasher {
    /// All hashes.
    pub const ALL: [Self; 2] = [Self::XxHash64, Self::Fnv1a64];

    /// Returns its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XxHash64 => "xxhash64",
            Self::Fnv1a64 => "fnv1a64",
        }
    }

    /// Returns the point of `uid`, from the bytes of its text.
    pub fn hash(self, uid: &str) -> u64 {
        match self {
            Self::XxHash64 => XxHash64::oneshot(0, uid.as_bytes()),
            Self::Fnv1a64 => {
                uid.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Hasher;

    #[test]
    fn hashes_are_the_published_ones() {
        // Reference vectors: https://github.com/Cyan4973/xxHash (XXH64 of the empty input) and
        // http://www.isthe.com/chongo/tech/comp/fnv/ (test vectors of FNV-1a 64).
        assert_eq!(Hasher::XxHash64.hash(""), 0xef46_db37_51d8_e999);
        assert_eq!(Hasher::Fnv1a64.hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Hasher::Fnv1a64.hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Hasher::Fnv1a64.hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
