//! `--proxy`, parsed once.

use std::str::FromStr;

use brunt_model::scenario::ProxyKind;
use url::Url;

use super::values::Credentials;

/// The port of RFC 1928.
const SOCKS_PORT: u16 = 1080;
/// RFC 1929 section 2 has one byte for the length of each.
const SOCKS_CREDENTIAL_MAX: usize = 255;

/// `http://[user:password@]host:port` or `socks5://[user:password@]host:port`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ProxyUrl {
    pub kind: ProxyKind,
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    pub credentials: Option<Credentials>,
}

impl FromStr for ProxyUrl {
    type Err = String;

    /// The reason does not repeat the text, which may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| fail(&error.to_string()))?;
        let (kind, port) = match url.scheme() {
            "http" => (ProxyKind::Http, url.port_or_known_default().unwrap_or(80)),
            "socks5" => (ProxyKind::Socks5, url.port().unwrap_or(SOCKS_PORT)),
            other => return Err(fail(&format!("the scheme {other} is not http or socks5"))),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(fail("nothing may follow the port"));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(fail("it names no host"));
        }
        let credentials = Credentials::of_url(&url);
        credentials.as_ref().map_or(Ok(()), |credentials| check(kind, credentials))?;
        Ok(Self { kind, host: host.to_owned(), port, credentials })
    }
}

fn check(kind: ProxyKind, credentials: &Credentials) -> Result<(), String> {
    match kind {
        // RFC 7617 section 2: the first colon ends the user's name.
        ProxyKind::Http if credentials.user.contains(':') => Err(fail("the user's name has a colon")),
        ProxyKind::Socks5 => {
            let fits = |text: &str| (1..=SOCKS_CREDENTIAL_MAX).contains(&text.len());
            if fits(&credentials.user) && fits(&credentials.password) {
                Ok(())
            } else {
                Err(fail("user and password must have 1 to 255 bytes each"))
            }
        }
        ProxyKind::Http => Ok(()),
    }
}

fn fail(why: &str) -> String {
    format!("it is not http://[user:password@]host:port or socks5://...: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Result<(ProxyKind, &str, u16, &str), &str>) {
        match (text.parse::<ProxyUrl>(), want) {
            (Ok(got), Ok((kind, host, port, login))) => {
                let shown =
                    got.credentials.map_or_else(String::new, |c| format!("{}:{}", c.user, c.password));
                assert_eq!(
                    (got.kind, got.host.as_str(), got.port, shown.as_str()),
                    (kind, host, port, login)
                );
            }
            (Err(got), Err(want)) => assert!(got.contains(want) && !got.contains("cret"), "{text}: {got}"),
            (got, want) => panic!("{text}: {got:?} {want:?}"),
        }
    }

    #[test]
    fn proxies_are_read() {
        use ProxyKind::{Http, Socks5};
        check("http://proxy.test:3128", Ok((Http, "proxy.test", 3128, "")));
        check("http://proxy.test:80/", Ok((Http, "proxy.test", 80, "")));
        check("http://me:se%3Acret@10.0.0.1:8080", Ok((Http, "10.0.0.1", 8080, "me:se:cret")));
        check("socks5://[::1]:9050", Ok((Socks5, "::1", 9050, "")));
        check("socks5://me:secret@127.0.0.1", Ok((Socks5, "127.0.0.1", 1080, "me:secret")));
    }

    #[test]
    fn what_is_no_proxy_says_why_and_keeps_the_password() {
        check("proxy.test:3128", Err("the scheme proxy.test is not http or socks5"));
        check("https://me:secret@p/", Err("the scheme https is not http or socks5"));
        check("127.0.0.1:3128", Err("relative URL without a base"));
        check("http://me:secret@p:1/path", Err("nothing may follow the port"));
        check("http://a%3Ab:secret@p:1", Err("has a colon"));
        check("socks5://me@p:1", Err("1 to 255 bytes"));
        check("socks5://me:secret@:1", Err(""));
    }
}
