//! tokio-uring: one task a connection. Its ring has no flags, since the runtime hangs with deferred task work.

use std::net::TcpStream as StdStream;

use anyhow::Context;
use brunt_benches::answers::AnswerReader;
use brunt_benches::clock::now_ns;
use tokio_uring::net::TcpStream;

use crate::load::{Load, Outcome, RECEIVE_BYTES, REQUEST};
use crate::tasks;

pub(crate) fn run(load: &Load) -> anyhow::Result<Outcome> {
    let sockets = load.connect()?;
    tokio_uring::builder().entries(2_048).start(async {
        let end_ns = load.end_ns();
        let spawn = |socket| tokio_uring::spawn(connection(socket, end_ns));
        let running: Vec<_> = sockets.into_iter().map(spawn).collect();
        for task in running {
            task.await.context("a task broke")??;
        }
        Ok(tasks::outcome(load))
    })
}

async fn connection(socket: StdStream, end_ns: u64) -> anyhow::Result<()> {
    let socket = TcpStream::from_std(socket);
    let mut reader = AnswerReader::default();
    let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
    let mut sent_ns = now_ns();
    while sent_ns < end_ns {
        socket.write_all(REQUEST).await.0.context("write failed")?;
        loop {
            let (read, filled) = socket.read(buffer).await;
            let bytes = read.context("read failed")?;
            buffer = filled;
            if tasks::feed(&mut reader, &buffer[..bytes])? > 0 {
                break;
            }
        }
        sent_ns = tasks::answered(sent_ns);
    }
    Ok(())
}
