//! Keys of flows and their steps.

use super::root::AUTH_KEY;
use super::{Key, Object, Rule, Shape, key};

pub(super) const STEPS: Shape = Shape::List(&Shape::Step);
pub(super) const CHECKED_STATUSES: Key =
    key("ok_status", Shape::List(&Shape::Status), "Statuses that count as completed; below 400 by default.");
const TAGS: Key = key("tags", Shape::List(&Shape::Name), "Words by which to choose, and to judge.");
const INNER: Key = key("steps", STEPS, "In order.");

pub(in super::super) const ON_ERRORS: &[&str] = &["continue", "end"];

pub(in super::super) static FLOW: Object = Object::new(
    "flow",
    &[
        key("weight", Shape::Count, "How often it is chosen in relation to others; 1 by default, 0 never."),
        TAGS,
        key("pacing", Shape::Span, "Iterations begin no closer than this."),
        key("on_error", Shape::Word(ON_ERRORS), "What comes after a failed request; continue by default."),
        INNER,
    ],
)
.with(&[Rule::Required("steps")]);

/// Keys that name the method, and the method.
pub(in super::super) const METHODS: [(&str, &str); 7] = [
    ("get", "GET"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("head", "HEAD"),
    ("options", "OPTIONS"),
];

/// The steps there are. The first key of each is the one that makes it so, but for requests with their many.
pub(in super::super) static STEP: [&Object; 10] =
    [&REQUEST, &THINK, &SET, &GROUP, &REPEAT, &WHILE, &IF, &RANDOM, &SWITCH, &PARALLEL];

pub(in super::super) const REQUESTS: &[&str] =
    &["get", "post", "put", "patch", "delete", "head", "options", "request"];
pub(in super::super) const BODIES: &[&str] = &["body", "json", "form", "multipart", "file"];

pub(in super::super) static REQUEST: Object = Object::new(
    "request",
    &[
        key("get", Shape::Text, "GET this path, relative to the target."),
        key("post", Shape::Text, "POST to this path."),
        key("put", Shape::Text, "PUT to this path."),
        key("patch", Shape::Text, "PATCH this path."),
        key("delete", Shape::Text, "DELETE this path."),
        key("head", Shape::Text, "HEAD of this path."),
        key("options", Shape::Text, "OPTIONS of this path."),
        key("request", Shape::Text, "A request of another method to this path."),
        key("method", Shape::Name, "The method of a request, in capitals."),
        key("target", Shape::Name, "One of targets."),
        key(
            "name",
            Shape::Name,
            "The label in results; by default method and path with {} for each expression.",
        ),
        TAGS,
        key("headers", Shape::Named(&Shape::Text), "Further headers."),
        key("query", Shape::Named(&Shape::Text), "Parameters to add to the path, encoded."),
        key("body", Shape::Text, "The content."),
        key("json", Shape::Json, "The content as JSON; a text that is one expression becomes its value."),
        key("form", Shape::Named(&Shape::Text), "The content as application/x-www-form-urlencoded."),
        key(
            "multipart",
            Shape::Either(&[Shape::List(&Shape::Object(&PART)), Shape::Named(&Shape::Text)]),
            "The content as multipart/form-data (RFC 7578).",
        ),
        key("file", Shape::File, "The content as bytes of a file."),
        AUTH_KEY,
        CHECKED_STATUSES,
        key("timeout", Shape::Duration, "For the answer to end."),
        key("redirects", Shape::Count, "Follow so many redirects within the target's origin."),
        key(
            "check",
            Shape::List(&Shape::Either(&[Shape::Expression, Shape::Object(&CHECK)])),
            "What must be true of the answer.",
        ),
        key("save", Shape::Named(&Shape::Expression), "Variables to set from the answer."),
    ],
)
.with(&[Rule::OneOf(REQUESTS), Rule::AtMostOne(BODIES)]);

pub(in super::super) static PART: Object = Object::new(
    "part",
    &[
        key("name", Shape::Text, "The field's name."),
        key("text", Shape::Text, "The content."),
        key("file", Shape::File, "The content as bytes of a file."),
        key("filename", Shape::Text, "The name that the file is said to have."),
        key("content_type", Shape::Text, "The type of the content."),
    ],
)
.with(&[Rule::Required("name"), Rule::OneOf(&["text", "file"])]);

pub(in super::super) static CHECK: Object = Object::new(
    "check",
    &[
        key("that", Shape::Expression, "What must be true."),
        key("name", Shape::Name, "What results call it; the expression by default."),
    ],
)
.with(&[Rule::Required("that")]);

static THINK: Object = Object::new("think", &[key("think", Shape::Span, "Wait, as a user does who reads.")])
    .with(&[Rule::Required("think")]);

static SET: Object =
    Object::new("set", &[key("set", Shape::Named(&Shape::Expression), "New values of variables.")])
        .with(&[Rule::Required("set")]);

static GROUP: Object =
    Object::new("group", &[key("group", Shape::Name, "Steps that results sum up by this name."), INNER])
        .with(&[Rule::Required("group"), Rule::Required("steps")]);

static REPEAT: Object =
    Object::new("repeat", &[key("repeat", Shape::Expression, "Run steps so many times."), INNER])
        .with(&[Rule::Required("repeat"), Rule::Required("steps")]);

static WHILE: Object = Object::new(
    "while",
    &[
        key("while", Shape::Expression, "Run steps as long as this is true."),
        key("max", Shape::Count, "But at most so many times; 1000 by default."),
        INNER,
    ],
)
.with(&[Rule::Required("while"), Rule::Required("steps")]);

static IF: Object = Object::new(
    "if",
    &[
        key("if", Shape::Expression, "Choose steps by whether this is true."),
        key("then", STEPS, "Steps if it is."),
        key("else", STEPS, "Steps if it is not."),
    ],
)
.with(&[Rule::Required("if"), Rule::Required("then")]);

static RANDOM: Object = Object::new(
    "random",
    &[key("random", Shape::List(&Shape::Object(&BRANCH)), "One of several lists of steps, by weight.")],
)
.with(&[Rule::Required("random")]);

pub(in super::super) static BRANCH: Object = Object::new(
    "branch",
    &[key("weight", Shape::Count, "How often it is chosen in relation to others; 1 by default."), INNER],
)
.with(&[Rule::Required("steps")]);

static SWITCH: Object = Object::new(
    "switch",
    &[
        key("switch", Shape::Expression, "Choose steps by this value."),
        key("cases", Shape::Named(&STEPS), "Steps for each value; quoted ones are texts."),
        key("else", STEPS, "Steps for all other values."),
    ],
)
.with(&[Rule::Required("switch"), Rule::Required("cases")]);

static PARALLEL: Object = Object::new(
    "parallel",
    &[key(
        "parallel",
        Shape::List(&Shape::Object(&REQUEST)),
        "Requests at the same time; the next step comes when all have ended.",
    )],
)
.with(&[Rule::Required("parallel")]);
