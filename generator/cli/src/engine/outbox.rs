//! The child's way out: frames from any thread, written by one.
//!
//! A thread of a core must not wait for a pipe, so lines of the key log go by a queue, and those that find it full are
//! counted instead.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use brunt_engine::StopSwitch;
use rustls::KeyLog;

use super::frame::{MESSAGE_MAX, framed};
use super::message::{KEY_LINES_MAX, KeyLine, MessageError, key_log};

/// Lines of the key log that may wait: those of some hundred handshakes.
const WAITING_MAX: usize = 4_096;

/// Cheap to clone; all clones write to the same pipe.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    queue: SyncSender<Sent>,
}

#[derive(Debug)]
enum Sent {
    Message(Vec<u8>),
    /// Nothing comes after it.
    Last(Vec<u8>),
}

impl Outbox {
    /// Starts the writer, which ends with the last message. Presses the switch for good where the pipe is closed:
    /// nobody would read what a run yields.
    pub(super) fn begin(pipe: OwnedFd, stop: StopSwitch) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let write = move || {
            if write_all(File::from(pipe), &waiting).is_err() {
                stop.press();
                stop.press();
                // Whoever sends must not wait for a reader that is gone.
                while let Ok(Sent::Message(_)) = waiting.recv() {}
            }
        };
        let writer = std::thread::Builder::new().name("outbox".to_owned()).spawn(write)?;
        Ok((Self { queue }, writer))
    }

    /// Waits for room.
    pub(super) fn send(&self, message: Vec<u8>) {
        // The writer takes everything until the last.
        let _ = self.queue.send(Sent::Message(message));
    }

    pub(super) fn send_last(&self, message: Vec<u8>) {
        let _ = self.queue.send(Sent::Last(message));
    }

    /// Does not wait; says whether there was room.
    fn try_send(&self, message: Vec<u8>) -> bool {
        self.queue.try_send(Sent::Message(message)).is_ok()
    }
}

fn write_all(mut pipe: File, waiting: &Receiver<Sent>) -> std::io::Result<()> {
    while let Ok(sent) = waiting.recv() {
        let (message, is_last) = match sent {
            Sent::Message(message) => (message, false),
            Sent::Last(message) => (message, true),
        };
        pipe.write_all(&framed(&message, MESSAGE_MAX).map_err(std::io::Error::other)?)?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// A key log whose lines are written by the supervisor, which has the file.
#[derive(Debug)]
pub(super) struct PipedKeyLog {
    outbox: Outbox,
    /// Lines that found no room.
    lost: AtomicU64,
    tried: AtomicU64,
}

impl PipedKeyLog {
    pub(super) const fn new(outbox: Outbox) -> Self {
        Self { outbox, lost: AtomicU64::new(0), tried: AtomicU64::new(0) }
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// The supervisor takes no more than so many.
    fn may_send(&self) -> bool {
        self.tried.fetch_add(1, Ordering::Relaxed) < KEY_LINES_MAX
    }
}

impl KeyLog for PipedKeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line: Result<_, MessageError> = key_log(&KeyLine { label, client_random, secret });
        if !line.is_ok_and(|line| self.may_send() && self.outbox.try_send(line)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Frames;
    use super::*;
    use brunt_engine::Stop;

    #[test]
    fn messages_are_written_in_order_up_to_the_last() {
        let (read, write) = std::io::pipe().unwrap();
        let (outbox, writer) = Outbox::begin(write.into(), StopSwitch::default()).unwrap();
        let key_log = PipedKeyLog::new(outbox.clone());
        outbox.send(vec![9]);
        key_log.log("L", &[1], &[2]);
        outbox.send_last(vec![8]);
        writer.join().unwrap();
        key_log.log("L", &[1], &[2]);
        assert_eq!(key_log.lost(), 1, "what comes too late is counted");
        let (mut frames, mut pipe, mut got) = (Frames::new(MESSAGE_MAX), read, Vec::new());
        while let Some(frame) = frames.wait(&mut pipe).unwrap() {
            got.push(frame);
        }
        assert_eq!(got, [vec![9], vec![3, 1, b'L', 1, 1, 1, 2], vec![8]]);
    }

    #[test]
    fn no_more_lines_are_sent_than_are_taken() {
        let (_read, write) = std::io::pipe().unwrap();
        let (outbox, writer) = Outbox::begin(write.into(), StopSwitch::default()).unwrap();
        let key_log = PipedKeyLog { tried: AtomicU64::new(KEY_LINES_MAX - 1), ..PipedKeyLog::new(outbox) };
        for expected in [0, 1, 2] {
            key_log.log("L", &[1], &[2]);
            assert_eq!(key_log.lost(), expected);
        }
        key_log.outbox.send_last(vec![8]);
        writer.join().unwrap();
    }

    #[test]
    fn a_reader_that_is_gone_stops_the_run() {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let stop = StopSwitch::default();
        let (outbox, writer) = Outbox::begin(write.into(), stop.clone()).unwrap();
        for _ in 0..2 * WAITING_MAX {
            outbox.send(vec![0]);
        }
        outbox.send_last(vec![1]);
        writer.join().unwrap();
        assert_eq!(stop.get(), Stop::Now);
    }
}
