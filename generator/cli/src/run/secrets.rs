//! Values of the secrets that a scenario names: looked up last, and never printed.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brunt_model::redact::Redactor;
use brunt_model::scenario::Scenario;

use crate::error::CommandError;

/// Tokens and keys are shorter.
const SECRET_MAX: u64 = 64 << 10;

/// Shorter values of cookies are choices rather than secrets, and stand in many other places.
const COOKIE_LEAST: usize = 8;

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

/// Takes the values of secrets out of what is shown: those of a file's scripts, and credentials that the command line
/// has.
pub(crate) fn redactor<'v>(values: impl Iterator<Item = &'v String>, scenario: &Scenario) -> Redactor {
    let headers = scenario.request.headers.iter();
    let given = headers.flat_map(|(name, value)| credentials(name, value));
    let all: Vec<_> = values.cloned().chain(given).collect();
    Redactor::new(all.iter().map(String::as_str))
}

/// What is secret of a header: the token or the password behind a scheme, and what cookies are worth.
fn credentials(name: &str, value: &str) -> Vec<String> {
    if name.eq_ignore_ascii_case("cookie") {
        let values = value.split(';').filter_map(|pair| Some(pair.split_once('=')?.1.trim().to_owned()));
        return values.filter(|value| value.len() >= COOKIE_LEAST).collect();
    }
    if !["authorization", "proxy-authorization"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Vec::new();
    }
    let token = value.split_once(' ').map_or(value, |(_, token)| token).trim();
    let basic = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let password = basic.as_deref().and_then(|pair| pair.split_once(':')).map(|(_, password)| password);
    [Some(token), password].into_iter().flatten().map(str::to_owned).collect()
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
    fn credentials_of_headers_are_secrets_too() {
        for (name, value, want) in [
            ("authorization", "Basic bWU6cHc=", &["bWU6cHc=", "pw"][..]),
            ("Authorization", "Bearer abc", &["abc"]),
            ("Authorization", "abc", &["abc"]),
            ("Cookie", "lang=en; sid=0123456789", &["0123456789"]),
            ("Accept", "Basic bWU6cHc=", &[]),
        ] {
            assert_eq!(credentials(name, value), want, "{name}: {value}");
        }
    }

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
