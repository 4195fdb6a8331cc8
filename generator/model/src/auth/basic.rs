//! The `Basic` scheme: RFC 7617, in UTF-8.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::check_text;

/// The value of `Authorization`.
///
/// # Errors
/// A sentence, if the user has a colon, which would end it, or either has a control character (section 2).
pub fn authorization(user: &str, password: &str) -> Result<String, String> {
    check_text("the user of Basic authentication", user)?;
    check_text("the password of Basic authentication", password)?;
    if user.contains(':') {
        return Err("the user of Basic authentication has a colon, which ends the name; use a name without"
            .to_owned());
    }
    Ok(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

#[cfg(test)]
mod tests {
    use super::authorization;

    fn check(user: &str, password: &str, expected: Result<&str, &str>) {
        match (authorization(user, password), expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value, expected),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (outcome, _) => panic!("{user}: {outcome:?}"),
        }
    }

    #[test]
    fn examples_of_the_rfc() {
        check("Aladdin", "open sesame", Ok("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        check("test", "123£", Ok("Basic dGVzdDoxMjPCow=="));
        check("", "a:b", Ok("Basic OmE6Yg=="));
        check("a:b", "", Err("colon"));
        check("a\n", "", Err("the user of Basic authentication has a control"));
        check("a", "\u{7f}", Err("the password"));
    }
}
