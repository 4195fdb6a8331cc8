//! The hot loop allocates nothing after the start barrier, on either driver. Over TLS the library allocates for each
//! record, and frees what it allocated.
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use brunt_engine::{Controls, Event, Io, Pace, Parts};
use brunt_loader::timing::Timing;
use brunt_model::plan::{Inputs, compile};
use brunt_model::scenario::{HttpVersion, Scenario};
use brunt_model::schedule::Arrivals;
use brunt_model::units::{CoreId, Nanos, Rate};
use brunt_tests::origin::Origin;

/// Allocations by thread id, modulo the table's length.
static ALLOCATIONS: [AtomicU64; 8192] = [const { AtomicU64::new(0) }; 8192];
/// Bytes allocated and not freed, by the same.
static HELD_BYTES: [AtomicI64; 8192] = [const { AtomicI64::new(0) }; 8192];

const CONNECTIONS: u32 = 8;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn own() -> usize {
    place(rustix::thread::gettid().as_raw_nonzero().get())
}

fn place(thread: i32) -> usize {
    usize::try_from(thread).unwrap_or(0) % ALLOCATIONS.len()
}

fn size(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

// SAFETY: every call is handed on to the system's allocator unchanged; counting touches only static atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS[own()].fetch_add(1, Ordering::Relaxed);
        HELD_BYTES[own()].fetch_add(size(layout), Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD_BYTES[own()].fetch_sub(size(layout), Ordering::Relaxed);
        // SAFETY: as above; `memory` came from `alloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// A stand-in for a server, in this process so that it needs nothing installed: each answer in one or two writes.
fn serve(split: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_all(stream, split));
        }
    });
    address
}

fn answer_all(mut stream: TcpStream, split: bool) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    let (head, rest) = ("HTTP/1.1 200 OK\r\nContent-", "Length: 5\r\n\r\nhello");
    // A request of this test arrives whole: it is far below a segment.
    while let Ok(1..) = stream.read(&mut buffer) {
        let sent = if split {
            stream.write_all(head.as_bytes()).and_then(|()| {
                std::thread::sleep(std::time::Duration::from_micros(300));
                stream.write_all(rest.as_bytes())
            })
        } else {
            stream.write_all(format!("{head}{rest}").as_bytes())
        };
        if sent.is_err() {
            return;
        }
    }
}

fn scenario(url: &str, rate: Option<Rate>) -> Scenario {
    let mut scenario = Scenario::of(url);
    scenario.load.connections = Some(CONNECTIONS);
    scenario.load.duration = Some(Nanos::from_millis(2_300));
    (scenario.load.rate, scenario.load.arrivals) = (rate, Arrivals::Poisson);
    scenario
}

/// What the engine's thread allocated.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Memory {
    allocations: u64,
    held_bytes: i64,
}

/// Runs on core 0 and returns what the engine's thread allocated until the barrier and at the end of each interval.
fn memory(io: Io, scenario: &Scenario, address: SocketAddr) -> Vec<Memory> {
    memory_timed(io, scenario, address, None)
}

fn memory_timed(
    io: Io,
    scenario: &Scenario,
    address: SocketAddr,
    timing: Option<Arc<Timing>>,
) -> Vec<Memory> {
    let inputs = Inputs { addresses: vec![address], ..Inputs::default() };
    let plan = Arc::new(compile(scenario, &inputs).unwrap());
    let parts = Parts {
        io,
        pace: Pace::Efficient,
        cores: vec![CoreId(0)],
        trust_tsc: false,
        tls: Arc::default(),
        timing,
        seal: None,
        late_reads: Nanos::ZERO,
        data: brunt_engine::sight::Data::default(),
    };
    let (mut thread, mut seen) = (0, Vec::new());
    let finished = brunt_engine::run(&plan, &parts, &Controls::default(), &mut |event| {
        if let Event::Started { threads } = event {
            thread = place(threads[0]);
        }
        seen.push(Memory {
            allocations: ALLOCATIONS[thread].load(Ordering::Relaxed),
            held_bytes: HELD_BYTES[thread].load(Ordering::Relaxed),
        });
    });
    let counters = finished.unwrap().total.counters;
    assert!(counters.completed > 500 && counters.failed == 0, "{counters:?}");
    seen
}

/// Allocations of a run over HTTP/1.1 in clear text.
fn allocations(io: Io, rate: Option<Rate>, split: bool) -> Vec<u64> {
    let address = serve(split);
    let seen = memory(io, &scenario(&format!("http://{address}/"), rate), address);
    seen.iter().map(|memory| memory.allocations).collect()
}

/// A scenario of HTTP/2 with eight streams on each connection, and the target that it is for.
fn http2(origin: &Origin, scheme: &str, rate: Option<Rate>) -> (Scenario, SocketAddr) {
    let url = origin.url("").replace("http:", scheme);
    let authority = url.trim_start_matches(scheme).trim_matches('/');
    let address = authority.parse().unwrap();
    let mut scenario = scenario(&url, rate);
    (scenario.http.version, scenario.http.streams) = (HttpVersion::Http2, Some(8));
    (scenario, address)
}

#[test]
fn nothing_is_allocated_after_the_barrier() {
    for io in [Io::Uring, Io::Epoll] {
        for rate in [None, Some(Rate::per_second(1_000))] {
            let seen = allocations(io, rate, false);
            assert_eq!(seen[1..3], [seen[0]; 2], "{io:?} {rate:?}: {seen:?}");
        }
    }
}

#[test]
fn heads_that_come_in_pieces_cost_nothing_once_their_memory_is_there() {
    for io in [Io::Uring, Io::Epoll] {
        let seen = allocations(io, None, true);
        assert_eq!(seen[2], seen[1], "{io:?}: {seen:?}");
    }
}

/// Memory as the kernel programs would fill it. Nobody does here, so that no time is ever known.
fn stamps() -> Arc<Timing> {
    let memory = |len| {
        let fd = rustix::fs::memfd_create("stamps", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&fd, len).unwrap();
        fd
    };
    Arc::new(Timing::new(&memory(1 << 16), Some(&memory(1 << 18)), 64).unwrap())
}

#[test]
fn looking_for_time_stamps_allocates_nothing() {
    let origin = Origin::start("");
    for io in [Io::Uring, Io::Epoll] {
        let (mut scenario, address) = http2(&origin, "http:", None);
        for (version, streams) in [(HttpVersion::Http1, None), (HttpVersion::Http2, Some(8))] {
            (scenario.http.version, scenario.http.streams) = (version, streams);
            let seen = memory_timed(io, &scenario, address, Some(stamps()));
            let made = seen[2].allocations - seen[1].allocations;
            let pieces = if streams.is_some() { u64::from(CONNECTIONS) } else { 0 };
            assert!(made <= pieces, "{io:?} {version:?}: {seen:?}");
        }
    }
}

/// A connection gets memory for frames that arrive in parts when the first one does, and keeps it: that may be once
/// for each connection, and nothing for each request.
#[test]
fn streams_allocate_nothing_in_the_steady_state() {
    let origin = Origin::start("");
    for io in [Io::Uring, Io::Epoll] {
        for rate in [None, Some(Rate::per_second(1_000))] {
            let (scenario, address) = http2(&origin, "http:", rate);
            let seen = memory(io, &scenario, address);
            let made = seen[2].allocations - seen[1].allocations;
            assert!(made <= u64::from(CONNECTIONS), "{io:?} {rate:?}: {seen:?}");
        }
    }
}

/// The library that speaks TLS allocates for each record. What counts is that it does not keep it.
#[test]
fn tls_keeps_no_memory() {
    /// Sessions to resume come in their own time.
    const GROWTH_BYTES_MAX: i64 = 64 * 1024;
    let origin = Origin::start("--tls");
    for io in [Io::Uring, Io::Epoll] {
        for version in [HttpVersion::Http1, HttpVersion::Http2] {
            let (mut scenario, address) = http2(&origin, "https:", None);
            (scenario.http.version, scenario.tls.insecure) = (version, true);
            if version == HttpVersion::Http1 {
                scenario.http.streams = None;
            }
            let seen = memory(io, &scenario, address);
            let growth = seen[2].held_bytes - seen[1].held_bytes;
            assert!(growth <= GROWTH_BYTES_MAX, "{io:?} {version:?}: grew by {growth} bytes: {seen:?}");
        }
    }
}
