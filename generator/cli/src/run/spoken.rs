//! What a plan speaks to its target, in words for the report.

use brunt_model::plan::{Plan, Protocol, Tls};
use brunt_model::scenario::{ProxyKind, TlsVersion};

/// Such as `HTTP/2 over TLS 1.3, 10 streams a connection`.
pub(crate) fn spoken(plan: &Plan) -> String {
    let (version, lanes) = match plan.protocol {
        Protocol::Http1 { pipeline: 1 } => ("HTTP/1.1", String::new()),
        Protocol::Http1 { pipeline } => ("HTTP/1.1", format!(", {pipeline} requests in a pipeline")),
        Protocol::Http2 { streams: 1 } => ("HTTP/2", ", 1 stream a connection".to_owned()),
        Protocol::Http2 { streams } => ("HTTP/2", format!(", {streams} streams a connection")),
    };
    let mut secrecies: Vec<_> = plan.targets.iter().map(|target| secrecy(target.tls.as_ref())).collect();
    secrecies.dedup();
    let secrecy = secrecies.join(" and ");
    let proxy = match plan.target().proxy.as_ref().map(|proxy| proxy.kind) {
        None => "",
        Some(ProxyKind::Http) => ", through an HTTP proxy",
        Some(ProxyKind::Socks5) => ", through a SOCKS5 proxy",
    };
    format!("{version} {secrecy}{lanes}{proxy}")
}

fn secrecy(tls: Option<&Tls>) -> String {
    let Some(tls) = tls else { return "in clear text".to_owned() };
    let name = |version| match version {
        TlsVersion::Tls12 => "1.2",
        TlsVersion::Tls13 => "1.3",
    };
    if tls.min == tls.max {
        format!("over TLS {}", name(tls.min))
    } else {
        format!("over TLS {} or {}", name(tls.min), name(tls.max))
    }
}

#[cfg(test)]
mod tests {
    use brunt_model::plan::{Inputs, compile};
    use brunt_model::scenario::{HttpVersion, ProxySpec, Scenario};

    use super::*;

    fn check(url: &str, change: impl FnOnce(&mut Scenario), want: &str) {
        let mut scenario = Scenario::of(url);
        change(&mut scenario);
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
        assert_eq!(spoken(&compile(&scenario, &inputs).unwrap()), want);
    }

    #[test]
    fn plans_in_words() {
        check("http://h/", |_| {}, "HTTP/1.1 in clear text");
        check("https://h/", |_| {}, "HTTP/1.1 over TLS 1.2 or 1.3");
        check("http://h/", |s| s.http.pipeline = Some(4), "HTTP/1.1 in clear text, 4 requests in a pipeline");
        check(
            "https://h/",
            |s| {
                (s.http.version, s.http.streams) = (HttpVersion::Http2, Some(10));
                s.tls.min = Some(TlsVersion::Tls13);
                s.proxy = Some(ProxySpec { kind: ProxyKind::Socks5, credentials: None });
            },
            "HTTP/2 over TLS 1.3, 10 streams a connection, through a SOCKS5 proxy",
        );
    }
}
