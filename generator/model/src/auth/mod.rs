//! Credentials of requests: field values for `Authorization`.
//!
//! Whatever goes into a field is checked first, so that no credential can end the field or add another.

pub mod basic;
pub mod digest;
pub mod sigv4;

/// # Errors
/// The part that has a control character, which would end a field or hide in one.
fn check_text(what: &str, text: &str) -> Result<(), String> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(format!("{what} has a control character, such as a line end; leave it out"));
    }
    Ok(())
}
