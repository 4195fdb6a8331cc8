//! Whom Brunt trusts, and how it shows who it is.

use brunt_tests::brunt::measure;
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
