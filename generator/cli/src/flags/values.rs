//! Values of flags that are more than a word, each parsed once into a type that cannot be wrong.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use brunt_model::units::{CoreId, parse_count};
use url::Url;

/// Formats a report can be rendered in.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    Text,
    Json,
    Csv,
    Hgrm,
    Markdown,
    Junit,
}

const FORMATS: [(&str, Format); 6] = [
    ("text", Format::Text),
    ("json", Format::Json),
    ("csv", Format::Csv),
    ("hgrm", Format::Hgrm),
    ("markdown", Format::Markdown),
    ("junit", Format::Junit),
];

/// `FORMAT` or `FORMAT=FILE`; `-` as a file means stdout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OutputSpec {
    pub format: Format,
    /// stdout where it is `None`.
    pub file: Option<PathBuf>,
}

impl OutputSpec {
    pub(crate) const fn text_on_stdout() -> Self {
        Self { format: Format::Text, file: None }
    }
}

impl FromStr for OutputSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(file)));
        if ["html", "ndjson", "locust"].contains(&name) {
            return Err(format!("the format {name} is not in this build"));
        }
        let Some(&(_, format)) = FORMATS.iter().find(|(known, _)| *known == name) else {
            return Err(format!("'{name}' is not one of text, json, csv, hgrm, markdown, junit"));
        };
        match file {
            Some("") => Err(format!("no file after '{name}='; give one, or leave the = out for stdout")),
            Some("-") | None => Ok(Self { format, file: None }),
            Some(file) => Ok(Self { format, file: Some(PathBuf::from(file)) }),
        }
    }
}

/// Logical CPUs as `0-3`, `0,2` or both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CoreList(pub Vec<CoreId>);

/// The kernel's own bound on the numbers that an affinity mask holds.
const CORES_MAX: u32 = 1024;

impl FromStr for CoreList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("'{text}' is not a list of cores such as 0-3 or 0,2 (below {CORES_MAX})");
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = from.parse::<u32>().ok().zip(to.parse::<u32>().ok()).ok_or_else(fail)?;
            if from > to || to >= CORES_MAX {
                return Err(fail());
            }
            cores.extend((from..=to).map(CoreId));
        }
        cores.sort_unstable();
        cores.dedup();
        Ok(Self(cores))
    }
}

/// `Name: value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Header(pub String, pub String);

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok(Self(name.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(format!("'{}' is not 'Name: value'", text.escape_debug())),
        }
    }
}

/// `NAME=VALUE`, or `NAME=@FILE` for a file to upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FormField {
    pub name: String,
    pub content: FormContent,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum FormContent {
    Text(String),
    File(PathBuf),
}

impl FromStr for FormField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, "@")) => Err(format!("no file after '{}=@'; give one", name.escape_debug())),
            Some((name, value)) if !name.is_empty() => {
                let file = value.strip_prefix('@').map(|file| FormContent::File(PathBuf::from(file)));
                let content = file.unwrap_or_else(|| FormContent::Text(value.to_owned()));
                Ok(Self { name: name.to_owned(), content })
            }
            _ => Err(format!("'{}' is not NAME=VALUE or NAME=@FILE", text.escape_debug())),
        }
    }
}

/// `HOST1:PORT1:HOST2:PORT2`: what would go to the first goes to the second. An empty half matches any, or changes
/// nothing, as in curl.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ConnectTo {
    pub from: (Option<String>, Option<u16>),
    pub to: (Option<String>, Option<u16>),
}

impl FromStr for ConnectTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("'{text}' is not HOST1:PORT1:HOST2:PORT2, with IPv6 addresses in brackets");
        let fields = split_fields(text, 4).ok_or_else(fail)?;
        let [from_host, from_port, to_host, to_port] = fields[..] else { return Err(fail()) };
        let port =
            |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| fail()) };
        let host = |text: &str| (!text.is_empty()).then(|| unbracketed(text).to_owned());
        Ok(Self { from: (host(from_host), port(from_port)?), to: (host(to_host), port(to_port)?) })
    }
}

impl ConnectTo {
    /// Where a connection to this host and port leads instead, if this entry speaks of it.
    pub(crate) fn redirect(&self, host: &str, port: u16) -> Option<(String, u16)> {
        let host_fits = self.from.0.as_ref().is_none_or(|from| from.eq_ignore_ascii_case(host));
        let port_fits = self.from.1.is_none_or(|from| from == port);
        (host_fits && port_fits)
            .then(|| (self.to.0.clone().unwrap_or_else(|| host.to_owned()), self.to.1.unwrap_or(port)))
    }
}

/// `HOST:PORT:ADDR[,ADDR...]`: what this name means at this port; `*` is any name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Resolve {
    pub host: String,
    pub port: u16,
    pub addresses: Vec<IpAddr>,
}

impl FromStr for Resolve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("'{text}' is not HOST:PORT:ADDR[,ADDR...] with IP addresses");
        let fields = split_fields(text, 3).ok_or_else(fail)?;
        let [host, port, addresses] = fields[..] else { return Err(fail()) };
        let addresses: Result<Vec<IpAddr>, _> =
            addresses.split(',').map(|address| unbracketed(address.trim()).parse()).collect();
        match (host.is_empty(), port.parse(), addresses) {
            (false, Ok(port), Ok(addresses)) => {
                Ok(Self { host: unbracketed(host).to_owned(), port, addresses })
            }
            _ => Err(fail()),
        }
    }
}

impl Resolve {
    /// The addresses of this host and port, if this entry speaks of them.
    pub(crate) fn addresses(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let fits = (self.host == "*" || self.host.eq_ignore_ascii_case(host)) && self.port == port;
        fits.then(|| self.addresses.iter().map(|&address| SocketAddr::new(address, port)).collect())
    }
}

/// `user:password`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub user: String,
    pub password: String,
}

impl Credentials {
    /// Those in a URL, if it has any.
    pub(crate) fn of_url(url: &Url) -> Option<Self> {
        if url.username().is_empty() && url.password().is_none() {
            return None;
        }
        Some(Self {
            user: percent_decoded(url.username()),
            password: percent_decoded(url.password().unwrap_or_default()),
        })
    }
}

impl std::fmt::Debug for Credentials {
    /// A password is never shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}:***)", self.user)
    }
}

impl FromStr for Credentials {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((user, password)) => Ok(Self { user: user.to_owned(), password: password.to_owned() }),
            None => Err("it is not user:password".to_owned()),
        }
    }
}

/// RFC 3986 section 2.1; what is not a complete escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = (first == b'%').then(|| after.get(..2)).flatten();
        let byte = escape.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A count with an optional k or m.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    parse_count(text).map_err(|error| error.to_string())
}

/// The same where 32 bits must hold it.
pub(crate) fn count_u32(text: &str) -> Result<u32, String> {
    let wide = count(text)?;
    u32::try_from(wide).map_err(|_| format!("{wide} is too large; no count of this kind goes past 1000000"))
}

/// Splits at colons outside brackets into at most `fields` parts; the last keeps its colons only where a list of
/// addresses may have them.
fn split_fields(text: &str, fields: usize) -> Option<Vec<&str>> {
    let mut parts = Vec::with_capacity(fields);
    let (mut start, mut depth) = (0, 0u32);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.checked_sub(1)?,
            b':' if depth == 0 && (parts.len() + 1 < fields || fields == 4) => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (parts.len() == fields && depth == 0).then_some(parts)
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs() {
        let file = |format, name: &str| Ok(OutputSpec { format, file: Some(PathBuf::from(name)) });
        for (text, want) in [
            ("text", Ok(OutputSpec::text_on_stdout())),
            ("json=-", Ok(OutputSpec { format: Format::Json, file: None })),
            ("json=a=b.json", file(Format::Json, "a=b.json")),
            ("junit=r.xml", file(Format::Junit, "r.xml")),
            ("csv=", Err("no file after")),
            ("yaml", Err("is not one of")),
            ("html=r.html", Err("not in this build")),
        ] {
            match (text.parse::<OutputSpec>(), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(got), Err(want)) => assert!(got.contains(want), "{got}"),
                (got, want) => panic!("{text}: {got:?} {want:?}"),
            }
        }
    }

    #[test]
    fn core_lists() {
        for (text, want) in [
            ("0-3", Some(vec![0, 1, 2, 3])),
            ("4,0-1,1", Some(vec![0, 1, 4])),
            ("2", Some(vec![2])),
            ("", None),
            ("3-1", None),
            ("0-4000000000", None),
            ("a", None),
        ] {
            let want = want.map(|cores| CoreList(cores.into_iter().map(CoreId).collect()));
            assert_eq!(text.parse::<CoreList>().ok(), want, "{text}");
        }
    }

    #[test]
    fn headers_keep_colons_in_values() {
        assert_eq!("A: b:c ".parse(), Ok(Header("A".into(), "b:c".into())));
        assert_eq!("X-Empty:".parse(), Ok(Header("X-Empty".into(), String::new())));
        assert!("novalue".parse::<Header>().is_err() && ": x".parse::<Header>().is_err());
    }

    #[test]
    fn connections_can_lead_elsewhere() {
        let redirect = |text: &str| text.parse::<ConnectTo>().expect(text).redirect("a.test", 80);
        assert_eq!(redirect("a.test:80:b.test:8080"), Some(("b.test".into(), 8080)));
        assert_eq!(redirect("A.TEST::127.0.0.1:"), Some(("127.0.0.1".into(), 80)));
        assert_eq!(redirect("::[::1]:8080"), Some(("::1".into(), 8080)));
        assert_eq!(redirect("other:80:b:1"), None);
        assert_eq!(redirect("a.test:81:b:1"), None);
        for bad in ["a:80:b", "a:80:b:x", "a:80:b:1:2", "a:80:[b:1"] {
            assert!(bad.parse::<ConnectTo>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_can_be_given_addresses() {
        let addresses = |text: &str| text.parse::<Resolve>().expect(text).addresses("a.test", 80);
        assert_eq!(addresses("a.test:80:127.0.0.1").map(|a| a.len()), Some(1));
        assert_eq!(
            addresses("*:80:127.0.0.1,::1"),
            Some(["127.0.0.1:80", "[::1]:80"].iter().map(|a| a.parse().unwrap()).collect())
        );
        assert_eq!(addresses("a.test:443:127.0.0.1"), None);
        for bad in ["a:80", "a:80:b", "a:x:127.0.0.1", ":80:127.0.0.1"] {
            assert!(bad.parse::<Resolve>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let credentials: Credentials = "me:se:cret".parse().unwrap();
        assert_eq!(credentials.password, "se:cret");
        assert!(!format!("{credentials:?}").contains("cret"));
    }
}
