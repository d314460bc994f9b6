//! The process's allocator: jemalloc, set up for a process that keeps much for long and has a few threads; it forgets where
//! it is asked to ([`WipingAllocator`]). May know nothing else.

use tikv_jemallocator::Jemalloc;

use crate::intake::wipe::WipingAllocator;

/// Its type.
pub type Allocator = WipingAllocator<Jemalloc>;

/// The process's allocator.
pub const ALLOCATOR: Allocator = WipingAllocator(Jemalloc);

/// What jemalloc reads at its start (jemalloc(3), TUNING).
///
/// - one arena: what one thread frees the others use. An arena for each thread keeps holes of its own, and ours take turns
///   rather than wait for each other;
/// - what is freed goes back to the system half a second later: a list, or a scrape, is over by then;
/// - a thread keeps no freed blocks above a page for itself.
// SAFETY: a symbol of C, which jemalloc declares as a pointer to constant text that ends with a zero. Nobody else has it.
#[allow(unsafe_code)]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static OPTIONS: &[u8; 62] = b"narenas:1,dirty_decay_ms:500,muzzy_decay_ms:0,tcache_max:4096\0";
