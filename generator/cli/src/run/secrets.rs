//! Values of the secrets that a scenario names: looked up last, and never printed.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::CommandError;

/// Tokens and keys are shorter.
const SECRET_MAX: u64 = 64 << 10;

/// Where values may be found.
pub(crate) struct Sources<'a> {
    /// `NAME=FILE`.
    pub files: &'a [String],
    /// An environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
}

/// The value of each name, in the same order.
pub(crate) fn resolve(names: &[String], sources: &Sources<'_>) -> Result<Vec<String>, CommandError> {
    names.iter().map(|name| value_of(name, sources)).collect()
}

fn value_of(name: &str, sources: &Sources<'_>) -> Result<String, CommandError> {
    let variable = format!("BRUNT_SECRET_{name}");
    let of_flag = sources.files.iter().find_map(|file| file.split_once('=').filter(|(of, _)| *of == name));
    if let Some((_, path)) = of_flag {
        return read(name, Path::new(path));
    }
    if let Some(value) = (sources.variable)(&variable) {
        return value.into_string().map_err(|_| {
            CommandError::Configuration(format!(
                "the secret {name}: {variable} is not UTF-8; give --secret-file"
            ))
        });
    }
    let credential =
        (sources.variable)("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(name));
    match credential.filter(|path| path.exists()) {
        Some(path) => read(name, &path),
        None => Err(CommandError::Configuration(format!(
            "the secret {name} has no value; set {variable}, or give --secret-file {name}=FILE"
        ))),
    }
}

fn read(name: &str, path: &Path) -> Result<String, CommandError> {
    let fail = |why: String| {
        let path = path.display();
        CommandError::Configuration(format!("the secret {name}: the file '{path}' {why}; give another"))
    };
    let file = std::fs::File::open(path).map_err(|error| fail(format!("cannot be opened: {error}")))?;
    let mut text = String::new();
    file.take(SECRET_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| fail(format!("cannot be read: {error}")))?;
    if text.len() as u64 > SECRET_MAX {
        return Err(fail("is longer than 64 KiB".to_owned()));
    }
    // Editors end a file with a line break that is not part of the secret.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_flags_then_the_environment_then_credentials() {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file can be written");
            path
        };
        put("C", "of credentials\n");
        let file = put("file", "of a file\r\n");
        let files = [format!("A={}", file.display())];
        let directory = folder.path().as_os_str().to_owned();
        let variable = move |name: &str| match name {
            "BRUNT_SECRET_A" | "BRUNT_SECRET_B" => Some(OsString::from("of the environment")),
            "CREDENTIALS_DIRECTORY" => Some(directory.clone()),
            _ => None,
        };
        let sources = Sources { files: &files, variable: &variable };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let values = resolve(&names(&["A", "B", "C"]), &sources).unwrap();
        assert_eq!(values, ["of a file", "of the environment", "of credentials"]);
        let error = resolve(&names(&["D"]), &sources).unwrap_err();
        assert_eq!(error.exit().code(), 5);
        assert!(error.to_string().contains("set BRUNT_SECRET_D"), "{error}");
    }
}
