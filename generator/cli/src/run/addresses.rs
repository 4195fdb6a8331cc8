//! A name to its addresses, once, before the run: the engine never looks up anything.
//!
//! Order: `localhost` (RFC 6761 section 6.3), `/etc/hosts`, then DNS as the system is configured. Both families are
//! asked for; each has the whole deadline, so that a resolver that is silent about one does not hide the other. An
//! address that nobody answers at is the engine's matter: it goes on with the others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use brunt_model::plan::ADDRESSES_MAX;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use tokio::time::timeout;

use super::target::Target;

const DEADLINE: Duration = Duration::from_secs(2);
/// Two attempts fit the deadline.
const ATTEMPT: Duration = Duration::from_millis(900);

/// Why a name has no address. Each is one line with the mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    #[error(
        "dns: '{name}' could not be resolved: {why}; check its spelling, or give an address with --resolve"
    )]
    Name { name: String, why: String },
    #[error("dns: '{0}' was not resolved within 2 s; check the resolver, or give an address with --resolve")]
    Late(String),
    #[error("dns: no event loop to resolve names with: {0}")]
    Runtime(std::io::Error),
}

/// The addresses of the target, and of each further one.
pub(crate) fn of_all(
    target: &Target,
    others: &[Target],
) -> Result<(Vec<SocketAddr>, Vec<Vec<SocketAddr>>), LookupError> {
    Ok((look_up(target)?, others.iter().map(look_up).collect::<Result<_, _>>()?))
}

/// The addresses to connect to: at most [`ADDRESSES_MAX`].
fn look_up(target: &Target) -> Result<Vec<SocketAddr>, LookupError> {
    let (name, port) = match target {
        Target::Known(addresses) => return Ok(addresses.clone()),
        Target::Name(name, port) => (name.as_str(), *port),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LookupError::Runtime)?;
    runtime.block_on(async {
        let ips = match local_meaning(name) {
            Some(ips) => ips,
            None => ask(name).await?,
        };
        let mut addresses: Vec<_> = ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        addresses.truncate(ADDRESSES_MAX);
        Ok(addresses)
    })
}

fn local_meaning(name: &str) -> Option<Vec<IpAddr>> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let listed = addresses_in_hosts(&hosts, &name);
    (!listed.is_empty()).then_some(listed)
}

/// hosts(5): an address and its names on each line, `#` begins a comment.
fn addresses_in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        if words.any(|listed| listed.eq_ignore_ascii_case(name)) && !found.contains(&address) {
            found.push(address);
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

async fn ask(name: &str) -> Result<Vec<IpAddr>, LookupError> {
    let fail = |error: NetError| LookupError::Name { name: name.to_owned(), why: reason(&error) };
    let mut builder = TokioResolver::builder_tokio().map_err(fail)?;
    let options = builder.options_mut();
    options.timeout = ATTEMPT;
    options.attempts = 2;
    options.use_hosts_file = ResolveHosts::Never;
    let resolver = builder.build().map_err(fail)?;
    let (v4, v6) = tokio::join!(
        timeout(DEADLINE, resolver.ipv4_lookup(name)),
        timeout(DEADLINE, resolver.ipv6_lookup(name))
    );
    let mut ips = Vec::new();
    let mut error = LookupError::Late(name.to_owned());
    for answer in [v6, v4] {
        match answer {
            Ok(Ok(lookup)) => ips.extend(addresses_of(&lookup)),
            Ok(Err(refused)) => error = fail(refused),
            Err(_) => {}
        }
    }
    ips.sort_by_key(IpAddr::is_ipv6);
    if ips.is_empty() { Err(error) } else { Ok(ips) }
}

/// The usual answers in words; the resolver's own speak of queries and records.
fn reason(error: &NetError) -> String {
    if error.is_nx_domain() {
        "there is no such name".to_owned()
    } else if error.is_no_records_found() {
        "it has no address".to_owned()
    } else {
        error.to_string()
    }
}

fn addresses_of(lookup: &Lookup) -> impl Iterator<Item = IpAddr> + '_ {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_files_are_read_as_documented() {
        let text =
            "127.0.0.1\tlocalhost\n::1 box # local\n10.0.0.7 web web.test\n10.0.0.8 WEB # x\nbad web\n";
        for (name, want) in [
            ("web", vec!["10.0.0.7", "10.0.0.8"]),
            ("box", vec!["::1"]),
            ("local", vec![]),
            ("10.0.0.7", vec![]),
        ] {
            let want: Vec<IpAddr> = want.into_iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(addresses_in_hosts(text, name), want, "{name}");
        }
    }

    #[test]
    fn localhost_is_the_loopback_of_both_families() {
        let addresses = look_up(&Target::Name("LocalHost".to_owned(), 80)).unwrap();
        assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap(), "[::1]:80".parse().unwrap()]);
    }

    #[test]
    fn literal_addresses_are_not_looked_up() {
        let addresses = vec!["192.0.2.1:80".parse().unwrap()];
        assert_eq!(look_up(&Target::Known(addresses.clone())).unwrap(), addresses);
    }
}
