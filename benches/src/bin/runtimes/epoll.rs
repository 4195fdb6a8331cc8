//! Edge-triggered epoll with `recv` and `send`: each socket is registered once, so a request costs two system calls
//! and its share of a wait.

use std::net::TcpStream;

use anyhow::{Context, ensure};
use brunt_benches::answers::{AnswerReader, Recorder};
use brunt_benches::clock::now_ns;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{CreateFlags, EventData, EventFlags, add, create, wait};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::load::{Load, Outcome, RECEIVE_BYTES, REQUEST};

const EVENTS_MAX: usize = 256;

struct Connection {
    socket: TcpStream,
    reader: AnswerReader,
    sent_ns: u64,
}

pub(crate) fn run(load: &Load) -> anyhow::Result<Outcome> {
    let epoll = create(CreateFlags::CLOEXEC).context("epoll cannot be set up")?;
    let mut connections = Vec::new();
    for socket in load.connect()? {
        socket.set_nonblocking(true)?;
        let index = EventData::new_u64(connections.len() as u64);
        add(&epoll, &socket, index, EventFlags::IN | EventFlags::ET)?;
        connections.push(Connection { socket, reader: AnswerReader::default(), sent_ns: 0 });
    }
    let mut recorder = Recorder::default();
    let mut events = Vec::with_capacity(EVENTS_MAX);
    let mut buffer = [0; RECEIVE_BYTES];
    let end_ns = load.end_ns();
    for connection in &mut connections {
        connection.send(now_ns())?;
    }
    loop {
        match wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("epoll_wait failed"),
        }
        for event in events.drain(..) {
            let connection = &mut connections[usize::try_from(event.data.u64())?];
            if connection.receive(&mut recorder, &mut buffer)? {
                let now = recorder.answered(connection.sent_ns);
                if now >= end_ns {
                    return Ok(load.outcome(&recorder));
                }
                connection.send(now)?;
            }
        }
    }
}

impl Connection {
    fn send(&mut self, now: u64) -> anyhow::Result<()> {
        self.sent_ns = now;
        let sent = send(&self.socket, REQUEST, SendFlags::NOSIGNAL).context("send failed")?;
        ensure!(sent == REQUEST.len(), "a request was sent in part only");
        Ok(())
    }

    /// Reads until the socket is empty. Whether the answer ended.
    fn receive(&mut self, recorder: &mut Recorder, buffer: &mut [u8]) -> anyhow::Result<bool> {
        let mut ended = false;
        loop {
            let bytes = match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((bytes, _)) => bytes,
                Err(Errno::AGAIN) => return Ok(ended),
                Err(error) => return Err(error).context("recv failed"),
            };
            ensure!(bytes > 0, "the origin closed a connection");
            ended |= self.reader.feed(recorder, &buffer[..bytes])? > 0;
            if bytes < buffer.len() {
                return Ok(ended);
            }
        }
    }
}
