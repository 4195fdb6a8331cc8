//! The body that the flags of a quick run ask for: a text, a file, or a form.

use std::path::Path;

use brunt_model::content::multipart::{self, Part};
use brunt_model::units::Bytes;

use crate::error::CommandError;
use crate::flags::RequestFlags;
use crate::flags::values::{FormContent, FormField};

/// A body is rendered into every connection's send; past this it belongs into another tool.
const BODY_MAX: Bytes = Bytes::from_mib(64);
/// A form that holds so many boundaries was made to.
const BOUNDARIES_MAX: u64 = 8;

/// Content, and its type where a flag does not say that.
#[derive(Default, Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) content_type: Option<String>,
}

/// `seed` gives a form its boundary.
///
/// # Errors
/// When a file cannot be read, or all is too large.
pub(super) fn of(flags: &RequestFlags, seed: u64) -> Result<Body, CommandError> {
    if !flags.form.is_empty() {
        return form(&flags.form, seed);
    }
    let bytes = match (&flags.body, &flags.body_file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(path)) => file(path, "-D")?,
        (None, None) => Vec::new(),
    };
    Ok(Body { bytes, content_type: None })
}

/// RFC 7578, as `curl -F` sends it. A file is called by the last part of its path.
fn form(fields: &[FormField], seed: u64) -> Result<Body, CommandError> {
    let mut contents = Vec::new();
    for field in fields {
        contents.push(match &field.content {
            FormContent::Text(text) => (text.clone().into_bytes(), None),
            FormContent::File(path) => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                (file(path, "--form")?, Some(name.unwrap_or_default()))
            }
        });
        check_size(&contents)?;
    }
    let parts: Vec<_> = fields
        .iter()
        .zip(&contents)
        .map(|(FormField { name, .. }, (content, filename))| Part {
            name,
            filename: filename.as_deref(),
            content_type: None,
            content,
        })
        .collect();
    let mut why = String::new();
    for boundary in (0..BOUNDARIES_MAX).map(|attempt| multipart::boundary(seed.wrapping_add(attempt))) {
        let mut bytes = Vec::new();
        match multipart::write(&parts, &boundary, &mut bytes) {
            Ok(()) => return Ok(Body { bytes, content_type: Some(multipart::content_type(&boundary)) }),
            Err(error) => why = error,
        }
    }
    Err(CommandError::Usage(format!("--form: {why} (--seed gives others)")))
}

fn check_size(contents: &[(Vec<u8>, Option<String>)]) -> Result<(), CommandError> {
    let sum: u64 = contents.iter().map(|(content, _)| content.len() as u64).sum();
    if sum <= BODY_MAX.0 {
        return Ok(());
    }
    Err(CommandError::Usage(format!("the form is larger than {BODY_MAX}; leave some of --form out")))
}

fn file(path: &Path, flag: &str) -> Result<Vec<u8>, CommandError> {
    use std::io::Read as _;
    let fail = |why: String| {
        CommandError::Usage(format!("the body file '{}' {why}; give another with {flag}", path.display()))
    };
    let file = std::fs::File::open(path).map_err(|error| fail(format!("cannot be opened: {error}")))?;
    let mut bytes = Vec::new();
    file.take(BODY_MAX.0 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > BODY_MAX.0 { Err(fail(format!("is larger than {BODY_MAX}"))) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of these fields, with B for its boundary.
    #[track_caller]
    fn check(fields: &[&str], want: &str) {
        let fields: Vec<_> = fields.iter().map(|field| field.parse().expect(field)).collect();
        let Body { bytes, content_type } = form(&fields, 7).expect("the form is good");
        let boundary = multipart::boundary(7);
        assert_eq!(content_type, Some(multipart::content_type(&boundary)));
        assert_eq!(String::from_utf8(bytes).expect("it is text").replace(&boundary, "B"), want);
    }

    #[test]
    fn fields_and_files_are_parts() {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let path = folder.path().join("note.txt");
        std::fs::write(&path, "a note").expect("a new directory is writable");
        check(
            &["a=1=2", "b=", &format!("f=@{}", path.display())],
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1=2\r\n\
             --B\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n\r\n\
             --B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"note.txt\"\r\n\
             Content-Type: application/octet-stream\r\n\r\na note\r\n--B--\r\n",
        );
    }

    #[test]
    fn a_boundary_within_a_part_is_not_taken() {
        let field = format!("a={}", multipart::boundary(7)).parse().expect("it is a field");
        let body = form(&[field], 7).expect("there are others");
        assert_eq!(body.content_type, Some(multipart::content_type(&multipart::boundary(8))));
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for (text, want) in
            [("a", "is not NAME=VALUE"), ("=b", "is not NAME=VALUE"), ("a=@", "no file after")]
        {
            let error = text.parse::<FormField>().expect_err(text);
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
