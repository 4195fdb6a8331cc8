//! monoio: one task a connection, on a ring with the flags of the hand-written one.

use std::net::TcpStream as StdStream;

use anyhow::Context;
use brunt_benches::answers::AnswerReader;
use brunt_benches::clock::now_ns;
use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
use monoio::net::TcpStream;

use crate::load::{Load, Outcome, RECEIVE_BYTES, REQUEST};
use crate::tasks;

pub(crate) fn run(load: &Load) -> anyhow::Result<Outcome> {
    let sockets = load.connect()?;
    let mut ring = monoio_io_uring::IoUring::builder();
    ring.setup_single_issuer().setup_defer_taskrun().setup_coop_taskrun();
    let mut runtime = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
        .uring_builder(ring)
        .with_entries(2_048)
        .build()
        .context("monoio cannot be set up")?;
    runtime.block_on(async {
        let end_ns = load.end_ns();
        let spawn = |socket| monoio::spawn(connection(socket, end_ns));
        let running: Vec<_> = sockets.into_iter().map(spawn).collect();
        for task in running {
            task.await?;
        }
        Ok(tasks::outcome(load))
    })
}

async fn connection(socket: StdStream, end_ns: u64) -> anyhow::Result<()> {
    let mut socket = TcpStream::from_std(socket)?;
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
