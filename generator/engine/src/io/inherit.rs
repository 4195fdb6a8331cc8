//! What the processes that this one starts inherit.
//!
//! A descriptor is inherited unless its close-on-exec flag is set. Those that this process opens itself have the flag;
//! those that it was started with do not. Source: fcntl(2), `FD_CLOEXEC`.

use std::io;
use std::os::fd::RawFd;

const FOLDER: &str = "/proc/self/fd";
/// Standard input, output and error are given to a process on purpose.
const FIRST: RawFd = 3;

/// See [`crate::pass_nothing_on`].
pub(crate) fn pass_nothing_on() -> io::Result<()> {
    let numbers: io::Result<Vec<RawFd>> = std::fs::read_dir(FOLDER)?
        .filter_map(|entry| entry.map(|entry| entry.file_name().to_str()?.parse().ok()).transpose())
        .collect();
    numbers?.into_iter().filter(|fd| *fd >= FIRST).try_for_each(close_on_exec)
}

fn close_on_exec(fd: RawFd) -> io::Result<()> {
    // SAFETY: a flag of a descriptor is changed; no memory is passed, and nothing is opened or closed.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // The one that the folder was read with is closed by now.
        error if error.raw_os_error() == Some(libc::EBADF) => Ok(()),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

    use super::*;

    #[test]
    fn what_was_open_is_not_passed_on() {
        let files = [(); 2].map(|()| std::fs::File::open("/dev/null").unwrap());
        let flags = || files.each_ref().map(|file| fcntl_getfd(file.as_fd()).unwrap());
        let before = fcntl_getfd(io::stderr()).unwrap();
        fcntl_setfd(&files[0], FdFlags::empty()).unwrap();
        assert_eq!(flags(), [FdFlags::empty(), FdFlags::CLOEXEC]);
        pass_nothing_on().unwrap();
        assert_eq!(flags(), [FdFlags::CLOEXEC; 2]);
        assert_eq!(fcntl_getfd(io::stderr()).unwrap(), before);
    }
}
