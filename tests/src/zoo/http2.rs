//! Hostile HTTP/2 servers: what each sends before and for each request.

use std::io;

use super::frames::{self as f, END_HEADERS, END_STREAM, Head, PAYLOAD_MAX};
use crate::wire::{Act, Stream, Wire};

/// Small frames in one write, so that a flood is made of floods and not of system calls.
const FRAMES_PER_WRITE: usize = 1_000;
/// SETTINGS_MAX_CONCURRENT_STREAMS, SETTINGS_INITIAL_WINDOW_SIZE and SETTINGS_MAX_FRAME_SIZE (RFC 9113 section 6.5.2).
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
/// The largest window there can be (RFC 9113 section 6.9.1).
const WINDOW_MAX: u32 = 0x7fff_ffff;
/// Error codes of RFC 9113 section 7.
const NO_ERROR: u32 = 0x0;
const REFUSED_STREAM: u32 = 0x7;
const CANCEL: u32 = 0x8;
/// An entry that just fits a table of 4096 bytes with its name and the 32 bytes of overhead (RFC 7541 section 4.1).
const BOMB_VALUE: usize = 4_000;

/// How a server behaves: once after the client's preface, and for each request, whose stream it is told.
#[derive(Copy, Clone, Debug)]
pub(super) struct Habits {
    greet: fn() -> Vec<Act>,
    answer: fn(u32) -> Vec<Act>,
}

/// Serves one connection to its end.
pub(super) fn serve<S: Stream>(wire: &mut Wire<'_, S>, habits: Habits) -> io::Result<()> {
    if wire.read_exactly(f::PREFACE.len())?.is_none_or(|bytes| bytes != f::PREFACE) {
        return Ok(());
    }
    let mut greeted = false;
    while let Some(head) = read_frame(wire)? {
        let acts = if !greeted && head.kind == f::SETTINGS {
            greeted = true;
            (habits.greet)()
        } else if head.ends_request_head() {
            (habits.answer)(head.stream)
        } else {
            continue;
        };
        if !wire.perform_all(&acts)? {
            break;
        }
    }
    Ok(())
}

/// The head of the next frame, whose payload is read and dropped. At most 16 MiB are held: a length has 24 bits.
fn read_frame<S: Stream>(wire: &mut Wire<'_, S>) -> io::Result<Option<Head>> {
    let head = wire.read_exactly(f::HEAD_LENGTH)?;
    let Some(head) = head.as_deref().and_then(Head::read) else { return Ok(None) };
    Ok(wire.read_exactly(head.length)?.map(|_| head))
}

/// A server that greets properly.
const fn polite(answer: fn(u32) -> Vec<Act>) -> Habits {
    Habits { greet: || greet_with(&[]), answer }
}

fn greet_with(settings: &[(u16, u32)]) -> Vec<Act> {
    vec![Act::Send([f::settings(settings), f::settings_ack()].concat())]
}

/// Well-behaved, for comparison.
pub(super) const GOOD: Habits = polite(|stream| vec![Act::Send(f::answer(stream, &[], b"ok"))]);

fn repeated(frame: &[u8]) -> Vec<u8> {
    frame.repeat(FRAMES_PER_WRITE)
}

fn flood(frame: &[u8]) -> Vec<Act> {
    vec![Act::Exchange(repeated(frame))]
}

/// A flood by a server that reads none of the answers to it.
fn deaf_flood(frame: &[u8]) -> Vec<Act> {
    vec![Act::Repeat(repeated(frame), std::time::Duration::ZERO)]
}

fn then_flood(first: Vec<u8>, frame: &[u8]) -> Vec<Act> {
    [vec![Act::Send(first)], flood(frame)].concat()
}

/// Sends this and then listens: whatever is wrong must be found in it, not by waiting.
fn say(frames: &[Vec<u8>]) -> Vec<Act> {
    vec![Act::Send(frames.concat()), Act::Silence]
}

pub(super) const INTERIM_FLOOD: Habits =
    polite(|stream| flood(&f::headers(stream, END_HEADERS, &f::status("103"))));

pub(super) const PING_FLOOD: Habits = polite(|_| flood(&ping()));
pub(super) const PING_FLOOD_DEAF: Habits = polite(|_| deaf_flood(&ping()));
pub(super) const SETTINGS_FLOOD: Habits = polite(|_| flood(&f::settings(&[])));
pub(super) const SETTINGS_FLOOD_DEAF: Habits = polite(|_| deaf_flood(&f::settings(&[])));
pub(super) const PRIORITY_FLOOD: Habits = polite(|stream| flood(&priority(stream)));
pub(super) const PRIORITY_FLOOD_DEAF: Habits = polite(|stream| deaf_flood(&priority(stream)));
pub(super) const WINDOW_FLOOD: Habits = Habits {
    // The client's window is small at first, so that the updates stay below the largest for long.
    greet: || greet_with(&[(INITIAL_WINDOW_SIZE, 1)]),
    answer: |stream| flood(&f::window_update(stream, 1)),
};

fn ping() -> Vec<u8> {
    f::frame(f::PING, 0, 0, b"are you?")
}

/// Depends on no stream and has the default weight (RFC 9113 section 6.3).
fn priority(stream: u32) -> Vec<u8> {
    f::frame(f::PRIORITY, 0, stream, &[0, 0, 0, 0, 15])
}

pub(super) const CONTINUATION_FLOOD: Habits = polite(|stream| {
    let field = f::literal("x-filler", &[b'x'; 1_000]);
    let block = field.repeat(PAYLOAD_MAX / field.len());
    let first = f::headers(stream, 0, f::OK);
    vec![Act::Send(first), Act::Exchange(f::frame(f::CONTINUATION, 0, stream, &block))]
});
pub(super) const CONTINUATION_EMPTY: Habits = polite(|stream| {
    let first = f::headers(stream, 0, f::OK);
    then_flood(first, &f::frame(f::CONTINUATION, 0, stream, &[]))
});

/// One large entry of the dynamic table, named twelve thousand times: 16 KiB that stand for 48 MB.
pub(super) const HPACK_BOMB: Habits = polite(|stream| {
    let entry = f::literal_to_table("x", &[b'x'; BOMB_VALUE]);
    // The newest entry of the dynamic table, after the 61 of the static one.
    let references = vec![0x80 | 62; PAYLOAD_MAX - entry.len() - f::OK.len()];
    say(&[f::headers(stream, END_HEADERS | END_STREAM, &[f::OK, &entry, &references].concat())])
});

pub(super) const EMPTY_DATA: Habits = polite(|stream| then_flood(ok_head(stream), &empty_data(stream)));
pub(super) const EMPTY_DATA_DEAF: Habits =
    polite(|stream| [vec![Act::Send(ok_head(stream))], deaf_flood(&empty_data(stream))].concat());

fn ok_head(stream: u32) -> Vec<u8> {
    f::headers(stream, END_HEADERS, f::OK)
}

fn empty_data(stream: u32) -> Vec<u8> {
    f::frame(f::DATA, 0, stream, &[])
}

/// A body without end that never waits for the client's window.
pub(super) const OVER_WINDOW: Habits = polite(|stream| {
    let data = f::frame(f::DATA, 0, stream, &[b'x'; PAYLOAD_MAX]);
    vec![Act::Send(ok_head(stream)), Act::Repeat(data.repeat(16), std::time::Duration::ZERO)]
});
/// A frame of 16 MiB less one byte; only its beginning is sent.
pub(super) const OVER_FRAME_SIZE: Habits = polite(|stream| {
    say(&[ok_head(stream), f::announced(f::DATA, 0, stream, 0x00ff_ffff), vec![b'x'; PAYLOAD_MAX]])
});
pub(super) const WINDOW_OVERFLOW_STREAM: Habits =
    polite(|stream| say(&[f::window_update(stream, WINDOW_MAX), f::window_update(stream, WINDOW_MAX)]));
pub(super) const WINDOW_OVERFLOW_CONNECTION: Habits =
    polite(|_| say(&[f::window_update(0, WINDOW_MAX), f::window_update(0, WINDOW_MAX)]));
pub(super) const WINDOW_ZERO_STREAM: Habits = polite(|stream| say(&[f::window_update(stream, 0)]));
pub(super) const WINDOW_ZERO_CONNECTION: Habits = polite(|_| say(&[f::window_update(0, 0)]));
/// A window and a frame size that RFC 9113 section 6.5.2 forbids.
pub(super) const SETTINGS_WRONG: Habits = Habits {
    greet: || greet_with(&[(INITIAL_WINDOW_SIZE, u32::MAX), (MAX_FRAME_SIZE, 1)]),
    answer: |_| vec![Act::Silence],
};

/// Promises `/` of the same authority on stream 2, although the client forbade it or takes no pushes.
pub(super) const PUSH_PROMISE: Habits = polite(|stream| {
    // Indexed: `:method GET`, `:scheme http` and `:path /`; the authority as a literal.
    let request = [vec![0x82, 0x86, 0x84], f::literal(":authority", b"127.0.0.1")].concat();
    let payload = [2_u32.to_be_bytes().to_vec(), request].concat();
    say(&[f::frame(f::PUSH_PROMISE, END_HEADERS, stream, &payload)])
});

pub(super) const UNKNOWN_FLOOD: Habits =
    polite(|_| vec![Act::Exchange(f::frame(f::UNKNOWN, 0, 0, &[0; PAYLOAD_MAX]))]);
pub(super) const UNKNOWN_SMALL: Habits = polite(|_| flood(&f::frame(f::UNKNOWN, 0, 0, &[])));

pub(super) const RESET_STREAMS: Habits = polite(|stream| vec![Act::Send(f::rst_stream(stream, CANCEL))]);
pub(super) const REFUSE_STREAMS: Habits =
    polite(|stream| vec![Act::Send(f::rst_stream(stream, REFUSED_STREAM))]);
/// Every connection is told to go away before it asked anything, and closed.
pub(super) const GOAWAY_AT_ONCE: Habits = Habits {
    greet: || {
        let bye = Act::Send(f::goaway(0, NO_ERROR));
        [greet_with(&[]), vec![bye, Act::HalfClose]].concat()
    },
    answer: |_| vec![Act::Silence],
};
pub(super) const GOAWAY_AFTER: Habits = polite(|_| vec![Act::Send(f::goaway(0, NO_ERROR)), Act::HalfClose]);
pub(super) const NO_STREAMS: Habits =
    Habits { greet: || greet_with(&[(MAX_CONCURRENT_STREAMS, 0)]), answer: |_| vec![Act::Silence] };

/// Takes no byte of a body.
pub(super) const ZERO_WINDOW: Habits =
    Habits { greet: || greet_with(&[(INITIAL_WINDOW_SIZE, 0)]), answer: |_| vec![Act::Silence] };

/// Markup and bytes above 0x7f, which RFC 9113 section 8.2.1 allows in values.
pub(super) const MARKUP: Habits = polite(|stream| {
    let fields = [f::literal("server", super::http1::MARKUP), f::literal("x-c1", super::http1::C1)].concat();
    vec![Act::Send(f::answer(stream, &fields, b"ok"))]
});
/// A control character, which the same section forbids.
pub(super) const CONTROL_CHARACTERS: Habits = polite(|stream| {
    let fields = f::literal("x-evil", b"a\0b\r\nc");
    vec![Act::Send(f::answer(stream, &fields, b"ok")), Act::Silence]
});

/// Sent in answer to the preface by a server that has never heard of HTTP/2.
pub(super) fn only_http1() -> Vec<Act> {
    let answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    vec![Act::send(answer), Act::HalfClose]
}
