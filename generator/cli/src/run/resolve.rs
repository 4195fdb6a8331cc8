//! Flags as typed, resolved into what the model speaks: one scenario and the target it names.
//!
//! The only thing read from outside here is the body's file.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brunt_model::plan;
use brunt_model::scenario::{HttpSpec, HttpVersion, LoadSpec, ProxySpec, RequestSpec, Scenario, TlsSpec};
use brunt_model::schedule::Arrivals;
use url::Url;

use super::body::{self, Body};
use super::file::{self, ScenarioFile};
use super::target::{self, Target};
use crate::error::CommandError;
use crate::flags::proxy::ProxyUrl;
use crate::flags::values::Credentials;
use crate::flags::{
    ArrivalsChoice, ConnectionFlags, LoadFlags, ProtocolFlags, RequestFlags, RunFlags, TlsFlags,
};

/// What a command line asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub scenario: Scenario,
    pub body: Vec<u8>,
    pub target: Target,
    /// Further targets of the file, in its order.
    pub others: Vec<Target>,
    /// Where flows take the request's place.
    pub file: Option<ScenarioFile>,
}

impl Asked {
    /// Some target is spoken to by TLS.
    pub(crate) fn has_tls(&self) -> bool {
        let others = self.file.iter().flat_map(|file| &file.file.targets).map(|(_, url)| url.value.as_str());
        others.chain([self.scenario.url.as_str()]).any(|url| url.starts_with("https:"))
    }
}

/// A scenario says itself what its requests are.
fn check_request_flags(flags: &RequestFlags) -> Result<(), CommandError> {
    let given = [
        (flags.method.is_some(), "-m"),
        (!flags.headers.is_empty(), "-H"),
        (flags.body.is_some(), "-d"),
        (flags.body_file.is_some(), "-D"),
        (!flags.form.is_empty(), "--form"),
        (flags.cookies, "--cookies"),
        (flags.content_type.is_some(), "-T"),
        (flags.accept.is_some(), "-A"),
        (flags.basic_auth.is_some(), "-a"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, flag)) => Err(CommandError::Usage(format!(
            "{flag} is for a URL; write it into the scenario file, or leave {flag} out"
        ))),
        None => Ok(()),
    }
}

/// Resolves the flags of a quick run.
pub(crate) fn resolve(flags: &RunFlags) -> Result<Asked, CommandError> {
    let file = if file::is_file(&flags.url) {
        check_request_flags(&flags.request)?;
        Some(file::open(Path::new(&flags.url), &flags.scenario, &flags.tls)?)
    } else {
        None
    };
    let target = match &file {
        None => &flags.url,
        Some(file) => file.target(flags.scenario.target.as_deref())?,
    };
    let mut url = plan::parse_url(target).map_err(CommandError::Plan)?;
    let credentials = take_credentials(&mut url).filter(|_| flags.request.basic_auth.is_none());
    let credentials = flags.request.basic_auth.clone().or(credentials);
    let Body { bytes: body, content_type } = body::of(&flags.request, flags.load.seed)?;
    let mut scenario = Scenario {
        name: flags.judge.name.clone(),
        url: url.to_string(),
        unix_socket: flags.connection.unix_socket.clone(),
        source_ips: flags.connection.source_ip.clone(),
        request: RequestSpec {
            method: method(&flags.request),
            headers: headers(&flags.request, credentials.as_ref(), content_type)?,
        },
        load: load(&flags.load),
        http: http(flags, &url, file.as_ref())?,
        tls: tls(&flags.tls),
        proxy: flags.connection.proxy.as_ref().map(proxy),
        warmup: flags.load.warmup,
        seed: flags.load.seed,
        limits: flags.judge.limits.clone(),
        script: None,
        once: flags.load.once,
    };
    if let Some(file) = &file {
        file.fill_in(&mut scenario);
    }
    check_upload(&flags.protocol, &body)?;
    let others = file.as_ref().map_or(Ok(Vec::new()), |file| others(file, &flags.connection))?;
    Ok(Asked { scenario, body, target: target::of(&url, &flags.connection)?, others, file })
}

/// Where connections to the further targets of a file lead. One whose URL is wrong leads nowhere: the plan names its place.
fn others(file: &ScenarioFile, flags: &ConnectionFlags) -> Result<Vec<Target>, CommandError> {
    let of = |url: &str| match Url::parse(url) {
        Ok(url) => target::of(&url, flags),
        Err(_) => Ok(Target::Known(Vec::new())),
    };
    file.file.targets.iter().map(|(_, url)| of(&url.value)).collect()
}

fn load(flags: &LoadFlags) -> LoadSpec {
    LoadSpec {
        connections: flags.connections,
        requests: flags.requests,
        duration: flags.duration,
        rate: flags.rate,
        arrivals: match flags.arrivals {
            ArrivalsChoice::Uniform => Arrivals::Uniform,
            ArrivalsChoice::Poisson => Arrivals::Poisson,
        },
        max_connections: flags.max_connections,
        max_backlog: flags.max_backlog,
    }
}

fn http(flags: &RunFlags, url: &Url, file: Option<&ScenarioFile>) -> Result<HttpSpec, CommandError> {
    let protocol = &flags.protocol;
    let asked = protocol.http1_1 || protocol.http2 || protocol.h2c;
    let mut http = HttpSpec {
        version: match file {
            Some(file) if !asked => file.version(url),
            _ => version(protocol, url)?,
        },
        streams: protocol.streams,
        pipeline: protocol.pipeline,
        compressed: protocol.compressed,
        redirects: protocol.redirects,
        expect_continue: protocol.expect_continue,
        chunked: protocol.chunked,
        keep_alive: !flags.connection.disable_keepalive,
        cookies: flags.request.cookies,
        ok_status: flags.request.ok_status.clone(),
        ..HttpSpec::default()
    };
    if let Some(timeout) = flags.connection.timeout {
        http.total_timeout = timeout;
        http.first_byte_timeout = timeout;
        http.connect_timeout = http.connect_timeout.min(timeout);
    }
    Ok(http)
}

/// HTTP/2 is agreed on within TLS, or known beforehand (RFC 9113 section 3); each has its own flag, so that nobody
/// measures in clear text what was meant to be encrypted.
fn version(flags: &ProtocolFlags, url: &Url) -> Result<HttpVersion, CommandError> {
    let refused = |why: &str| Err(CommandError::Usage(why.to_owned()));
    if [flags.http1_1, flags.http2, flags.h2c].into_iter().filter(|asked| *asked).count() > 1 {
        return refused("--http1.1, --http2 and --h2c exclude each other; leave all but one out");
    }
    match url.scheme() {
        "https" if flags.h2c => {
            refused("--h2c is HTTP/2 in clear text; use --http2 with an https:// URL, or an http:// URL")
        }
        "http" if flags.http2 => {
            refused("--http2 is agreed on within TLS; use --h2c with an http:// URL, or an https:// URL")
        }
        _ if flags.http2 || flags.h2c => Ok(HttpVersion::Http2),
        _ => Ok(HttpVersion::Http1),
    }
}

fn check_upload(flags: &ProtocolFlags, body: &[u8]) -> Result<(), CommandError> {
    let asked = [(flags.expect_continue, "--expect-continue"), (flags.chunked, "--chunked")];
    match asked.iter().find(|(asked, _)| *asked && body.is_empty()) {
        Some((_, flag)) => Err(CommandError::Usage(format!(
            "{flag} is for requests with a body; give one with -d or -D or --form, or leave {flag} out"
        ))),
        None => Ok(()),
    }
}

fn tls(flags: &TlsFlags) -> TlsSpec {
    TlsSpec { insecure: flags.insecure, min: flags.tls_min, max: flags.tls_max, resume: !flags.no_resume }
}

fn proxy(url: &ProxyUrl) -> ProxySpec {
    let credentials = url.credentials.clone().map(|credentials| (credentials.user, credentials.password));
    ProxySpec { kind: url.kind, credentials }
}

/// Who sends a form means to post it.
fn method(flags: &RequestFlags) -> String {
    let usual = if flags.form.is_empty() { "" } else { "POST" };
    flags.method.clone().unwrap_or_else(|| usual.to_owned())
}

fn headers(
    flags: &RequestFlags,
    credentials: Option<&Credentials>,
    of_form: Option<String>,
) -> Result<Vec<(String, String)>, CommandError> {
    let mut headers: Vec<_> =
        flags.headers.iter().map(|header| (header.0.clone(), header.1.clone())).collect();
    let authorization = credentials.map(basic);
    let short = [
        ("Content-Type", flags.content_type.clone(), "-T"),
        ("Content-Type", of_form, "--form"),
        ("Accept", flags.accept.clone(), "-A"),
        ("Authorization", authorization, "-a or the URL"),
    ];
    for (name, value, flag) in short {
        let Some(value) = value else { continue };
        if headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
            return Err(CommandError::Usage(format!(
                "the header {name} is given twice, by -H and by {flag}; leave one out"
            )));
        }
        headers.push((name.to_owned(), value));
    }
    Ok(headers)
}

/// RFC 7617.
fn basic(credentials: &Credentials) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", credentials.user, credentials.password)))
}

/// Takes user and password out of the URL, so that nothing later can print them.
fn take_credentials(url: &mut Url) -> Option<Credentials> {
    let credentials = Credentials::of_url(url)?;
    // Neither call can fail: a URL with credentials has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(credentials)
}

#[cfg(test)]
mod tests {
    use brunt_model::scenario::{ProxyKind, TlsVersion};
    use brunt_model::units::{Nanos, Rate};
    use clap::Parser as _;

    use super::*;
    use crate::flags::{Cli, Command};

    fn parsed(line: &str) -> Result<Asked, String> {
        let words = ["brunt", "run"].into_iter().chain(line.split(' '));
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Run(flags) = cli.command else { panic!("{line}") };
        resolve(&flags).map_err(|error| error.to_string())
    }

    fn asked(line: &str) -> Asked {
        parsed(line).expect(line)
    }

    #[test]
    fn a_bare_url_leaves_the_defaults_to_the_model() {
        let Asked { scenario, body, target, others: _, file: _ } = asked("http://127.0.0.1:8080/a?b=c");
        assert_eq!(scenario.url, "http://127.0.0.1:8080/a?b=c");
        assert!(body.is_empty() && scenario.request.headers.is_empty() && scenario.limits.is_empty());
        assert!(
            scenario.http.keep_alive
                && scenario.load.connections.is_none()
                && scenario.load.duration.is_none()
        );
        assert_eq!(target, Target::Known(vec!["127.0.0.1:8080".parse().unwrap()]));
    }

    #[test]
    fn the_load_is_read() {
        let load = asked("-c 1k -n 2m -z 1h20m -q 20k --arrivals poisson --max-connections 3k http://h/")
            .scenario
            .load;
        assert_eq!((load.connections, load.requests), (Some(1_000), Some(2_000_000)));
        assert_eq!(
            (load.duration, load.rate),
            (Some(Nanos::from_secs(4_800)), Some(Rate::per_second(20_000)))
        );
        assert_eq!((load.arrivals, load.max_connections), (Arrivals::Poisson, Some(3_000)));
    }

    #[test]
    fn the_request_is_read() {
        let asked = asked(
            "-m PUT -H X-A:1 -H X-B:2 -d hello -T text/plain -A text/html --ok-status 2xx,404 http://h/",
        );
        let headers: Vec<_> =
            asked.scenario.request.headers.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(headers, ["X-A=1", "X-B=2", "Content-Type=text/plain", "Accept=text/html"]);
        assert_eq!((asked.scenario.request.method.as_str(), asked.body.as_slice()), ("PUT", &b"hello"[..]));
        assert_eq!(asked.scenario.http.ok_status.len(), 2);
    }

    #[test]
    fn a_form_is_posted_unless_a_method_is_given() {
        for (line, method) in [("--form a=b http://h/", "POST"), ("-m PUT --form a=b http://h/", "PUT")] {
            let Asked { scenario, body, .. } = asked(line);
            let [(name, value)] = &scenario.request.headers[..] else { panic!("{line}") };
            assert_eq!((scenario.request.method.as_str(), name.as_str()), (method, "Content-Type"));
            assert!(
                value.starts_with("multipart/form-data; boundary=") && !body.is_empty(),
                "{line}: {value}"
            );
        }
        assert!(asked("--cookies http://h/").scenario.http.cookies);
    }

    #[test]
    fn credentials_become_a_header_and_leave_the_url() {
        for line in ["-a me:s%cret http://h/", "http://me:s%25cret@h/", "-a me:s%cret http://you:x@h/"] {
            let scenario = asked(line).scenario;
            let want = ("Authorization".to_owned(), format!("Basic {}", STANDARD.encode("me:s%cret")));
            assert_eq!(
                (scenario.url.as_str(), scenario.request.headers),
                ("http://h/", vec![want]),
                "{line}"
            );
        }
    }

    #[test]
    fn a_timeout_bounds_every_wait() {
        let http = asked("--timeout 2s http://h/").scenario.http;
        let two = Nanos::from_secs(2);
        assert_eq!((http.connect_timeout, http.first_byte_timeout, http.total_timeout), (two, two, two));
        let http = asked("--timeout 90s http://h/").scenario.http;
        assert_eq!(
            (http.connect_timeout, http.first_byte_timeout),
            (Nanos::from_secs(5), Nanos::from_secs(90))
        );
    }

    #[test]
    fn the_protocol_is_read() {
        let http = |line: &str| asked(line).scenario.http;
        for (line, version) in [
            ("http://h/", HttpVersion::Http1),
            ("https://h/", HttpVersion::Http1),
            ("--http1.1 https://h/", HttpVersion::Http1),
            ("--http2 https://h/", HttpVersion::Http2),
            ("--h2c http://h/", HttpVersion::Http2),
        ] {
            assert_eq!(http(line).version, version, "{line}");
        }
        let streams = http("--http2 -p 100 --redirects 3 --compressed https://h/");
        assert_eq!((streams.streams, streams.redirects, streams.compressed), (Some(100), Some(3), true));
        let upload = http("--pipeline 4 -d x --expect-continue --chunked http://h/");
        assert_eq!((upload.pipeline, upload.expect_continue, upload.chunked), (Some(4), true, true));
    }

    #[test]
    fn tls_and_the_proxy_are_read() {
        assert_eq!(asked("https://h/").scenario.tls, TlsSpec::default());
        let tls = asked("--insecure --tls-min 1.3 --tls-max 1.3 --no-resume https://h/").scenario.tls;
        let newest = Some(TlsVersion::Tls13);
        assert_eq!(tls, TlsSpec { insecure: true, min: newest, max: newest, resume: false });
        let proxy = asked("--proxy http://me:secret@p:3128 https://h/").scenario.proxy;
        let credentials = Some(("me".to_owned(), "secret".to_owned()));
        assert_eq!(proxy, Some(ProxySpec { kind: ProxyKind::Http, credentials }));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_mend() {
        for (line, want) in [
            ("nonsense", "is not a URL such as"),
            ("--http2 http://h/", "use --h2c with an http:// URL, or an https:// URL"),
            ("--h2c https://h/", "use --http2 with an https:// URL, or an http:// URL"),
            ("--http1.1 --http2 https://h/", "leave all but one out"),
            ("--h2c --http2 http://h/", "leave all but one out"),
            ("--expect-continue http://h/", "--expect-continue is for requests with a body"),
            ("--chunked -m POST http://h/", "give one with -d or -D"),
            ("--tls-min 1.1 https://h/", "use 1.2 or 1.3"),
            ("--proxy ftp://p/ http://h/", "the scheme ftp is not http or socks5"),
            ("-p x --h2c http://h/", "is not a count such as"),
            ("scenario.yaml", "give a URL or the path of a scenario file"),
            ("-c x http://h/", "is not a count such as"),
            ("-z 10 http://h/", "is not a duration such as"),
            ("-q 0 http://h/", "is not a rate such as"),
            ("-H nothing http://h/", "is not 'Name: value'"),
            ("--limit p99<1 http://h/", "limit 'p99<1', column 4"),
            ("-d a -D b http://h/", "cannot be used with"),
            ("--form a=b -d a http://h/", "cannot be used with"),
            ("--form a=b -D a http://h/", "cannot be used with"),
            ("--form a=b -T a http://h/", "cannot be used with"),
            ("--form a=b -H Content-Type:b http://h/", "by -H and by --form"),
            ("--form a http://h/", "is not NAME=VALUE or NAME=@FILE"),
            ("--form a=@/does/not/exist http://h/", "cannot be opened"),
            ("-D /does/not/exist http://h/", "cannot be opened"),
            ("-T a -H Content-Type:b http://h/", "given twice"),
            ("--cores 3-1 http://h/", "is not a list of cores"),
            ("--unknown http://h/", "unexpected argument"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(want), "{line}: {error}");
        }
    }
}
