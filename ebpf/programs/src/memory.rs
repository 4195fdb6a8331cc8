//! The maps, the switches, and how they are reached.

use core::ffi::c_void;
use core::ptr;

use aya_ebpf::bindings::BPF_SK_STORAGE_GET_F_CREATE;
use aya_ebpf::btf_maps::{LpmTrie, SkStorage};
use aya_ebpf::helpers::generated::bpf_sk_storage_get;
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::SkBuffContext;
use brunt_abi::guard::{Control, Ports, REASONS, Reason};
use brunt_abi::timing::{Log, Slot};

/// User space reads these by plain loads.
const BPF_F_MMAPABLE: u32 = 1 << 10;

/// Switches that the loader sets before the programs are verified, so that what is off is not even there.
#[unsafe(no_mangle)]
static TIMES: u8 = 0;
#[unsafe(no_mangle)]
static LOGS_ON: u8 = 0;
#[unsafe(no_mangle)]
static GUARDS: u8 = 0;

/// As many as the run has connections: the loader sets the number.
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static LOGS: Array<Log> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static DENIED: Array<u64> = Array::with_max_entries(REASONS as u32, 0);
#[map]
static CONTROL: Array<Control> = Array::with_max_entries(1, 0);

#[btf_map]
static SOCKETS: SkStorage<State> = SkStorage::new();
/// What may be reached, and what may not even so.
#[btf_map]
pub(crate) static GRANTED: LpmTrie<[u8; 16], Ports, 1024> = LpmTrie::new();
#[btf_map]
pub(crate) static RESERVED: LpmTrie<[u8; 16], Ports, 1024> = LpmTrie::new();

/// What is kept with each socket; it seldom changes.
#[repr(C)]
#[derive(Copy, Clone)]
pub(crate) struct State {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    /// Sequence numbers of the first byte in each direction.
    pub(crate) out_first: u32,
    pub(crate) in_first: u32,
    /// Under which policy the connection was let out; 0: none yet.
    pub(crate) allowed_at: u32,
}

#[inline(always)]
pub(crate) fn times() -> bool {
    // SAFETY: a constant of the loaded object.
    unsafe { ptr::read_volatile(&raw const TIMES) != 0 }
}

#[inline(always)]
pub(crate) fn logs() -> bool {
    // SAFETY: as above.
    unsafe { ptr::read_volatile(&raw const LOGS_ON) != 0 }
}

#[inline(always)]
pub(crate) fn guards() -> bool {
    // SAFETY: as above.
    unsafe { ptr::read_volatile(&raw const GUARDS) != 0 }
}

#[inline(always)]
fn storage(socket: *mut c_void, flags: u64) -> Option<&'static mut State> {
    let map = (&raw const SOCKETS).cast_mut().cast::<c_void>();
    // SAFETY: the verifier knows the socket's type; the kernel returns null or memory of the map's value size that lives as
    // long as the program runs. Programs of one socket may race on two CPUs; each field is a word that is written whole.
    unsafe { bpf_sk_storage_get(map, socket, ptr::null_mut(), flags).cast::<State>().as_mut() }
}

/// The state of the packet's socket, if it was marked.
#[inline(always)]
pub(crate) fn state_of_packet(ctx: &SkBuffContext) -> Option<&'static mut State> {
    // SAFETY: the context is the kernel's; the verifier checks the access.
    let socket = unsafe { (*ctx.skb.skb).__bindgen_anon_2.sk };
    if socket.is_null() { None } else { storage(socket.cast(), 0) }
}

/// The state of a socket, made if there is none.
#[inline(always)]
pub(crate) fn state_of_new(socket: *mut c_void) -> Option<&'static mut State> {
    storage(socket, u64::from(BPF_SK_STORAGE_GET_F_CREATE))
}

#[inline(always)]
pub(crate) fn slot(index: u32) -> Option<*mut Slot> {
    SLOTS.get_ptr_mut(index)
}

#[inline(always)]
pub(crate) fn log(index: u32) -> Option<*mut Log> {
    LOGS.get_ptr_mut(index)
}

#[inline(always)]
pub(crate) fn control() -> Control {
    // SAFETY: the map holds a value of this type.
    CONTROL.get_ptr(0).map_or(Control { generation: 0, killed: 1 }, |control| unsafe { *control })
}

#[inline(always)]
pub(crate) fn denied(reason: Reason) {
    if let Some(counter) = DENIED.get_ptr_mut(reason as u32) {
        // SAFETY: the pointer is to the counter. The target has no atomic addition in core.
        unsafe {
            core::arch::asm!("lock *(u64 *)({at} + 0) += {one}", at = in(reg) counter, one = in(reg) 1_u64);
        }
    }
}

/// Writes a word that user space may be reading: one aligned store.
///
/// # Safety
/// `at` is a word of a map's value.
#[inline(always)]
pub(crate) unsafe fn put(at: *mut u64, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { ptr::write_volatile(at, value) }
}
