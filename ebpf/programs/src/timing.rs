//! Time stamps of what leaves and arrives.
//!
//! Stream offsets count in 64 bits from the first byte after the handshake. A segment that continues what was seen is new;
//! one from before was sent again. What arrives ahead of a gap is not readable yet and gets no stamp; when the gap was filled
//! without our seeing when, the log says so by an entry without an instant.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_tcp_sock;
use aya_ebpf::programs::SkBuffContext;
use brunt_abi::timing::{ACKED, LOG_ENTRIES, Log, Mark, Slot};

use crate::memory::{self, State};
use crate::packet::Segment;

#[inline(always)]
fn now() -> u64 {
    // SAFETY: reads the clock.
    unsafe { bpf_ktime_get_ns() }
}

/// When the first segment of a burst leaves: TCP has read the same clock for it a moment ago, or has put its departure
/// off to an instant that a pacing queue keeps (`tstamp` of `__sk_buff`, the earliest departure time). Segments behind the
/// first share its instant, so this is not for them.
#[inline(always)]
fn departure(ctx: &SkBuffContext) -> u64 {
    // SAFETY: the context is the kernel's.
    let stamped = unsafe { (*ctx.skb.skb).tstamp };
    if stamped == 0 { now() } else { stamped }
}

/// The socket's slot, unless another connection has it by now.
#[inline(always)]
fn slot_to_send(state: &State) -> Option<*mut Slot> {
    let slot = memory::slot(state.slot)?;
    // SAFETY: a value of the map.
    let generation = unsafe { (*slot).out_generation };
    if generation == u64::from(state.generation) { Some(slot) } else { None }
}

/// The same by the other direction's line.
#[inline(always)]
fn slot_to_receive(state: &State) -> Option<*mut Slot> {
    let slot = memory::slot(state.slot)?;
    // SAFETY: a value of the map.
    let generation = unsafe { (*slot).in_generation };
    if generation == u64::from(state.generation) { Some(slot) } else { None }
}

#[inline(always)]
const fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// A segment leaves.
#[inline(always)]
pub(crate) fn sent(ctx: &SkBuffContext, segment: &Segment, state: &mut State) {
    if segment.is_syn() {
        return syn_sent(segment, state);
    }
    if segment.len == 0 {
        return;
    }
    let Some(slot) = slot_to_send(state) else { return };
    // SAFETY: a value of the map, here and below; one socket sends on one CPU at a time.
    let from = unsafe { (*slot).out_total };
    let next = state.out_first.wrapping_add(from as u32);
    let new = segment.sequence.wrapping_add(segment.len).wrapping_sub(next);
    if segment.sequence != next {
        again(slot);
        if new as i32 <= 0 {
            return;
        }
    }
    let total = from + u64::from(new);
    // SAFETY: as above. An offset comes after its instant, so whoever sees the one sees the other.
    unsafe {
        memory::put(&raw mut (*slot).out_total, total);
        if memory::logs() {
            if let Some(log) = memory::log(state.slot) {
                append_out(log, total, now());
            }
            return;
        }
        let ack = ACKED | u64::from(segment.acknowledges);
        if ack != (*slot).out_ack {
            memory::put(&raw mut (*slot).out_ack, ack);
            memory::put(&raw mut (*slot).out_ns, departure(ctx));
            memory::put(&raw mut (*slot).out_from, from);
        }
    }
}

#[inline(always)]
fn syn_sent(segment: &Segment, state: &mut State) {
    let Some(slot) = slot_to_send(state) else { return };
    // SAFETY: a value of the map.
    unsafe {
        if (*slot).syn_ns == 0 {
            memory::put(&raw mut (*slot).syn_ns, now());
        } else {
            again(slot);
        }
    }
    state.out_first = segment.sequence.wrapping_add(1);
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
    let Some(slot) = slot_to_receive(state) else { return };
    let end = segment.sequence.wrapping_add(segment.len);
    // SAFETY: a value of the map, here and below. Packets of one connection come on one CPU unless they are steered anew
    // in between; what is written is checked by its offsets.
    let mut from = unsafe { (*slot).in_total };
    let mut next = state.in_first.wrapping_add(from as u32);
    if segment.sequence != next {
        if is_before(next, segment.sequence) {
            from = catch_up(ctx, state, slot, from, next);
            next = state.in_first.wrapping_add(from as u32);
        }
        if is_before(next, segment.sequence) {
            return; // Ahead of a gap.
        }
        if !is_before(next, end) {
            return came_again(ctx, segment, state, slot);
        }
    }
    let total = from + u64::from(end.wrapping_sub(next));
    // SAFETY: as above.
    unsafe {
        memory::put(&raw mut (*slot).in_total, total);
        if memory::logs() {
            if let Some(log) = memory::log(state.slot) {
                append_in(log, total, now());
            }
            return;
        }
        let ack = ACKED | u64::from(segment.acknowledges);
        if ack != (*slot).in_ack {
            memory::put(&raw mut (*slot).in_ack, ack);
            memory::put(&raw mut (*slot).in_ns, now());
            memory::put(&raw mut (*slot).in_from, from);
        }
    }
}

/// What had been seen comes again. If TCP has not taken it until now it was discarded the first time, after we had looked,
/// so the instant that is stamped is not the one at which it arrived.
#[inline(always)]
fn came_again(ctx: &SkBuffContext, segment: &Segment, state: &State, slot: *mut Slot) {
    let Some(readable) = readable(ctx) else { return };
    if is_before(segment.sequence, readable) {
        return;
    }
    // SAFETY: values of maps; the index is masked.
    unsafe {
        memory::put(&raw mut (*slot).in_ns, 0);
        if memory::logs()
            && let Some(log) = memory::log(state.slot)
        {
            let last = (*log).in_count.wrapping_sub(1) as usize & (LOG_ENTRIES - 1);
            memory::put(&raw mut (*log).inward[last].ns, 0);
        }
    }
}

/// The sequence number up to which the socket has taken everything.
#[inline(always)]
fn readable(ctx: &SkBuffContext) -> Option<u32> {
    // SAFETY: the context is the kernel's, and null is checked at each step.
    unsafe {
        let socket = (*ctx.skb.skb).__bindgen_anon_2.sk;
        if socket.is_null() {
            return None;
        }
        let tcp = bpf_tcp_sock(socket);
        if tcp.is_null() { None } else { Some((*tcp).rcv_nxt) }
    }
}

#[inline(always)]
fn syn_received(segment: &Segment, state: &mut State) {
    let Some(slot) = slot_to_receive(state) else { return };
    // SAFETY: a value of the map.
    unsafe {
        // Another one is no part of the handshake, whatever it says.
        if (*slot).synack_ns == 0 {
            state.in_first = segment.sequence.wrapping_add(1);
            memory::put(&raw mut (*slot).synack_ns, now());
        }
    }
}

/// A gap was filled, and what had come ahead of it became readable then: at an instant that nobody saw. Returns the
/// offset up to which everything has come.
#[inline(always)]
fn catch_up(ctx: &SkBuffContext, state: &State, slot: *mut Slot, from: u64, next: u32) -> u64 {
    let Some(readable) = readable(ctx) else { return from };
    if !is_before(next, readable) {
        return from;
    }
    let total = from + u64::from(readable.wrapping_sub(next));
    // SAFETY: values of maps. If an answer began in there, its offset will not be found.
    unsafe {
        memory::put(&raw mut (*slot).in_total, total);
        if memory::logs()
            && let Some(log) = memory::log(state.slot)
        {
            append_in(log, total, 0);
        }
    }
    total
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
