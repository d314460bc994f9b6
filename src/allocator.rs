//! The allocator of the process: jemalloc, tuned for long-lived data and few threads. It wipes freed memory on threads that
//! request it ([`crate::intake::wipe`]). May know nothing else.

use tikv_jemallocator::Jemalloc;

use crate::intake::wipe::WipingAllocator;

/// The type of [`ALLOCATOR`].
pub type Allocator = WipingAllocator<Jemalloc>;

/// The allocator of the process.
pub const ALLOCATOR: Allocator = WipingAllocator(Jemalloc);

/// The options that jemalloc reads when it starts (jemalloc(3), TUNING).
///
/// - `narenas:1`: memory that one thread frees is available to all. An arena per thread would fragment separately, and our
///   threads seldom allocate at the same time.
/// - `dirty_decay_ms:500,muzzy_decay_ms:0`: freed memory returns to the system after half a second, when a list or a scrape has
///   completed.
/// - `tcache_max:4096`: a thread caches no freed blocks larger than a page.
// SAFETY: jemalloc declares this C symbol as a pointer to constant, zero-terminated text. No other crate defines it.
#[allow(unsafe_code)]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static OPTIONS: &[u8; 62] = b"narenas:1,dirty_decay_ms:500,muzzy_decay_ms:0,tcache_max:4096\0";
