//! Keys of the file itself, of `http` and of `data`.

use super::flow::{CHECKED_STATUSES, FLOW, STEPS};
use super::load::{LOAD, PHASES};
use super::{Key, Object, Rule, Shape, key};

pub(in super::super) static FILE: Object = Object::new(
    "file",
    &[
        key("name", Shape::Name, "What results call this scenario."),
        key("target", Shape::Url, "Base of requests that name no other: https://host[:port][/path]."),
        key("targets", Shape::Named(&Shape::Url), "Further ones, by the name that a request's target has."),
        key("http", Shape::Object(&HTTP), "How requests are sent, and what counts as an answer."),
        key("data", Shape::Named(&Shape::Object(&FEEDER)), "Files of rows that expressions can name."),
        key("vars", Shape::Named(&Shape::Value), "What expressions can name."),
        key(
            "load",
            Shape::Either(&[PHASES, Shape::Object(&LOAD), Shape::Object(&super::load::PHASE)]),
            "How much load: phases in order, or a map with phases.",
        ),
        key("loads", Shape::Named(&Shape::Object(&LOAD)), "Several loads in parallel, each with its flows."),
        key(
            "flows",
            Shape::Named(&Shape::Either(&[Shape::Object(&FLOW), STEPS])),
            "What users or arrivals do; on_start, on_stop, setup and teardown can stand here too.",
        ),
        key("on_start", STEPS, "Steps of each user before its first iteration."),
        key("on_stop", STEPS, "Steps of each user after its last iteration."),
        key("setup", STEPS, "Steps that run once, before all users; everybody can name what they save."),
        key("teardown", STEPS, "Steps that run once, after all users."),
        key("limits", Shape::List(&LIMIT_OR_MORE), "What must hold for the run to pass."),
        key("seed", Shape::Count, "Where randomness begins; the same seed makes the same requests."),
        key("not_secret", Shape::Name, "Why what looks like a secret in this file is none."),
    ],
)
.with(&[Rule::AtMostOne(&["load", "loads"])]);

/// They may stand in `flows` as well.
pub(in super::super) const HOOKS: [&str; 4] = ["on_start", "on_stop", "setup", "teardown"];

const LIMIT_OR_MORE: Shape = Shape::Either(&[Shape::Limit, Shape::Object(&LIMIT)]);

pub(in super::super) static LIMIT: Object = Object::new(
    "limit",
    &[
        key("that", Shape::Limit, "The limit itself."),
        key("window", Shape::Duration, "It must hold in each stretch of this length."),
        key("abort", Shape::Boolean, "The run ends as soon as it does not hold."),
    ],
)
.with(&[Rule::Required("that")]);

pub(in super::super) const VERSIONS: &[&str] = &["auto", "1.1", "2"];
pub(in super::super) const TLS_VERSIONS: &[&str] = &["1.2", "1.3"];

pub(in super::super) static HTTP: Object = Object::new(
    "http",
    &[
        key("version", Shape::Word(VERSIONS), "The version of HTTP; auto is what ALPN agrees on."),
        key("streams", Shape::Count, "HTTP/2: requests under way on one connection."),
        key("keep_alive", Shape::Boolean, "Use a connection for more than one request."),
        key("timeout", Shape::Object(&TIMEOUT), "How long to wait."),
        key("redirects", Shape::Count, "Follow so many redirects within the target's origin."),
        key("body_limit", Shape::Size, "The most that an answer's content may have."),
        key("compressed", Shape::Boolean, "Ask for content codings and decode them."),
        key("cookies", Shape::Boolean, "Each user keeps cookies; on unless it is false."),
        CHECKED_STATUSES,
        key("headers", Shape::Named(&Shape::Text), "Headers of all requests."),
        AUTH_KEY,
        key("tls", Shape::Object(&TLS), "How connections are secured."),
    ],
);

pub(in super::super) static TIMEOUT: Object = Object::new(
    "timeout",
    &[
        key("connect", Shape::Duration, "For a connection to be made."),
        key("first_byte", Shape::Duration, "For an answer to begin."),
        key("total", Shape::Duration, "For an answer to end."),
    ],
);

pub(in super::super) static TLS: Object = Object::new(
    "tls",
    &[
        key("verify", Shape::Boolean, "Verify the target's certificate; a run without is marked insecure."),
        key("min", Shape::Word(TLS_VERSIONS), "The oldest version of TLS."),
        key("max", Shape::Word(TLS_VERSIONS), "The newest version of TLS."),
        key("resume", Shape::Boolean, "Resume earlier sessions where the server offers it."),
        key("ca", Shape::File, "A PEM file of authorities to trust."),
        key("client", Shape::Object(&CLIENT), "The client's own certificate."),
    ],
);

pub(in super::super) static CLIENT: Object = Object::new(
    "client",
    &[
        key("cert", Shape::File, "A PEM file with the certificate and those above it."),
        key("key", Shape::File, "A PEM file with its key, or !secret NAME."),
    ],
);

pub(super) const AUTH_KEY: Key = key("auth", Shape::Object(&AUTH), "How requests are authenticated.");

pub(in super::super) static AUTH: Object = Object::new(
    "auth",
    &[
        key("basic", Shape::Object(&PASSWORD), "Basic authentication (RFC 7617)."),
        key("bearer", Shape::Text, "A token (RFC 6750)."),
        key("digest", Shape::Object(&PASSWORD), "Digest authentication (RFC 7616)."),
        key("aws_sigv4", Shape::Object(&AWS), "AWS Signature Version 4."),
    ],
)
.with(&[Rule::OneOf(&["basic", "bearer", "digest", "aws_sigv4"])]);

pub(in super::super) static PASSWORD: Object = Object::new(
    "password",
    &[
        key("user", Shape::Text, "The user's name."),
        key("password", Shape::Text, "The password; better a secret: \"{{ secret.NAME }}\"."),
    ],
)
.with(&[Rule::Required("user"), Rule::Required("password")]);

pub(in super::super) static AWS: Object = Object::new(
    "aws_sigv4",
    &[
        key("region", Shape::Text, "The region, such as eu-central-1."),
        key("service", Shape::Text, "The service, such as execute-api."),
        key("access_key", Shape::Text, "The id of the access key."),
        key("secret_key", Shape::Text, "The secret of the access key."),
        key("session_token", Shape::Text, "The token of temporary credentials."),
    ],
)
.with(&[
    Rule::Required("region"),
    Rule::Required("service"),
    Rule::Required("access_key"),
    Rule::Required("secret_key"),
]);

pub(in super::super) const PICKS: &[&str] = &["sequential", "random", "unique"];
pub(in super::super) const ON_ENDS: &[&str] = &["stop", "recycle"];

pub(in super::super) static FEEDER: Object = Object::new(
    "feeder",
    &[
        key("csv", Shape::File, "A CSV file whose first row has the names (RFC 4180)."),
        key("jsonl", Shape::File, "A file with one JSON object a line."),
        key("pick", Shape::Word(PICKS), "Which row an iteration gets; sequential where it is left out."),
        key(
            "on_end",
            Shape::Word(ON_ENDS),
            "What becomes of whoever finds no row left; stop where it is left out.",
        ),
    ],
)
.with(&[Rule::OneOf(&["csv", "jsonl"])]);
