//! What goes between the loader and its peers: one message of fixed size each way over a local socket that keeps
//! message boundaries (`SOCK_SEQPACKET`), descriptors beside it. There is nothing to parse: fields are at fixed places.

use brunt_abi::guard::{REASONS, Range};

use crate::grant::{GRANTS_MAX, Grant};

const MAGIC: u32 = u32::from_le_bytes(*b"BRNT");
pub const VERSION: u16 = 1;

const GRANT_LEN: usize = 24;
const GRANTS_AT: usize = 32;
pub const REQUEST_LEN: usize = GRANTS_AT + GRANTS_MAX * GRANT_LEN;

const TEXT_AT: usize = 64;
pub const REPLY_LEN: usize = 512;
/// Descriptors that may come with one reply.
pub const FDS_MAX: usize = 2;

/// Parts of a session that are asked for, or on.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Features {
    /// Stamps of connections.
    pub timing: bool,
    /// Logs beside them.
    pub logs: bool,
    pub guard: bool,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// What could be had: all is loaded and attached once, and let go again.
    Support = 1,
    /// Loads the programs into a new cgroup. Once a session.
    Open = 2,
    /// Moves a child of the peer into the cgroup.
    Enter = 3,
    /// Replaces the policy by a part of it.
    Narrow = 4,
    /// Nothing leaves any more.
    Kill = 5,
    /// The counters.
    Status = 6,
}

/// What a peer asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    pub op: Op,
    pub pid: u32,
    pub slots: u32,
    pub features: Features,
    pub grants: Vec<Grant>,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Status {
    Done = 0,
    /// The loader's own policy does not cover what was asked for.
    Refused = 1,
    /// The kernel or the loader cannot do it.
    Unable = 2,
    /// Not a request that makes sense at this point.
    Wrong = 3,
    /// The peer's user is none that the loader serves.
    Stranger = 4,
}

/// What the loader answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub status: Status,
    pub features: Features,
    /// By [`brunt_abi::guard::Reason`].
    pub denied: [u64; REASONS],
    /// Why something is off or was refused; ASCII, at most 440 bytes.
    pub text: String,
}

/// Not a message of this version.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the message is not of version {VERSION} of the loader's protocol")]
pub struct Malformed;

impl Features {
    const fn bits(self) -> u32 {
        self.timing as u32 | (self.logs as u32) << 1 | (self.guard as u32) << 2
    }

    const fn from_bits(bits: u32) -> Self {
        Self { timing: bits & 1 != 0, logs: bits & 2 != 0, guard: bits & 4 != 0 }
    }
}

impl Request {
    #[must_use]
    pub const fn new(op: Op) -> Self {
        Self {
            op,
            pid: 0,
            slots: 0,
            features: Features { timing: false, logs: false, guard: false },
            grants: Vec::new(),
        }
    }

    /// Grants past the limit do not fit and must have been refused before.
    #[must_use]
    pub fn encode(&self) -> [u8; REQUEST_LEN] {
        let mut bytes = [0; REQUEST_LEN];
        head(&mut bytes, self.op as u16);
        put(&mut bytes, 8, self.pid);
        put(&mut bytes, 12, self.slots);
        put(&mut bytes, 16, self.features.bits());
        let count = self.grants.len().min(GRANTS_MAX);
        put(&mut bytes, 20, u32::try_from(count).unwrap_or(0));
        for (grant, place) in self.grants.iter().zip(bytes[GRANTS_AT..].chunks_exact_mut(GRANT_LEN)) {
            let (address, prefix, ports) = grant.parts();
            place[..16].copy_from_slice(&address);
            place[16..20].copy_from_slice(&prefix.to_le_bytes());
            place[20..22].copy_from_slice(&ports.first.to_le_bytes());
            place[22..24].copy_from_slice(&ports.last.to_le_bytes());
        }
        bytes
    }

    /// # Errors
    /// Where the bytes are no request.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: &[u8; REQUEST_LEN] = bytes.try_into().map_err(|_| Malformed)?;
        let op = match kind(bytes)? {
            1 => Op::Support,
            2 => Op::Open,
            3 => Op::Enter,
            4 => Op::Narrow,
            5 => Op::Kill,
            6 => Op::Status,
            _ => return Err(Malformed),
        };
        let count = usize::try_from(get(bytes, 20)).map_err(|_| Malformed)?;
        if count > GRANTS_MAX {
            return Err(Malformed);
        }
        let places = bytes[GRANTS_AT..].chunks_exact(GRANT_LEN).take(count);
        let grants = places.map(grant_in).collect::<Option<Vec<_>>>().ok_or(Malformed)?;
        let features = Features::from_bits(get(bytes, 16));
        Ok(Self { op, pid: get(bytes, 8), slots: get(bytes, 12), features, grants })
    }
}

fn grant_in(place: &[u8]) -> Option<Grant> {
    let address: [u8; 16] = place.get(..16)?.try_into().ok()?;
    let port = |at: usize| Some(u16::from_le_bytes(place.get(at..at + 2)?.try_into().ok()?));
    Grant::from_parts(address, get(place, 16), Range { first: port(20)?, last: port(22)? })
}

impl Reply {
    #[must_use]
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Self { status, features: Features::default(), denied: [0; REASONS], text: text.into() }
    }

    #[must_use]
    pub fn encode(&self) -> [u8; REPLY_LEN] {
        let mut bytes = [0; REPLY_LEN];
        head(&mut bytes, self.status as u16);
        put(&mut bytes, 8, self.features.bits());
        for (count, place) in self.denied.iter().zip(bytes[16..].chunks_exact_mut(8)) {
            place.copy_from_slice(&count.to_le_bytes());
        }
        let room = REPLY_LEN - TEXT_AT;
        let text: Vec<u8> = self
            .text
            .bytes()
            .map(|byte| if byte.is_ascii() && byte != 0 { byte } else { b'?' })
            .take(room - 8)
            .collect();
        bytes[TEXT_AT..TEXT_AT + text.len()].copy_from_slice(&text);
        bytes
    }

    /// # Errors
    /// Where the bytes are no reply.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes: &[u8; REPLY_LEN] = bytes.try_into().map_err(|_| Malformed)?;
        let status = match kind(bytes)? {
            0 => Status::Done,
            1 => Status::Refused,
            2 => Status::Unable,
            3 => Status::Wrong,
            4 => Status::Stranger,
            _ => return Err(Malformed),
        };
        let mut denied = [0; REASONS];
        for (count, place) in denied.iter_mut().zip(bytes[16..].chunks_exact(8)) {
            *count = u64::from_le_bytes(place.try_into().map_err(|_| Malformed)?);
        }
        let text = bytes[TEXT_AT..].split(|&byte| byte == 0).next().unwrap_or_default();
        let text =
            text.iter().map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { byte as char } else { '?' });
        Ok(Self { status, features: Features::from_bits(get(bytes, 8)), denied, text: text.collect() })
    }
}

fn head(bytes: &mut [u8], kind: u16) {
    put(bytes, 0, MAGIC);
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes[6..8].copy_from_slice(&kind.to_le_bytes());
}

fn kind(bytes: &[u8]) -> Result<u16, Malformed> {
    let version = u16::from_le_bytes([bytes[4], bytes[5]]);
    if get(bytes, 0) != MAGIC || version != VERSION {
        return Err(Malformed);
    }
    Ok(u16::from_le_bytes([bytes[6], bytes[7]]))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Zero past the end.
fn get(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            pid: 7,
            slots: 1_000,
            features: Features { timing: true, logs: false, guard: true },
            grants: ["10.0.0.0/8:80", "::1"].map(|text| text.parse().unwrap()).to_vec(),
            ..Request::new(Op::Open)
        }
    }

    #[test]
    fn messages_come_back_as_they_went() {
        assert_eq!(Request::decode(&request().encode()), Ok(request()));
        let reply = Reply { denied: [1, 2, 3, 4, 5], ..Reply::new(Status::Unable, "no BTF here") };
        assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        let statuses = [Status::Done, Status::Refused, Status::Unable, Status::Wrong, Status::Stranger];
        for status in statuses {
            let reply = Reply::new(status, "");
            assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let sound = request().encode();
        let with = |at: usize, byte: u8| {
            let mut bytes = sound;
            bytes[at] = byte;
            Request::decode(&bytes)
        };
        for (at, byte) in [(0, 0), (4, 9), (6, 99), (20, 65), (GRANTS_AT + 16, 200), (GRANTS_AT + 15, 1)] {
            assert_eq!(with(at, byte), Err(Malformed), "byte {at}");
        }
        assert_eq!(Request::decode(&sound[1..]), Err(Malformed));
        assert_eq!(Reply::decode(&[0; REPLY_LEN]), Err(Malformed));
    }

    #[test]
    fn text_is_cut_and_cannot_move_a_cursor() {
        let long = Reply::new(Status::Done, format!("\u{1b}[2J{}", "x".repeat(1_000)));
        let back = Reply::decode(&long.encode()).unwrap();
        assert_eq!(back.text.len(), REPLY_LEN - TEXT_AT - 8);
        assert!(back.text.starts_with("?[2J"));
    }
}
