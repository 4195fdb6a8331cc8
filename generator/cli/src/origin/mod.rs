//! `brunt origin`: a target to try things on. Every answer is made of the path: nothing is stored, nothing is read
//! from disk, and memory does not depend on what is asked for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use brunt_model::units::{Bytes as Size, Nanos};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::CommandError;
use crate::exit::Exit;
use crate::flags::OriginFlags;
use crate::host::files;
use crate::output::write;

/// Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn.
const BACKLOG: u32 = 4096;
/// Bodies are sent in pieces of this.
const PIECE: usize = 64 << 10;
/// Wait after a failed accept, for instance for want of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(10);
/// A path may not ask for a longer wait.
const DELAY_MAX: Nanos = Nanos::from_secs(3_600);

pub(crate) fn origin(flags: &OriginFlags) -> Result<Exit, CommandError> {
    let (_, hard) = files::limits();
    files::raise(hard);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::from(flags.threads))
        .enable_all()
        .build()
        .map_err(CommandError::system("starting the threads"))?;
    let served = runtime.block_on(serve_until_signal(flags));
    // Connections that are still open do not keep the process.
    runtime.shutdown_background();
    served.map(|()| Exit::Pass)
}

async fn serve_until_signal(flags: &OriginFlags) -> Result<(), CommandError> {
    let listener = listen(SocketAddr::new(flags.host, flags.port))?;
    let address = listener.local_addr().map_err(CommandError::system("asking for the bound address"))?;
    let install =
        |kind| signal(kind).map_err(CommandError::system("installing handlers for SIGINT and SIGTERM"));
    let (mut interrupt, mut terminate) =
        (install(SignalKind::interrupt())?, install(SignalKind::terminate())?);
    write::to_stdout(&format!("{address}\n")).map_err(CommandError::system("printing the address"))?;
    tokio::select! {
        () = serve(listener, Answers::new(flags)) => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn listen(address: SocketAddr) -> Result<TcpListener, CommandError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|cause| CommandError::Listen { address, cause })
}

async fn serve(listener: TcpListener, answers: Answers) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        let answers = answers.clone();
        tokio::spawn(async move {
            // Without it, it is only slower.
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| answer(answers.clone(), request));
            let connection = http1::Builder::new()
                .header_read_timeout(None)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no concern of a target.
            let _ = connection.await;
        });
    }
}

/// What is answered where the path does not say otherwise.
#[derive(Clone)]
struct Answers {
    delay: Nanos,
    size: Size,
    piece: Bytes,
}

impl Answers {
    fn new(flags: &OriginFlags) -> Self {
        Self { delay: flags.delay, size: flags.size, piece: Bytes::from(vec![b'.'; PIECE]) }
    }
}

/// One answer, as a path asks for it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Answer {
    status: StatusCode,
    delay: Nanos,
    size: Size,
}

async fn answer(answers: Answers, request: Request<Incoming>) -> Result<Response<Filler>, Infallible> {
    let answer = planned(request.uri().path(), answers.delay, answers.size);
    drain(request.into_body()).await;
    if answer.delay > Nanos::ZERO {
        tokio::time::sleep(Duration::from_nanos(answer.delay.0)).await;
    }
    let mut response = Response::new(Filler { piece: answers.piece, left: answer.size.0 });
    *response.status_mut() = answer.status;
    Ok(response)
}

/// The connection stays usable only when the request's body has been read.
async fn drain(mut body: Incoming) {
    while let Some(Ok(_)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {}
}

fn planned(path: &str, delay: Nanos, size: Size) -> Answer {
    let usual = Answer { status: StatusCode::OK, delay, size };
    let asked = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let answer = match asked {
        Some(("status", status)) => final_status(status).map(|status| Answer { status, ..usual }),
        Some(("delay", delay)) => {
            delay.parse().ok().filter(|delay| *delay <= DELAY_MAX).map(|delay| Answer { delay, ..usual })
        }
        Some(("bytes", size)) => size.parse().ok().map(|size| Answer { size, ..usual }),
        _ => Some(usual),
    };
    let mut answer = answer.unwrap_or(Answer { status: StatusCode::BAD_REQUEST, ..usual });
    if matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        answer.size = Size(0);
    }
    answer
}

/// Interim (1xx) statuses cannot end an answer.
fn final_status(text: &str) -> Option<StatusCode> {
    let status = text.parse().ok().and_then(|status| StatusCode::from_u16(status).ok())?;
    (!status.is_informational()).then_some(status)
}

/// A body of a known size, made of one shared piece.
struct Filler {
    piece: Bytes,
    left: u64,
}

impl Body for Filler {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        if length == 0 {
            return Poll::Ready(None);
        }
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(self.piece.slice(..length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn paths_say_what_is_answered() {
        let (delay, size) = (Nanos::from_millis(5), Size(1024));
        let usual = Answer { status: StatusCode::OK, delay, size };
        let status = |code| Answer { status: StatusCode::from_u16(code).unwrap(), ..usual };
        for (path, want) in [
            ("/", usual),
            ("/any/path", usual),
            ("/status/503", status(503)),
            ("/status/204", Answer { size: Size(0), ..status(204) }),
            ("/status/100", status(400)),
            ("/status/x", status(400)),
            ("/delay/20ms", Answer { delay: Nanos::from_millis(20), ..usual }),
            ("/delay/9h", status(400)),
            ("/bytes/64KiB", Answer { size: Size(65_536), ..usual }),
            ("/bytes/-1", status(400)),
        ] {
            assert_eq!(planned(path, delay, size), want, "{path}");
        }
    }

    /// One connection, several requests, all that came back.
    fn exchange(requests: &str) -> String {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(async { listen("127.0.0.1:0".parse().unwrap()).unwrap() });
        let address = listener.local_addr().unwrap();
        let answers = Answers { delay: Nanos::ZERO, size: Size(3), piece: Bytes::from(vec![b'.'; PIECE]) };
        runtime.spawn(serve(listener, answers));
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(requests.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_connection_serves_request_after_request() {
        let answer = exchange(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
             GET /status/404 HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /bytes/200000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{:.300}", answer);
        assert_eq!(answer.matches("HTTP/1.1 404 Not Found\r\n").count(), 1);
        assert!(answer.to_ascii_lowercase().contains("content-length: 200000\r\n"));
        assert_eq!(answer.rsplit("\r\n\r\n").next().unwrap().len(), 200_000);
    }
}
