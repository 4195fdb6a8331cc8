//! An attempt at taking the guard's programs off one's own cgroup (bpf(2)).
#![allow(unsafe_code, reason = "bpf(2) has no wrapper here")]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use super::{Scene, checked, needed, sockets};

/// Commands of bpf(2).
const OBJECT_INFO_BY_FD: i64 = 15;
const LINK_GET_FD_BY_ID: i64 = 30;
const LINK_GET_NEXT_ID: i64 = 31;
const LINK_DETACH: i64 = 34;
/// `BPF_LINK_TYPE_CGROUP`.
const CGROUP: u32 = 3;
/// More links than this has no host.
const LINKS_MAX: usize = 10_000;

/// The beginning of `struct bpf_link_info`, for a link to a cgroup.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    cgroup: u64,
    attached: u32,
}

/// Detaches what is on the own cgroup and on no other, then connects.
pub(super) fn detach(scene: &mut Scene) -> io::Result<()> {
    let mut last = 0;
    for _ in 0..LINKS_MAX {
        let Some(id) = next_link(last)? else { break };
        last = id;
        let link = link(id)?;
        let info = info(&link)?;
        if info.kind == CGROUP && info.cgroup == own_cgroup(scene)? {
            let mut words = words();
            words[0] = link.as_raw_fd().cast_unsigned();
            bpf(LINK_DETACH, &mut words)?;
        }
    }
    sockets::connect(scene)
}

/// The kernel names a cgroup by the inode of its directory.
fn own_cgroup(scene: &Scene) -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/cgroup")?;
    let path = needed(text.lines().find_map(|line| line.strip_prefix("0::")), "a cgroup of version 2")?;
    let top = needed(scene.cgroups.as_ref(), "cgroups of version 2")?;
    Ok(fs::metadata(top.join(path.trim_start_matches('/')))?.ino())
}

fn next_link(after: u32) -> io::Result<Option<u32>> {
    let mut words = words();
    words[0] = after;
    match bpf(LINK_GET_NEXT_ID, &mut words) {
        Ok(_) => Ok(Some(words[1])),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn link(id: u32) -> io::Result<OwnedFd> {
    let mut words = words();
    words[0] = id;
    let number = bpf(LINK_GET_FD_BY_ID, &mut words)?;
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: the kernel made this descriptor for us just now.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn info(link: &OwnedFd) -> io::Result<LinkInfo> {
    let mut info = LinkInfo::default();
    let mut words = words();
    words[0] = link.as_raw_fd().cast_unsigned();
    words[1] = u32::try_from(size_of::<LinkInfo>()).map_err(io::Error::other)?;
    let address = (&raw mut info).expose_provenance().to_ne_bytes();
    for (word, bytes) in words[2..4].iter_mut().zip(address.chunks_exact(4)) {
        *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    bpf(OBJECT_INFO_BY_FD, &mut words)?;
    Ok(info)
}

/// The attributes of the commands above, which are words.
const fn words() -> [u32; 8] {
    [0; 8]
}

fn bpf(command: i64, words: &mut [u32; 8]) -> io::Result<i64> {
    // SAFETY: the attributes are readable and writable for their size, and so is what they point to.
    checked(unsafe { libc::syscall(libc::SYS_bpf, command, words.as_mut_ptr(), size_of_val(words)) })
}
