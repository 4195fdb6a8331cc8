//! Secrets of TLS sessions in the key log format of NSS, for tools that decrypt captures (draft-ietf-tls-keylogfile).

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::KeyLog;

/// Whoever reads the file can read the traffic, so only its owner may.
const MODE: u32 = 0o600;

/// An open key log. Each line is one write to a file opened with `O_APPEND`, so lines of several writers never mix.
#[derive(Debug)]
pub(crate) struct KeyLogFile {
    path: PathBuf,
    file: File,
    failed: AtomicU64,
}

impl KeyLogFile {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        Ok(Self { path: path.to_owned(), file, failed: AtomicU64::new(0) })
    }

    /// So many lines were lost before they came here.
    pub(crate) fn lose(&self, lines: u64) {
        // What the engine process says is not believed as far as overflowing goes.
        let failed = self.failed.load(Ordering::Relaxed);
        self.failed.store(failed.saturating_add(lines), Ordering::Relaxed);
    }

    /// How many lines could not be written, in words; `None` where all were.
    pub(crate) fn notice(&self) -> Option<String> {
        let failed = self.failed.load(Ordering::Relaxed);
        (failed > 0).then(|| {
            format!("note: {failed} lines of the key log '{}' could not be written", self.path.display())
        })
    }
}

impl KeyLog for KeyLogFile {
    /// A run is not disturbed by a full disk: what fails is counted.
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        if (&self.file).write_all(line(label, client_random, secret).as_bytes()).is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn line(label: &str, client_random: &[u8], secret: &[u8]) -> String {
    let mut line = String::with_capacity(label.len() + 2 * (client_random.len() + secret.len()) + 3);
    line.push_str(label);
    for bytes in [client_random, secret] {
        line.push(' ');
        for byte in bytes {
            // Writing to a string does not fail.
            let _ = write!(line, "{byte:02x}");
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn lines_are_appended_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        for secret in [0xab, 0x07] {
            let log = KeyLogFile::open(&path).unwrap();
            log.log("CLIENT_RANDOM", &[0, 0xff], &[secret; 2]);
            assert_eq!(log.notice(), None);
        }
        let want = "CLIENT_RANDOM 00ff abab\nCLIENT_RANDOM 00ff 0707\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), want);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let log = KeyLogFile::open(Path::new("/dev/full")).unwrap();
        for _ in 0..3 {
            log.log("CLIENT_RANDOM", &[1], &[2]);
        }
        log.lose(4);
        assert_eq!(log.notice().unwrap(), "note: 7 lines of the key log '/dev/full' could not be written");
    }
}
