//! How a process is confined, as the kernel tells it: /proc/PID/status (proc(5)). And what this host could do.

use std::io;

use crate::{Part, files, filter};

/// How a process is confined. Sets of capabilities have a bit for each number of capabilities(7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confinement {
    /// Real, effective, saved and file system user.
    pub uids: [u32; 4],
    pub gids: [u32; 4],
    pub inheritable: u64,
    pub permitted: u64,
    pub effective: u64,
    pub bounding: u64,
    pub ambient: u64,
    pub no_new_privs: bool,
    pub seccomp: Seccomp,
    pub threads: u32,
}

/// The mode of a process's main thread (seccomp(2)).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Seccomp {
    Off,
    Strict,
    Filter,
}

impl Confinement {
    /// Has it a capability, or one that it could pass on? The bounding set gives none.
    #[must_use]
    pub const fn has_capabilities(&self) -> bool {
        (self.inheritable | self.permitted | self.effective | self.ambient) != 0
    }
}

/// How the process `pid` is confined.
///
/// # Errors
/// When there is no such process, or its state does not read as proc(5) says.
pub fn state_of(pid: u32) -> io::Result<Confinement> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/status"))?)
}

/// What this host would let a process give up, found without giving up anything.
#[must_use]
pub fn support() -> Vec<Part> {
    vec![files::support(), filter::support()]
}

fn parse(status: &str) -> io::Result<Confinement> {
    let fields = Fields(status);
    Ok(Confinement {
        uids: fields.four("Uid")?,
        gids: fields.four("Gid")?,
        inheritable: fields.set("CapInh")?,
        permitted: fields.set("CapPrm")?,
        effective: fields.set("CapEff")?,
        bounding: fields.set("CapBnd")?,
        // Linux 4.3 brought the ambient set; before there is none.
        ambient: if fields.find("CapAmb").is_some() { fields.set("CapAmb")? } else { 0 },
        no_new_privs: fields.number("NoNewPrivs")? == 1,
        seccomp: match fields.find("Seccomp") {
            // Kernels without seccomp have no such line.
            None | Some("0") => Seccomp::Off,
            Some("1") => Seccomp::Strict,
            Some("2") => Seccomp::Filter,
            Some(_) => return Err(unreadable("Seccomp")),
        },
        threads: fields.number("Threads")?,
    })
}

/// Lines of a name, a colon and a value.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn find(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    fn text(&self, name: &'static str) -> io::Result<&'a str> {
        self.find(name).ok_or_else(|| unreadable(name))
    }

    fn number(&self, name: &'static str) -> io::Result<u32> {
        self.text(name)?.parse().map_err(|_| unreadable(name))
    }

    fn set(&self, name: &'static str) -> io::Result<u64> {
        u64::from_str_radix(self.text(name)?, 16).map_err(|_| unreadable(name))
    }

    fn four(&self, name: &'static str) -> io::Result<[u32; 4]> {
        let numbers: Result<Vec<u32>, _> = self.text(name)?.split_whitespace().map(str::parse).collect();
        numbers.ok().and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| unreadable(name))
    }
}

fn unreadable(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the field {name} of /proc/PID/status cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tSeccomp: 2\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nThreads:\t3\n\
        CapInh:\t0000000000000000\nCapPrm:\t000001fffeffffff\nCapEff:\t0000000000000001\n\
        CapBnd:\t000001fffeffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t4\n";

    #[test]
    fn every_field_is_read() {
        let expected = Confinement {
            uids: [1, 2, 3, 4],
            gids: [5, 6, 7, 8],
            inheritable: 0,
            permitted: 0x1ff_feff_ffff,
            effective: 1,
            bounding: 0x1ff_feff_ffff,
            ambient: 0,
            no_new_privs: true,
            seccomp: Seccomp::Filter,
            threads: 3,
        };
        assert_eq!(parse(STATUS).expect("readable"), expected);
        assert!(expected.has_capabilities());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_field() {
        let check = |from: &str, to: &str, expected: &str| {
            let changed = STATUS.replace(from, to);
            assert_ne!(changed, STATUS, "{from}");
            let error = parse(&changed).expect_err(to).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("Uid:\t1\t2", "Uid:\t1", "Uid");
        check("Gid:\t5", "Gid:\t5\t5", "Gid");
        check("Threads:\t3", "Threads:\t-3", "Threads");
        check("CapBnd:\t0", "CapBnd:\tx", "CapBnd");
        check("CapEff:", "CapEfg:", "CapEff");
        check("\nSeccomp:\t2", "\nSeccomp:\t9", "Seccomp");
        check("NoNewPrivs:\t1", "NoNewPrivs:", "NoNewPrivs");
    }

    #[test]
    fn older_kernels_have_fewer_fields() {
        let older = STATUS.replace("CapAmb:\t0000000000000000\n", "").replace("\nSeccomp:\t2", "");
        let state = parse(&older).expect("readable");
        assert_eq!((state.ambient, state.seccomp), (0, Seccomp::Off));
    }
}
