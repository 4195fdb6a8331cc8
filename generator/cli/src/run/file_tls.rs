//! What a scenario file gives to TLS: `http: {tls: {ca, client: {cert, key}}}`, read and tried before the run.

use brunt_engine::conn::tls::Identity;
use brunt_model::scenario::file::{Fault, Located, Place, Reference, Tls};
use brunt_model::script::compile::Files;
use rustls::pki_types::CertificateDer;

use super::pem::{self, Wrong};
use crate::flags::TlsFlags;

/// Certificates and keys of a scenario file.
#[derive(Default, Debug)]
pub(crate) struct FileTls {
    pub roots: Option<Vec<CertificateDer<'static>>>,
    pub identity: Option<Identity>,
}

/// What is left of a file's words where the command line has others: it wins.
pub(crate) fn without_flagged(tls: &Tls, flags: &TlsFlags) -> Tls {
    let mut left = tls.clone();
    if flags.insecure || !flags.cacert.is_empty() {
        (left.ca, left.verify) = (None, None);
    }
    if flags.cert.is_some() || flags.key.is_some() {
        (left.cert, left.key) = (None, None);
    }
    left
}

/// The secret that is the client's key, if it is one.
pub(crate) fn secret(tls: &Tls) -> Option<&str> {
    match tls.key.as_ref().map(|key| &key.value) {
        Some(Reference::Secret(name)) => Some(name),
        _ => None,
    }
}

/// Names of the files.
pub(crate) fn file_names(tls: &Tls) -> impl Iterator<Item = Located<String>> {
    let key = tls.key.as_ref().and_then(|key| match &key.value {
        Reference::Plain(name) => Some(Located::new(name.clone(), key.at)),
        Reference::Secret(_) => None,
    });
    [tls.ca.clone(), tls.cert.clone(), key].into_iter().flatten()
}

/// Tries what a file names. `key` is the value of its secret, where that is known; without it there is no identity. A
/// file that is not in `files` was told of when it could not be read.
///
/// # Errors
/// All that does not serve, each with its place.
pub(crate) fn read(tls: &Tls, files: &Files, key: Option<&str>) -> Result<FileTls, Vec<Fault>> {
    let mut faults = contradictions(tls);
    let mut of_file = |name: &Located<String>, parse: fn(&[u8]) -> Result<_, Wrong>| {
        let parsed = parse(files.get(&name.value)?);
        kept(parsed, name.at, &file_named(&name.value), &mut faults)
    };
    let roots = tls.ca.as_ref().and_then(|name| of_file(name, pem::roots));
    let chain = tls.cert.as_ref().and_then(|name| of_file(name, pem::certificates));
    let identity = tls.key.as_ref().and_then(|reference| {
        let (name, bytes) = match &reference.value {
            Reference::Plain(name) => (file_named(name), files.get(name)?.as_slice()),
            Reference::Secret(name) => (format!("the secret {name}"), key?.as_bytes()),
        };
        let private = kept(pem::private_key(bytes), reference.at, &name, &mut faults)?;
        let made = pem::identity(chain?, private, tls.cert.as_ref()?.value.as_str());
        kept(made, reference.at, &name, &mut faults)
    });
    if faults.is_empty() { Ok(FileTls { roots, identity }) } else { Err(faults) }
}

fn file_named(name: &str) -> String {
    format!("the file '{}'", name.escape_debug())
}

fn kept<T>(result: Result<T, Wrong>, at: Place, name: &str, faults: &mut Vec<Fault>) -> Option<T> {
    result
        .map_err(|Wrong { why, mend }| {
            faults.push(Fault { at, what: format!("{name} {why}"), mend: mend.to_owned() });
        })
        .ok()
}

/// What cannot be meant together.
fn contradictions(tls: &Tls) -> Vec<Fault> {
    let fault = |at, what: &str, mend: &str| Fault { at, what: what.to_owned(), mend: mend.to_owned() };
    let mut faults = Vec::new();
    if let Some(ca) = tls.ca.as_ref().filter(|_| tls.verify == Some(false)) {
        let what = "`ca` says whom to trust, and `verify: false` to trust everybody";
        faults.push(fault(ca.at, what, "leave one out"));
    }
    match (&tls.cert, &tls.key) {
        (Some(cert), None) => faults.push(fault(cert.at, "`cert` needs a `key`", "give its key beside it")),
        (None, Some(key)) => {
            faults.push(fault(key.at, "`key` needs a `cert`", "give its certificate beside it"));
        }
        _ => {}
    }
    faults
}

#[cfg(test)]
mod tests {
    use brunt_model::scenario::file;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A certificate and its key, and another key.
    fn files() -> Files {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let params = CertificateParams::new(vec!["client.test".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        [("c.pem", certificate.pem()), ("k.pem", key.serialize_pem()), ("o.pem", other.serialize_pem())]
            .map(|(name, text)| (name.to_owned(), text.into_bytes()))
            .into()
    }

    fn tls(words: &str) -> Tls {
        let source = format!("flows: {{a: [{{get: /}}]}}\nhttp: {{tls: {{{words}}}}}\n");
        file::read(&source).unwrap_or_else(|faults| panic!("{faults:?}")).http.tls
    }

    /// How many roots and certificates a file gives, or the place and the sentence of each fault.
    #[track_caller]
    fn check(words: &str, key: Option<&str>, want: Result<(usize, usize), &[&str]>) {
        let read = read(&tls(words), &files(), key);
        let got = read.map(|FileTls { roots, identity }| {
            (roots.map_or(0, |roots| roots.len()), identity.map_or(0, |identity| identity.chain.len()))
        });
        let told = got.map_err(|faults| {
            let told =
                faults.iter().map(|fault| format!("{}:{} {}", fault.at.line, fault.at.column, fault.what));
            told.collect::<Vec<_>>()
        });
        match (told, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{words}"),
            (Err(told), Err(want)) => {
                let fits = told.iter().zip(want).all(|(told, want)| told.starts_with(want));
                assert!(fits && told.len() == want.len(), "{words}: {told:#?}");
            }
            (got, _) => panic!("{words}: {got:?}"),
        }
    }

    #[test]
    fn authorities_and_identities_are_read() {
        check("", None, Ok((0, 0)));
        check("ca: c.pem", None, Ok((1, 0)));
        check("client: {cert: c.pem, key: k.pem}", None, Ok((0, 1)));
        check("client: {cert: c.pem, key: !secret K}", None, Ok((0, 0)));
        let files = files();
        let key = std::str::from_utf8(&files["k.pem"]).unwrap();
        let read = super::read(&tls("client: {cert: c.pem, key: !secret K}"), &files, Some(key)).unwrap();
        assert!(read.identity.is_some_and(|identity| identity.chain.len() == 1));
        check("ca: absent.pem", None, Ok((0, 0)));
    }

    #[test]
    fn what_does_not_serve_is_told_with_its_place() {
        check("ca: k.pem", None, Err(&["2:18 the file 'k.pem' has no certificate"]));
        check(
            "client: {cert: c.pem, key: o.pem}",
            None,
            Err(&["2:41 the file 'o.pem' is not the key of the first certificate in 'c.pem'"]),
        );
        check(
            "client: {cert: k.pem, key: c.pem}",
            None,
            Err(&["2:29 the file 'k.pem' has no certificate", "2:41 the file 'c.pem' has no private key"]),
        );
        check(
            "client: {cert: c.pem, key: !secret K}",
            Some("no key"),
            Err(&["2:41 the secret K has no private key"]),
        );
        check("client: {cert: c.pem}", None, Err(&["2:29 `cert` needs a `key`"]));
        check("client: {key: k.pem}", None, Err(&["2:28 `key` needs a `cert`"]));
        check("ca: c.pem, verify: false", None, Err(&["2:18 `ca` says whom to trust"]));
    }

    #[test]
    fn flags_win() {
        let said = tls("ca: c.pem, client: {cert: c.pem, key: !secret K}");
        let flags = |change: fn(&mut TlsFlags)| {
            let mut flags = TlsFlags::default();
            change(&mut flags);
            without_flagged(&said, &flags)
        };
        assert_eq!(flags(|_| {}), said);
        let trusting = flags(|flags| flags.cacert.push("x".into()));
        assert!(trusting.ca.is_none() && trusting.key.is_some());
        assert!(flags(|flags| flags.insecure = true).ca.is_none());
        let known = flags(|flags| flags.cert = Some("x".into()));
        assert!(known.ca.is_some() && known.cert.is_none() && secret(&known).is_none());
        assert_eq!(secret(&said), Some("K"));
    }
}
