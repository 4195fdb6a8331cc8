//! An attempt at taking the guard's programs off one's own cgroup (bpf(2)).
#![allow(unsafe_code, reason = "bpf(2) has no wrapper here")]

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::{Scene, checked, needed, sockets};

/// Commands of bpf(2).
const PROG_DETACH: i64 = 9;
const PROG_GET_FD_BY_ID: i64 = 13;
const PROG_QUERY: i64 = 16;
const OBJECT_INFO_BY_FD: i64 = 15;
const LINK_GET_FD_BY_ID: i64 = 30;
const LINK_GET_NEXT_ID: i64 = 31;
const LINK_DETACH: i64 = 34;
/// `BPF_LINK_TYPE_CGROUP`.
const CGROUP: u32 = 3;
/// `BPF_CGROUP_INET_EGRESS` and `BPF_CGROUP_INET4_CONNECT`.
const GUARDED: [u32; 2] = [1, 10];
/// More than a cgroup has of one kind.
const PROGRAMS_MAX: usize = 64;
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
    let first = next_link(0)?;
    let directory = File::open(own_directory(scene)?)?;
    detach_links(first, directory.metadata()?.ino())?;
    for kind in GUARDED {
        detach_programs(&directory, kind)?;
    }
    sockets::connect(scene)
}

/// Links have a descriptor of their own.
fn detach_links(first: Option<u32>, cgroup: u64) -> io::Result<()> {
    let mut next = first;
    for _ in 0..LINKS_MAX {
        let Some(id) = next else { break };
        let link = by_id(LINK_GET_FD_BY_ID, id)?;
        let info = info(&link)?;
        if info.kind == CGROUP && info.cgroup == cgroup {
            let mut words = words();
            words[0] = link.as_raw_fd().cast_unsigned();
            bpf(LINK_DETACH, &mut words)?;
        }
        next = next_link(id)?;
    }
    Ok(())
}

/// Programs that were attached without a link.
fn detach_programs(cgroup: &File, kind: u32) -> io::Result<()> {
    let mut ids = [0_u32; PROGRAMS_MAX];
    let mut query = words();
    (query[0], query[1]) = (cgroup.as_raw_fd().cast_unsigned(), kind);
    [query[4], query[5]] = address((&raw mut ids).expose_provenance());
    query[6] = u32::try_from(ids.len()).map_err(io::Error::other)?;
    bpf(PROG_QUERY, &mut query)?;
    for id in ids.into_iter().filter(|&id| id != 0) {
        let program = by_id(PROG_GET_FD_BY_ID, id)?;
        let mut words = words();
        (words[0], words[1]) = (query[0], program.as_raw_fd().cast_unsigned());
        words[2] = kind;
        bpf(PROG_DETACH, &mut words)?;
    }
    Ok(())
}

/// By its inode the kernel names the cgroup.
fn own_directory(scene: &Scene) -> io::Result<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup")?;
    let path = needed(text.lines().find_map(|line| line.strip_prefix("0::")), "a cgroup of version 2")?;
    let top = needed(scene.cgroups.as_ref(), "cgroups of version 2")?;
    Ok(top.join(path.trim_start_matches('/')))
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

fn by_id(command: i64, id: u32) -> io::Result<OwnedFd> {
    let mut words = words();
    words[0] = id;
    let number = bpf(command, &mut words)?;
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: the kernel made this descriptor for us just now.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn info(link: &OwnedFd) -> io::Result<LinkInfo> {
    let mut info = LinkInfo::default();
    let mut words = words();
    words[0] = link.as_raw_fd().cast_unsigned();
    words[1] = u32::try_from(size_of::<LinkInfo>()).map_err(io::Error::other)?;
    [words[2], words[3]] = address((&raw mut info).expose_provenance());
    bpf(OBJECT_INFO_BY_FD, &mut words)?;
    Ok(info)
}

/// An address as two words.
fn address(of: usize) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = (of as u64).to_ne_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}

/// The attributes of the commands above, which are words.
const fn words() -> [u32; 8] {
    [0; 8]
}

fn bpf(command: i64, words: &mut [u32; 8]) -> io::Result<i64> {
    // SAFETY: the attributes are readable and writable for their size, and so is what they point to.
    checked(unsafe { libc::syscall(libc::SYS_bpf, command, words.as_mut_ptr(), size_of_val(words)) })
}
