//! Keys of loads and their phases.

use super::{Key, Object, Rule, Shape, key};

pub(in super::super) const ARRIVALS: &[&str] = &["uniform", "poisson"];
pub(in super::super) const LOG_FORMATS: &[&str] = &["combined", "json"];

pub(super) const PHASES: Shape = Shape::List(&Shape::Object(&PHASE));

const ARRIVALS_KEY: Key = key(
    "arrivals",
    Shape::Word(ARRIVALS),
    "How gaps between arrivals are drawn; uniform where it is left out.",
);
const MAX_CONNECTIONS: Key = key("max_connections", Shape::Count, "The most connections of an open load.");
const MAX_BACKLOG: Key =
    key("max_backlog", Shape::Count, "Arrivals that may wait for a connection; past them they are dropped.");

pub(in super::super) static LOAD: Object = Object::new(
    "load",
    &[
        key("flows", Shape::List(&Shape::Name), "The flows that it runs; all where it is left out."),
        key("start", Shape::Duration, "When it begins, after the start of the run."),
        ARRIVALS_KEY,
        MAX_CONNECTIONS,
        MAX_BACKLOG,
        key("phases", PHASES, "In order."),
    ],
)
.with(&[Rule::Required("phases")]);

pub(in super::super) const SHAPES: &[&str] =
    &["open", "closed", "steps", "spike", "sine", "points", "pause", "replay"];

pub(in super::super) static PHASE: Object = Object::new(
    "phase",
    &[
        key("open", Shape::Object(&OPEN), "Arrivals at a rate, however long answers take."),
        key(
            "closed",
            Shape::Object(&CLOSED),
            "So many virtual users, each with one iteration after the other.",
        ),
        key("steps", Shape::Object(&STEPS), "A rate that rises step by step."),
        key("spike", Shape::Object(&SPIKE), "From a rate up to another, held, and back."),
        key("sine", Shape::Object(&SINE), "A rate that swings around its mean."),
        key("points", Shape::List(&Shape::Point), "Straight lines between points of time and rate."),
        key("pause", Shape::Duration, "Nothing for a while."),
        key("replay", Shape::Object(&REPLAY), "Requests of a log at their own times."),
        key("warmup", Shape::Boolean, "It is sent, but neither measured nor judged."),
    ],
)
.with(&[Rule::OneOf(SHAPES)]);

const FOR: Key = key("for", Shape::Duration, "How long it lasts.");
const OVER: Key =
    key("over", Shape::Duration, "How long it lasts; the same as for, and reads better with a range.");

pub(in super::super) static OPEN: Object = Object::new(
    "open",
    &[
        key("rate", Shape::Rates, "Arrivals a second, or a range to ramp through."),
        FOR,
        OVER,
        ARRIVALS_KEY,
        MAX_CONNECTIONS,
        MAX_BACKLOG,
    ],
)
.with(&[Rule::Required("rate"), Rule::OneOf(&["for", "over"])]);

pub(in super::super) static CLOSED: Object = Object::new(
    "closed",
    &[
        key("users", Shape::Counts, "Virtual users, or a range to ramp through."),
        FOR,
        OVER,
        key("iterations", Shape::Count, "It ends after so many iterations of all users together."),
        key("iterations_per_user", Shape::Count, "Each user ends after so many iterations."),
    ],
)
.with(&[
    Rule::Required("users"),
    Rule::AtMostOne(&["for", "over"]),
    Rule::AtMostOne(&["iterations", "iterations_per_user"]),
]);

pub(in super::super) static STEPS: Object = Object::new(
    "rate_steps",
    &[
        key("from", Shape::Rate, "The rate of the first step."),
        key("by", Shape::Rate, "What each step adds."),
        key("every", Shape::Duration, "How long a step lasts."),
        key("until", Shape::Rate, "The rate of the last step."),
    ],
)
.with(&[Rule::Required("from"), Rule::Required("by"), Rule::Required("every"), Rule::Required("until")]);

pub(in super::super) static SPIKE: Object = Object::new(
    "spike",
    &[
        key("from", Shape::Rate, "The rate before and after."),
        key("to", Shape::Rate, "The rate at the top."),
        key("rise", Shape::Duration, "How long it takes to the top."),
        key("hold", Shape::Duration, "How long it stays there."),
        key("fall", Shape::Duration, "How long it takes back."),
    ],
)
.with(&[
    Rule::Required("from"),
    Rule::Required("to"),
    Rule::Required("rise"),
    Rule::Required("hold"),
    Rule::Required("fall"),
]);

pub(in super::super) static SINE: Object = Object::new(
    "sine",
    &[
        key("mean", Shape::Rate, "The rate in the middle."),
        key("amplitude", Shape::Rate, "How far it swings up and down; at most the mean."),
        key("period", Shape::Duration, "How long a swing takes."),
        FOR,
    ],
)
.with(&[
    Rule::Required("mean"),
    Rule::Required("amplitude"),
    Rule::Required("period"),
    Rule::Required("for"),
]);

pub(in super::super) static REPLAY: Object = Object::new(
    "replay",
    &[
        key("log", Shape::File, "An access log."),
        key("har", Shape::File, "An HTTP archive, as browsers save it."),
        key("format", Shape::Word(LOG_FORMATS), "The format of the log; combined where it is left out."),
        key("speed", Shape::Speed, "How many times as fast; 1x where it is left out."),
    ],
)
.with(&[Rule::OneOf(&["log", "har"]), Rule::AtMostOne(&["har", "format"])]);
