//! The socket option that ties a socket to the slot of its connection.

use aya_ebpf::programs::SockoptContext;
use brunt_abi::timing::{MARK_LEVEL, MARK_NAME, MarkValue, Slot};

use crate::memory;

const PASS: i32 = 1;
const REFUSE: i32 = 0;
/// Tells the kernel that the option was dealt with (bpf documentation, prog_cgroup_sockopt).
const DEALT_WITH: i32 = -1;

#[inline(always)]
pub(crate) fn mark(ctx: &SockoptContext) -> i32 {
    let option = ctx.sockopt;
    // SAFETY: the context is the kernel's; the value is only read behind a check against its end.
    unsafe {
        if (*option).level != MARK_LEVEL || (*option).optname != MARK_NAME {
            return PASS;
        }
        let value = (*option).__bindgen_anon_2.optval as usize;
        let end = (*option).__bindgen_anon_3.optval_end as usize;
        let socket = (*option).__bindgen_anon_1.sk;
        if value + size_of::<MarkValue>() > end || socket.is_null() {
            return REFUSE;
        }
        let [index, generation] = *(value as *const MarkValue);
        let (Some(slot), Some(state)) = (memory::slot(index), memory::state_of_new(socket.cast())) else {
            return REFUSE;
        };
        (state.slot, state.generation) = (index, generation);
        // The socket that had the slot may still send and get packets: nothing of it is taken any more.
        of_generation(slot, u64::MAX);
        empty(slot);
        if memory::logs()
            && let Some(log) = memory::log(index)
        {
            memory::put(&raw mut (*log).out_count, 0);
            memory::put(&raw mut (*log).in_count, 0);
        }
        of_generation(slot, u64::from(generation));
        (*option).optlen = DEALT_WITH;
    }
    PASS
}

/// # Safety
/// `slot` is a value of the map.
#[inline(always)]
unsafe fn empty(slot: *mut Slot) {
    // SAFETY: the caller's promise.
    unsafe {
        memory::put(&raw mut (*slot).out_total, 0);
        memory::put(&raw mut (*slot).in_total, 0);
        memory::put(&raw mut (*slot).out_ack, 0);
        memory::put(&raw mut (*slot).in_ack, 0);
        memory::put(&raw mut (*slot).syn_ns, 0);
        memory::put(&raw mut (*slot).synack_ns, 0);
        memory::put(&raw mut (*slot).out_ns, 0);
        memory::put(&raw mut (*slot).out_from, 0);
        memory::put(&raw mut (*slot).in_ns, 0);
        memory::put(&raw mut (*slot).in_from, 0);
        memory::put(&raw mut (*slot).retransmits, 0);
    }
}

/// # Safety
/// `slot` is a value of the map.
#[inline(always)]
unsafe fn of_generation(slot: *mut Slot, generation: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        memory::put(&raw mut (*slot).out_generation, generation);
        memory::put(&raw mut (*slot).in_generation, generation);
    }
}
