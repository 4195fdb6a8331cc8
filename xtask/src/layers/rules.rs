//! Who may use whom: the table of ARCHITECTURE.md as data, one line of it for each crate.

/// What one crate may use.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) arrows: Arrows,
    /// No crate from outside at all.
    pub(super) uses_nothing: bool,
    /// Crates that may not be reached, not even through others.
    pub(super) never: &'static [&'static str],
    /// Crates that may be reached through others, but not used.
    pub(super) never_directly: &'static [&'static str],
    pub(super) because: &'static str,
}

/// The crates of this repository that one of them may use.
#[derive(Debug)]
pub(super) enum Arrows {
    Any,
    To(&'static [&'static str]),
}

/// Runtimes and everything that opens a socket for its user.
const RUNTIMES: &[&str] = &["tokio", "mio", "async-std", "smol", "monoio", "tokio-uring", "hyper", "reqwest"];
/// What a pure crate could do I/O or tell the time with.
const IO_AND_CLOCKS: &[&str] = &[
    "rustix",
    "libc",
    "nix",
    "io-uring",
    "socket2",
    "chrono",
    "time",
    "jiff",
    "rand",
    "tempfile",
    "signal-hook",
];
const ENGINE_NEVER: &[&str] = &[
    "tokio",
    "tokio-uring",
    "mio",
    "async-std",
    "smol",
    "monoio",
    "fxhash",
    "hyper",
    "reqwest",
    "clap",
    "hickory-resolver",
];

const RULE: Rule = Rule {
    name: "",
    arrows: Arrows::To(&[]),
    uses_nothing: false,
    never: &[],
    never_directly: &[],
    because: "",
};

pub(super) const CRATES: &[Rule] = &[
    Rule { name: "brunt-abi", uses_nothing: true, because: "the kernel programs link it too", ..RULE },
    Rule { name: "brunt-programs", arrows: Arrows::To(&["brunt-abi"]), ..RULE },
    Rule {
        name: "brunt-loader",
        arrows: Arrows::To(&["brunt-abi"]),
        never: RUNTIMES,
        because: "it is the only privileged code, and opens no network socket",
        ..RULE
    },
    Rule {
        name: "brunt-model",
        arrows: Arrows::To(&["brunt-abi"]),
        never: RUNTIMES,
        never_directly: IO_AND_CLOCKS,
        because: "the model is pure: no I/O, no clock, no randomness",
        ..RULE
    },
    Rule {
        name: "brunt-engine",
        arrows: Arrows::To(&["brunt-model", "brunt-loader"]),
        never: ENGINE_NEVER,
        because: "the engine drives the kernel itself; names and flags are resolved by its caller",
        ..RULE
    },
    Rule { name: "brunt-engine-fuzz", arrows: Arrows::To(&["brunt-engine"]), ..RULE },
    Rule { name: "brunt-jail", ..RULE },
    Rule {
        name: "brunt-report-html",
        arrows: Arrows::To(&["brunt-model"]),
        never: RUNTIMES,
        never_directly: IO_AND_CLOCKS,
        because: "a report is a pure function of its numbers",
        ..RULE
    },
    Rule {
        name: "brunt-cli",
        arrows: Arrows::To(&[
            "brunt-model",
            "brunt-engine",
            "brunt-jail",
            "brunt-report-html",
            "brunt-loader",
            "brunt-api",
        ]),
        ..RULE
    },
    Rule {
        name: "brunt-wire",
        arrows: Arrows::To(&["brunt-model"]),
        never_directly: IO_AND_CLOCKS,
        because: "sessions are machines; their callers do the I/O",
        ..RULE
    },
    Rule {
        name: "brunt-api",
        arrows: Arrows::To(&["brunt-model"]),
        never: RUNTIMES,
        never_directly: IO_AND_CLOCKS,
        because: "request and response types are pure data",
        ..RULE
    },
    Rule {
        name: "brunt-worker",
        arrows: Arrows::To(&["brunt-model", "brunt-wire", "brunt-engine", "brunt-jail", "brunt-loader"]),
        ..RULE
    },
    Rule {
        name: "brunt-controller",
        // Never the engine: the controller does not know how load is made.
        arrows: Arrows::To(&["brunt-model", "brunt-report-html", "brunt-wire", "brunt-api"]),
        ..RULE
    },
    Rule { name: "brunt-tests", arrows: Arrows::Any, ..RULE },
    Rule { name: "brunt-benches", arrows: Arrows::Any, ..RULE },
    Rule {
        name: "xtask",
        uses_nothing: true,
        because: "its first line must show seconds after a fresh clone",
        ..RULE
    },
];
