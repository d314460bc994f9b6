//! `shardSelector`: selects objects by the hash of their UID (KEP-5866).

use std::ops::Range;

use super::error::ApiError;

/// The end of the hash space.
const END: u128 = 1 << 64;

/// Half-open ranges of FNV-1a 64 hashes of UIDs. A selected object lies in one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shards {
    /// The selector text, which the answer echoes.
    pub selector: String,
    ranges: Vec<Range<u128>>,
}

impl Shards {
    /// Parses `shardRange(object.metadata.uid,'0x<start>','0x<end>')`, joined by `||`. Start and end have 16 hexadecimal digits,
    /// except an end of 2^64.
    pub fn parse(selector: &str) -> Result<Self, ApiError> {
        let invalid = |term: &str| ApiError::bad_request(format!("invalid shardSelector: '{term}'"));
        let ranges = selector.split("||").map(|term| range(term.trim()).ok_or_else(|| invalid(term)));
        Ok(Self { selector: selector.to_owned(), ranges: ranges.collect::<Result<_, _>>()? })
    }

    pub fn contains(&self, uid: &str) -> bool {
        let hash = u128::from(fnv1a64(uid));
        self.ranges.iter().any(|range| range.contains(&hash))
    }
}

fn range(term: &str) -> Option<Range<u128>> {
    let arguments = term.strip_prefix("shardRange(")?.strip_suffix(')')?;
    let mut arguments = arguments.split(',').map(str::trim);
    let (field, start, end) = (arguments.next()?, arguments.next()?, arguments.next()?);
    if field != "object.metadata.uid" || arguments.next().is_some() {
        return None;
    }
    let (start, end) = (point(start)?, point(end)?);
    (start < end && end <= END).then_some(start..end)
}

fn point(quoted: &str) -> Option<u128> {
    let digits = quoted.strip_prefix('\'')?.strip_suffix('\'')?.strip_prefix("0x")?;
    let length = if digits.len() == 17 { digits == "10000000000000000" } else { digits.len() == 16 };
    (length && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then(|| u128::from_str_radix(digits, 16).ok())?
}

/// FNV-1a, 64 bits. A separate implementation, as in a real server, so that a mistake in the client's shows.
fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn selector(ranges: &[(u128, u128)]) -> String {
        let term =
            |(start, end): &(u128, u128)| format!("shardRange(object.metadata.uid,'{start:#018x}','{end:#018x}')");
        ranges.iter().map(term).collect::<Vec<_>>().join(" || ")
    }

    proptest! {
        #[test]
        fn every_uid_is_on_one_side_of_a_cut(cut in 1..END, uid in "[0-9a-f-]{36}") {
            let side = |range| Shards::parse(&selector(&[range])).expect("valid").contains(&uid);
            prop_assert!(side((0, cut)) != side((cut, END)));
            let both = Shards::parse(&selector(&[(0, cut), (cut, END)])).expect("valid");
            prop_assert!(both.contains(&uid));
        }
    }

    #[test]
    fn hashes_are_the_published_ones() {
        // http://www.isthe.com/chongo/tech/comp/fnv/, test vectors of FNV-1a 64.
        assert_eq!(fnv1a64("foobar"), 0x8594_4171_f739_67e8);
        let of = |end: u128| Shards::parse(&selector(&[(0x8594_4171_f739_67e8, end)])).expect("valid");
        assert!(of(END).contains("foobar") && of(0x8594_4171_f739_67e9).contains("foobar"));
        assert!(!Shards::parse(&selector(&[(0, 0x8594_4171_f739_67e8)])).expect("valid").contains("foobar"));
    }

    #[test]
    fn invalid_ranges_are_rejected() {
        for selector in [
            "",
            "shardRange(object.metadata.name,'0x0000000000000000','0x8000000000000000')",
            "shardRange(object.metadata.uid,'0x0','0x8000000000000000')",
            "shardRange(object.metadata.uid,0x0000000000000000,0x8000000000000000)",
            "shardRange(object.metadata.uid,'0x8000000000000000','0x8000000000000000')",
            "shardRange(object.metadata.uid,'0x0000000000000000','0x10000000000000001')",
            "shardRange(object.metadata.uid,'0x+000000000000000','0x8000000000000000')",
            "shardRange(object.metadata.uid,'0x0000000000000000','0x8000000000000000') ||",
            "shardRange(object.metadata.uid,'0x0000000000000000')",
        ] {
            assert_eq!(Shards::parse(selector).map_err(|error| error.code), Err(400), "{selector}");
        }
    }
}
