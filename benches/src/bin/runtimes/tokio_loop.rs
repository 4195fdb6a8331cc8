//! tokio: one task a connection on the current-thread scheduler, with plain `TcpStream`s.

use std::net::TcpStream as StdStream;

use anyhow::Context;
use brunt_benches::answers::AnswerReader;
use brunt_benches::clock::now_ns;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::load::{Load, Outcome, RECEIVE_BYTES, REQUEST};
use crate::tasks;

pub(crate) fn run(load: &Load) -> anyhow::Result<Outcome> {
    on_tokio(load, connection)
}

/// One task a connection, on the scheduler of this thread.
pub(crate) fn on_tokio<Connection>(
    load: &Load,
    connection: impl Fn(TcpStream, u64) -> Connection,
) -> anyhow::Result<Outcome>
where
    Connection: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let sockets = load.connect()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("tokio cannot be set up")?;
    runtime.block_on(async {
        let end_ns = load.end_ns();
        let spawn = |socket: StdStream| {
            socket.set_nonblocking(true)?;
            Ok(tokio::spawn(connection(TcpStream::from_std(socket)?, end_ns)))
        };
        let running = sockets.into_iter().map(spawn).collect::<std::io::Result<Vec<_>>>()?;
        for task in running {
            task.await.context("a task broke")??;
        }
        Ok(tasks::outcome(load))
    })
}

async fn connection(mut socket: TcpStream, end_ns: u64) -> anyhow::Result<()> {
    let mut reader = AnswerReader::default();
    let mut buffer = [0; RECEIVE_BYTES];
    let mut sent_ns = now_ns();
    while sent_ns < end_ns {
        socket.write_all(REQUEST).await.context("write failed")?;
        loop {
            let bytes = socket.read(&mut buffer).await.context("read failed")?;
            if tasks::feed(&mut reader, &buffer[..bytes])? > 0 {
                break;
            }
        }
        sent_ns = tasks::answered(sent_ns);
    }
    Ok(())
}
