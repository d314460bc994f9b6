//! Asks the API server to filter: the ranges of a slice as a `shardSelector` (KEP-5866).
//!
//! The selector only saves work. The source filters arriving objects again, so servers that ignore the parameter are fine too.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::sharding::{Hasher, Slice};
use crate::sync::lock;

/// The maximum number of ranges in a selector: 97 KB in a URL, which a 1.36 API server accepts.
const MOST: usize = 1000;

/// How long to send no selector after the server refused one: upgrades and changes of feature gates take minutes.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// Decides whether requests carry a selector.
#[derive(Debug)]
pub struct Selector {
    enabled: bool,
    refused: Mutex<Option<Instant>>,
}

impl Selector {
    /// Sends selectors only if `enabled`.
    pub const fn new(enabled: bool) -> Self {
        Self { enabled, refused: Mutex::new(None) }
    }

    /// Whether requests carry selectors while the server accepts them.
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether a request for `slice` carries a selector now. The server supports only FNV-1a.
    pub fn is_for(&self, slice: &Slice) -> bool {
        let ranges = slice.ranges(Hasher::Fnv1a64).parts().len();
        self.enabled
            && slice.ranges(Hasher::XxHash64).is_empty()
            && !slice.is_all()
            && (1..=MOST).contains(&ranges)
            && self.refused().is_none_or(|at| at.elapsed() >= REFUSED_FOR)
    }

    /// The server refused a request with a selector, and accepted it without.
    pub fn refuse(&self) {
        *self.refused() = Some(Instant::now());
    }

    fn refused(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.refused)
    }
}

/// Whether a selector may have caused this status: a parameter that is not allowed, a URL that is too long, or a
/// server that fails on it.
pub const fn may_blame(status: u16) -> bool {
    matches!(status, 400 | 414 | 431 | 500)
}

/// Writes the selector of a slice of the FNV-1a space: <https://kep.k8s.io/5866>.
pub fn text(slice: &Slice) -> String {
    let mut text = String::new();
    for (start, end) in slice.ranges(Hasher::Fnv1a64).parts() {
        let or = if text.is_empty() { "" } else { " || " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{or}shardRange(object.metadata.uid,'{start:#018x}','{end:#018x}')");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sharding::Ranges;

    fn fnv(parts: &[(u128, u128)]) -> Slice {
        Slice::of(Hasher::Fnv1a64, Ranges::from_parts(parts.iter().copied()))
    }

    #[test]
    fn ranges_are_written_with_sixteen_digits_and_the_end_of_the_space_with_seventeen() {
        assert_eq!(
            text(&fnv(&[(0, 0x80), (1 << 63, 1 << 64)])),
            "shardRange(object.metadata.uid,'0x0000000000000000','0x0000000000000080') || \
             shardRange(object.metadata.uid,'0x8000000000000000','0x10000000000000000')"
        );
    }

    #[test]
    fn only_selectors_known_to_the_server_are_sent() {
        let selector = Selector::new(true);
        let half = fnv(&[(0, 1 << 63)]);
        assert!(selector.is_for(&half) && !Selector::new(false).is_for(&half));
        assert!(!selector.is_for(&Slice::none()) && !selector.is_for(&fnv(&[(0, 1 << 64)])));
        assert!(!selector.is_for(&half.union(&Slice::of(Hasher::XxHash64, Ranges::from_parts([(0, 1)])))));
        let ranges = |n: u128| fnv(&(0..n).map(|i| (2 * i, 2 * i + 1)).collect::<Vec<_>>());
        assert!(selector.is_for(&ranges(1000)) && !selector.is_for(&ranges(1001)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_remembered_for_a_while() {
        let selector = Selector::new(true);
        let half = fnv(&[(0, 1 << 63)]);
        selector.refuse();
        assert!(!selector.is_for(&half));
        tokio::time::advance(REFUSED_FOR).await;
        assert!(selector.is_for(&half));
    }
}
