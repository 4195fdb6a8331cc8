//! Rendered text to stdout or into a file, whole or not at all.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A text that did not get where it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("cannot write the result to '{path}': {cause}; the other outputs are not affected")]
    File { path: PathBuf, cause: io::Error },
    #[error("'{0}' is there already; give --force to replace it, or another -o")]
    Exists(PathBuf),
    #[error("cannot write the result to stdout: {0}")]
    Stdout(io::Error),
}

/// Writes to the file, or to stdout where there is none.
pub(crate) fn write(file: Option<&Path>, text: &str) -> Result<(), WriteError> {
    match file {
        Some(path) => to_file(path, text).map_err(|cause| WriteError::File { path: path.to_owned(), cause }),
        None => to_stdout(text).map_err(WriteError::Stdout),
    }
}

/// Writes a file that is not there yet.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), WriteError> {
    let fail = |cause| WriteError::File { path: path.to_owned(), cause };
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|cause| match cause.kind() {
        ErrorKind::AlreadyExists => WriteError::Exists(path.to_owned()),
        _ => fail(cause),
    })?;
    file.write_all(text.as_bytes()).map_err(|cause| {
        // What is half written helps nobody; the first error is the one to tell.
        let _ = fs::remove_file(path);
        fail(cause)
    })
}

/// A reader that has seen enough (`| head`) is no error.
pub(crate) fn to_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// By way of a temporary file beside it, so that nobody ever reads half a result. What is no regular file, such as a
/// pipe or `/dev/null`, is written into and never replaced.
fn to_file(path: &Path, text: &str) -> io::Result<()> {
    // The file that a link points to is the one to replace.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let existing = fs::metadata(path).ok();
    if existing.as_ref().is_some_and(|metadata| !metadata.is_file()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
    let name = path.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "it names no file"))?;
    let temporary = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = fill(&temporary, text, existing.as_ref()).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is half written helps nobody; the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn fill(temporary: &Path, text: &str, existing: Option<&fs::Metadata>) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(temporary)?;
    if let Some(existing) = existing {
        file.set_permissions(existing.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        for text in ["first, longer", "second"] {
            write(Some(&path), text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(folder.path()), ["r.json"]);
    }

    #[test]
    fn a_new_file_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.yaml");
        write_new(&path, "first").unwrap();
        let error = write_new(&path, "second").unwrap_err().to_string();
        assert!(error.contains("s.yaml' is there already; give --force"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    }

    #[test]
    fn what_is_no_regular_file_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(Some(&link), "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(write(Some(&socket), "x").is_err(), "a socket cannot be written into by name");
        assert!(!fs::metadata(&socket).unwrap().is_file(), "nor is it replaced");
    }

    #[test]
    fn an_error_names_the_file() {
        let error = write(Some(Path::new("/does/not/exist/r.json")), "x").unwrap_err().to_string();
        assert!(error.contains("'/does/not/exist/r.json'"), "{error}");
    }
}
