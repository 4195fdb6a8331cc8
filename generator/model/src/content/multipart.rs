//! `multipart/form-data`: RFC 7578, with names escaped as browsers do (HTML standard of WHATWG, section
//! 4.10.21.8).

use sha2::{Digest, Sha256};

/// RFC 2046 section 5.1.1.
const BOUNDARY_MAX: usize = 70;

/// The type of a file that has none of its own.
const FILE_TYPE: &str = "application/octet-stream";

/// One part.
#[derive(Copy, Clone, Debug)]
pub struct Part<'a> {
    pub name: &'a str,
    /// With one it is a file.
    pub filename: Option<&'a str>,
    /// Left out, a file is `application/octet-stream` and all else is plain text.
    pub content_type: Option<&'a str>,
    pub content: &'a [u8],
}

/// The value of `Content-Type`.
#[must_use]
pub fn content_type(boundary: &str) -> String {
    format!("multipart/form-data; boundary={boundary}")
}

/// 32 letters that follow from a seed: with another seed they are others.
#[must_use]
pub fn boundary(seed: u64) -> String {
    const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
    Sha256::digest(seed.to_le_bytes()).iter().map(letter).collect()
}

/// Appends the content. Besides what the parts hold, whose names may take three times their bytes, it is less
/// than 300 bytes a part.
///
/// # Errors
/// A sentence, with nothing appended: the boundary occurs in a part, is not 1 to 70 letters, digits and
/// hyphens, or a part's type has a control character.
pub fn write(parts: &[Part<'_>], boundary: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let is_boundary = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if boundary.is_empty() || boundary.len() > BOUNDARY_MAX || !boundary.bytes().all(is_boundary) {
        return Err(format!(
            "the form's boundary is '{boundary}', expected 1 to {BOUNDARY_MAX} letters, digits and hyphens"
        ));
    }
    let start = out.len();
    for part in parts {
        if let Err(error) = write_part(part, boundary, out) {
            out.truncate(start);
            return Err(error);
        }
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(())
}

fn write_part(part: &Part<'_>, boundary: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let mut head =
        format!("Content-Disposition: form-data; name=\"{}\"", escaped(&with_line_ends(part.name)));
    if let Some(filename) = part.filename {
        head.push_str(&format!("; filename=\"{}\"", escaped(filename)));
    }
    head.push_str("\r\n");
    if let Some(content_type) = part.content_type.or(part.filename.map(|_| FILE_TYPE)) {
        if content_type.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(format!(
                "the type of the form's part '{}' has a control character; leave it out",
                part.name
            ));
        }
        head.push_str(&format!("Content-Type: {content_type}\r\n"));
    }
    let words = [Some(part.name), part.filename, part.content_type];
    let is_in_head = words.into_iter().flatten().any(|word| word.contains(boundary));
    if is_in_head || holds(part.content, boundary.as_bytes()) {
        return Err(format!("the form's part '{}' holds the boundary '{boundary}'; take another", part.name));
    }
    out.extend_from_slice(format!("--{boundary}\r\n{head}\r\n").as_bytes());
    out.extend_from_slice(part.content);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// At most 70 steps a byte, and one for nearly all.
fn holds(content: &[u8], boundary: &[u8]) -> bool {
    content.windows(boundary.len()).any(|window| window == boundary)
}

/// Names, but not those of files, have all line ends as CRLF.
fn with_line_ends(name: &str) -> String {
    name.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Part, boundary, content_type, write};

    const TEXT: Part<'_> = Part { name: "a", filename: None, content_type: None, content: b"1" };

    fn check(parts: &[Part<'_>], boundary: &str, expected: Result<&str, &str>) {
        let mut out = b"before".to_vec();
        match (write(parts, boundary, &mut out), expected) {
            (Ok(()), Ok(expected)) => {
                assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"))
            }
            (Err(error), Err(part)) => {
                assert!(error.contains(part), "{error}");
                assert_eq!(out, b"before");
            }
            (outcome, _) => panic!("{parts:?}: {outcome:?}"),
        }
    }

    #[test]
    fn parts_are_written() {
        check(&[], "x", Ok("--x--\r\n"));
        let file = Part { name: "f\"\n\r", filename: Some("é\"\n.txt"), ..TEXT };
        let typed = Part { content_type: Some("text/csv; charset=utf-8"), content: b"\r\n", ..TEXT };
        check(
            &[TEXT, file, typed],
            "a-B9",
            Ok("--a-B9\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
                --a-B9\r\nContent-Disposition: form-data; name=\"f%22%0D%0A%0D%0A\"; \
                filename=\"é%22%0A.txt\"\r\n\
                Content-Type: application/octet-stream\r\n\r\n1\r\n\
                --a-B9\r\nContent-Disposition: form-data; name=\"a\"\r\n\
                Content-Type: text/csv; charset=utf-8\r\n\r\n\r\n\r\n--a-B9--\r\n"),
        );
        assert_eq!(content_type("a-B9"), "multipart/form-data; boundary=a-B9");
    }

    #[test]
    fn what_would_break_the_form_is_refused() {
        check(&[TEXT, Part { content: b"..xyz..", ..TEXT }], "xyz", Err("part 'a' holds the boundary 'xyz'"));
        check(&[Part { name: "xyz", ..TEXT }], "xyz", Err("holds the boundary"));
        check(&[Part { filename: Some("xyz"), ..TEXT }], "xyz", Err("holds the boundary"));
        check(&[Part { content_type: Some("a/b\r\nX: y"), ..TEXT }], "x", Err("control character"));
        for boundary in ["", "a b", "a\r\n", "é", &"x".repeat(71)] {
            check(&[], boundary, Err("expected 1 to 70 letters"));
        }
        check(&[], &"x".repeat(70), Ok(&format!("--{}--\r\n", "x".repeat(70))));
    }

    #[test]
    fn boundaries_follow_from_a_seed() {
        let boundaries = [boundary(0), boundary(1), boundary(u64::MAX)];
        for boundary in &boundaries {
            assert!(
                boundary.len() == 32 && boundary.bytes().all(|byte| byte.is_ascii_alphabetic()),
                "{boundary}"
            );
        }
        assert!(boundaries[0] != boundaries[1] && boundaries[1] != boundaries[2]);
        assert_eq!(boundary(1), boundaries[1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parts_come_back_between_the_boundaries(
            parts in prop::collection::vec(
                ("[a-z\"\r\n]{0,6}", prop::collection::vec(any::<u8>(), 0..40)),
                0..5,
            ),
            seed in any::<u64>(),
        ) {
            let given: Vec<_> =
                parts.iter().map(|(name, content)| Part { name, content, ..TEXT }).collect();
            let boundary = boundary(seed);
            let mut out = b"\r\n".to_vec();
            write(&given, &boundary, &mut out).unwrap();
            let text: String = out.iter().map(|byte| char::from(*byte)).collect();
            let delimiter = format!("\r\n--{boundary}");
            let mut pieces = text.split(&delimiter).skip(1);
            for (_, content) in &parts {
                let piece = pieces.next().unwrap();
                let (_, read) = piece.strip_prefix("\r\n").unwrap().split_once("\r\n\r\n").unwrap();
                prop_assert!(read.chars().map(u32::from).eq(content.iter().map(|byte| u32::from(*byte))));
            }
            prop_assert_eq!(pieces.collect::<Vec<_>>(), ["--\r\n"]);
        }
    }
}
