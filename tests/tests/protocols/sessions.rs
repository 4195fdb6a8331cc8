//! TLS sessions: their versions, the names asked for, what is agreed on, resumption, and the key log.

use std::fs;

use brunt_tests::brunt::{Brunt, measure};
use brunt_tests::certificates::{Certificates, Holder};
use brunt_tests::nginx::{Nginx, Site};
use brunt_tests::turn;

use crate::{IO, agrees, fails, url};

const LOAD: &str = "-n 40 -c 4";

#[test]
fn versions_are_those_that_are_allowed() {
    let _turn = turn();
    let made = Certificates::make();
    let secure = |more| Site::secure("ssl http2", &made, Holder::Server, more);
    let sites = [
        secure("ssl_protocols TLSv1.2 TLSv1.3;"),
        secure("ssl_protocols TLSv1.2;"),
        secure("ssl_protocols TLSv1.3;"),
    ];
    let Some(nginx) = Nginx::with_sites_or_skip("versions_are_those_that_are_allowed", &sites) else {
        return;
    };
    let trust = format!("--cacert {}", made.authority());
    for (site, flags, want) in [
        (0, "", Ok("TLSv1.3")),
        (0, "--tls-max 1.2", Ok("TLSv1.2")),
        (0, "--tls-min 1.3", Ok("TLSv1.3")),
        (1, "", Ok("TLSv1.2")),
        (2, "", Ok("TLSv1.3")),
        (1, "--tls-min 1.3", Err("tls_handshake")),
        (2, "--tls-max 1.2", Err("tls_handshake")),
    ] {
        for io in IO {
            let args =
                format!("{LOAD} --io {io} --http2 {trust} {flags} {}", url(&nginx, site, "https", "4k"));
            match want {
                Ok(version) => {
                    let (measured, logged) = agrees(&nginx, &args, 40);
                    assert!(logged.iter().all(|line| line.way.tls == version), "{}", measured.story());
                }
                Err(kind) => drop(fails(&args, kind)),
            }
        }
    }
}

/// A name is sent, an address is not (RFC 6066 section 3).
#[test]
fn the_server_hears_the_name_it_is_asked_for() {
    let _turn = turn();
    let made = Certificates::make();
    let sites = [Holder::Server, Holder::Other].map(|holder| Site::secure("ssl", &made, holder, ""));
    let name = "the_server_hears_the_name_it_is_asked_for";
    let Some(nginx) = Nginx::with_sites_or_skip(name, &sites) else { return };
    let trust = format!("--cacert {}", made.authority());
    let (port, other) = (nginx.port_of(0), nginx.port_of(1));
    for (target, want) in [
        (format!("https://127.0.0.1:{port}/100"), ""),
        (format!("https://localhost:{port}/100"), "localhost"),
        (format!("--connect-to other.test:443:127.0.0.1:{other} https://other.test/100"), "other.test"),
    ] {
        for io in IO {
            let (measured, logged) = agrees(&nginx, &format!("{LOAD} --io {io} {trust} {target}"), 40);
            let all = logged.iter().all(|line| line.way.server_name == want);
            assert!(all, "{:?}\n{}", logged[0], measured.story());
        }
    }
}

#[test]
fn a_server_that_speaks_something_else_is_told_by_name() {
    let _turn = turn();
    let made = Certificates::make();
    let sites = [Site::secure("ssl", &made, Holder::Server, "")];
    let name = "a_server_that_speaks_something_else_is_told_by_name";
    let Some(nginx) = Nginx::with_sites_or_skip(name, &sites) else { return };
    let trust = format!("--cacert {}", made.authority());
    let (clear, secure) = (nginx.url("100"), url(&nginx, 0, "https", "100"));
    for io in IO {
        for (flags, target, kind) in [
            (format!("--http2 {trust}"), secure.clone(), "alpn"),
            ("--h2c".to_owned(), clear.clone(), "alpn"),
            (trust.clone(), clear.replace("http:", "https:"), "tls_handshake"),
            (format!("--http2 {trust}"), clear.replace("http:", "https:"), "tls_handshake"),
        ] {
            fails(&format!("-n 8 -c 4 --io {io} {flags} {target}"), kind);
        }
        let answered = measure(&format!("{LOAD} --io {io} {}", secure.replace("https:", "http:")));
        answered.expect_counts(3).expect_errors(&[("status", 40)]);
        assert_eq!(answered.report.status.get("400"), Some(&40), "{}", answered.story());
    }
}

/// Each way that a server can remember sessions, and none.
#[test]
fn sessions_are_resumed_where_the_server_remembers() {
    let _turn = turn();
    let made = Certificates::make();
    let secure = |more| Site::secure("ssl http2", &made, Holder::Server, more);
    let sites = [
        secure("ssl_session_tickets on;"),
        secure("ssl_session_tickets off; ssl_session_cache shared:cache:1m;"),
        secure("ssl_session_tickets off; ssl_session_cache off;"),
    ];
    let name = "sessions_are_resumed_where_the_server_remembers";
    let Some(nginx) = Nginx::with_sites_or_skip(name, &sites) else { return };
    let trust = format!("--cacert {}", made.authority());
    for (site, flags, resumes) in [
        (0, "", true),
        (0, "--tls-max 1.2", true),
        (0, "--http2", true),
        (0, "--no-resume", false),
        (0, "--no-resume --tls-max 1.2", false),
        (1, "", true),
        (1, "--tls-max 1.2", true),
        (2, "", false),
        (2, "--tls-max 1.2", false),
    ] {
        for io in IO {
            let target = url(&nginx, site, "https", "100");
            let args = format!("-n 200 -c 4 --disable-keepalive --io {io} {trust} {flags} {target}");
            let (measured, logged) = agrees(&nginx, &args, 200);
            let t = &measured.report.totals;
            let resumed = logged.iter().filter(|line| line.way.resumed).count() as u64;
            assert_eq!((t.tls_handshakes, t.tls_resumed), (200, resumed), "{flags}\n{}", measured.story());
            // The first handshakes of all users begin before there is a session to resume.
            let enough = if resumes { (180..200).contains(&resumed) } else { resumed == 0 };
            assert!(enough, "site {site} {flags}: {resumed} were resumed\n{}", measured.story());
        }
    }
}

#[test]
fn secrets_are_written_only_where_asked() {
    let _turn = turn();
    let made = Certificates::make();
    let sites = [Site::secure("ssl", &made, Holder::Server, "")];
    let Some(nginx) = Nginx::with_sites_or_skip("secrets_are_written_only_where_asked", &sites) else {
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for (io, (flags, labels)) in IO.into_iter().flat_map(|io| {
        [
            ("", &[][..]),
            ("--keylog", &["CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "]),
            ("--keylog --tls-max 1.2", &["CLIENT_RANDOM "]),
        ]
        .map(|case| (io, case))
    }) {
        let file = directory.path().join(format!("{io}{flags}").replace(' ', ""));
        let trust = format!("--cacert {} --no-resume", made.authority());
        let target = url(&nginx, 0, "https", "100");
        let measured = Brunt::new(&format!("run {LOAD} --io {io} {trust} {flags} {target}"))
            .env("SSLKEYLOGFILE", &file.to_string_lossy())
            .json();
        measured.expect_counts(0).expect_errors(&[]);
        assert_eq!(file.exists(), !labels.is_empty(), "{flags}\n{}", measured.story());
        let text = fs::read_to_string(&file).unwrap_or_default();
        for label in labels {
            let lines = text.lines().filter(|line| line.starts_with(label)).count() as u64;
            assert_eq!(lines, measured.report.totals.tls_handshakes, "{label}\n{text}");
        }
    }
}
