use super::*;
use crate::io::sim_tls::{self, Tls};

/// What the server says to a client whose handshake has ended, and that client.
fn begun(version: TlsVersion) -> (Session, Tls, u64) {
    let tls =
        plan::Tls { server_name: "sim".to_owned(), insecure: true, min: version, max: version, resume: true };
    let setup = Setup::new(&tls, Protocol::Http1 { pipeline: 1 }, &Material::default()).unwrap();
    let (mut client, mut server) = (Session::new(&setup).unwrap(), Tls::new(&sim_tls::server()));
    client.records = Some(Records::new(0));
    let (mut out, mut plain, mut arrived) = (Vec::new(), Vec::new(), 0);
    for _ in 0..4 {
        client.flush(&mut out);
        assert!(server.open(&out).is_empty());
        out.clear();
        let sealed = server.seal(b"", 0);
        arrived += sealed.len() as u64;
        client.read(&sealed, &mut plain).unwrap();
    }
    assert!(!client.is_handshaking() && plain.is_empty());
    (client, server, arrived)
}

/// Three answers in a record each, read up to `cut` and then the rest.
fn check(version: TlsVersion, cut: usize) -> usize {
    let (mut client, mut server, mut at) = begun(version);
    let (mut sealed, mut want) = (Vec::new(), Vec::new());
    for plain in [&b"one"[..], b"answer two", b"3"] {
        want.extend(plain.iter().map(|_| Some(at)));
        let record = server.seal(plain, 0);
        at += record.len() as u64;
        sealed.extend_from_slice(&record);
    }
    let cut = cut.min(sealed.len());
    let mut plain = Vec::new();
    client.read(&sealed[..cut], &mut plain).unwrap();
    client.read(&sealed[cut..], &mut plain).unwrap();
    assert_eq!(plain, b"oneanswer two3", "{version:?} cut at {cut}");
    let records = client.records.unwrap();
    let found: Vec<_> = (0..records.plain_end()).map(|plain| records.record_of(plain)).collect();
    assert_eq!(found, want, "{version:?} cut at {cut}");
    sealed.len()
}

/// The session tickets of TLS 1.3 come before the first answer and are none.
#[test]
fn plaintext_is_traced_to_its_record_wherever_it_is_cut() {
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let len = check(version, 0);
        for cut in 1..=len {
            check(version, cut);
        }
    }
}
