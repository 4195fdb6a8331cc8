//! Time stamps of what leaves and arrives.
//!
//! Stream offsets count in 64 bits from the first byte after the handshake. A segment that continues what was seen is new;
//! one from before was sent again. What arrives ahead of a gap is not readable yet and gets no stamp; when the gap was filled
//! without our seeing when, the log says so by an entry without an instant.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_tcp_sock;
use aya_ebpf::programs::SkBuffContext;
use brunt_abi::timing::{LOG_ENTRIES, Log, Mark, Slot};

use crate::memory::{self, State};
use crate::packet::Segment;

#[inline(always)]
fn now() -> u64 {
    // SAFETY: reads the clock.
    unsafe { bpf_ktime_get_ns() }
}

/// The socket's slot, unless another connection has it by now.
#[inline(always)]
fn slot_of(state: &State) -> Option<*mut Slot> {
    let slot = memory::slot(state.slot)?;
    // SAFETY: a value of the map.
    let generation = unsafe { (*slot).generation };
    if generation == u64::from(state.generation) { Some(slot) } else { None }
}

#[inline(always)]
const fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// A segment leaves.
#[inline(always)]
pub(crate) fn sent(segment: &Segment, state: &mut State) {
    if segment.is_syn() {
        return syn_sent(segment, state);
    }
    if segment.len == 0 {
        return;
    }
    let Some(slot) = slot_of(state) else { return };
    let end = segment.sequence.wrapping_add(segment.len);
    if segment.sequence != state.out_next {
        again(slot);
        if !is_before(state.out_next, end) {
            return;
        }
    }
    let (instant, from) = (now(), state.out_total);
    state.out_total = from + u64::from(end.wrapping_sub(state.out_next));
    state.out_next = end;
    if memory::logs() {
        if let Some(log) = memory::log(state.slot) {
            // SAFETY: a value of the map.
            unsafe { append_out(log, state.out_total, instant) };
        }
    } else if state.awaiting == 0 {
        state.awaiting = 1;
        // SAFETY: as above. The instant of the answer is emptied first: a reader that sees it does not take it for an answer to
        // this request, whose offset comes last.
        unsafe {
            memory::put(&raw mut (*slot).in_ns, 0);
            memory::put(&raw mut (*slot).out_ns, instant);
            memory::put(&raw mut (*slot).out_from, from);
        }
    }
}

#[inline(always)]
fn syn_sent(segment: &Segment, state: &mut State) {
    let Some(slot) = slot_of(state) else { return };
    // SAFETY: a value of the map.
    unsafe {
        if (*slot).syn_ns == 0 {
            memory::put(&raw mut (*slot).syn_ns, now());
        } else {
            again(slot);
        }
    }
    state.out_next = segment.sequence.wrapping_add(1);
}

#[inline(always)]
fn again(slot: *mut Slot) {
    // SAFETY: a value of the map; one socket sends on one CPU at a time.
    unsafe { memory::put(&raw mut (*slot).retransmits, (*slot).retransmits + 1) };
}

/// A segment arrives.
#[inline(always)]
pub(crate) fn received(ctx: &SkBuffContext, segment: &Segment, state: &mut State) {
    if segment.is_syn() {
        return syn_received(segment, state);
    }
    if segment.len == 0 {
        return;
    }
    let Some(slot) = slot_of(state) else { return };
    let end = segment.sequence.wrapping_add(segment.len);
    if segment.sequence != state.in_next {
        if is_before(state.in_next, segment.sequence) {
            catch_up(ctx, state);
        }
        // Ahead of a gap, or nothing new.
        if is_before(state.in_next, segment.sequence) || !is_before(state.in_next, end) {
            return;
        }
    }
    let (instant, from) = (now(), state.in_total);
    state.in_total = from + u64::from(end.wrapping_sub(state.in_next));
    state.in_next = end;
    if memory::logs() {
        if let Some(log) = memory::log(state.slot) {
            // SAFETY: a value of the map.
            unsafe { append_in(log, state.in_total, instant) };
        }
    } else if state.awaiting != 0 {
        state.awaiting = 0;
        // SAFETY: as above.
        unsafe {
            memory::put(&raw mut (*slot).in_from, from);
            memory::put(&raw mut (*slot).in_ns, instant);
        }
    }
}

#[inline(always)]
fn syn_received(segment: &Segment, state: &mut State) {
    state.in_next = segment.sequence.wrapping_add(1);
    if let Some(slot) = slot_of(state) {
        // SAFETY: a value of the map.
        unsafe {
            if (*slot).synack_ns == 0 {
                memory::put(&raw mut (*slot).synack_ns, now());
            }
        }
    }
}

/// A gap was filled, and what had come ahead of it became readable then: at an instant that nobody saw.
#[inline(always)]
fn catch_up(ctx: &SkBuffContext, state: &mut State) {
    // SAFETY: the context is the kernel's, and null is checked at each step.
    let next = unsafe {
        let socket = (*ctx.skb.skb).__bindgen_anon_2.sk;
        if socket.is_null() {
            return;
        }
        let tcp = bpf_tcp_sock(socket);
        if tcp.is_null() {
            return;
        }
        (*tcp).rcv_nxt
    };
    if !is_before(state.in_next, next) {
        return;
    }
    state.in_total += u64::from(next.wrapping_sub(state.in_next));
    state.in_next = next;
    // The answer began in there.
    state.awaiting = 0;
    if memory::logs()
        && let Some(log) = memory::log(state.slot)
    {
        // SAFETY: a value of the map.
        unsafe { append_in(log, state.in_total, 0) };
    }
}

/// # Safety
/// `log` is a value of the map.
#[inline(always)]
unsafe fn append_out(log: *mut Log, end: u64, ns: u64) {
    // SAFETY: the caller's promise; the index is masked.
    unsafe {
        let count = (*log).out_count;
        write(&raw mut (*log).outward[count as usize & (LOG_ENTRIES - 1)], end, ns);
        memory::put(&raw mut (*log).out_count, count + 1);
    }
}

/// # Safety
/// `log` is a value of the map.
#[inline(always)]
unsafe fn append_in(log: *mut Log, end: u64, ns: u64) {
    // SAFETY: the caller's promise; the index is masked.
    unsafe {
        let count = (*log).in_count;
        write(&raw mut (*log).inward[count as usize & (LOG_ENTRIES - 1)], end, ns);
        memory::put(&raw mut (*log).in_count, count + 1);
    }
}

/// # Safety
/// `entry` is in a value of the map.
#[inline(always)]
unsafe fn write(entry: *mut Mark, end: u64, ns: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        memory::put(&raw mut (*entry).end, end);
        memory::put(&raw mut (*entry).ns, ns);
    }
}
