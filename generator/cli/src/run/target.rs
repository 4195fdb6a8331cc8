//! Where connections of a quick run lead: the URL's host, unless flags say otherwise.

use std::net::SocketAddr;

use url::{Host, Url};

use crate::error::CommandError;
use crate::flags::ConnectionFlags;

/// Where to connect to, before any name is looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A unix socket, or addresses that were given.
    Known(Vec<SocketAddr>),
    Name(String, u16),
}

/// What `--unix-socket`, `--proxy`, `--connect-to` and `--resolve` make of the URL's host, in this order.
pub(crate) fn of(url: &Url, flags: &ConnectionFlags) -> Result<Target, CommandError> {
    if flags.unix_socket.is_some() {
        return Ok(Target::Known(Vec::new()));
    }
    let (host, port) = match &flags.proxy {
        None => redirected(url, flags),
        // The proxy finds the target by the name in the URL, so nothing else can be connected to.
        Some(_) if !flags.connect_to.is_empty() => {
            return Err(CommandError::Usage(
                "--connect-to cannot be used with --proxy, which connects to the URL's host; leave one out"
                    .to_owned(),
            ));
        }
        Some(proxy) => (proxy.host.clone(), proxy.port),
    };
    if let Some(addresses) = flags.resolve.iter().find_map(|entry| entry.addresses(&host, port)) {
        return Ok(Target::Known(addresses));
    }
    Ok(match host.parse() {
        Ok(address) => Target::Known(vec![SocketAddr::new(address, port)]),
        Err(_) => Target::Name(host, port),
    })
}

fn redirected(url: &Url, flags: &ConnectionFlags) -> (String, u16) {
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => String::new(),
    };
    let port = url.port_or_known_default().unwrap_or(80);
    flags.connect_to.iter().find_map(|entry| entry.redirect(&host, port)).unwrap_or((host, port))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::flags::{Cli, Command};

    fn target(line: &str) -> Result<Target, String> {
        let words = ["brunt", "run"].into_iter().chain(line.split(' '));
        let Command::Run(flags) = Cli::try_parse_from(words).expect(line).command else { panic!("{line}") };
        of(&Url::parse(&flags.url).expect(line), &flags.connection).map_err(|error| error.to_string())
    }

    #[test]
    fn targets() {
        let known =
            |text: &str| Target::Known(text.split(' ').map(|address| address.parse().unwrap()).collect());
        for (line, want) in [
            ("http://a.test/", Target::Name("a.test".into(), 80)),
            ("http://[::1]:81/", known("[::1]:81")),
            ("--resolve a.test:80:10.0.0.1,10.0.0.2 http://a.test/", known("10.0.0.1:80 10.0.0.2:80")),
            ("--connect-to a.test:80:b.test:90 http://a.test/", Target::Name("b.test".into(), 90)),
            ("--connect-to ::[::1]:90 http://a.test/", known("[::1]:90")),
            ("--unix-socket /run/s http://a.test/", Target::Known(Vec::new())),
            ("https://a.test/", Target::Name("a.test".into(), 443)),
            ("--proxy http://p.test:3128 https://a.test/", Target::Name("p.test".into(), 3128)),
            ("--proxy socks5://[::1]:9050 http://a.test/", known("[::1]:9050")),
            ("--proxy http://p.test --resolve p.test:80:10.0.0.1 https://a.test/", known("10.0.0.1:80")),
        ] {
            assert_eq!(target(line), Ok(want), "{line}");
        }
        let both = target("--proxy http://p.test --connect-to ::b.test: http://a.test/");
        assert!(both.expect_err("they exclude each other").contains("leave one out"));
    }
}
