//! An allocator that overwrites freed memory, on threads that enable it.
//!
//! A Secret's `Table` row can contain its data in the annotation `kubectl.kubernetes.io/last-applied-configuration`. The
//! reader skips the annotation, but by then its bytes have been in the buffers of TLS and HTTP. Sources of Secrets
//! therefore run on a thread of their own that wipes freed memory. They close a connection that carried the annotation,
//! so that its buffers are freed as well. Knows nothing of Kubernetes.

// An allocator needs `unsafe`. Each block below passes on the contract of its caller unchanged.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use zeroize::Zeroize;

thread_local! {
    /// Constant and without a destructor: reading it neither allocates nor fails, as an allocator requires.
    static WIPES_FREES: Cell<bool> = const { Cell::new(false) };
}

/// Overwrites the memory that this thread frees from now on, if the process's allocator is a [`WipingAllocator`].
pub fn wipe_frees_on_this_thread() {
    WIPES_FREES.set(true);
}

/// The allocator `A`, which also overwrites the memory that threads free after [`wipe_frees_on_this_thread`].
#[derive(Debug)]
pub struct WipingAllocator<A>(pub A);

// SAFETY: every call passes the caller's arguments on to `A`. `dealloc` writes within the layout of an allocation that
// the caller frees. On wiping threads `realloc` is an allocation, a copy of the shorter of both sizes and a `dealloc`,
// which is the trait's own definition.
unsafe impl<A: GlobalAlloc> GlobalAlloc for WipingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if WIPES_FREES.get() {
            // `zeroize` writes volatile, so that the compiler keeps stores into memory that is freed next.
            unsafe { std::slice::from_raw_parts_mut(block.cast::<std::mem::MaybeUninit<u8>>(), layout.size()) }
                .zeroize();
        }
        unsafe { self.0.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !WIPES_FREES.get() {
            return unsafe { self.0.realloc(block, layout, size) };
        }
        // SAFETY: the caller guarantees that `size`, rounded up to the alignment, does not overflow.
        let grown = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let moved = unsafe { self.0.alloc(grown) };
        if !moved.is_null() {
            unsafe {
                std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;
    use std::sync::Mutex;

    /// Keeps a copy of each freed block.
    struct Recording(Mutex<Vec<Vec<u8>>>);

    unsafe impl GlobalAlloc for Recording {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            let freed = unsafe { std::slice::from_raw_parts(block, layout.size()) }.to_vec();
            self.0.lock().expect("no test panics with the lock").push(freed);
            unsafe { System.dealloc(block, layout) }
        }
    }

    /// The freed blocks after `secret` was written, grown and freed.
    fn left_behind() -> Vec<Vec<u8>> {
        let allocator = WipingAllocator(Recording(Mutex::default()));
        let layout = Layout::array::<u8>(6).expect("small");
        unsafe {
            let block = allocator.alloc(layout);
            std::ptr::copy_nonoverlapping(b"secret".as_ptr(), block, 6);
            let grown = allocator.realloc(block, layout, 8);
            assert_eq!(std::slice::from_raw_parts(grown, 6), b"secret");
            grown.add(6).write_bytes(b'!', 2);
            allocator.dealloc(grown, Layout::array::<u8>(8).expect("small"));
        }
        allocator.0.0.into_inner().expect("no panic")
    }

    #[test]
    fn a_wiping_thread_frees_zeroes_and_others_free_as_always() {
        assert_eq!(left_behind().last().map(Vec::as_slice), Some(b"secret!!".as_slice()));
        let wiped = std::thread::spawn(|| {
            wipe_frees_on_this_thread();
            left_behind()
        });
        assert_eq!(wiped.join().expect("no panic"), [vec![0; 6], vec![0; 8]]);
    }
}
