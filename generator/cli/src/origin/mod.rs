//! `brunt origin`: a target to try things on, over HTTP/1.1 and HTTP/2, in clear text or over TLS. Every answer is made
//! of its request: nothing is stored, and what is kept of a request has a limit.

mod shop;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use brunt_model::plan::STREAMS_MAX;
use brunt_model::units::{Bytes as Size, Nanos};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

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
/// A client that is silent within its TLS handshake does not keep a connection for ever.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
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
    let tls = tls::acceptor(flags)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let listener = listen(SocketAddr::new(flags.host, flags.port))?;
    let address = listener.local_addr().map_err(CommandError::system("asking for the bound address"))?;
    let install =
        |kind| signal(kind).map_err(CommandError::system("installing handlers for SIGINT and SIGTERM"));
    let (mut interrupt, mut terminate) =
        (install(SignalKind::interrupt())?, install(SignalKind::terminate())?);
    write::to_stdout(&format!("{scheme}://{address}/\n"))
        .map_err(CommandError::system("printing the URL"))?;
    tokio::select! {
        () = serve(listener, Answers::new(flags), tls) => {}
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

async fn serve(listener: TcpListener, answers: Answers, tls: Option<TlsAcceptor>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        tokio::spawn(welcome(stream, answers.clone(), tls.clone()));
    }
}

async fn welcome(stream: TcpStream, answers: Answers, tls: Option<TlsAcceptor>) {
    // Without it, it is only slower.
    let _ = stream.set_nodelay(true);
    match tls {
        None => speak(stream, answers).await,
        Some(acceptor) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                speak(stream, answers).await;
            }
        }
    }
}

/// The first bytes tell the version: those of HTTP/2 are fixed (RFC 9113 section 3.4), whether it was agreed on or not.
async fn speak<S>(stream: S, answers: Answers)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(answers.clone(), request));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().header_read_timeout(None);
    // As many streams as a plan may have, so that the origin is not what holds them back.
    builder.http2().max_concurrent_streams(STREAMS_MAX);
    // A client that goes away is no concern of a target.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
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
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let answer = planned(path, answers.delay, answers.size);
    let of_shop = shop::serves(path);
    let content = read(body, if of_shop { shop::BODY_MAX } else { 0 }).await;
    if answer.delay > Nanos::ZERO {
        tokio::time::sleep(Duration::from_nanos(answer.delay.0)).await;
    }
    if of_shop {
        return Ok(shop_response(shop::reply(&head, content.as_deref())));
    }
    let mut response = Response::new(Filler { piece: answers.piece, left: answer.size.0 });
    *response.status_mut() = answer.status;
    Ok(response)
}

fn shop_response(reply: shop::Reply) -> Response<Filler> {
    let piece = Bytes::from(reply.content.to_string());
    let left = piece.len() as u64;
    let mut response = Response::new(Filler { piece, left });
    *response.status_mut() = reply.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in reply.fields {
        // All of them are made of tokens and numbers.
        response.headers_mut().extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
    response
}

/// Reads a request's content to its end, because only then the connection stays usable. `None` if it is longer than
/// `most`, or cut off.
async fn read(mut body: Incoming, most: usize) -> Option<Vec<u8>> {
    let mut kept = Some(Vec::new());
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(frame) = frame else { return None };
        let data = frame.into_data().unwrap_or_default();
        kept = kept.filter(|kept| kept.len() + data.len() <= most);
        if let Some(kept) = &mut kept {
            kept.extend_from_slice(&data);
        }
    }
    kept
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

/// A body of a known size: one shared piece, as often as it takes.
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
        let whole = self.piece.len();
        let length = usize::try_from(self.left).unwrap_or(whole).min(whole);
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
    use std::sync::Arc;

    use rustls::pki_types::{CertificateDer, ServerName};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::host::identity;

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

    /// A running server and its address; it ends with the runtime.
    fn server(tls: Option<TlsAcceptor>) -> (tokio::runtime::Runtime, SocketAddr) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(async { listen("127.0.0.1:0".parse().unwrap()).unwrap() });
        let address = listener.local_addr().unwrap();
        let answers = Answers { delay: Nanos::ZERO, size: Size(3), piece: Bytes::from(vec![b'.'; PIECE]) };
        runtime.spawn(serve(listener, answers, tls));
        (runtime, address)
    }

    /// One connection, several requests, all that came back.
    fn exchange(requests: &str) -> String {
        let (_runtime, address) = server(None);
        let mut stream = std::net::TcpStream::connect(address).unwrap();
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

    #[test]
    fn a_shop_is_served_and_content_past_the_limit_is_read_and_refused() {
        let post = |content: &str, last: &str| {
            let length = content.len();
            format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{last}\r\n{content}")
        };
        let longest = "e".repeat(shop::BODY_MAX);
        let requests = [
            post(&longest, ""),
            post(&(longest.clone() + "e"), ""),
            "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\nConnection: close\r\n\r\nuser=a&password=b&c".to_owned(),
        ];
        let answer = exchange(&requests.concat()).to_ascii_lowercase();
        let statuses =
            ["http/1.1 200 ok", "http/1.1 413 payload too large"].map(|line| answer.matches(line).count());
        assert_eq!(statuses, [2, 1], "{:.300}", answer);
        assert!(answer.contains(&format!("\"{longest}\"")), "the echo is whole");
        assert!(answer.contains("set-cookie: session=") && answer.contains("content-type: application/json"));
    }

    /// Status and length of the answers to two requests on one HTTP/2 connection.
    async fn two_streams(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Vec<(u16, usize)> {
        let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut answers = Vec::new();
        for path in ["/status/404", "/bytes/200000"] {
            let request = Request::get(format!("http://h{path}")).body(()).unwrap();
            let (answer, _) = send.send_request(request, true).unwrap();
            let mut answer = answer.await.unwrap();
            let mut length = 0;
            while let Some(data) = answer.body_mut().data().await {
                let data = data.unwrap();
                length += data.len();
                answer.body_mut().flow_control().release_capacity(data.len()).unwrap();
            }
            answers.push((answer.status().as_u16(), length));
        }
        answers
    }

    const BOTH: [(u16, usize); 2] = [(404, 3), (200, 200_000)];

    #[test]
    fn http2_is_spoken_in_clear_text_to_who_begins_with_it() {
        let (runtime, address) = server(None);
        let answers =
            runtime.block_on(async { two_streams(TcpStream::connect(address).await.unwrap()).await });
        assert_eq!(answers, BOTH);
    }

    /// A client that trusts this certificate alone and offers this protocol.
    fn connector(certificate: &CertificateDer<'static>, alpn: &[u8]) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    #[test]
    fn both_versions_are_spoken_over_tls_with_the_certificate_made_at_the_start() {
        let identity = tls::self_signed(identity::since_epoch()).unwrap();
        let certificate = identity.chain[0].clone();
        let (runtime, address) = server(Some(tls::acceptor_of(identity).unwrap()));
        let connect = async |alpn: &[u8], name: &'static str| {
            let stream = TcpStream::connect(address).await.unwrap();
            connector(&certificate, alpn).connect(ServerName::try_from(name).unwrap(), stream).await
        };
        runtime.block_on(async {
            for name in ["localhost", "127.0.0.1", "::1"] {
                assert_eq!(two_streams(connect(b"h2", name).await.unwrap()).await, BOTH, "{name}");
            }
            assert!(connect(b"h2", "other.test").await.is_err());
            let mut stream = connect(b"http/1.1", "localhost").await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n..."), "{answer}");
        });
    }
}
