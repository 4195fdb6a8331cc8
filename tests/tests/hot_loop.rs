//! The hot loop allocates nothing after the start barrier, on either driver.
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use brunt_engine::{Event, Io, Pace, Parts, StopSwitch};
use brunt_model::plan::{Inputs, compile};
use brunt_model::scenario::Scenario;
use brunt_model::schedule::Arrivals;
use brunt_model::units::{CoreId, Nanos, Rate};

/// Allocations by thread id, modulo the table's length.
static ALLOCATIONS: [AtomicU64; 8192] = [const { AtomicU64::new(0) }; 8192];

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count() {
    let thread = rustix::thread::gettid().as_raw_nonzero().get();
    counter(thread).fetch_add(1, Ordering::Relaxed);
}

fn counter(thread: i32) -> &'static AtomicU64 {
    &ALLOCATIONS[usize::try_from(thread).unwrap_or(0) % ALLOCATIONS.len()]
}

// SAFETY: every call is handed on to the system's allocator unchanged; counting touches only static atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system allocator's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
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

fn scenario(address: SocketAddr, rate: Option<Rate>) -> Scenario {
    let mut scenario = Scenario::of(&format!("http://{address}/"));
    scenario.load.connections = Some(8);
    scenario.load.duration = Some(Nanos::from_millis(2_300));
    (scenario.load.rate, scenario.load.arrivals) = (rate, Arrivals::Poisson);
    scenario
}

/// Runs on core 0 and returns the engine thread's allocations until the barrier and at the end of each interval.
fn allocations(io: Io, rate: Option<Rate>, split: bool) -> Vec<u64> {
    let address = serve(split);
    let inputs = Inputs { addresses: vec![address], body: Vec::new() };
    let plan = Arc::new(compile(&scenario(address, rate), &inputs).unwrap());
    let parts =
        Parts { io, pace: Pace::Efficient, cores: vec![CoreId(0)], trust_tsc: false, tls: Arc::default() };
    let (mut thread, mut seen) = (0, Vec::new());
    let finished = brunt_engine::run(&plan, &parts, &StopSwitch::default(), &mut |event| {
        if let Event::Started { threads } = event {
            thread = threads[0];
        }
        seen.push(counter(thread).load(Ordering::Relaxed));
    });
    let counters = finished.unwrap().total.counters;
    assert!(counters.completed > 500 && counters.failed == 0, "{counters:?}");
    seen
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
