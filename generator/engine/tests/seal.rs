//! The seal goes on once, before any connection, and a run whose seal fails does not begin.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use brunt_engine::{Controls, EngineError, Finished, Io, Pace, Parts, Seal};
use brunt_model::plan::{Inputs, compile};
use brunt_model::scenario::Scenario;
use brunt_model::units::{CoreId, Nanos};

/// A listener that tells whether anybody has come yet.
fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn is_alone(listener: &TcpListener) -> bool {
    matches!(listener.accept(), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn run(listener: &TcpListener, io: Io, cores: &[u32], seal: Seal) -> (Result<Finished, EngineError>, u32) {
    let address = listener.local_addr().unwrap();
    let mut scenario = Scenario::of(&format!("http://{address}/"));
    scenario.load.connections = Some(2);
    scenario.load.duration = Some(Nanos::from_millis(100));
    let plan =
        Arc::new(compile(&scenario, &Inputs { addresses: vec![address], ..Inputs::default() }).unwrap());
    let parts = Parts {
        io,
        pace: Pace::Efficient,
        cores: cores.iter().map(|&core| CoreId(core)).collect(),
        trust_tsc: false,
        tls: Arc::default(),
        timing: None,
        seal: Some(seal),
        late_reads: Nanos::ZERO,
        data: brunt_engine::sight::Data::default(),
    };
    let mut events = 0;
    let result = brunt_engine::run(&plan, &parts, &Controls::default(), &mut |_| events += 1);
    (result, events)
}

/// Serves whoever comes from the seal on.
fn serve(listener: TcpListener) {
    listener.set_nonblocking(false).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(1..) = stream.read(&mut buffer) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

fn check_sealed(io: Io) {
    let listener = listener();
    let (inside, calls) = (listener.try_clone().unwrap(), Arc::new(AtomicU32::new(0)));
    let (counted, caller) = (calls.clone(), std::thread::current().id());
    let seal: Seal = Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        assert_eq!(std::thread::current().id(), caller);
        assert!(is_alone(&inside), "a connection was opened before the seal");
        serve(inside.try_clone().unwrap());
        Ok(())
    });
    let (result, events) = run(&listener, io, &[0, 0], seal);
    let counters = result.unwrap().total.counters;
    assert!(counters.completed > 0 && counters.failed == 0 && events > 0, "{io:?}: {counters:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 1, "{io:?}");
}

#[test]
fn the_seal_goes_on_once_and_before_any_connection() {
    check_sealed(Io::Uring);
    check_sealed(Io::Epoll);
}

#[test]
fn a_run_whose_seal_fails_does_not_begin() {
    for io in [Io::Uring, Io::Epoll] {
        let listener = listener();
        let (result, events) = run(&listener, io, &[0, 0], Arc::new(|| Err("no filter".to_owned())));
        assert_eq!(result.unwrap_err().to_string(), "the engine could not be sealed off: no filter");
        assert_eq!(events, 0, "{io:?}");
        assert!(is_alone(&listener), "{io:?}");
    }
}

#[test]
fn a_run_that_cannot_begin_is_not_sealed() {
    let listener = listener();
    let (result, _) = run(&listener, Io::Epoll, &[0, 1_000], Arc::new(|| panic!("sealed")));
    assert!(matches!(result, Err(EngineError::Pin(1_000))), "{result:?}");
    assert!(is_alone(&listener));
}
