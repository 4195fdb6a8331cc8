//! Writers of `http`, `auth` and `data`.

use super::{Fields, duration, located, plain, secret, size, text};
use crate::scenario::file::tree::Node;
use crate::scenario::file::{Auth, DataFormat, Feeder, Http, OnEnd, Pick, Reference, Text, Tls, Version};
use crate::scenario::{StatusRange, TlsVersion};

pub(super) fn http(http: &Http) -> Fields {
    let mut timeout = Fields::default();
    timeout.some("connect", http.connect_timeout.map(duration));
    timeout.some("first_byte", http.first_byte_timeout.map(duration));
    timeout.some("total", http.total_timeout.map(duration));

    let mut fields = Fields::default();
    fields.some("version", http.version.map(version));
    fields.some("streams", http.streams.map(plain));
    fields.some("keep_alive", http.keep_alive.map(plain));
    fields.map("timeout", timeout);
    fields.some("redirects", http.redirects.map(plain));
    fields.some("body_limit", http.body_limit.map(size));
    fields.some("compressed", http.compressed.map(plain));
    fields.some("cookies", http.cookies.map(plain));
    fields.list("ok_status", &http.ok_status, status);
    fields.named("headers", &http.headers, located);
    fields.some("auth", http.auth.as_ref().map(|located| auth(&located.value)));
    fields.map("tls", tls(&http.tls));
    fields
}

fn version(version: Version) -> Node {
    plain(match version {
        Version::Auto => "auto",
        Version::Http1 => "1.1",
        Version::Http2 => "2",
    })
}

fn tls(tls: &Tls) -> Fields {
    let version = |version| {
        plain(match version {
            TlsVersion::Tls12 => "1.2",
            TlsVersion::Tls13 => "1.3",
        })
    };
    let mut client = Fields::default();
    client.some("cert", tls.cert.as_ref().map(located));
    client.some(
        "key",
        tls.key.as_ref().map(|key| match &key.value {
            Reference::Plain(file) => text(file),
            Reference::Secret(name) => secret(name),
        }),
    );

    let mut fields = Fields::default();
    fields.some("verify", tls.verify.map(plain));
    fields.some("min", tls.min.map(version));
    fields.some("max", tls.max.map(version));
    fields.some("resume", tls.resume.map(plain));
    fields.some("ca", tls.ca.as_ref().map(located));
    fields.map("client", client);
    fields
}

pub(super) fn status(range: &StatusRange) -> Node {
    let StatusRange { from, to } = *range;
    if from == to {
        plain(from)
    } else if from % 100 == 0 && to == from + 99 {
        plain(format!("{}xx", from / 100))
    } else {
        plain(format!("{from}-{to}"))
    }
}

pub(super) fn auth(auth: &Auth) -> Node {
    let mut fields = Fields::default();
    match auth {
        Auth::Basic { user, password } => fields.put("basic", self::password(user, password)),
        Auth::Bearer(token) => fields.put("bearer", located(token)),
        Auth::Digest { user, password } => fields.put("digest", self::password(user, password)),
        Auth::AwsSigV4 { region, service, access_key, secret_key, session_token } => {
            let mut inner = Fields::default();
            inner.put("region", located(region));
            inner.put("service", located(service));
            inner.put("access_key", located(access_key));
            inner.put("secret_key", located(secret_key));
            inner.some("session_token", session_token.as_ref().map(located));
            fields.map("aws_sigv4", inner);
        }
    }
    fields.into_node()
}

fn password(user: &Text, password: &Text) -> Node {
    let mut fields = Fields::default();
    fields.put("user", located(user));
    fields.put("password", located(password));
    fields.into_node()
}

pub(super) fn feeder(feeder: &Feeder) -> Node {
    let mut fields = Fields::default();
    let format = match feeder.format {
        DataFormat::Csv => "csv",
        DataFormat::JsonLines => "jsonl",
    };
    fields.put(format, located(&feeder.file));
    match feeder.pick {
        Pick::Sequential => {}
        Pick::Random => fields.put("pick", plain("random")),
        Pick::Unique => fields.put("pick", plain("unique")),
    }
    match feeder.on_end {
        OnEnd::Stop => {}
        OnEnd::Recycle => fields.put("on_end", plain("recycle")),
    }
    fields.into_node()
}
