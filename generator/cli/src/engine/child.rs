//! `brunt engine`: the process that makes the load. It runs one job and is told everything by its parent.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use brunt_engine::{Controls, Event, Finished, Io};
use brunt_jail::{Entered, Rules, Seal, State};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::frame::{Frames, JOB_MAX};
use super::job;
use super::message::{Failure, MessageError, end, exchanged, failed, interval, jailed, sampled, started};
use super::order::Order;
use super::outbox::{Outbox, PipedKeyLog};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::flags::EngineProcess;

/// Runs the job that comes through stdin and tells its end through stdout. The exit code says nothing.
pub(crate) fn serve(process: &EngineProcess) -> Result<Exit, CommandError> {
    let rules = Rules { keep: process.keep.clone(), unix_socket: process.unix_socket.clone() };
    // First, while there is one thread. It takes back what was asked for before, such as dying with the parent.
    let entered = brunt_jail::enter(&rules);
    die_with(process.parent)?;
    leave_signals_to_parent().map_err(CommandError::system("leaving SIGINT and SIGTERM to the parent"))?;
    let controls = Controls::default();
    let pipe = std::io::stdout().as_fd().try_clone_to_owned();
    let (outbox, writer) = pipe
        .and_then(|pipe| Outbox::begin(pipe, controls.stop.clone()))
        .map_err(CommandError::system("starting to write to the parent"))?;
    let key_log = Arc::new(PipedKeyLog::new(outbox.clone()));
    let outcome = match entered {
        Ok(entered) => run(&outbox, &key_log, &controls, &entered, rules.unix_socket.is_some()),
        Err(error) => Err(Failure { is_fault: false, text: format!("the engine cannot be jailed: {error}") }),
    };
    let last = match &outcome {
        Ok(finished) => end(finished, key_log.lost()),
        Err(failure) => failed(failure),
    };
    outbox.send_last(last.map_err(|error| CommandError::Engine(unsaid(&error)))?);
    // It cannot have panicked, and if it had, the parent notices.
    let _ = writer.join();
    Ok(Exit::Pass)
}

/// Nobody would see what becomes of a load whose parent is gone, nor could stop it.
fn die_with(parent: u32) -> Result<(), CommandError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| CommandError::system("asking to die with the parent")(error.into()))?;
    // It may have died before that.
    let is_there =
        i32::try_from(parent).ok().and_then(Pid::from_raw).is_some_and(|pid| getppid() == Some(pid));
    if is_there {
        Ok(())
    } else {
        Err(CommandError::Usage("brunt starts its engine by itself; use brunt run".to_owned()))
    }
}

/// The parent decides what a signal means, and presses the switch; one that reaches this process is ignored.
fn leave_signals_to_parent() -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

fn run(
    outbox: &Outbox,
    key_log: &Arc<PipedKeyLog>,
    controls: &Controls,
    entered: &Entered,
    unix_sockets: bool,
) -> Result<Finished, Failure> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(Failure::fault)?;
    let (mut pipe, mut frames) = (File::from(stdin), Frames::new(JOB_MAX));
    let job = frames.wait(&mut pipe).map_err(Failure::fault)?;
    let job = job.ok_or_else(|| Failure::fault("the engine process was given no job"))?;
    let (plan, mut parts) = job::decode(&job, key_log.clone()).map_err(Failure::fault)?;
    drop(job);
    let seal = Seal { unix_sockets, io_uring: parts.io == Io::Uring };
    parts.seal = Some(Arc::new(move || brunt_jail::seal(&seal).map_err(|error| error.to_string())));
    if let Ok(message) = jailed(&described(entered)) {
        outbox.send(message);
    }
    let heeded = controls.clone();
    let listen = move || heed(&heeded, frames, pipe);
    std::thread::Builder::new().name("orders".to_owned()).spawn(listen).map_err(Failure::fault)?;
    let mut tell = |event: Event<'_>| {
        let message = match event {
            Event::Started { threads } => started(threads),
            Event::Interval(snapshot) => interval(snapshot),
            Event::Sampled(samples) => sampled(samples),
            Event::Exchanged(exchange) => exchanged(exchange),
        };
        // Only memory is written to here; if that failed, the parent would miss a snapshot and say so.
        if let Ok(message) = message {
            outbox.send(message);
        }
    };
    Ok(brunt_engine::run(&plan, &parts, controls, &mut tell)?)
}

/// `on`, with what this host lacks.
fn described(entered: &Entered) -> String {
    let off = entered.parts.iter().filter_map(|part| match &part.state {
        State::Off(why) => Some(format!("{}: {why}", part.name)),
        State::On(_) => None,
    });
    let off: Vec<_> = off.collect();
    if off.is_empty() { "on".to_owned() } else { format!("on, but for {}", off.join("; ")) }
}

/// Does what the parent orders, and stops for good once the parent is gone.
fn heed(controls: &Controls, mut frames: Frames, mut pipe: impl Read) {
    while let Ok(Some(frame)) = frames.wait(&mut pipe) {
        match Order::decode(&frame) {
            Some(Order::Rate(per_mille)) => controls.dial.set(per_mille),
            // Whatever else a parent may have meant, no load is the safe answer.
            Some(Order::Press) | None => controls.stop.press(),
        }
    }
    controls.stop.press();
    controls.stop.press();
}

fn unsaid(error: &MessageError) -> Failure {
    Failure::fault(format!("the end of the run cannot be told: {error}"))
}

#[cfg(test)]
mod tests {
    use brunt_engine::Stop;

    use super::super::frame::framed;
    use super::super::order::ORDER_MAX;
    use super::*;

    /// Gives what it has, and asks for what is seen of the controls once that is used up.
    struct Orders<'a>(&'a [u8], &'a mut dyn FnMut());

    impl Read for Orders<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                (self.1)();
            }
            self.0.read(buffer)
        }
    }

    #[test]
    fn orders_are_heeded_until_the_parent_is_gone() {
        fn check(payloads: &[Vec<u8>], want: (Stop, u16)) {
            let bytes =
                payloads.iter().flat_map(|payload| framed(payload, JOB_MAX).unwrap()).collect::<Vec<_>>();
            let controls = Controls::default();
            let mut seen = None;
            let mut look = || seen = Some((controls.stop.get(), controls.dial.get()));
            heed(&controls, Frames::new(ORDER_MAX), Orders(&bytes, &mut look));
            assert_eq!((seen, controls.stop.get()), (Some(want), Stop::Now), "{payloads:?}");
        }
        let (press, rate) = (Order::Press.encode(), |per_mille| Order::Rate(per_mille).encode());
        check(&[], (Stop::No, 1_000));
        check(std::slice::from_ref(&press), (Stop::Drain, 1_000));
        check(&[rate(1_100), rate(900)], (Stop::No, 900));
        check(&[rate(1)], (Stop::No, 100));
        check(&[rate(2_000), press.clone(), press], (Stop::Now, 2_000));
        check(&[vec![9]], (Stop::Drain, 1_000));
    }
}
