//! What flags, a scenario file and the host give to TLS: whom to trust, who this client is, and where secrets are logged.
//!
//! Everything is read and tried once, before the run, so that what is wrong is named with its file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brunt_engine::conn::tls::{Identity, Material};
use rustls::pki_types::CertificateDer;
use rustls::{KeyLog, RootCertStore};

use super::file_tls::FileTls;
use super::key_log::KeyLogFile;
use super::pem::{self, Wrong};
use crate::error::CommandError;
use crate::flags::TlsFlags;

/// The bundles of distributions have a quarter of a mebibyte.
const PEM_MAX: u64 = 16 << 20;

/// A file of certificates or of a key that does not serve, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{flag}: the file '{path}' {why}; {mend}")]
pub(crate) struct PemError {
    flag: &'static str,
    path: PathBuf,
    why: String,
    mend: &'static str,
}

/// What a run is given for TLS.
#[derive(Default, Debug)]
pub(crate) struct Loaded {
    pub material: Arc<Material>,
    /// Set with `--keylog`: it is written to while the engine is followed, and asked at the end how that went.
    pub key_log: Option<Arc<KeyLogFile>>,
    pub notices: Vec<String>,
}

/// What is known of the target and of the scenario before flags are looked at.
pub(crate) struct Given {
    pub is_https: bool,
    /// Its certificate is not verified.
    pub insecure: bool,
    /// Of a scenario file, without what flags say.
    pub of_file: FileTls,
}

/// Reads what the flags name; nothing for a target in clear text. `key_log_file` is the value of `SSLKEYLOGFILE`.
pub(crate) fn load(
    flags: &TlsFlags,
    given: Given,
    key_log_file: Option<OsString>,
) -> Result<Loaded, CommandError> {
    check(flags, given.is_https)?;
    if !given.is_https {
        return Ok(Loaded::default());
    }
    let identity = flags.cert.as_deref().zip(flags.key.as_deref());
    let identity = identity.map(|(cert, key)| load_identity(cert, key)).transpose();
    let identity = identity.map_err(CommandError::Pem)?.or(given.of_file.identity);
    let mut notices = Vec::new();
    let roots = match (&flags.cacert[..], given.of_file.roots) {
        _ if given.insecure => Vec::new(),
        ([], Some(roots)) => roots,
        ([], None) => usual_roots(rustls_native_certs::load_native_certs(), &mut notices),
        (files, _) => own_roots(files).map_err(CommandError::Pem)?,
    };
    let key_log = flags.keylog.then(|| open_key_log(key_log_file)).transpose()?;
    let told = key_log.clone().map(|log| log as Arc<dyn KeyLog>);
    Ok(Loaded { material: Arc::new(Material { roots, identity, key_log: told }), key_log, notices })
}

/// Options that cannot be meant together.
fn check(flags: &TlsFlags, is_https: bool) -> Result<(), CommandError> {
    let files = [
        (!flags.cacert.is_empty(), "--cacert"),
        (flags.cert.is_some(), "--cert"),
        (flags.key.is_some(), "--key"),
        (flags.keylog, "--keylog"),
    ];
    let why = match files.iter().find(|(given, _)| *given && !is_https) {
        Some((_, flag)) => {
            format!("{flag} is for https:// URLs; change the URL's scheme, or leave the option out")
        }
        None if flags.cert.is_some() != flags.key.is_some() => {
            "--cert and --key belong together; give both or neither".to_owned()
        }
        None if flags.insecure && !flags.cacert.is_empty() => {
            "--cacert says whom to trust and --insecure to trust everybody; leave one out".to_owned()
        }
        None => return Ok(()),
    };
    Err(CommandError::Usage(why))
}

/// Mozilla's list, and what the host adds to it, for instance the authority of a company.
fn usual_roots(
    host: rustls_native_certs::CertificateResult,
    notices: &mut Vec<String>,
) -> Vec<CertificateDer<'static>> {
    if let Some(first) = host.errors.first() {
        notices.push(format!(
            "note: not all certificates of this host could be read ({} faults, the first: {first}); those are not \
             trusted in this run",
            host.errors.len()
        ));
    }
    // Hosts keep old certificates that no TLS library takes any more; they must not stop a run.
    let mut store = RootCertStore::empty();
    let usable = host.certs.into_iter().filter(|certificate| store.add(certificate.clone()).is_ok());
    let mut roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec();
    roots.extend(usable);
    roots.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    roots.dedup();
    roots
}

fn own_roots(files: &[PathBuf]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let mut roots = Vec::new();
    for path in files {
        roots.extend(pem::roots(&read("--cacert", path)?).map_err(of("--cacert", path))?);
    }
    Ok(roots)
}

/// A certificate with the chain above it and its key; the two are known to belong together.
pub(crate) fn load_identity(cert: &Path, key: &Path) -> Result<Identity, PemError> {
    let chain = pem::certificates(&read("--cert", cert)?).map_err(of("--cert", cert))?;
    let private = pem::private_key(&read("--key", key)?).map_err(of("--key", key))?;
    pem::identity(chain, private, &cert.display().to_string()).map_err(of("--key", key))
}

fn of(flag: &'static str, path: &Path) -> impl FnOnce(Wrong) -> PemError {
    move |Wrong { why, mend }| PemError { flag, path: path.to_owned(), why, mend }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, PemError> {
    use std::io::Read as _;
    let fail =
        |why: String| PemError { flag, path: path.to_owned(), why, mend: "give a PEM file that can be read" };
    let file = std::fs::File::open(path).map_err(|error| fail(format!("cannot be opened: {error}")))?;
    let mut bytes = Vec::new();
    file.take(PEM_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > PEM_MAX { Err(fail("is larger than 16 MiB".to_owned())) } else { Ok(bytes) }
}

fn open_key_log(path: Option<OsString>) -> Result<Arc<KeyLogFile>, CommandError> {
    let path = path.filter(|path| !path.is_empty()).ok_or_else(|| {
        CommandError::Usage(
            "--keylog writes to the file that the environment variable SSLKEYLOGFILE names; set it, or leave \
             --keylog out"
                .to_owned(),
        )
    })?;
    KeyLogFile::open(Path::new(&path)).map(Arc::new).map_err(|error| {
        CommandError::Pem(PemError {
            flag: "--keylog",
            path: path.into(),
            why: format!("cannot be opened to append to: {error}"),
            mend: "let SSLKEYLOGFILE name a file that can be written",
        })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::pem;
    use tempfile::TempDir;

    use super::*;

    /// A certificate and its key in a folder, with a second key beside them.
    struct Files(TempDir);

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
            let params = CertificateParams::new(vec!["client.test".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let encrypted =
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
            let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
            for (name, text) in [
                ("cert.pem", certificate.pem()),
                ("key.pem", key.serialize_pem()),
                ("other.pem", other.serialize_pem()),
                ("locked.pem", encrypted.to_owned()),
                ("broken.pem", broken.to_owned()),
                ("empty.pem", String::new()),
            ] {
                fs::write(folder.path().join(name), text).unwrap();
            }
            Self(folder)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
    }

    fn flags() -> TlsFlags {
        TlsFlags::default()
    }

    fn given(is_https: bool, insecure: bool) -> Given {
        Given { is_https, insecure, of_file: FileTls::default() }
    }

    fn load(
        flags: &TlsFlags,
        is_https: bool,
        key_log_file: Option<OsString>,
    ) -> Result<Loaded, CommandError> {
        super::load(flags, given(is_https, flags.insecure), key_log_file)
    }

    #[test]
    fn roots_are_the_files_or_the_usual_ones() {
        let files = Files::new();
        let own = TlsFlags { cacert: vec![files.path("cert.pem"), files.path("cert.pem")], ..flags() };
        assert_eq!(load(&own, true, None).unwrap().material.roots.len(), 2);
        let usual = load(&flags(), true, None).unwrap().material;
        assert!(usual.roots.len() >= 100 && usual.roots.is_sorted_by(|a, b| a.as_ref() < b.as_ref()));
        let insecure = load(&TlsFlags { insecure: true, ..flags() }, true, None).unwrap().material;
        assert!(insecure.roots.is_empty() && insecure.identity.is_none() && insecure.key_log.is_none());
        assert!(load(&flags(), false, None).unwrap().material.roots.is_empty());
    }

    #[test]
    fn what_a_file_gives_is_taken_unless_flags_say_otherwise() {
        let files = Files::new();
        let (mine, theirs) = (CertificateDer::from(vec![1]), files.path("cert.pem"));
        let loaded = |flags: &TlsFlags, insecure: bool| {
            let identity = load_identity(&theirs, &files.path("key.pem")).ok();
            let of_file = FileTls { roots: Some(vec![mine.clone()]), identity };
            super::load(flags, Given { of_file, ..given(true, insecure) }, None).unwrap().material
        };
        let plain = loaded(&flags(), false);
        assert_eq!((&plain.roots[..], plain.identity.is_some()), (&[mine.clone()][..], true));
        let flagged = loaded(&TlsFlags { cacert: vec![theirs.clone()], ..flags() }, false);
        assert!(flagged.roots.len() == 1 && flagged.roots[0] != mine);
        assert!(loaded(&flags(), true).roots.is_empty());
    }

    #[test]
    fn what_the_host_cannot_give_is_a_notice() {
        let mut host = rustls_native_certs::CertificateResult::default();
        host.certs.push(CertificateDer::from(vec![1, 2, 3]));
        let kind = rustls_native_certs::ErrorKind::Pem(pem::Error::NoItemsFound);
        host.errors.push(rustls_native_certs::Error { context: "a file", kind });
        let mut notices = Vec::new();
        assert_eq!(usual_roots(host, &mut notices).len(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(matches!(&notices[..], [one] if one.contains("1 faults, the first: a file")), "{notices:?}");
    }

    #[test]
    fn an_identity_is_a_chain_and_its_key() {
        let files = Files::new();
        let (cert, key) = (Some(files.path("cert.pem")), Some(files.path("key.pem")));
        let loaded = load(&TlsFlags { cert, key, ..flags() }, true, None).unwrap();
        assert_eq!(loaded.material.identity.as_ref().map(|identity| identity.chain.len()), Some(1));
    }

    #[test]
    fn what_does_not_serve_names_its_file_and_the_mend() {
        let files = Files::new();
        let with = |cert: &str, key: &str| TlsFlags {
            cert: Some(files.path(cert)),
            key: Some(files.path(key)),
            ..flags()
        };
        let trusting = |name: &str| TlsFlags { cacert: vec![files.path(name)], ..flags() };
        for (flags, wants) in [
            (
                with("cert.pem", "other.pem"),
                ["--key: ", "other.pem' is not the key of the first", "made for"],
            ),
            (with("cert.pem", "locked.pem"), ["--key: ", "has a key with a passphrase", "openssl pkey"]),
            (with("cert.pem", "empty.pem"), ["--key: ", "has no private key", "PKCS#8"]),
            (with("empty.pem", "key.pem"), ["--cert: ", "has no certificate", "BEGIN CERTIFICATE"]),
            (with("absent.pem", "key.pem"), ["--cert: ", "absent.pem' cannot be opened", "can be read"]),
            (trusting("key.pem"), ["--cacert: ", "has no certificate", "BEGIN CERTIFICATE"]),
            (trusting("broken.pem"), ["--cacert: ", "(number 1) that cannot be trusted", "take it out"]),
        ] {
            let error = load(&flags, true, None).unwrap_err();
            assert_eq!(error.exit().code(), 5, "{error}");
            assert!(wants.iter().all(|want| error.to_string().contains(want)), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_before_anything_is_read() {
        let path = || Some(PathBuf::from("/does/not/exist"));
        let both = TlsFlags { insecure: true, cacert: vec!["x".into()], ..flags() };
        for (flags, is_https, want) in [
            (TlsFlags { cert: path(), ..flags() }, true, "give both or neither"),
            (TlsFlags { key: path(), ..flags() }, true, "give both or neither"),
            (both, true, "leave one out"),
            (TlsFlags { keylog: true, ..flags() }, true, "SSLKEYLOGFILE"),
            (TlsFlags { keylog: true, ..flags() }, false, "--keylog is for https:// URLs"),
            (TlsFlags { cacert: vec!["x".into()], ..flags() }, false, "--cacert is for https:// URLs"),
        ] {
            let error = load(&flags, is_https, Some(OsString::new())).unwrap_err();
            assert!(error.exit().code() == 2 && error.to_string().contains(want), "{error}");
        }
    }

    #[test]
    fn secrets_are_logged_only_where_asked() {
        let files = Files::new();
        let path = files.path("keys.log");
        let named = || Some(path.clone().into_os_string());
        let silent = load(&TlsFlags { insecure: true, ..flags() }, true, named()).unwrap();
        assert!(silent.material.key_log.is_none() && !path.exists());
        let told = load(&TlsFlags { insecure: true, keylog: true, ..flags() }, true, named()).unwrap();
        told.material.key_log.as_ref().unwrap().log("LABEL", &[1], &[2]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "LABEL 01 02\n");
    }
}
