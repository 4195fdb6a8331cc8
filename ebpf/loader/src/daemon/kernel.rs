//! The programs in the kernel: loaded, given their policy, attached to a cgroup.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, Map, MapData};
use aya::programs::links::FdLink;
use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr, CgroupSockopt, Program, ProgramError,
};
use aya::{Ebpf, EbpfLoader};
use brunt_abi::guard::{Control, REASONS};
use brunt_loader::grant::{Entry, Grant, GrantError, table};
use brunt_loader::wire::Features;

/// Built from `ebpf/programs` and committed, so that no compiler for the kernel's target is needed.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../object/brunt.bpf.o");

const GUARDS_OF_CALLS: [&str; 4] = ["brunt_connect4", "brunt_connect6", "brunt_sendmsg4", "brunt_sendmsg6"];

/// Why the programs are not at work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KernelError {
    #[error("this kernel does not take the programs: {0}")]
    Load(String),
    #[error("attaching {name} to the cgroup: {cause}; is another program there that allows no second?")]
    Attach { name: &'static str, cause: String },
    #[error("pinning the guard: {0}")]
    Pin(String),
    #[error("writing a table of the programs: {0}")]
    Table(String),
    #[error(transparent)]
    Grant(#[from] GrantError),
}

/// The programs of one session. What is not pinned is detached when this is dropped.
pub(crate) struct Programs {
    ebpf: Ebpf,
    features: Features,
    links: Vec<(&'static str, FdLink)>,
    pins: Vec<PathBuf>,
    generation: u64,
    is_killed: bool,
}

impl Programs {
    /// Loads and verifies; nothing is attached yet.
    pub(crate) fn load(features: Features, slots: u32, reserved: &[Grant]) -> Result<Self, KernelError> {
        let slots = slots.max(1);
        let (times, logs, guards) =
            (u8::from(features.timing), u8::from(features.logs), u8::from(features.guard));
        let mut ebpf = EbpfLoader::new()
            .override_global("TIMES", &times, true)
            .override_global("LOGS_ON", &logs, true)
            .override_global("GUARDS", &guards, true)
            .map_max_entries("SLOTS", if features.timing { slots } else { 1 })
            .map_max_entries("LOGS", if features.logs { slots } else { 1 })
            .load(OBJECT)
            .map_err(|error| KernelError::Load(chain(&error)))?;
        for entry in table(reserved)? {
            insert(&mut ebpf, "RESERVED", &entry)?;
        }
        Ok(Self { ebpf, features, links: Vec::new(), pins: Vec::new(), generation: 0, is_killed: false })
    }

    /// Puts them to work on the sockets of a cgroup.
    pub(crate) fn attach(&mut self, cgroup: &File) -> Result<(), KernelError> {
        if self.features.guard {
            for name in GUARDS_OF_CALLS {
                let program: &mut CgroupSockAddr = program(&mut self.ebpf, name)?;
                let link = attached(
                    name,
                    program.load().and_then(|()| {
                        let id = program.attach(cgroup, CgroupAttachMode::Single)?;
                        program.take_link(id)
                    }),
                )?;
                self.links.push((name, fd_link(name, link.try_into())?));
            }
        }
        if self.features.guard {
            self.give("brunt_egress", cgroup)?;
        } else {
            self.attach_packets("brunt_egress", CgroupSkbAttachType::Egress, cgroup)?;
        }
        if self.features.timing {
            self.attach_packets("brunt_ingress", CgroupSkbAttachType::Ingress, cgroup)?;
            let name = "brunt_mark";
            let program: &mut CgroupSockopt = program(&mut self.ebpf, name)?;
            // It stays with the program, for the library cannot pin it; it only matters to sockets to come.
            attached(name, program.load().and_then(|()| program.attach(cgroup, CgroupAttachMode::Single)))?;
        }
        Ok(())
    }

    /// Attaches the judge of packets so that it is the cgroup's own and ends with the last of its sockets. A process that
    /// is gone leaves connections with what it had queued, and the kernel goes on sending that when the session and
    /// the cgroup's directory are no more; a link would have ended with them.
    fn give(&mut self, name: &'static str, cgroup: &File) -> Result<(), KernelError> {
        let program: &mut CgroupSkb = program(&mut self.ebpf, name)?;
        attached(name, program.load())?;
        let fd = attached(name, program.fd())?.as_fd();
        give_egress(fd, cgroup).map_err(|error| KernelError::Attach { name, cause: error.to_string() })
    }

    fn attach_packets(
        &mut self,
        name: &'static str,
        direction: CgroupSkbAttachType,
        cgroup: &File,
    ) -> Result<(), KernelError> {
        let program: &mut CgroupSkb = program(&mut self.ebpf, name)?;
        let link = attached(
            name,
            program.load().and_then(|()| {
                let id = program.attach(cgroup, direction, CgroupAttachMode::Single)?;
                program.take_link(id)
            }),
        )?;
        self.links.push((name, fd_link(name, link.try_into())?));
        Ok(())
    }

    /// Makes what is attached outlive this process, by a name in `folder`.
    pub(crate) fn pin(&mut self, folder: &Path) -> Result<(), KernelError> {
        for (name, link) in self.links.drain(..) {
            let path = folder.join(name);
            link.pin(&path).map_err(|error| KernelError::Pin(chain(&error)))?;
            self.pins.push(path);
        }
        Ok(())
    }

    /// Takes the pins away, so that dropping detaches.
    pub(crate) fn unpin(&mut self) -> io::Result<()> {
        self.pins.drain(..).try_for_each(std::fs::remove_file)
    }

    /// Replaces what is granted; connections that were let out before are looked at again.
    pub(crate) fn grant(&mut self, grants: &[Grant]) -> Result<(), KernelError> {
        let entries = table(grants)?;
        // New entries first, so that what stays granted is never refused in between.
        for entry in &entries {
            insert(&mut self.ebpf, "GRANTED", entry)?;
        }
        let mut trie = trie(&mut self.ebpf, "GRANTED")?;
        let mut old: Vec<_> = trie.keys().filter_map(Result::ok).collect();
        // Short prefixes first: a longer one may be there to keep mapped addresses out of a shorter one.
        old.sort_by_key(Key::prefix_len);
        for key in old {
            let stays =
                entries.iter().any(|entry| (entry.prefix, entry.address) == (key.prefix_len(), key.data()));
            if !stays {
                trie.remove(&key).map_err(|error| KernelError::Table(chain(&error)))?;
            }
        }
        self.generation += 1;
        self.control()
    }

    /// The kill switch: from the next packet on nothing leaves. There is no way back.
    pub(crate) fn kill(&mut self) -> Result<(), KernelError> {
        self.is_killed = true;
        self.control()
    }

    pub(crate) const fn is_killed(&self) -> bool {
        self.is_killed
    }

    fn control(&mut self) -> Result<(), KernelError> {
        let control = Control { generation: self.generation, killed: u64::from(self.is_killed) };
        let map = self.ebpf.map_mut("CONTROL").ok_or_else(|| missing("CONTROL"))?;
        let mut array: Array<_, [u64; 2]> =
            map.try_into().map_err(|error| KernelError::Table(chain(&error)))?;
        let value = [control.generation, control.killed];
        array.set(0, value, 0).map_err(|error| KernelError::Table(chain(&error)))
    }

    /// What was denied so far, by reason.
    pub(crate) fn denied(&self) -> [u64; REASONS] {
        let counters = self.ebpf.map("DENIED").and_then(|map| Array::<_, u64>::try_from(map).ok());
        let mut denied = [0; REASONS];
        if let Some(counters) = counters {
            for (index, count) in (0..).zip(&mut denied) {
                *count = counters.get(&index, 0).unwrap_or(0);
            }
        }
        denied
    }

    /// The memory that a peer maps.
    pub(crate) fn shared(&self) -> Vec<BorrowedFd<'_>> {
        let wanted = [("SLOTS", self.features.timing), ("LOGS", self.features.logs)];
        let maps = wanted.iter().filter(|(_, is_on)| *is_on).filter_map(|(name, _)| self.ebpf.map(name));
        maps.filter_map(data_of).map(|data| data.fd().as_fd()).collect()
    }
}

/// `BPF_PROG_ATTACH` of bpf(2), which makes no link.
#[allow(unsafe_code, reason = "the library attaches by links alone where the kernel has them")]
fn give_egress(program: BorrowedFd<'_>, cgroup: &File) -> io::Result<()> {
    const PROG_ATTACH: libc::c_long = 8;
    const CGROUP_INET_EGRESS: u32 = 1;
    const ALLOW_MULTI: u32 = 2;
    let attributes = [
        cgroup.as_raw_fd().cast_unsigned(),
        program.as_raw_fd().cast_unsigned(),
        CGROUP_INET_EGRESS,
        ALLOW_MULTI,
    ];
    // SAFETY: the attributes are readable for their size.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, attributes.as_ptr(), size_of_val(&attributes)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

const fn data_of(map: &Map) -> Option<&MapData> {
    if let Map::Array(data) = map { Some(data) } else { None }
}

/// The key is in the machine's order but for the address, which is matched from its first bit on.
fn insert(ebpf: &mut Ebpf, name: &'static str, entry: &Entry) -> Result<(), KernelError> {
    let mut value = [0; size_of::<brunt_abi::guard::Ports>()];
    for (range, place) in entry.ports.0.iter().zip(value.chunks_exact_mut(4)) {
        place[..2].copy_from_slice(&range.first.to_ne_bytes());
        place[2..].copy_from_slice(&range.last.to_ne_bytes());
    }
    let mut trie = trie(ebpf, name)?;
    let key = Key::new(entry.prefix, entry.address);
    trie.insert(&key, value, 0).map_err(|error| KernelError::Table(chain(&error)))
}

type Trie<'a> = LpmTrie<&'a mut MapData, [u8; 16], [u8; 64]>;

fn trie<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<Trie<'a>, KernelError> {
    let map = ebpf.map_mut(name).ok_or_else(|| missing(name))?;
    map.try_into().map_err(|error| KernelError::Table(chain(&error)))
}

fn program<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, KernelError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(|error: ProgramError| KernelError::Load(chain(&error)))
}

fn missing(name: &str) -> KernelError {
    KernelError::Load(format!("the object has no {name}"))
}

fn attached<T>(name: &'static str, result: Result<T, ProgramError>) -> Result<T, KernelError> {
    result.map_err(|error| match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            // The end of the verifier's log says what it did not like.
            let log = verifier_log.to_string();
            let last = log.lines().rev().find(|line| !line.starts_with("processed")).unwrap_or_default();
            KernelError::Load(format!("{name}: {io_error} {last}"))
        }
        other => KernelError::Attach { name, cause: chain(&other) },
    })
}

/// Cgroup links are descriptors since Linux 5.7.
fn fd_link<E: std::error::Error>(name: &'static str, link: Result<FdLink, E>) -> Result<FdLink, KernelError> {
    link.map_err(|error| KernelError::Attach { name, cause: format!("{error} (Linux 5.7 is needed)") })
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.lines().collect::<Vec<_>>().join(" ")
}
