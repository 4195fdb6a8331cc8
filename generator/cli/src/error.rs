//! What keeps a command from its end: one line for a person, one exit code for a script.
//!
//! Causes are part of each line, so that they are shown once.

use std::path::PathBuf;

use brunt_model::plan::PlanError;
use brunt_model::scenario::file::Fault;

use crate::engine::Failure;
use crate::exit::Exit;
use crate::kernel::Refusal;
use crate::output::write::WriteError;
use crate::run::addresses::LookupError;
use crate::run::tls::PemError;
use crate::terminal;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Plan(PlanError),
    /// Each fault on a line of its own.
    #[error("{}", shown(path, faults))]
    Scenario { path: PathBuf, faults: Vec<Fault> },
    #[error("{0}")]
    Configuration(String),
    #[error(
        "what was imported does not compile, a fault of brunt's own; report it with the file and this: {}",
        told(.0)
    )]
    Imported(Vec<Fault>),
    #[error("{0}")]
    Lookup(LookupError),
    #[error("{0}")]
    Pem(PemError),
    #[error(
        "the limit on open files is {limit} and cannot be raised to the {needed} that this run needs; raise it (ulimit -n, LimitNOFILE=, as root fs.nr_open) or lower the connections"
    )]
    FileLimit { limit: u64, needed: u64 },
    #[error("{0}")]
    Engine(Failure),
    /// What is done once for a run, before its load.
    #[error("{name} failed: {why}")]
    Once { name: &'static str, why: String, unreachable: bool },
    #[error("{0}")]
    Refused(Refusal),
    #[error("'{path}' is not a result of brunt: {why}; give a file written by -o json=FILE")]
    Stored { path: PathBuf, why: String },
    #[error("cannot listen at {address}: {cause}; choose another --host or --port")]
    Listen { address: std::net::SocketAddr, cause: std::io::Error },
    #[error("{0}")]
    Write(WriteError),
    /// An operation of the system that is not expected to fail.
    #[error("{what}: {cause}")]
    System { what: &'static str, cause: std::io::Error },
}

fn shown(path: &std::path::Path, faults: &[Fault]) -> String {
    let lines: Vec<_> = faults.iter().map(|fault| format!("{}:{fault}", path.display())).collect();
    lines.join("\nerror: ")
}

/// Places are of the scenario that would have been written.
fn told(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl CommandError {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::System { what, cause }
    }

    /// Tells a person; a script is told by the code.
    pub(crate) fn tell(&self) -> Exit {
        terminal::say(&format!("error: {self}"));
        self.exit()
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Plan(PlanError::NoAddress(_))
            | Self::Lookup(LookupError::Name { .. } | LookupError::Late(_)) => Exit::Unreachable,
            Self::Once { unreachable: true, .. } => Exit::Unreachable,
            Self::Once { .. } => Exit::Configuration,
            Self::Usage(_) | Self::Plan(_) => Exit::Usage,
            Self::Refused(_) => Exit::Refused,
            Self::Scenario { .. } | Self::Configuration(_) | Self::Write(WriteError::Exists(_)) => {
                Exit::Configuration
            }
            Self::FileLimit { .. } | Self::Stored { .. } | Self::Listen { .. } | Self::Pem(_) => {
                Exit::Configuration
            }
            Self::Engine(failure) if failure.is_fault => Exit::Fault,
            // This host does not allow what was asked for, and says how to change that.
            Self::Engine(_) => Exit::Configuration,
            Self::Lookup(LookupError::Runtime(_))
            | Self::System { .. }
            | Self::Imported(_)
            | Self::Write(_) => Exit::Fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use brunt_engine::EngineError;

    use super::*;

    #[test]
    fn each_error_has_its_code() {
        let io = || std::io::Error::other("x");
        for (error, want) in [
            (CommandError::Usage("u".into()), 2),
            (CommandError::Plan(PlanError::SourceFamily), 2),
            (CommandError::Plan(PlanError::NoAddress("h".into())), 7),
            (CommandError::Lookup(LookupError::Late("h".into())), 7),
            (CommandError::Lookup(LookupError::Runtime(io())), 1),
            (CommandError::FileLimit { limit: 1, needed: 2 }, 5),
            (CommandError::Engine(EngineError::Uring(io()).into()), 5),
            (CommandError::Engine(EngineError::Panicked.into()), 1),
            (CommandError::Stored { path: "r.json".into(), why: "empty".into() }, 5),
            (CommandError::Imported(vec![]), 1),
            (CommandError::Write(WriteError::Exists("s.yaml".into())), 5),
            (CommandError::Write(WriteError::Stdout(io())), 1),
            (CommandError::system("signals")(io()), 1),
        ] {
            assert_eq!(error.exit().code(), want, "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
