//! Our TLS sessions against the server of rustls, in memory.

use std::sync::Arc;

use brunt_engine::conn::tls::{Identity, Material, Session, Setup};
use brunt_model::outcome::ErrorKind;
use brunt_model::plan::{Protocol, Tls};
use brunt_model::scenario::TlsVersion;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::{Random, content};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];
const HTTP1: Protocol = Protocol::Http1 { pipeline: 1 };
const HTTP2: Protocol = Protocol::Http2 { streams: 1 };
const NAME: &str = "a.example";

/// An authority, and what it signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    fn certificate(&self) -> CertificateDer<'static> {
        self.0.as_ref().der().clone()
    }

    /// A certificate for a name, valid in these years.
    fn sign(&self, name: &str, years: (i32, i32)) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Identity { chain: vec![certificate.der().clone()], key }
    }
}

/// A server and what a client is to know of it.
struct Case {
    version: TlsVersion,
    protocol: Protocol,
    resume: bool,
    roots: Vec<CertificateDer<'static>>,
    client: Option<Identity>,
    server: ServerConfig,
}

impl Case {
    /// All is well, unless the case is changed.
    fn new(version: TlsVersion) -> Self {
        let authority = Authority::new("authority");
        let server = server(version, authority.sign(NAME, (2020, 2090)), None);
        let (roots, protocol) = (vec![authority.certificate()], HTTP1);
        Self { version, protocol, resume: true, roots, client: None, server }
    }

    fn setup(self) -> (Setup, Arc<ServerConfig>) {
        let Self { version, protocol, resume, roots, client, server } = self;
        let server_name = NAME.to_owned();
        let tls = Tls { server_name, insecure: false, min: version, max: version, resume };
        let material = Material { roots, identity: client, key_log: None };
        (Setup::new(&tls, protocol, &material).expect("a setup"), Arc::new(server))
    }
}

fn server(version: TlsVersion, identity: Identity, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = if version == TlsVersion::Tls12 { &[&TLS12] } else { &[&TLS13] };
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions);
    let builder = builder.expect("a version");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    builder.with_single_cert(identity.chain, identity.key).expect("a certificate")
}

/// Both ends of a connection, and what came out for the client.
struct Pair {
    session: Session,
    server: ServerConnection,
    random: Random,
    plain: Vec<u8>,
    /// The server is done with this client.
    refused: bool,
}

impl Pair {
    fn new(setup: &Setup, server: &Arc<ServerConfig>, seed: u64) -> Self {
        let session = Session::new(setup).expect("a session");
        let server = ServerConnection::new(server.clone()).expect("a server");
        Self { session, server, random: Random(seed), plain: Vec::new(), refused: false }
    }

    /// Carries all that either side has to say.
    fn settle(&mut self) -> Result<(), ErrorKind> {
        loop {
            let mut sealed = Vec::new();
            self.session.flush(&mut sealed);
            self.tell_server(&sealed);
            let answer = self.hear_server();
            if sealed.is_empty() && answer.is_empty() {
                return Ok(());
            }
            self.tell_session(&answer)?;
        }
    }

    fn tell_server(&mut self, sealed: &[u8]) {
        let mut rest = sealed;
        while !rest.is_empty() && !self.refused {
            self.server.read_tls(&mut rest).expect("memory can be read");
            self.refused = self.server.process_new_packets().is_err();
        }
    }

    fn hear_server(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut bytes).expect("memory can be written");
        }
        bytes
    }

    /// In pieces of any size.
    fn tell_session(&mut self, mut bytes: &[u8]) -> Result<(), ErrorKind> {
        let most = self.random.one_of(&[1, 30, 5_000, 40_000]);
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at((1 + self.random.below(most)).min(bytes.len()));
            bytes = rest;
            self.session.read(piece, &mut self.plain)?;
        }
        Ok(())
    }
}

/// What a first connection comes to.
fn check(case: Case, want: Result<(), ErrorKind>, what: &str) {
    let (setup, server) = case.setup();
    for seed in 0..4 {
        let mut pair = Pair::new(&setup, &server, seed);
        let got = pair.settle().and_then(|()| pair.session.check_alpn(&setup));
        assert_eq!(got, want, "{what}, seed {seed}");
        if want.is_ok() {
            assert!(!pair.session.is_handshaking() && !pair.refused, "{what}, seed {seed}");
        }
    }
}

#[test]
fn protocols_are_agreed_on_or_not() {
    let alpn: [(&[&str], _, _); 6] = [
        (&["http/1.1"], HTTP1, Ok(())),
        (&["h2", "http/1.1"], HTTP1, Ok(())),
        (&["http/1.1", "h2"], HTTP2, Ok(())),
        (&[], HTTP1, Ok(())),
        (&[], HTTP2, Err(ErrorKind::Alpn)),
        (&["ftp"], HTTP1, Err(ErrorKind::Alpn)),
    ];
    for version in VERSIONS {
        for (names, protocol, want) in alpn {
            let mut case = Case { protocol, ..Case::new(version) };
            case.server.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            check(case, want, &format!("{version:?} {names:?} {protocol:?}"));
        }
    }
}

#[test]
fn certificates_are_judged() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    for version in VERSIONS {
        let cases = [
            (ours.sign(NAME, (2020, 2090)), Ok(()), "good"),
            (ours.sign(NAME, (2020, 2021)), Err(ErrorKind::CertExpired), "expired"),
            (ours.sign(NAME, (2089, 2090)), Err(ErrorKind::CertExpired), "not valid yet"),
            (ours.sign("b.example", (2020, 2090)), Err(ErrorKind::CertName), "another name"),
            (other.sign(NAME, (2020, 2090)), Err(ErrorKind::CertUntrusted), "another authority"),
        ];
        for (identity, want, what) in cases {
            let (server, roots) = (server(version, identity, None), vec![ours.certificate()]);
            check(Case { server, roots, ..Case::new(version) }, want, &format!("{version:?}, {what}"));
        }
    }
}

#[test]
fn a_client_certificate_is_shown_where_there_is_one() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    for version in VERSIONS {
        let cases = [
            (Some(ours.sign("client", (2020, 2090))), Ok(()), "given"),
            (None, Err(ErrorKind::TlsHandshake), "missing"),
            (Some(other.sign("client", (2020, 2090))), Err(ErrorKind::TlsHandshake), "of another authority"),
        ];
        for (client, want, what) in cases {
            let (server, roots) =
                (server(version, ours.sign(NAME, (2020, 2090)), Some(&ours)), vec![ours.certificate()]);
            check(
                Case { server, roots, client, ..Case::new(version) },
                want,
                &format!("{version:?}, {what}"),
            );
        }
    }
}

#[test]
fn sessions_are_resumed_where_both_want_it() {
    for version in VERSIONS {
        for (resume, kept) in [(true, true), (true, false), (false, true)] {
            let mut case = Case { resume, ..Case::new(version) };
            if !kept {
                case.server.session_storage = Arc::new(NoServerSessionStorage {});
                case.server.send_tls13_tickets = 0;
            }
            let (setup, server) = case.setup();
            for connection in 0..3 {
                let mut pair = Pair::new(&setup, &server, connection);
                assert_eq!(pair.settle(), Ok(()), "{version:?}");
                let want = connection > 0 && resume && kept;
                assert_eq!(pair.session.resumed(), want, "{version:?} {resume} {kept} {connection}");
                let theirs = pair.server.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
                assert_eq!(theirs, want, "{version:?} {resume} {kept} {connection}");
            }
        }
    }
}

#[test]
fn content_arrives_whole_both_ways_and_over_key_updates() {
    for seed in 0..60 {
        for version in VERSIONS {
            let (setup, server) = Case::new(version).setup();
            let mut pair = Pair::new(&setup, &server, seed);
            assert_eq!(pair.settle(), Ok(()), "seed {seed}");
            for round in 0..8 {
                talk(&mut pair, seed);
                if version == TlsVersion::Tls13 && round % 3 == 1 {
                    pair.server.refresh_traffic_keys().expect("keys can be changed");
                }
            }
            assert!(!pair.session.peer_closed(), "seed {seed}: an end that was not said is none");
            pair.server.send_close_notify();
            assert_eq!(pair.settle(), Ok(()), "seed {seed}");
            assert!(pair.session.peer_closed(), "seed {seed}");
        }
    }
}

/// Some content in each direction.
fn talk(pair: &mut Pair, seed: u64) {
    use std::io::{Read as _, Write as _};
    let (asked, answered) = (content(pair.random.length(50_000)), content(pair.random.length(50_000)));
    let mut sealed = Vec::new();
    pair.session.write(&asked, &mut sealed);
    // The server keeps no more than a record or two that was not read.
    let mut heard = Vec::new();
    let mut rest = &sealed[..];
    while !rest.is_empty() {
        pair.server.read_tls(&mut rest).expect("memory can be read");
        pair.server.process_new_packets().expect("records in order");
        let mut chunk = [0; 20_000];
        while let Ok(count @ 1..) = pair.server.reader().read(&mut chunk) {
            heard.extend_from_slice(&chunk[..count]);
        }
    }
    assert!(heard == asked, "seed {seed}: what was asked");
    pair.plain.clear();
    for part in answered.chunks(1 + pair.random.below(30_000)) {
        pair.server.writer().write_all(part).expect("memory can be written");
        let bytes = pair.hear_server();
        assert_eq!(pair.tell_session(&bytes), Ok(()), "seed {seed}");
    }
    assert!(pair.plain == answered, "seed {seed}: what was answered");
}

#[test]
fn a_broken_record_is_a_broken_connection() {
    for version in VERSIONS {
        let (setup, server) = Case::new(version).setup();
        let mut pair = Pair::new(&setup, &server, 1);
        assert_eq!(pair.settle(), Ok(()));
        let mut bytes = {
            use std::io::Write as _;
            pair.server.writer().write_all(b"an answer").expect("memory can be written");
            pair.hear_server()
        };
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert_eq!(pair.tell_session(&bytes), Err(ErrorKind::Protocol), "{version:?}");
        assert!(pair.plain.is_empty(), "{version:?}");
    }
}
