//! A ring of receive buffers that the kernel picks from (`IORING_REGISTER_PBUF_RING`, io_uring_register(2)).

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

const PAGE: usize = 4096;

/// Buffers of one size, each either lent to the kernel or being read by us.
pub(super) struct Buffers {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    count: u16,
    size: u32,
    tail: u16,
}

impl Buffers {
    /// Registers `count` (a power of two) buffers of `size` bytes as group `group` and lends all of them.
    pub(super) fn register(ring: &IoUring, group: u16, count: u16, size: u32) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "the kernel masks the tail with count - 1");
        let entries = allocate(Self::entries_layout(count)).cast::<BufRingEntry>();
        let memory = allocate(Self::memory_layout(count, size));
        let mut buffers = Self { entries, memory, count, size, tail: 0 };
        // SAFETY: the entries are page-aligned, zeroed, and stay allocated until the ring is gone (see `Uring::drop`).
        unsafe { ring.submitter().register_buf_ring_with_flags(entries.as_ptr() as u64, count, group, 0)? };
        (0..count).for_each(|id| buffers.lend(id));
        Ok(buffers)
    }

    fn entries_layout(count: u16) -> Layout {
        Layout::from_size_align(usize::from(count) * size_of::<BufRingEntry>(), PAGE)
            .expect("64 Ki entries at most")
    }

    fn memory_layout(count: u16, size: u32) -> Layout {
        Layout::from_size_align(usize::from(count) * size as usize, PAGE).expect("bounded by the callers")
    }

    fn address(&self, id: u16) -> *mut u8 {
        debug_assert!(id < self.count);
        // SAFETY: `id` is below `count`, so the offset is inside the allocation.
        unsafe { self.memory.as_ptr().add(usize::from(id) * self.size as usize) }
    }

    /// Gives a buffer (back) to the kernel.
    pub(super) fn lend(&mut self, id: u16) {
        let slot = usize::from(self.tail & (self.count - 1));
        let address = self.address(id);
        // SAFETY: `slot` is below `count`. The kernel reads an entry only once the tail was moved past it, below.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(slot);
            entry.set_addr(address as u64);
            entry.set_len(self.size);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies inside the first entry, is aligned, and is shared with the kernel as an atomic.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    /// The first `len` bytes of a buffer that the kernel filled and that was not lent since.
    pub(super) fn bytes(&self, id: u16, len: usize) -> &[u8] {
        debug_assert!(len <= self.size as usize);
        // SAFETY: the kernel wrote `len` bytes, at most `size`, and does not touch the buffer until it is lent again,
        // which takes `&mut self`.
        unsafe { std::slice::from_raw_parts(self.address(id), len) }
    }

    /// Frees the memory.
    ///
    /// # Safety
    /// The ring must have no operation under way and never use this group again.
    pub(super) unsafe fn free(self) {
        // SAFETY: both were allocated with these layouts, and nobody else refers to them any more.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), Self::entries_layout(self.count));
            dealloc(self.memory.as_ptr(), Self::memory_layout(self.count, self.size));
        }
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layout's size is not zero: counts and sizes are at least one.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}
