//! The targets of a plan: where connections lead, and what is spoken before HTTP.

use std::net::SocketAddr;

use url::Url;

use super::{ADDRESSES_MAX, Endpoint, Inputs, PlanError, Proxy, Target, Tls, redacted};
use crate::scenario::{Scenario, TlsVersion};

/// All targets, and their endpoints one after the other. `others` are those that a file names beside the first.
pub(super) fn of(
    scenario: &Scenario,
    inputs: &Inputs,
    url: &Url,
    others: &[(String, Url)],
) -> Result<(Vec<Target>, Vec<Endpoint>), PlanError> {
    let some_tls = url.scheme() == "https" || others.iter().any(|(_, url)| url.scheme() == "https");
    if !some_tls && !scenario.tls.is_default() {
        return Err(PlanError::Combination {
            what: "a TLS option",
            target: "https:// URLs",
            mend: "change the URL's scheme, or leave the option out",
        });
    }
    let no_addresses = Vec::new();
    let known = inputs.others.iter().chain(std::iter::repeat(&no_addresses));
    let others = others.iter().zip(known).map(|((name, url), addresses)| (name.as_str(), url, addresses));
    let (mut targets, mut all) = (Vec::new(), Vec::new());
    for (name, url, addresses) in std::iter::once(("", url, &inputs.addresses)).chain(others) {
        let first = all.len();
        all.extend(endpoints(scenario, addresses, url)?);
        targets.push(Target {
            name: name.to_owned(),
            url: redacted(url),
            endpoints: first..all.len(),
            tls: tls(scenario, url)?,
            proxy: proxy(scenario, url)?,
        });
    }
    Ok((targets, all))
}

fn endpoints(scenario: &Scenario, addresses: &[SocketAddr], url: &Url) -> Result<Vec<Endpoint>, PlanError> {
    if let Some(path) = &scenario.unix_socket {
        return Ok(vec![Endpoint::Unix(path.clone())]);
    }
    let family_fits = |address: &&SocketAddr| {
        scenario.source_ips.is_empty()
            || scenario.source_ips.iter().any(|ip| ip.is_ipv4() == address.is_ipv4())
    };
    if addresses.is_empty() {
        return Err(PlanError::NoAddress(url.host_str().unwrap_or_default().to_owned()));
    }
    let fitting: Vec<_> =
        addresses.iter().filter(family_fits).take(ADDRESSES_MAX).copied().map(Endpoint::Ip).collect();
    if fitting.is_empty() { Err(PlanError::SourceFamily) } else { Ok(fitting) }
}

fn tls(scenario: &Scenario, url: &Url) -> Result<Option<Tls>, PlanError> {
    let spec = &scenario.tls;
    let (min, max) = (spec.min.unwrap_or(TlsVersion::Tls12), spec.max.unwrap_or(TlsVersion::Tls13));
    if url.scheme() != "https" {
        return Ok(None);
    }
    if min > max {
        return Err(PlanError::Combination {
            what: "--tls-min above --tls-max",
            target: "nobody",
            mend: "swap the two",
        });
    }
    // An IPv6 address has brackets in a URL, and none in a certificate.
    let server_name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    Ok(Some(Tls { server_name, insecure: spec.insecure, min, max, resume: spec.resume }))
}

fn proxy(scenario: &Scenario, url: &Url) -> Result<Option<Proxy>, PlanError> {
    let Some(spec) = &scenario.proxy else { return Ok(None) };
    if scenario.unix_socket.is_some() {
        return Err(PlanError::Combination {
            what: "--proxy",
            target: "targets in a network",
            mend: "leave --unix-socket out",
        });
    }
    Ok(Some(Proxy {
        kind: spec.kind,
        host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
        port: url.port_or_known_default().unwrap_or(80),
        credentials: spec.credentials.clone(),
    }))
}
