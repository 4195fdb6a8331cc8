//! What the child says. Each frame is a byte that names the kind, and its content.
//!
//! The supervisor does not believe the child: what cannot be is an error, and text is cleaned before it is shown.

use brunt_engine::{EngineError, Finished};
use brunt_model::codec::{self, CodecError, SPAN_MAX_NS};
use brunt_model::exchange::{EXCHANGES_BYTES_MAX, EXCHANGES_MAX, Exchange};
use brunt_model::expr::Value;
use brunt_model::samples::{self, Observed};
use brunt_model::snapshot::{FIGURE_MAX, Snapshot};
use brunt_model::units::Nanos;
use serde::{Deserialize, Serialize};

const STARTED: u8 = 1;
const INTERVAL: u8 = 2;
const KEY_LOG: u8 = 3;
const END: u8 = 4;
const FAILED: u8 = 5;
const JAILED: u8 = 6;
const SAMPLED: u8 = 7;
const EXCHANGED: u8 = 8;

/// The longest that the engine says of itself has some hundreds.
const TEXT_MAX: usize = 1_000;
/// Labels, random bytes and secrets of the key log have at most 32, 32 and 64 bytes.
const KEY_LOG_MAX: usize = 256;

/// Lines of the key log in a run: those of some hundred thousand handshakes.
pub(super) const KEY_LINES_MAX: u64 = 1_000_000;

/// Why a run could not begin, or broke, in the words of the engine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    /// A fault of Brunt's own; otherwise this host does not allow what was asked for.
    pub is_fault: bool,
    pub text: String,
}

impl Failure {
    pub(crate) fn fault(text: impl ToString) -> Self {
        Self { is_fault: true, text: text.to_string() }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let is_fault =
            matches!(error, EngineError::Thread(_) | EngineError::Panicked | EngineError::Withdrawn);
        Self { is_fault, text: error.to_string() }
    }
}

/// One line of the key log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct KeyLine<'a> {
    pub label: &'a str,
    pub client_random: &'a [u8],
    pub secret: &'a [u8],
}

/// The shape of what a run counts.
#[derive(Copy, Clone, Debug)]
pub(super) struct Shape {
    pub names: usize,
    pub cores: usize,
    /// Variables whose values are told.
    pub tells: usize,
}

#[derive(Debug)]
pub(super) enum Message<'a> {
    /// The kernel's ids of the engine's threads, by core.
    Started(Vec<i32>),
    Interval(Box<Snapshot>),
    KeyLog(KeyLine<'a>),
    /// How far the child is jailed.
    Jailed(String),
    Sampled(Vec<Observed>),
    Exchanged(Box<Exchange>),
    /// With the number of lines of the key log that found no room.
    End(Box<Finished>, u64),
    Failed(Failure),
}

/// Why a frame is no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error("a message of unknown kind")]
    Kind,
    #[error("a message of another form: {0}")]
    Form(#[from] postcard::Error),
    #[error("a snapshot that cannot be: {0}")]
    Snapshot(#[from] CodecError),
    #[error("a message whose {0} cannot be")]
    Figure(&'static str),
    #[error("{0} more often than there can be")]
    Often(&'static str),
}

pub(super) fn started(threads: &[i32]) -> Result<Vec<u8>, MessageError> {
    Ok(postcard::to_extend(threads, vec![STARTED])?)
}

pub(super) fn interval(snapshot: &Snapshot) -> Result<Vec<u8>, MessageError> {
    Ok(codec::encode_snapshot(snapshot, vec![INTERVAL])?)
}

pub(super) fn key_log(line: &KeyLine<'_>) -> Result<Vec<u8>, MessageError> {
    Ok(postcard::to_extend(line, vec![KEY_LOG])?)
}

pub(super) fn jailed(text: &str) -> Result<Vec<u8>, MessageError> {
    Ok(postcard::to_extend(text, vec![JAILED])?)
}

pub(super) fn sampled(samples: &[Observed]) -> Result<Vec<u8>, MessageError> {
    Ok(postcard::to_extend(samples, vec![SAMPLED])?)
}

pub(super) fn exchanged(exchange: &Exchange) -> Result<Vec<u8>, MessageError> {
    Ok(postcard::to_extend(exchange, vec![EXCHANGED])?)
}

pub(super) fn end(finished: &Finished, key_lines_lost: u64) -> Result<Vec<u8>, MessageError> {
    let coded = CodedEnd {
        elapsed: finished.elapsed,
        load_time: finished.load_time,
        arrivals_in_flight: finished.arrivals_in_flight,
        requests_in_flight: finished.requests_in_flight,
        late_for_connections: finished.late_for_connections,
        stopped: finished.stopped,
        unreachable: finished.unreachable,
        told: finished.told.clone(),
        key_lines_lost,
    };
    Ok(codec::encode_stats(&finished.total, postcard::to_extend(&coded, vec![END])?)?)
}

pub(super) fn failed(failure: &Failure) -> Result<Vec<u8>, MessageError> {
    Ok(postcard::to_extend(failure, vec![FAILED])?)
}

impl<'a> Message<'a> {
    pub(super) fn decode(frame: &'a [u8], shape: Shape) -> Result<Self, MessageError> {
        let (kind, content) = frame.split_first().ok_or(MessageError::Kind)?;
        match *kind {
            STARTED => {
                let threads: Vec<i32> = postcard::from_bytes(content)?;
                let fits = threads.len() == shape.cores && threads.iter().all(|id| *id > 0);
                if fits { Ok(Self::Started(threads)) } else { Err(MessageError::Figure("threads")) }
            }
            INTERVAL => {
                let snapshot = codec::decode_snapshot(content, shape.names)?;
                let is_ours = snapshot.worker == 0 && (snapshot.core as usize) < shape.cores;
                if is_ours {
                    Ok(Self::Interval(Box::new(snapshot)))
                } else {
                    Err(MessageError::Figure("core"))
                }
            }
            KEY_LOG => {
                let line: KeyLine<'_> = postcard::from_bytes(content)?;
                let label = line.label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                let fits = label && content.len() <= KEY_LOG_MAX;
                if fits { Ok(Self::KeyLog(line)) } else { Err(MessageError::Figure("key log")) }
            }
            END => CodedEnd::decode(content, shape),
            FAILED => {
                let Failure { is_fault, text } = postcard::from_bytes(content)?;
                Ok(Self::Failed(Failure { is_fault, text: cleaned(&text) }))
            }
            SAMPLED => {
                let samples: Vec<Observed> = postcard::from_bytes(content)?;
                let fits = samples::are_possible(&samples, shape.names);
                if fits { Ok(Self::Sampled(samples)) } else { Err(MessageError::Figure("samples")) }
            }
            // What of it fits the plan is looked at by whoever has the plan.
            EXCHANGED => Ok(Self::Exchanged(Box::new(postcard::from_bytes(content)?))),
            JAILED => Ok(Self::Jailed(cleaned(postcard::from_bytes(content)?))),
            _ => Err(MessageError::Kind),
        }
    }
}

/// What a run has been told, as far as it is told so often only.
#[derive(Default, Debug)]
pub(super) struct Told {
    started: u64,
    jailed: u64,
    key_lines: u64,
    samples: u64,
    exchanges: u64,
    exchanged_bytes: usize,
}

impl Told {
    /// Counts a message.
    pub(super) fn admit(&mut self, message: &Message<'_>) -> Result<(), MessageError> {
        if let Message::Exchanged(exchange) = message {
            self.exchanged_bytes = self.exchanged_bytes.saturating_add(exchange.size());
            if self.exchanged_bytes > EXCHANGES_BYTES_MAX {
                return Err(MessageError::Often("bytes of exchanges"));
            }
        }
        let (count, most, what) = match message {
            Message::Started(_) => (&mut self.started, 1, "a start"),
            Message::Jailed(_) => (&mut self.jailed, 1, "a jail"),
            Message::Sampled(_) => (&mut self.samples, 1, "samples"),
            Message::Exchanged(_) => (&mut self.exchanges, EXCHANGES_MAX as u64, "exchanges"),
            Message::KeyLog(_) => (&mut self.key_lines, KEY_LINES_MAX, "lines of the key log"),
            // Intervals are admitted by their numbers, and nothing comes after the others.
            Message::Interval(_) | Message::End(..) | Message::Failed(_) => return Ok(()),
        };
        *count += 1;
        if *count > most { Err(MessageError::Often(what)) } else { Ok(()) }
    }
}

fn cleaned(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

/// The end of a run but for its sum, which follows.
#[derive(Serialize, Deserialize)]
struct CodedEnd {
    elapsed: Nanos,
    load_time: Nanos,
    arrivals_in_flight: u64,
    requests_in_flight: u64,
    late_for_connections: u64,
    stopped: bool,
    unreachable: bool,
    told: Vec<Value>,
    key_lines_lost: u64,
}

impl CodedEnd {
    fn decode<'a>(content: &[u8], shape: Shape) -> Result<Message<'a>, MessageError> {
        let (coded, rest): (Self, _) = postcard::take_from_bytes(content)?;
        if coded.told.len() > shape.tells {
            return Err(MessageError::Figure("values"));
        }
        let counts = [coded.arrivals_in_flight, coded.requests_in_flight, coded.late_for_connections];
        if coded.elapsed.max(coded.load_time).0 > SPAN_MAX_NS {
            return Err(MessageError::Figure("times"));
        }
        if counts.into_iter().any(|count| count > FIGURE_MAX) {
            return Err(MessageError::Figure("counts"));
        }
        let finished = Finished {
            total: codec::decode_stats(rest, shape.names)?,
            elapsed: coded.elapsed,
            load_time: coded.load_time,
            arrivals_in_flight: coded.arrivals_in_flight,
            requests_in_flight: coded.requests_in_flight,
            late_for_connections: coded.late_for_connections,
            stopped: coded.stopped,
            unreachable: coded.unreachable,
            told: coded.told,
        };
        Ok(Message::End(Box::new(finished), coded.key_lines_lost))
    }
}

#[cfg(test)]
mod tests {
    use brunt_model::exchange::Part;
    use brunt_model::snapshot::Stats;

    use super::*;

    const SHAPE: Shape = Shape { names: 1, cores: 2, tells: 2 };

    fn finished() -> Finished {
        let mut total = Stats::new(1);
        total.counters.completed = 5;
        Finished {
            total,
            elapsed: Nanos(9),
            load_time: Nanos(8),
            arrivals_in_flight: 1,
            requests_in_flight: 2,
            late_for_connections: 3,
            stopped: true,
            unreachable: false,
            told: vec![Value::Null, Value::Text("x".into())],
        }
    }

    fn sample(name: u16) -> Observed {
        let (kind, what) = (brunt_model::outcome::ErrorKind::Status, "answered".to_owned());
        Observed { name, kind, status: Some(503), what, answer: Some(vec![0xff]) }
    }

    fn snapshot(core: u32) -> Snapshot {
        Snapshot { seq: 4, ..Snapshot::blank(0, core, 1) }
    }

    const LINE: KeyLine<'_> = KeyLine { label: "CLIENT_RANDOM", client_random: &[1], secret: &[2, 3] };

    #[test]
    fn messages_arrive_as_they_were_sent() {
        fn check(frame: &[u8], want: &Message<'_>) {
            let got = Message::decode(frame, SHAPE).unwrap();
            assert_eq!(format!("{got:?}"), format!("{want:?}"));
        }
        check(&started(&[7, 8]).unwrap(), &Message::Started(vec![7, 8]));
        check(&interval(&snapshot(1)).unwrap(), &Message::Interval(Box::new(snapshot(1))));
        check(&key_log(&LINE).unwrap(), &Message::KeyLog(LINE));
        check(&jailed("on\x1b").unwrap(), &Message::Jailed("on".to_owned()));
        check(&sampled(&[sample(0)]).unwrap(), &Message::Sampled(vec![sample(0)]));
        let exchange = Exchange { status: Some(200), ..Exchange::default() };
        check(&exchanged(&exchange).unwrap(), &Message::Exchanged(Box::new(exchange)));
        check(&end(&finished(), 6).unwrap(), &Message::End(Box::new(finished()), 6));
        let failure = Failure::from(EngineError::Pin(3));
        assert!(!failure.is_fault && Failure::from(EngineError::Panicked).is_fault);
        check(&failed(&failure).unwrap(), &Message::Failed(failure));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let long = Finished { elapsed: Nanos(u64::MAX), ..finished() };
        let talkative = Finished { told: vec![Value::Null; 3], ..finished() };
        let many = Finished { requests_in_flight: u64::MAX, ..finished() };
        for frame in [
            Vec::new(),
            vec![0],
            vec![END],
            started(&[7]).unwrap(),
            started(&[7, -1]).unwrap(),
            interval(&snapshot(2)).unwrap(),
            interval(&Snapshot { worker: 1, ..snapshot(0) }).unwrap(),
            key_log(&KeyLine { label: "A\nB", ..LINE }).unwrap(),
            key_log(&KeyLine { secret: &[0; 300], ..LINE }).unwrap(),
            sampled(&[sample(1)]).unwrap(),
            sampled(&vec![sample(0); 65]).unwrap(),
            end(&long, 0).unwrap(),
            end(&many, 0).unwrap(),
            end(&talkative, 0).unwrap(),
        ] {
            assert!(Message::decode(&frame, SHAPE).is_err(), "{frame:?}");
        }
    }

    #[test]
    fn what_is_told_once_is_not_told_again() {
        fn check(message: &Message<'_>, most: u64) {
            let mut told = Told::default();
            let admitted = (0..=most).take_while(|_| told.admit(message).is_ok()).count();
            assert_eq!(admitted as u64, most, "{message:?}");
            assert_eq!(told.admit(&Message::Interval(Box::new(snapshot(0)))).ok(), Some(()));
        }
        check(&Message::Started(vec![7, 8]), 1);
        check(&Message::Jailed("on".to_owned()), 1);
        check(&Message::KeyLog(LINE), KEY_LINES_MAX);
        check(&Message::Sampled(Vec::new()), 1);
        check(&Message::Exchanged(Box::default()), EXCHANGES_MAX as u64);
        let body = vec![0; EXCHANGES_BYTES_MAX / 10];
        let request = Some(Part { head: Vec::new(), body, body_size: 0 });
        check(&Message::Exchanged(Box::new(Exchange { request, ..Exchange::default() })), 10);
    }

    #[test]
    fn text_cannot_move_the_cursor() {
        let text = format!("\u{1b}[2Ja\r\nb{}", "x".repeat(2_000));
        let frame = failed(&Failure::fault(text)).unwrap();
        let Ok(Message::Failed(failure)) = Message::decode(&frame, SHAPE) else { panic!("{frame:?}") };
        assert!(failure.text.starts_with("[2Jabxx") && failure.text.len() == TEXT_MAX);
    }
}
