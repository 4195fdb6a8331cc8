//! Another program on a cgroup above the engine's that allows no second: what cannot be attached is off, with its reason.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use brunt_tests::brunt::Brunt;
use brunt_tests::loader::{Loader, cgroup2, cgroups_of};
use brunt_tests::{clock, turn};

use super::common::{check_parts, measured, target};

const DEADLINE: Duration = Duration::from_secs(5);
const RUN_WITHIN: Duration = Duration::from_secs(15);
/// Commands, types and the place of attachment, by their numbers in linux/bpf.h.
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_QUERY: libc::c_int = 16;
const CGROUP_SKB: u32 = 8;
const INGRESS: u32 = 0;
const EGRESS: u32 = 1;
/// `r0 = 1; exit`: everything may leave.
const LET_ALL_OUT: [u8; 16] = [0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn a_program_that_allows_no_second_turns_the_kernel_s_part_off() {
    let _turn = turn();
    let test = "a_program_that_allows_no_second_turns_the_kernel_s_part_off";
    let Some(loader) = Loader::start_or_skip(test, "") else { return };
    let (cgroup, target) = (Exclusive::make(EGRESS), target());
    let into = cgroup.wrapper();
    let run = |flags: &str| {
        let args = format!("run -n 100 -c 2 --cores 0 -o json {} {flags} {}", loader.flag(), target.url());
        Brunt::new(&args).wrapped(&["sh", "-c", &into]).run()
    };
    let why = "off: attaching brunt_egress to the cgroup";
    check_parts(&measured(run("")), why, why);
    for demand in ["--kernel on", "--guard required"] {
        run(demand)
            .expect_code(6)
            .expect_on_stderr(&[demand, "is another program there that allows no second?"]);
    }
    assert_eq!(cgroups_of(loader.pid()), Vec::<PathBuf>::new(), "what failed leaves nothing");
}

#[test]
fn an_attempt_that_fails_leaves_no_program_beside_the_next_one() {
    let _turn = turn();
    let test = "an_attempt_that_fails_leaves_no_program_beside_the_next_one";
    let Some(loader) = Loader::start_or_skip(test, "") else { return };
    let (cgroup, target) = (Exclusive::make(INGRESS), target());
    let args = format!("run -z 2s -q 100 --cores 0 -o json {} {}", loader.flag(), target.url());
    let running = Brunt::new(&args).wrapped(&["sh", "-c", &cgroup.wrapper()]).start();
    clock::until("requests", DEADLINE, || (target.requests() > 0).then_some(()));
    let session = File::open(cgroups_of(loader.pid()).remove(0)).expect("its session has a cgroup");
    assert_eq!(programs_on(&session).expect("root may ask"), 1, "what judges packets is there once");
    let measured = measured(running.finish(RUN_WITHIN));
    check_parts(&measured, "off: attaching brunt_ingress to the cgroup", "on");
}

/// A cgroup with such a program. Dropping it removes both.
struct Exclusive {
    path: PathBuf,
    _program: OwnedFd,
}

impl Exclusive {
    fn make(place: u32) -> Self {
        let path = cgroup2().join(format!("exclusive-{}", std::process::id()));
        fs::create_dir(&path).expect("root may make cgroups");
        let program = load(place).expect("two instructions can be loaded");
        let directory = File::open(&path).expect("an own cgroup can be opened");
        attach(&directory, &program, place).expect("nothing else is attached to a new cgroup");
        Self { path, _program: program }
    }

    /// A script that runs its arguments in it.
    fn wrapper(&self) -> String {
        format!("echo $$ >{}/cgroup.procs && exec \"$0\" \"$@\"", self.path.display())
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            clock::until("the cgroup to be empty", DEADLINE, || fs::remove_dir(&self.path).ok());
        }
    }
}

/// The part of `union bpf_attr` that loading a program takes.
#[repr(C)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    rest: [u32; 11],
    attached_as: u32,
}

/// The same for attaching it; without flags, nobody may attach another there or below.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    place: u32,
    flags: u32,
}

fn load(place: u32) -> io::Result<OwnedFd> {
    let license = c"GPL";
    let attributes = Load {
        kind: CGROUP_SKB,
        instructions: 2,
        code: LET_ALL_OUT.as_ptr().addr() as u64,
        license: license.as_ptr().addr() as u64,
        rest: [0; 11],
        attached_as: place,
    };
    let fd = bpf(PROG_LOAD, &attributes)?;
    #[allow(unsafe_code, reason = "takes over a descriptor that was just made")]
    // SAFETY: bpf(2) returned a new descriptor, which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn attach(cgroup: &File, program: &OwnedFd, place: u32) -> io::Result<()> {
    let [target, program] = [cgroup.as_raw_fd(), program.as_raw_fd()].map(i32::cast_unsigned);
    bpf(PROG_ATTACH, &Attach { target, program, place, flags: 0 }).map(|_| ())
}

/// How many programs judge what leaves a cgroup. The kernel writes into the attributes, of which these are all that there
/// are for a query: the target, the place, and at the seventh the count.
fn programs_on(cgroup: &File) -> io::Result<u32> {
    let mut words = [0; 16];
    words[..2].copy_from_slice(&[cgroup.as_raw_fd().cast_unsigned(), EGRESS]);
    let query = Cell::new(words);
    bpf(PROG_QUERY, &query)?;
    Ok(query.get()[6])
}

#[allow(unsafe_code, reason = "the library for kernel programs always allows a second one")]
fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<i32> {
    // SAFETY: the kernel reads as many bytes as it is told that there are, and the pointers in them are to constants. It
    // writes to those of a query alone, which are in a cell.
    let returned =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if returned < 0 {
        Err(io::Error::last_os_error())
    } else {
        i32::try_from(returned).map_err(io::Error::other)
    }
}
