//! Where a packet goes and what of the stream it carries. Programs on a cgroup see it from its IP header on.

use core::ptr;

use aya_ebpf::programs::SkBuffContext;

const TCP: u8 = 6;
/// Version 4, and a header of five words.
const IPV4_WITHOUT_OPTIONS: u8 = 0x45;
const SYN: u8 = 0b10;

/// A TCP segment.
#[derive(Copy, Clone)]
pub(crate) struct Segment {
    pub(crate) sequence: u32,
    pub(crate) acknowledges: u32,
    /// Payload bytes.
    pub(crate) len: u32,
    pub(crate) flags: u8,
    pub(crate) is_v6: bool,
    /// In the machine's order.
    pub(crate) to_port: u16,
}

impl Segment {
    #[inline(always)]
    pub(crate) const fn is_syn(&self) -> bool {
        self.flags & SYN != 0
    }
}

/// `None` where it is not TCP directly over IP, without options: a source route would lead elsewhere than the address says
/// (RFC 791 section 3.1), and nothing of ours has any.
#[inline(always)]
pub(crate) fn parse(ctx: &SkBuffContext) -> Option<Segment> {
    // SAFETY: the context is the kernel's. Every access to the packet is behind a check against its end, which the verifier
    // demands. Multi-byte fields need not be aligned.
    unsafe {
        let skb = ctx.skb.skb;
        let (data, end, total) = ((*skb).data as usize, (*skb).data_end as usize, (*skb).len);
        if data + 40 > end {
            return None;
        }
        let version = *(data as *const u8);
        let is_v6 = version >> 4 == 6;
        let (protocol, header) = if is_v6 {
            (*((data + 6) as *const u8), 40)
        } else if version == IPV4_WITHOUT_OPTIONS {
            (*((data + 9) as *const u8), 20)
        } else {
            return None;
        };
        let tcp = data + header;
        if protocol != TCP || tcp + 20 > end {
            return None;
        }
        let sequence = u32::from_be(ptr::read_unaligned((tcp + 4) as *const u32));
        let acknowledges = u32::from_be(ptr::read_unaligned((tcp + 8) as *const u32));
        let to_port = u16::from_be(ptr::read_unaligned((tcp + 2) as *const u16));
        let offset = u32::from(*((tcp + 12) as *const u8) >> 4) << 2;
        let flags = *((tcp + 13) as *const u8);
        let len = total.wrapping_sub(header as u32).wrapping_sub(offset);
        // A length that does not add up is none.
        let len = if len > total { 0 } else { len };
        Some(Segment { sequence, acknowledges, len, flags, is_v6, to_port })
    }
}

/// The address that a packet goes to, IPv4 as IPv4-mapped.
#[inline(always)]
pub(crate) fn destination(ctx: &SkBuffContext, is_v6: bool) -> Option<[u8; 16]> {
    // SAFETY: as above.
    unsafe {
        let skb = ctx.skb.skb;
        let (data, end) = ((*skb).data as usize, (*skb).data_end as usize);
        if data + 40 > end {
            return None;
        }
        if is_v6 {
            return Some(ptr::read_unaligned((data + 24) as *const [u8; 16]));
        }
        Some(mapped(ptr::read_unaligned((data + 16) as *const [u8; 4])))
    }
}

/// RFC 4291 section 2.5.5.2.
#[inline(always)]
pub(crate) const fn mapped(v4: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = v4;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}
