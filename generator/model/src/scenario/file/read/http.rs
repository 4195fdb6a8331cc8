//! Readers of `http`, `auth` and `data`.

use super::{fields, scalar};
use crate::scenario::TlsVersion;
use crate::scenario::file::fault::Faults;
use crate::scenario::file::keys::root;
use crate::scenario::file::tree::Node;
use crate::scenario::file::{
    Auth, DataFormat, Feeder, Http, Located, OnEnd, Pick, Reference, Text, Tls, Version,
};

pub(super) fn http(node: &Node, faults: &mut Faults) -> Option<Http> {
    let fields = fields(node, &root::HTTP, faults)?;
    let timeout = fields.read("timeout", faults, |node, faults| super::fields(node, &root::TIMEOUT, faults));
    let mut timeout = |name| timeout.as_ref().and_then(|t| t.read(name, faults, scalar::duration));
    let [connect_timeout, first_byte_timeout, total_timeout] =
        ["connect", "first_byte", "total"].map(&mut timeout);
    Some(Http {
        version: fields.read("version", faults, |node, faults| {
            scalar::choice(node, root::VERSIONS, &[Version::Auto, Version::Http1, Version::Http2], faults)
        }),
        streams: fields.read("streams", faults, scalar::count),
        keep_alive: fields.read("keep_alive", faults, scalar::boolean),
        connect_timeout,
        first_byte_timeout,
        total_timeout,
        redirects: fields.read("redirects", faults, scalar::count),
        body_limit: fields.read("body_limit", faults, scalar::size),
        compressed: fields.read("compressed", faults, scalar::boolean),
        cookies: fields.read("cookies", faults, scalar::boolean),
        ok_status: fields.list("ok_status", faults, scalar::status),
        headers: fields.named("headers", faults, scalar::text),
        auth: fields.read("auth", faults, auth),
        tls: fields.read("tls", faults, tls).unwrap_or_default(),
    })
}

fn tls(node: &Node, faults: &mut Faults) -> Option<Tls> {
    let fields = fields(node, &root::TLS, faults)?;
    let version = |node: &Node, faults: &mut Faults| {
        scalar::choice(node, root::TLS_VERSIONS, &[TlsVersion::Tls12, TlsVersion::Tls13], faults)
    };
    let client = fields.read("client", faults, |node, faults| super::fields(node, &root::CLIENT, faults));
    let client = client.as_ref();
    Some(Tls {
        verify: fields.read("verify", faults, scalar::boolean),
        min: fields.read("min", faults, version),
        max: fields.read("max", faults, version),
        resume: fields.read("resume", faults, scalar::boolean),
        ca: fields.read("ca", faults, scalar::file),
        cert: client.and_then(|client| client.read("cert", faults, scalar::file)),
        key: client.and_then(|client| client.read("key", faults, reference)),
    })
}

/// A file's name or `!secret NAME`.
fn reference(node: &Node, faults: &mut Faults) -> Option<Located<Reference>> {
    if let Node::Leaf(leaf) = node
        && leaf.is_secret
    {
        let name = scalar::secret(leaf, faults)?;
        return Some(Located::new(Reference::Secret(name.to_owned()), leaf.at));
    }
    let file = scalar::file(node, faults)?;
    if file.value.contains("{{") {
        faults.add(file.at, "the name of a file is no expression", "for a secret, write !secret NAME");
    }
    Some(Located::new(Reference::Plain(file.value), file.at))
}

pub(super) fn auth(node: &Node, faults: &mut Faults) -> Option<Located<Auth>> {
    let fields = fields(node, &root::AUTH, faults)?;
    let auth = if let Some(node) = fields.get("basic") {
        let (user, password) = password(node, faults)?;
        Auth::Basic { user, password }
    } else if let Some(node) = fields.get("digest") {
        let (user, password) = password(node, faults)?;
        Auth::Digest { user, password }
    } else if let Some(node) = fields.get("aws_sigv4") {
        aws(node, faults)?
    } else {
        Auth::Bearer(fields.read("bearer", faults, scalar::text)?)
    };
    Some(Located::new(auth, node.at()))
}

fn password(node: &Node, faults: &mut Faults) -> Option<(Text, Text)> {
    let fields = fields(node, &root::PASSWORD, faults)?;
    let user = fields.read("user", faults, scalar::text);
    let password = fields.read("password", faults, scalar::text);
    user.zip(password)
}

fn aws(node: &Node, faults: &mut Faults) -> Option<Auth> {
    let fields = fields(node, &root::AWS, faults)?;
    let [region, service, access_key, secret_key, session_token] =
        ["region", "service", "access_key", "secret_key", "session_token"]
            .map(|name| fields.read(name, faults, scalar::text));
    Some(Auth::AwsSigV4 {
        region: region?,
        service: service?,
        access_key: access_key?,
        secret_key: secret_key?,
        session_token,
    })
}

pub(super) fn feeder(node: &Node, faults: &mut Faults) -> Option<Feeder> {
    let fields = fields(node, &root::FEEDER, faults)?;
    let picks = [Pick::Sequential, Pick::Random, Pick::Unique];
    let pick = fields.read("pick", faults, |node, faults| scalar::choice(node, root::PICKS, &picks, faults));
    let ends = [OnEnd::Stop, OnEnd::Recycle];
    let on_end =
        fields.read("on_end", faults, |node, faults| scalar::choice(node, root::ON_ENDS, &ends, faults));
    let csv = fields.read("csv", faults, scalar::file);
    let json_lines = fields.read("jsonl", faults, scalar::file);
    let format = if csv.is_some() { DataFormat::Csv } else { DataFormat::JsonLines };
    Some(Feeder {
        format,
        file: csv.or(json_lines)?,
        pick: pick.unwrap_or_default(),
        on_end: on_end.unwrap_or_default(),
    })
}
