//! Whom Brunt trusts, and how it shows who it is.

use std::fs;

use brunt_tests::brunt::{Brunt, brunt, measure};
use brunt_tests::certificates::{Certificates, Holder};
use brunt_tests::nghttpd::Nghttpd;
use brunt_tests::nginx::{Nginx, Site};
use brunt_tests::turn;

use crate::{IO, agrees, completes, fails, url};

const LOAD: &str = "-n 20 -c 2";
const HOLDERS: [Holder; 3] = [Holder::Server, Holder::Expired, Holder::Other];

fn of_each_holder(certificates: &Certificates) -> [Site; 3] {
    HOLDERS.map(|holder| Site::secure("ssl http2", certificates, holder, ""))
}

#[test]
fn certificates_are_verified() {
    let _turn = turn();
    let made = Certificates::make();
    let Some(nginx) = Nginx::with_sites_or_skip("certificates_are_verified", &of_each_holder(&made)) else {
        return;
    };
    let trust = format!("--cacert {}", made.authority());
    let other = format!("--cacert {}", made.certificate(Holder::Client));
    for (site, flags, kind) in [
        (0, "", "cert_untrusted"),
        (0, other.as_str(), "cert_untrusted"),
        (1, &trust, "cert_expired"),
        (2, &trust, "cert_name"),
    ] {
        for (io, version) in IO.into_iter().flat_map(|io| ["", "--http2"].map(|version| (io, version))) {
            fails(&format!("{LOAD} --io {io} {version} {flags} {}", url(&nginx, site, "https", "100")), kind);
        }
    }
    assert_eq!(nginx.logged(), [], "nothing is asked of a server that is not trusted");
}

#[test]
fn an_authority_that_is_given_is_trusted() {
    let _turn = turn();
    let made = Certificates::make();
    let name = "an_authority_that_is_given_is_trusted";
    let Some(nginx) = Nginx::with_sites_or_skip(name, &of_each_holder(&made)) else { return };
    let trust = format!("--cacert {}", made.authority());
    let port = nginx.port_of(2);
    for target in [
        url(&nginx, 0, "https", "100"),
        url(&nginx, 0, "https", "100").replace("127.0.0.1", "localhost"),
        format!("--resolve other.test:{port}:127.0.0.1 https://other.test:{port}/100"),
    ] {
        for io in IO {
            let (measured, _) = agrees(&nginx, &format!("{LOAD} --io {io} {trust} {target}"), 20);
            assert!(measured.report.verdict.marks.is_empty(), "{}", measured.story());
            assert!(!measured.ended.stdout.contains("insecure"), "{}", measured.story());
        }
    }
}

#[test]
fn what_is_not_verified_is_marked() {
    let _turn = turn();
    let made = Certificates::make();
    let Some(nginx) = Nginx::with_sites_or_skip("what_is_not_verified_is_marked", &of_each_holder(&made))
    else {
        return;
    };
    for (site, _) in HOLDERS.iter().enumerate() {
        for io in IO {
            let target = url(&nginx, site, "https", "100");
            let (measured, _) = agrees(&nginx, &format!("{LOAD} --io {io} --insecure -o text {target}"), 20);
            assert_eq!(measured.json["verdict"]["marks"], serde_json::json!(["insecure"]));
            assert!(measured.ended.stdout.contains("insecure"), "{}", measured.story());
        }
    }
}

/// nginx takes the connection of a client without a certificate, and answers 400.
#[test]
fn nginx_refuses_clients_it_does_not_know() {
    let _turn = turn();
    let made = Certificates::make();
    let more = format!("ssl_client_certificate {}; ssl_verify_client on;", made.authority());
    let sites = [Site::secure("ssl http2", &made, Holder::Server, &more)];
    let Some(nginx) = Nginx::with_sites_or_skip("nginx_refuses_clients_it_does_not_know", &sites) else {
        return;
    };
    let trust = format!("--cacert {}", made.authority());
    let identity = format!("--cert {} --key {}", made.certificate(Holder::Client), made.key(Holder::Client));
    for (io, version) in IO.into_iter().flat_map(|io| ["", "--http2"].map(|version| (io, version))) {
        let args = format!("{LOAD} --io {io} {version} {trust}");
        let target = url(&nginx, 0, "https", "100");
        let refused = measure(&format!("{args} {target}"));
        refused.expect_counts(3).expect_errors(&[("status", 20)]);
        assert_eq!(refused.report.status.get("400"), Some(&20), "{}", refused.story());
        completes(&format!("{args} {identity} {target}"), 20);
    }
}

/// A scenario beside the files of these certificates, with these words of `http: {tls: ...}`.
fn scenario(made: &Certificates, target: &str, tls: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let (cert, key) = (made.certificate(Holder::Client), made.key(Holder::Client));
    for (from, name) in [(&made.authority(), "ca.pem"), (&cert, "c.pem"), (&key, "k.pem")] {
        fs::copy(from, folder.path().join(name)).expect("a new directory is writable");
    }
    let path = folder.path().join("scenario.yaml");
    let text = format!("target: {target}\nhttp: {{tls: {{{tls}}}}}\nflows: {{a: [{{get: /100}}]}}\n");
    fs::write(&path, text).expect("a new directory is writable");
    let path = path.to_str().expect("temporary directories have plain names").to_owned();
    (folder, path)
}

/// What a scenario file says of TLS is what flags say, and flags win.
#[test]
fn a_scenario_names_authorities_and_the_clients_certificate() {
    let _turn = turn();
    let made = Certificates::make();
    let more = format!("ssl_client_certificate {}; ssl_verify_client on;", made.authority());
    let sites = [Site::secure("ssl http2", &made, Holder::Server, &more)];
    let name = "a_scenario_names_authorities_and_the_clients_certificate";
    let Some(nginx) = Nginx::with_sites_or_skip(name, &sites) else { return };
    let origin = format!("https://127.0.0.1:{}", nginx.port_of(0));
    let key = fs::read_to_string(made.key(Holder::Client)).expect("the key was made");
    let other = format!("--cacert {}", made.certificate(Holder::Client));
    for (tls, flags, code, refusal) in [
        ("ca: ca.pem, client: {cert: c.pem, key: k.pem}", "", 0, None),
        ("ca: ca.pem, min: '1.3', client: {cert: c.pem, key: !secret K}", "", 0, None),
        ("verify: false, client: {cert: c.pem, key: k.pem}", "", 0, None),
        ("ca: ca.pem", "", 3, Some("status")),
        ("client: {cert: c.pem, key: k.pem}", "", 7, Some("cert_untrusted")),
        ("ca: ca.pem, client: {cert: c.pem, key: k.pem}", &other, 7, Some("cert_untrusted")),
        ("verify: false, client: {cert: c.pem, key: k.pem}", &other, 7, Some("cert_untrusted")),
    ] {
        for (io, version) in
            IO.into_iter().flat_map(|io| ["--http1.1", "--http2"].map(|version| (io, version)))
        {
            let (_folder, path) = scenario(&made, &origin, tls);
            let run = Brunt::new(&format!("run {path} {LOAD} --io {io} {version} {flags}"));
            let measured = run.env("BRUNT_SECRET_K", &key).json();
            match refusal {
                None => drop(measured.expect_counts(code).expect_errors(&[])),
                Some(kind) => {
                    let count = measured.errors(kind);
                    assert!(count > 0, "{kind} was expected\n{}", measured.story());
                    measured.expect_counts(code).expect_errors(&[(kind, count)]);
                }
            }
            assert!(!measured.ended.stderr.contains("BEGIN"), "{}", measured.story());
        }
    }
}

/// Before anybody is contacted, by each command that reads a scenario.
#[test]
fn a_scenarios_file_that_does_not_serve_is_told_with_its_place() {
    let made = Certificates::make();
    for (tls, place, want) in [
        ("ca: absent.pem", "2:18", "the file 'absent.pem' cannot be opened"),
        ("ca: k.pem", "2:18", "the file 'k.pem' has no certificate; give a PEM file"),
        ("ca: ../x.pem", "2:18", "lies outside of the scenario's folder"),
        ("client: {cert: ca.pem, key: k.pem}", "2:42", "the file 'k.pem' is not the key of the first"),
        ("client: {cert: c.pem}", "2:29", "`cert` needs a `key`"),
    ] {
        let (_folder, path) = scenario(&made, "https://192.0.2.1/", tls);
        for command in ["check", "plan", "run"] {
            let ended = brunt(&format!("{command} {path}"));
            let told = format!("{path}:{place}: ");
            let is_told = ended.stderr.contains(&told) && ended.stderr.contains(want);
            assert!(ended.code == Some(5) && is_told, "{command}\n{}", ended.story());
        }
    }
}

/// Others end the handshake. In TLS 1.3 the client learns it only after its own part (RFC 8446 section 4.4.2.4), when
/// its request is on its way: the end of the connection may overtake the alert.
#[test]
fn a_handshake_without_the_certificate_that_is_required_fails() {
    let _turn = turn();
    let made = Certificates::make();
    let name = "a_handshake_without_the_certificate_that_is_required_fails";
    let Some(server) = Nghttpd::start_or_skip(name, Some(&made), &["--verify-client"]) else { return };
    let identity = format!("--cert {} --key {}", made.certificate(Holder::Client), made.key(Holder::Client));
    for (io, version) in IO.into_iter().flat_map(|io| ["1.2", "1.3"].map(|version| (io, version))) {
        let trust = format!("--cacert {} --tls-min {version} --tls-max {version}", made.authority());
        let args = format!("-n 8 -c 4 --io {io} --http2 {trust}");
        let target = server.url("100");
        let refused = measure(&format!("{args} {target}"));
        refused.expect(7);
        let overtaken = if version == "1.3" { &["closed_early", "reset"][..] } else { &[] };
        let known = |kind: &str| kind == "tls_handshake" || overtaken.contains(&kind);
        let all_known = refused.report.errors.keys().all(|kind| known(kind));
        assert!(all_known && refused.errors("tls_handshake") > 0, "{}", refused.story());
        completes(&format!("{args} {identity} {target}"), 8);
    }
}
