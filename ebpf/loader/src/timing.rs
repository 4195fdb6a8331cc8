//! The kernel's time stamps, read from shared memory: no system call a request.
#![allow(
    unsafe_code,
    reason = "maps memory that kernel programs write, and makes one system call without a wrapper"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;

use brunt_abi::timing::{LOG_ENTRIES, Log, MARK_LEVEL, MARK_NAME, Mark, MarkValue, Slot};

/// When one request left this host and when its answer began to arrive, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Times {
    pub left: u64,
    pub arrived: u64,
}

/// Why the kernel's times of a request are not known.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// More segments came than the log holds before it was read.
    Overwritten,
    /// No stamp fits: segments were lost or reordered, or the stamps are of something else.
    Missing,
}

/// The stamps of all connections of a run, shared by its cores.
#[derive(Debug)]
pub struct Timing {
    slots: Mapped<Slot>,
    logs: Option<Mapped<Log>>,
}

impl Timing {
    /// Maps `count` slots, and as many logs where there are any, read-only.
    ///
    /// # Errors
    /// When the kernel does not map them.
    pub fn new(slots: &OwnedFd, logs: Option<&OwnedFd>, count: u32) -> io::Result<Self> {
        Self::map(slots.as_fd(), logs.map(AsFd::as_fd), count)
    }

    /// The same from descriptors that this process inherited under these numbers.
    ///
    /// # Errors
    /// When they are not of such memory.
    pub fn inherited(slots: RawFd, logs: Option<RawFd>, count: u32) -> io::Result<Self> {
        // SAFETY: the descriptors are only used for the mapping; a number that is not open, or not of a map, is an error of
        // that. Nothing is closed.
        let (slots, logs) =
            unsafe { (BorrowedFd::borrow_raw(slots), logs.map(|fd| BorrowedFd::borrow_raw(fd))) };
        Self::map(slots, logs, count)
    }

    fn map(slots: BorrowedFd<'_>, logs: Option<BorrowedFd<'_>>, count: u32) -> io::Result<Self> {
        let count = count as usize;
        let logs = logs.map(|fd| Mapped::new(fd, count)).transpose()?;
        Ok(Self { slots: Mapped::new(slots, count)?, logs })
    }

    /// Slots there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.slots.count
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part of one core: `count` connections from `first`. `None` where there are not so many slots.
    #[must_use]
    pub fn core(self: &Arc<Self>, first: usize, count: usize) -> Option<CoreTiming> {
        (first.checked_add(count)? <= self.len()).then(|| CoreTiming { shared: self.clone(), first, count })
    }
}

/// The stamps of one core's connections, by their place in the core's table.
#[derive(Clone, Debug)]
pub struct CoreTiming {
    shared: Arc<Timing>,
    first: usize,
    count: usize,
}

impl CoreTiming {
    /// Ties a socket to the slot of connection `conn`, which is emptied. To be called before connect(2); `generation`
    /// must differ from that of the connection before.
    ///
    /// # Errors
    /// `ENOPROTOOPT` where no program is attached any more, else what the system call said.
    pub fn mark(&self, fd: BorrowedFd<'_>, conn: usize, generation: u32) -> io::Result<()> {
        let slot = u32::try_from(self.first + conn).map_err(|_| io::ErrorKind::InvalidInput)?;
        let value: MarkValue = [slot, generation];
        let len = libc::socklen_t::try_from(size_of_val(&value)).expect("eight bytes");
        // SAFETY: the value is live for the call and of the length given.
        let result =
            unsafe { libc::setsockopt(fd.as_raw_fd(), MARK_LEVEL, MARK_NAME, value.as_ptr().cast(), len) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// How long the three-way handshake of `conn` took: SYN left to SYN-ACK arrived.
    #[must_use]
    pub fn handshake(&self, conn: usize) -> Option<u64> {
        let slot = self.slot(conn)?;
        if slot.syn_ns == 0 || slot.synack_ns < slot.syn_ns {
            return None;
        }
        Some(slot.synack_ns - slot.syn_ns)
    }

    /// Segments of `conn` that were sent again so far.
    #[must_use]
    pub fn retransmits(&self, conn: usize) -> u64 {
        self.slot(conn).map_or(0, |slot| slot.retransmits)
    }

    /// The times of the newest request of a connection that has one under way: it was sent from stream offset `out_from`
    /// on and its answer arrives from `in_from` on. Must be asked while nothing else was sent.
    ///
    /// # Errors
    /// `Missing` where the stamps are not of this request.
    #[inline]
    pub fn of_only(&self, conn: usize, out_from: u64, in_from: u64) -> Result<Times, Unknown> {
        let slot = self.slot(conn).ok_or(Unknown::Missing)?;
        let fits = slot.out_from == out_from && slot.in_from == in_from;
        if fits && slot.out_ns != 0 && slot.in_ns >= slot.out_ns {
            Ok(Times { left: slot.out_ns, arrived: slot.in_ns })
        } else {
            Err(Unknown::Missing)
        }
    }

    /// When the byte at stream offset `from` left.
    ///
    /// # Errors
    /// Why that is not known.
    #[inline]
    pub fn left(&self, conn: usize, from: u64) -> Result<u64, Unknown> {
        self.find(conn, from, Direction::Out)
    }

    /// When the byte at stream offset `from` arrived, with all before it.
    ///
    /// # Errors
    /// Why that is not known.
    #[inline]
    pub fn arrived(&self, conn: usize, from: u64) -> Result<u64, Unknown> {
        self.find(conn, from, Direction::In)
    }

    fn slot(&self, conn: usize) -> Option<Slot> {
        self.shared.slots.at(self.index(conn)?)
    }

    fn index(&self, conn: usize) -> Option<usize> {
        (conn < self.count).then_some(self.first + conn)
    }

    fn find(&self, conn: usize, from: u64, direction: Direction) -> Result<u64, Unknown> {
        let logs = self.shared.logs.as_ref().ok_or(Unknown::Missing)?;
        let log = self.index(conn).and_then(|index| logs.pointer(index)).ok_or(Unknown::Missing)?;
        find_in(|index| Half::read(log, direction, index), || Half::count(log, direction), from)
    }
}

#[derive(Copy, Clone)]
enum Direction {
    Out,
    In,
}

/// Reads one half of a log.
struct Half;

impl Half {
    fn count(log: NonNull<Log>, direction: Direction) -> u64 {
        let log = log.as_ptr();
        // SAFETY: the pointer is into a mapping that its owner keeps; the field is aligned and only read.
        unsafe {
            match direction {
                Direction::Out => (&raw const (*log).out_count).read_volatile(),
                Direction::In => (&raw const (*log).in_count).read_volatile(),
            }
        }
    }

    fn read(log: NonNull<Log>, direction: Direction, index: u64) -> Mark {
        #[expect(clippy::cast_possible_truncation, reason = "the rest of a division by 64")]
        let at = (index % LOG_ENTRIES as u64) as usize;
        let log = log.as_ptr();
        // SAFETY: as above, and `at` is within the array.
        unsafe {
            let entry = match direction {
                Direction::Out => &raw const (*log).outward[at],
                Direction::In => &raw const (*log).inward[at],
            };
            Mark {
                end: (&raw const (*entry).end).read_volatile(),
                ns: (&raw const (*entry).ns).read_volatile(),
            }
        }
    }
}

/// The instant of the first entry that covers the byte at `from`. Entries ascend; the newest are asked first, and what may
/// have been overwritten meanwhile is not believed.
fn find_in(read: impl Fn(u64) -> Mark, count: impl Fn() -> u64, from: u64) -> Result<u64, Unknown> {
    let newest = count();
    let oldest = newest.saturating_sub(LOG_ENTRIES as u64);
    let mut found = None;
    let mut index = newest;
    while index > oldest {
        index -= 1;
        let mark = read(index);
        if mark.end <= from {
            // The one after it is the first that covers the byte.
            return settle(found, &count);
        }
        found = Some((index, mark));
    }
    // Nothing older is kept. That is exact only where nothing older ever was.
    if oldest == 0 { settle(found, &count) } else { Err(Unknown::Overwritten) }
}

fn settle(found: Option<(u64, Mark)>, count: &impl Fn() -> u64) -> Result<u64, Unknown> {
    let (index, mark) = found.ok_or(Unknown::Missing)?;
    // The entry before it told that it is the first, so that must stand too. One more may be being written.
    if count() + 2 > index + LOG_ENTRIES as u64 {
        return Err(Unknown::Overwritten);
    }
    if mark.ns == 0 { Err(Unknown::Missing) } else { Ok(mark.ns) }
}

/// An array map's memory, read-only.
#[derive(Debug)]
struct Mapped<T> {
    start: NonNull<T>,
    count: usize,
}

// SAFETY: the memory is only read, by aligned loads of whole words, and stays until this is dropped.
unsafe impl<T> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Mapped<T> {}

impl<T: Copy> Mapped<T> {
    fn new(fd: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        if count == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let len = (count * size_of::<T>()).next_multiple_of(rustix::param::page_size());
        // SAFETY: a new mapping of a place that the kernel chooses.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                len,
                rustix::mm::ProtFlags::READ,
                rustix::mm::MapFlags::SHARED,
                fd,
                0,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, count })
    }

    fn pointer(&self, index: usize) -> Option<NonNull<T>> {
        // SAFETY: the index is within the mapping.
        (index < self.count).then(|| unsafe { self.start.add(index) })
    }

    /// A copy, word by word as the kernel may be writing.
    #[inline]
    fn at(&self, index: usize) -> Option<T> {
        // SAFETY: the pointer is into the mapping and aligned.
        self.pointer(index).map(|at| unsafe { at.read_volatile() })
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        let len = (self.count * size_of::<T>()).next_multiple_of(rustix::param::page_size());
        // SAFETY: this mapping was made with this length and nothing borrows from it any more.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of 100 bytes, one a nanosecond from 1 on.
    fn log(written: u64) -> Vec<Mark> {
        let mut marks = vec![Mark::default(); LOG_ENTRIES];
        for index in 0..written {
            let at = usize::try_from(index).unwrap() % LOG_ENTRIES;
            marks[at] = Mark { end: (index + 1) * 100, ns: index + 1 };
        }
        marks
    }

    fn check(written: u64, from: u64, want: Result<u64, Unknown>) {
        let marks = log(written);
        let read = |index: u64| marks[usize::try_from(index).unwrap() % LOG_ENTRIES];
        assert_eq!(find_in(read, || written, from), want, "{written} entries, byte {from}");
    }

    #[test]
    fn the_first_entry_that_covers_the_byte_is_found() {
        check(0, 0, Err(Unknown::Missing));
        check(1, 0, Ok(1));
        check(1, 99, Ok(1));
        check(1, 100, Err(Unknown::Missing));
        check(5, 0, Ok(1));
        check(5, 250, Ok(3));
        check(5, 499, Ok(5));
        check(62, 0, Ok(1));
    }

    #[test]
    fn what_may_have_been_overwritten_is_unknown() {
        let last = LOG_ENTRIES as u64;
        check(last, 0, Err(Unknown::Overwritten));
        check(last + 1, 0, Err(Unknown::Overwritten));
        // The newest entries are still known, the oldest kept one could be going.
        check(last * 3, last * 300 - 1, Ok(last * 3));
        check(last * 3, last * 200, Err(Unknown::Overwritten));
        check(last * 3, last * 200 + 250, Ok(last * 2 + 3));
    }

    #[test]
    fn an_entry_without_an_instant_is_unknown() {
        let marks = [Mark { end: 100, ns: 5 }, Mark { end: 300, ns: 0 }, Mark { end: 400, ns: 9 }];
        let read = |index: u64| marks[usize::try_from(index).unwrap()];
        assert_eq!(find_in(read, || 3, 150), Err(Unknown::Missing));
        assert_eq!(find_in(read, || 3, 300), Ok(9));
    }
}
