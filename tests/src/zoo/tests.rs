//! The zoo is itself what it says: seen through plain sockets.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use brunt_model::outcome::ErrorKind;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::frames::{self, Head};
use super::{Case, Protocol, Zoo, cases, find};

const PATIENCE: Duration = Duration::from_secs(5);

fn connect(zoo: &Zoo) -> TcpStream {
    let stream = TcpStream::connect(zoo.places()[0].address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What the server of this case says to this, until that is enough or nothing more comes.
fn hear(id: &str, said: &[u8], is_enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let zoo = Zoo::open(find(id)).unwrap();
    let mut stream = connect(&zoo);
    stream.write_all(said).unwrap();
    let mut heard = Vec::new();
    let mut buffer = [0; 4 << 10];
    while !is_enough(&heard) {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => heard.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    heard
}

#[test]
fn the_table_is_consistent() {
    let names: BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
    let ids: BTreeSet<_> = cases().map(|case| case.id).collect();
    assert_eq!(ids.len(), cases().count());
    for case in cases() {
        assert!(case.expect.kinds().iter().all(|kind| names.contains(kind)), "{}", case.id);
        assert!(case.connections <= case.requests && case.id.starts_with('T'), "{}", case.id);
        let plain = matches!(case.protocol, Protocol::Http1 | Protocol::H2c);
        assert!(!(plain && case.tls.is_some()), "{}", case.id);
    }
    let has = |number: u32| ids.iter().any(|id| id.starts_with(&format!("T{number}-")));
    // T22 is a DNS server, and so not on this list.
    assert_eq!((0..=22).filter(|number| !has(*number)).collect::<Vec<_>>(), [22]);
}

#[track_caller]
fn check_http1(id: &str, begins: &[u8]) {
    let request = b"GET / HTTP/1.1\r\nHost: zoo\r\n\r\n";
    let heard = hear(id, request, |heard| heard.len() >= begins.len());
    let heard = heard.get(..begins.len()).unwrap_or(&heard);
    assert_eq!(heard.escape_ascii().to_string(), begins.escape_ascii().to_string(), "{id}");
}

#[test]
fn what_http1_servers_say() {
    check_http1("T0-h1", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    check_http1("T3-reason", b"HTTP/1.1 200 a reason without end a reason");
    check_http1("T4-chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\nxx");
    check_http1("T7-interim", &b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(100));
    check_http1("T20-cookies", b"HTTP/1.1 200 OK\r\nSet-Cookie: c0=1\r\nSet-Cookie: c1=1\r\n");
    check_http1("T20-loop", b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /again\r\n\r\n");
    check_http1("T21-ansi-reason", b"HTTP/1.1 200 \x1b[2J");
}

/// A request on stream 1, and the kinds and streams of the frames after the server's SETTINGS and its acknowledgement.
#[track_caller]
fn check_http2(id: &str, expected: &[(u8, u32)]) {
    // `:method GET`, `:scheme http`, `:path /` of the static table.
    let request = frames::headers(1, frames::END_HEADERS | frames::END_STREAM, &[0x82, 0x86, 0x84]);
    let said = [frames::PREFACE, &frames::settings(&[]), &request].concat();
    let expected = [&[(frames::SETTINGS, 0); 2], expected].concat();
    let heard = hear(id, &said, |heard| frames_in(heard).len() >= expected.len());
    let seen = frames_in(&heard);
    assert_eq!(seen.get(..expected.len()).unwrap_or(&seen), expected, "{id}");
}

/// Kinds and streams of the frames that begin in these bytes.
fn frames_in(mut bytes: &[u8]) -> Vec<(u8, u32)> {
    let mut seen = Vec::new();
    while let Some(head) = bytes.get(..frames::HEAD_LENGTH).and_then(Head::read) {
        seen.push((head.kind, head.stream));
        bytes = bytes.get(frames::HEAD_LENGTH + head.length..).unwrap_or_default();
    }
    seen
}

#[test]
fn what_http2_servers_say() {
    check_http2("T8-interim", &[(frames::HEADERS, 1); 1_500]);
    check_http2("T9-ping", &[(frames::PING, 0); 1_500]);
    check_http2("T9-settings-deaf", &[(frames::SETTINGS, 0); 1_500]);
    check_http2("T10-empty", &[&[(frames::HEADERS, 1)][..], &[(frames::CONTINUATION, 1); 1_500]].concat());
    check_http2("T11-hpack", &[(frames::HEADERS, 1)]);
    check_http2("T12-data", &[&[(frames::HEADERS, 1)][..], &[(frames::DATA, 1); 1_500]].concat());
    check_http2("T14-push", &[(frames::PUSH_PROMISE, 1)]);
    check_http2("T15-unknown", &[(frames::UNKNOWN, 0); 3]);
    check_http2("T16-goaway", &[(frames::GOAWAY, 0)]);
    check_http2("T16-goaway-loop", &[(frames::GOAWAY, 0)]);
}

/// How a client that knows the zoo's authority ends the handshake: in a word of its error, or the protocol agreed on.
#[track_caller]
fn check_tls(id: &str, alpn: &str, expected: &str) {
    let zoo = Zoo::open(find(id)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(zoo.authority().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let name = ServerName::from(zoo.places()[0].address.ip());
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = connect(&zoo);
    let ended = loop {
        match client.complete_io(&mut stream) {
            Ok(_) if client.is_handshaking() => {}
            Ok(_) => break client.alpn_protocol().map(|name| name.escape_ascii().to_string()),
            Err(error) => break Some(format!("{error:?}")),
        }
    };
    let ended = ended.unwrap_or_else(|| "no protocol".to_owned());
    assert!(ended.contains(expected), "{id}: {ended}");
}

#[test]
fn how_handshakes_end() {
    check_tls("T0-tls-h1", "http/1.1", "http/1.1");
    check_tls("T0-tls-h2", "h2", "h2");
    check_tls("T17-garbage", "http/1.1", "InvalidContentType");
    check_tls("T17-clear", "http/1.1", "InvalidContentType");
    check_tls("T17-alert", "http/1.1", "AlertReceived(InternalError)");
    check_tls("T17-chain-12", "http/1.1", "HandshakePayloadTooLarge");
    check_tls("T17-chain-13", "http/1.1", "HandshakePayloadTooLarge");
    check_tls("T17-expired", "http/1.1", "Expired");
    check_tls("T17-self-signed", "http/1.1", "UnknownIssuer");
    check_tls("T17-name", "http/1.1", "NotValidForName");
    check_tls("T17-alpn-none", "h2", "no protocol");
    check_tls("T17-alpn-h1", "h2", "NoApplicationProtocol");
    check_tls("T17-alpn-other", "h2", "SelectedUnofferedApplicationProtocol");
}

#[test]
fn a_window_closes_under_a_server_that_never_reads() {
    let zoo = Zoo::open(find("T19-zero-window")).unwrap();
    let mut stream = connect(&zoo);
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let written = (0..8 << 10).take_while(|_| stream.write_all(&[0; 1 << 10]).is_ok()).count();
    assert!(written < 8 << 10, "{written} KiB were taken");
}

#[test]
fn a_zoo_ends_with_clients_that_stay() {
    let zoo = Zoo::open(["T1-silent", "T9-ping", "T19-zero-window"].map(|id| find(id).unwrap())).unwrap();
    let streams: Vec<_> =
        zoo.places().iter().map(|place| TcpStream::connect(place.address).unwrap()).collect();
    drop(zoo);
    drop(streams);
}

#[test]
fn flags_have_their_files() {
    let flags = |id: &str| find(id).map(|case: &Case| case.all_flags("/ca", "/body").join(" "));
    assert_eq!(flags("T19-h2-window").as_deref(), Some("--h2c -D /body"));
    assert_eq!(flags("T0-tls-h2").as_deref(), Some("--http2 --cacert /ca"));
}
