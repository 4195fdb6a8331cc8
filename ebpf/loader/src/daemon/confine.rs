//! What the loader gives up as soon as it has its socket and its bpffs.

use std::collections::BTreeMap;
use std::path::Path;

use caps::{CapSet, Capability};
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::serve::say;

/// Loading programs, attaching them to cgroups, and reading packets in them (capabilities(7)).
pub(crate) const KEPT: [Capability; 3] =
    [Capability::CAP_BPF, Capability::CAP_NET_ADMIN, Capability::CAP_PERFMON];

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfineError {
    #[error(
        "it needs {missing}, which this process does not have; start it as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    Missing { missing: Capability },
    #[error("giving up capabilities: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
    #[error("forbidding new privileges: {0}")]
    NewPrivileges(#[from] rustix::io::Errno),
    #[error("installing the system call filter: {0}")]
    Filter(String),
}

/// Has this process what it takes?
pub(crate) fn check() -> Result<(), ConfineError> {
    for missing in KEPT {
        if !caps::has_cap(None, CapSet::Permitted, missing)? {
            return Err(ConfineError::Missing { missing });
        }
    }
    Ok(())
}

/// Keeps three capabilities, the files below `writable`, and the system calls that the rest of the work takes. There is
/// no way back, for no process that may come of this one.
pub(crate) fn confine(writable: &[&Path]) -> Result<(), ConfineError> {
    let kept = KEPT.into_iter().collect();
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::read(None, CapSet::Bounding)? {
            if !KEPT.contains(&capability) {
                caps::drop(None, CapSet::Bounding, capability)?;
            }
        }
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    rustix::thread::set_no_new_privs(true)?;
    // Files are only a second fence; a kernel without Landlock has the first.
    match confine_files(writable) {
        Ok(RulesetStatus::NotEnforced) => say("files are not confined, for this kernel has no Landlock"),
        Ok(_) => {}
        Err(error) => say(&format!("files are not confined by Landlock: {error}")),
    }
    seccompiler::apply_filter(&filter()?).map_err(|error| ConfineError::Filter(error.to_string()))
}

fn confine_files(writable: &[&Path]) -> Result<RulesetStatus, landlock::RulesetError> {
    let abi = ABI::V5;
    let read = AccessFs::from_read(abi);
    let work = read
        | AccessFs::WriteFile
        | AccessFs::MakeDir
        | AccessFs::MakeReg
        | AccessFs::RemoveDir
        | AccessFs::RemoveFile
        | AccessFs::Truncate;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .create()?;
    let readable = ["/proc", "/sys/kernel/btf", "/sys/devices/system/cpu"].map(Path::new);
    let places: [(&[&Path], BitFlags<AccessFs>); 2] = [(&readable, read), (writable, work)];
    for (paths, access) in places {
        for path in paths {
            if let Ok(fd) = PathFd::new(path) {
                rules = rules.add_rule(PathBeneath::new(fd, access))?;
            }
        }
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// What is left to do: maps and programs, messages, the files of cgroups, memory, time and the end.
const CALLS: &[libc::c_long] = &[
    libc::SYS_bpf,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_accept4,
    libc::SYS_getsockopt,
    libc::SYS_ppoll,
    libc::SYS_openat,
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_uname,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_prlimit64,
    libc::SYS_sched_getaffinity,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The same under their older names.
#[cfg(target_arch = "x86_64")]
const OLDER_CALLS: &[libc::c_long] = &[
    libc::SYS_poll,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_CALLS: &[libc::c_long] = &[];

fn filter() -> Result<BpfProgram, ConfineError> {
    let fail = |error: seccompiler::BackendError| ConfineError::Filter(error.to_string());
    let rules: BTreeMap<_, _> = CALLS.iter().chain(OLDER_CALLS).map(|&call| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into().map_err(fail)?;
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch).map_err(fail)?.try_into().map_err(fail)
}
