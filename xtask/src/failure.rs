//! The one error of this crate: a sentence, and the exit code it asks for.

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit_code: u8,
    pub(crate) message: String,
}

impl Failure {
    /// The work was tried and did not succeed.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { exit_code: 1, message: message.into() }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit_code: 2, message: message.into() }
    }

    /// A file or process operation failed.
    pub(crate) fn io(operation: impl std::fmt::Display, cause: &std::io::Error) -> Self {
        Self::new(format!("cannot {operation}: {cause}"))
    }
}

/// Refuses arguments for a command that takes none.
pub(crate) fn no_arguments(command: &str, arguments: &[String]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(word) => Err(Failure::usage(format!("`{command}` takes no arguments, but `{word}` was given"))),
    }
}
