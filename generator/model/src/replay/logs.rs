//! The logs that a scenario replays: which requests there are, and which of them is sent when.

use std::collections::HashMap;
use std::sync::Arc;

use super::{LogError, LogRequest, read, speed};
use crate::scenario::file::{LogFormat, Place};
use crate::script::CALLS_MAX;
use crate::units::Nanos;

/// All logs of a scenario.
#[derive(Clone, Default, Debug)]
pub struct Logs {
    /// No two are the same but for their times and hosts; in the order in which they are first sent.
    requests: Vec<Logged>,
    replays: Vec<Replay>,
}

/// A request, and how often it is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    pub request: Arc<LogRequest>,
    pub count: u64,
    /// Where the scenario names the first log that has it.
    pub at: Place,
}

/// A log that is sent once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// Where the scenario names the log.
    pub at: Place,
    /// Since the first request; they ascend.
    pub times: Arc<[Nanos]>,
    /// Of each of them, the request's index among those of all logs.
    pub picks: Vec<u16>,
}

impl Logs {
    /// Adds a log that the scenario names at `at`, to be sent `factor` times as fast.
    ///
    /// # Errors
    /// What [`read`] tells, a log without requests, or more than [`CALLS_MAX`] different ones.
    pub fn add(&mut self, at: Place, bytes: &[u8], format: LogFormat, factor: f64) -> Result<(), LogError> {
        let error = |what: String, mend| LogError { line: None, what, mend };
        let log = read(bytes, format)?;
        if log.is_empty() {
            return Err(error("there is no request in the log".to_owned(), "name a log with requests"));
        }
        let times = speed(log.iter().map(|request| request.at), factor)
            .ok_or_else(|| error(format!("{factor} is no speed"), "give one above 0, such as 2x"))?;
        let mut known: HashMap<_, _> = self
            .requests
            .iter()
            .zip(0u16..)
            .map(|(logged, index)| (Arc::clone(&logged.request), index))
            .collect();
        let mut picks = Vec::with_capacity(log.len());
        for request in log {
            // Neither says what is sent.
            let request = Arc::new(LogRequest { at: Nanos::ZERO, host: None, ..request });
            let next = u16::try_from(known.len()).unwrap_or(u16::MAX);
            let index = *known.entry(request).or_insert_with_key(|request| {
                self.requests.push(Logged { request: Arc::clone(request), count: 0, at });
                next
            });
            if known.len() > CALLS_MAX {
                let what = format!("the log has more than {CALLS_MAX} different requests");
                return Err(error(what, "replay a part of it"));
            }
            self.requests[usize::from(index)].count += 1;
            picks.push(index);
        }
        self.replays.push(Replay { at, times, picks });
        Ok(())
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.replays.is_empty()
    }

    #[must_use]
    pub fn requests(&self) -> &[Logged] {
        &self.requests
    }

    /// The replay of the log that the scenario names at `at`.
    #[must_use]
    pub fn replay(&self, at: Place) -> Option<&Replay> {
        self.replays.iter().find(|replay| replay.at == at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn lines(paths: impl IntoIterator<Item = String>) -> String {
        paths.into_iter().zip(0u32..).fold(String::new(), |mut text, (path, at)| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{{\"time\": {at}, \"method\": \"GET\", \"url\": \"{path}\"}}");
            text
        })
    }

    fn place(line: u32) -> Place {
        Place { line, column: 1 }
    }

    #[test]
    fn the_same_request_of_two_logs_is_one() {
        let mut logs = Logs::default();
        let first = lines(["/a", "http://other/b", "/a"].map(str::to_owned));
        logs.add(place(1), first.as_bytes(), LogFormat::JsonLines, 2.0).unwrap();
        logs.add(place(2), lines(["/c", "/b"].map(str::to_owned)).as_bytes(), LogFormat::JsonLines, 1.0)
            .unwrap();
        let told: Vec<_> = logs
            .requests()
            .iter()
            .map(|logged| (logged.request.path.as_str(), logged.count, logged.at.line))
            .collect();
        assert_eq!(told, [("/a", 2, 1), ("/b", 2, 1), ("/c", 1, 2)]);
        let first = logs.replay(place(1)).unwrap();
        assert_eq!(
            (&first.times[..], &first.picks[..]),
            (&[0, 500, 1_000].map(Nanos::from_millis)[..], &[0, 1, 0][..])
        );
        assert_eq!(logs.replay(place(2)).unwrap().picks, [2, 1]);
        assert_eq!(logs.replay(place(3)), None);
    }

    #[track_caller]
    fn check_refused(log: &str, want: &str) {
        let error = Logs::default().add(place(1), log.as_bytes(), LogFormat::JsonLines, 1.0).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
    }

    #[test]
    fn what_cannot_be_replayed_is_refused_with_the_mend() {
        check_refused("\n", "no request in the log; name a log");
        check_refused(
            &lines((0..=CALLS_MAX).map(|n| format!("/{n}"))),
            "more than 10000 different requests; replay a part",
        );
        check_refused("{}", "line 1: missing field");
        let most = lines((0..CALLS_MAX).map(|n| format!("/{n}")));
        assert_eq!(Logs::default().add(place(1), most.as_bytes(), LogFormat::JsonLines, 1.0), Ok(()));
    }
}
