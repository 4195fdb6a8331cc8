//! Through proxies: HTTP's CONNECT and SOCKS5, with and without a password, to each kind of target.

use brunt_tests::certificates::{Certificates, Holder};
use brunt_tests::nginx::{Nginx, Site};
use brunt_tests::origin::free_port;
use brunt_tests::proxy::{Kind, Proxy};
use brunt_tests::turn;

use crate::{IO, agrees, connections, fails, url};

const LOAD: &str = "-n 100 -c 4";
/// Connections that fail are paused between, so fewer do.
const FAILING: &str = "-n 8 -c 4";

/// A proxy for everybody and one with a password, and nginx behind them.
fn check(test: &str, kind: Kind) {
    let _turn = turn();
    let made = Certificates::make();
    let sites = [Site::secure("ssl http2", &made, Holder::Server, ""), Site::new("http2", "")];
    let Some(nginx) = Nginx::with_sites_or_skip(test, &sites) else { return };
    let Some(open) = Proxy::start_or_skip(test, kind, None) else { return };
    let Some(locked) = Proxy::start_or_skip(test, kind, Some(("user", "secret"))) else { return };
    let trust = format!("--cacert {}", made.authority());
    let targets = [
        nginx.url("100"),
        nginx.url("64k").replace("127.0.0.1", "localhost"),
        format!("--disable-keepalive {}", nginx.url("100")),
        format!("{trust} {}", url(&nginx, 0, "https", "100")),
        format!("{trust} --http2 -p 8 {}", url(&nginx, 0, "https", "4k")),
        format!("--h2c -p 8 {}", url(&nginx, 1, "http", "100")),
    ];
    for (io, (proxy, login)) in
        IO.into_iter().flat_map(|io| [(&open, ""), (&locked, "user:secret@")].map(|p| (io, p)))
    {
        for target in &targets {
            let before = proxy.tunnels();
            let args = format!("{LOAD} --io {io} --proxy {} {target}", proxy.url(login));
            let (measured, logged) = agrees(&nginx, &args, 100);
            let opened = measured.report.totals.connections_opened;
            assert_eq!(connections(&logged) as u64, opened, "{}", measured.story());
            assert_eq!((proxy.tunnels() - before) as u64, opened, "{}", measured.story());
            let named = measured.report.environment.protocol.contains("through a");
            assert!(named && !measured.json.to_string().contains("secret"), "{}", measured.story());
        }
    }
    for io in IO {
        let nowhere = format!("http://127.0.0.1:{}/", free_port());
        for (proxy, target) in [
            (locked.url("user:wrong@"), nginx.url("100")),
            (locked.url("user:wrong@"), targets[3].clone()),
            (locked.url(""), nginx.url("100")),
            (open.url(""), nowhere),
        ] {
            fails(&format!("{FAILING} --io {io} --proxy {proxy} {target}"), "proxy");
        }
        let scheme = open.url("").split_once("://").map_or(String::new(), |(scheme, _)| scheme.to_owned());
        let gone = format!("{scheme}://127.0.0.1:{}", free_port());
        fails(&format!("{FAILING} --io {io} --proxy {gone} {}", nginx.url("100")), "connect_refused");
    }
}

#[test]
fn an_http_proxy_that_connects() {
    check("an_http_proxy_that_connects", Kind::Http);
}

#[test]
fn a_socks_proxy() {
    check("a_socks_proxy", Kind::Socks5);
}
