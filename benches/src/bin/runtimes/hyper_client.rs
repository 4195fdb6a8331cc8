//! hyper's HTTP/1.1 client on tokio's current-thread scheduler: what a general client costs above the socket.

use anyhow::{Context, ensure};
use brunt_benches::clock::now_ns;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::load::{Load, Outcome};
use crate::tasks;
use crate::tokio_loop::on_tokio;

pub(crate) fn run(load: &Load) -> anyhow::Result<Outcome> {
    on_tokio(load, connection)
}

async fn connection(socket: TcpStream, end_ns: u64) -> anyhow::Result<()> {
    let (mut sender, driver) =
        http1::handshake(TokioIo::new(socket)).await.context("hyper's handshake failed")?;
    let driver = tokio::spawn(driver);
    let mut sent_ns = now_ns();
    while sent_ns < end_ns {
        let request = Request::builder().uri("/").header(HOST, "127.0.0.1").body(Empty::<Bytes>::new())?;
        let mut answer = sender.send_request(request).await.context("hyper's request failed")?;
        ensure!(answer.status() == StatusCode::OK, "the answer's status is {}, not 200", answer.status());
        while let Some(frame) = answer.body_mut().frame().await {
            frame.context("the body broke off")?;
        }
        sent_ns = tasks::answered(sent_ns);
    }
    drop(sender);
    driver.await.context("hyper's task broke")?.context("hyper's connection broke")
}
