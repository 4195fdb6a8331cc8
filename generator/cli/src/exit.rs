//! Exit codes: a contract with scripts.

use brunt_model::report::Report;
use brunt_model::verdict::Status;

/// How the command ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Pass,
    /// A fault of Brunt's own, or a result that could not be written.
    Fault,
    Usage,
    /// A limit failed.
    Limit,
    /// The generator was the limit; of `brunt doctor`: this host is not fit.
    Invalid,
    /// A file or this host's configuration does not allow what was asked.
    Configuration,
    /// Refused by policy.
    Refused,
    /// Not one answer arrived.
    Unreachable,
    /// Ended by SIGINT or SIGTERM.
    Interrupted,
    Terminated,
}

impl Exit {
    /// Stopped before there was anything to judge.
    pub(crate) const fn by(signal: Option<Signal>) -> Self {
        match signal {
            Some(Signal::Terminate) => Self::Terminated,
            Some(Signal::Interrupt) | None => Self::Interrupted,
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fault => 1,
            Self::Usage => 2,
            Self::Limit => 3,
            Self::Invalid => 4,
            Self::Configuration => 5,
            Self::Refused => 6,
            Self::Unreachable => 7,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// The signal that ended a run before its time.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
}

/// What a finished run's exit code depends on.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Ending {
    pub status: Status,
    pub started: u64,
    pub answers: u64,
    pub limits_missed: bool,
    /// The signal that stopped it, if one did.
    pub signal: Option<Signal>,
    /// Some output could not be written.
    pub output_failed: bool,
}

impl Ending {
    pub(crate) fn of(report: &Report, signal: Option<Signal>, output_failed: bool) -> Self {
        Self {
            status: report.verdict.status,
            started: report.totals.started,
            // Those of the warm-up are in no table, yet they show that the target is there.
            answers: report.answers().max(report.totals.completed),
            limits_missed: report.limits.iter().any(|limit| !limit.passed),
            signal,
            output_failed,
        }
    }

    /// Where several apply, the order is 1, then 130 and 143, 6, 7, 4, 3, 0.
    pub(crate) fn exit(self) -> Exit {
        if self.status == Status::Error || self.output_failed {
            return Exit::Fault;
        }
        match self.signal {
            Some(Signal::Interrupt) => return Exit::Interrupted,
            Some(Signal::Terminate) => return Exit::Terminated,
            None => {}
        }
        if self.status == Status::Refused {
            Exit::Refused
        } else if self.started > 0 && self.answers == 0 {
            Exit::Unreachable
        } else if self.status == Status::Invalid {
            Exit::Invalid
        } else if self.status == Status::Fail || self.limits_missed {
            Exit::Limit
        } else {
            Exit::Pass
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASS: Ending = Ending {
        status: Status::Pass,
        started: 10,
        answers: 10,
        limits_missed: false,
        signal: None,
        output_failed: false,
    };

    #[test]
    fn the_worst_reason_gives_the_code() {
        let silent = Ending { answers: 0, limits_missed: true, ..PASS };
        let interrupted = Ending { signal: Some(Signal::Interrupt), status: Status::Stopped, ..silent };
        for (ending, want) in [
            (PASS, 0),
            (Ending { status: Status::Fail, limits_missed: true, ..PASS }, 3),
            (Ending { status: Status::Invalid, limits_missed: true, ..PASS }, 4),
            (Ending { status: Status::Fail, ..silent }, 7),
            (Ending { status: Status::Invalid, ..silent }, 7),
            (Ending { status: Status::Refused, ..silent }, 6),
            (interrupted, 130),
            (Ending { signal: Some(Signal::Terminate), ..interrupted }, 143),
            (Ending { status: Status::Error, ..interrupted }, 1),
            (Ending { output_failed: true, ..interrupted }, 1),
            (Ending { output_failed: true, ..PASS }, 1),
            (Ending { started: 0, answers: 0, ..PASS }, 0),
        ] {
            assert_eq!(ending.exit().code(), want, "{ending:?}");
        }
    }
}
