//! The origin on a thread of this process, and clients that see what it says from outside.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;
use crate::clock;

const DELAY: Duration = Duration::from_millis(20);
const BODY_BYTES: usize = 20_000;
const DEADLINE: Duration = Duration::from_secs(10);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// A preface, empty SETTINGS, and three requests of one field.
const STREAMS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
    \0\0\x01\x01\x05\0\0\0\x01\x82\0\0\x01\x01\x05\0\0\0\x03\x82\0\0\x01\x01\x05\0\0\0\x05\x82";
/// What comes back: two SETTINGS frames, then for each stream HEADERS with a block of 9 bytes and two DATA frames.
const STREAMS_ANSWER_BYTES: usize = (9 + 6) + 9 + 3 * (9 + 9 + 2 * 9 + BODY_BYTES);
const GET_ANSWER_BYTES: usize = "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n".len() + BODY_BYTES;

/// Sends these bytes at once, reads so many of the answers, and holds the truth against what this end saw.
fn check(certificates: Option<&Certificates>, sent: &[u8], received: usize, requests: u64) {
    let options = Options {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        delay: DELAY,
        core: None,
        body_bytes: BODY_BYTES,
        tls: certificates.map(|made| {
            let [certificate, key] = [made.certificate(Holder::Server), made.key(Holder::Server)];
            tls(Path::new(&certificate), Path::new(&key)).unwrap()
        }),
        exit_after: DEADLINE,
    };
    let server = Server::bind(options).unwrap();
    let address = server.address().unwrap();
    let (control, (reports, reported)) = (Control::default(), sync_channel(1));
    let (seen, figures) = std::thread::scope(|scope| {
        let serving = scope.spawn(|| server.run(&control, &reports));
        let seen = exchange(connect(address, certificates), sent, received);
        control.report.store(true, Ordering::Relaxed);
        let truth = reported.recv_timeout(DEADLINE);
        control.stop.store(true, Ordering::Relaxed);
        serving.join().unwrap().unwrap();
        (seen, truth.unwrap().figures())
    });
    let delay_ns = u64::try_from(DELAY.as_nanos()).unwrap();
    assert_eq!(figures.count, requests, "{figures:?}");
    assert!(
        figures.min_ns >= delay_ns && u128::from(figures.max_ns) < seen.as_nanos(),
        "{figures:?} {seen:?}"
    );
    // Answered one after the other, the second of three would take twice as long.
    assert!(figures.p50_ns < 2 * delay_ns, "{figures:?}");
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

fn connect(address: SocketAddr, certificates: Option<&Certificates>) -> Box<dyn Stream> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let Some(certificates) = certificates else { return Box::new(stream) };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificates.authority()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    Box::new(StreamOwned::new(client, stream))
}

fn exchange(mut stream: Box<dyn Stream>, sent: &[u8], received: usize) -> Duration {
    let start = clock::now();
    stream.write_all(sent).unwrap();
    stream.flush().unwrap();
    stream.read_exact(&mut vec![0; received]).unwrap();
    start.elapsed()
}

#[test]
fn the_truth_is_what_a_client_sees_less_the_way() {
    let certificates = Certificates::make();
    for tls in [None, Some(&certificates)] {
        check(tls, GET, GET_ANSWER_BYTES, 1);
        check(tls, &GET.repeat(3), 3 * GET_ANSWER_BYTES, 3);
        check(tls, STREAMS, STREAMS_ANSWER_BYTES, 3);
    }
}
