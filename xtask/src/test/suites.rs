//! The suites, as data. A new suite of end-to-end tests is one line here.

use crate::failure::Failure;
use crate::{ebpf, layers, tidy};

/// A group of steps that can be run alone.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(super) tools: &'static [Tool],
    pub(super) steps: &'static [Step],
}

/// A program that tests start, and the Debian package it comes in.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Tool {
    pub(super) program: &'static str,
    pub(super) package: &'static str,
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) work: Work,
}

/// Words are arguments of cargo.
#[derive(Debug)]
pub(super) enum Work {
    /// A check of ours, which returns what is wrong. Counts as one test.
    Check(fn() -> Result<Vec<String>, Failure>),
    /// A check by cargo. Counts as one test.
    Cargo(&'static [&'static str]),
    /// Must succeed for the rest of the suite to make sense. Counts only when it fails.
    Build(&'static [&'static str]),
    /// Tests, counted one by one: `cargo test` with these arguments, and those of the test programs.
    Tests(&'static [&'static str], &'static [&'static str]),
}

pub(crate) const SUITES: &[Suite] = &[
    Suite {
        name: "unit",
        about: "formatting, layers, house checks, lints, and the tests that each crate carries",
        tools: &[],
        steps: &[
            Step { name: "fmt", work: Work::Cargo(FMT) },
            Step { name: "layers", work: Work::Check(layers::violations) },
            Step { name: "tidy", work: Work::Check(tidy::violations) },
            Step { name: "kernel programs", work: Work::Check(ebpf::mismatches) },
            Step { name: "clippy", work: Work::Cargo(CLIPPY) },
            Step { name: "tests", work: Work::Tests(&["--workspace", "--exclude", "brunt-tests"], &[]) },
        ],
    },
    Suite {
        name: "e2e",
        about: "the command `brunt` against real targets",
        tools: &[NGINX, IP, NFT, SYSCTL],
        steps: &[
            BUILD_BRUNT,
            HARNESS,
            end_to_end(&["-p", "brunt-tests", "--test", "e2e", "--test", "hot_loop"]),
        ],
    },
    Suite {
        name: "scenarios",
        about: "scenario files run by the command `brunt`: what is sent, what is made of the answers, and the examples",
        tools: &[NGINX, NGHTTPD, APACHE, LIGHTTPD, PIP],
        steps: &[BUILD_BRUNT, end_to_end(&["-p", "brunt-tests", "--test", "scenarios"])],
    },
    Suite {
        name: "protocols",
        about: "the command `brunt` over TLS, HTTP/2 and proxies, against real servers",
        tools: &[NGINX, NGHTTPD, APACHE, TINYPROXY, MICROSOCKS],
        steps: &[BUILD_BRUNT, end_to_end(&["-p", "brunt-tests", "--test", "protocols"])],
    },
    Suite {
        name: "conformance",
        about: "the protocol codecs against public collections of cases",
        tools: &[],
        steps: &[Step {
            name: "tests",
            work: Work::Tests(&["-p", "brunt-tests", "--test", "conformance"], &[]),
        }],
    },
    Suite {
        name: "differential",
        about: "the protocol machines against servers that others wrote, on generated exchanges",
        tools: &[],
        steps: &[Step {
            name: "tests",
            work: Work::Tests(&["-p", "brunt-tests", "--test", "differential"], &[]),
        }],
    },
    Suite {
        name: "hostile",
        about: "the command `brunt` against servers that mean harm",
        tools: &[IP],
        steps: &[BUILD_BRUNT, end_to_end(&["-p", "brunt-tests", "--test", "hostile"])],
    },
    Suite {
        name: "kernel",
        about: "time stamps by the kernel against the truth, the guard and the jail against a process that means harm",
        tools: &[NGINX, NGHTTPD, IP, NFT, SYSCTL, NSENTER],
        steps: &[
            BUILD_BRUNT,
            Step { name: "a rebuilt object", work: Work::Check(ebpf::rebuilt_differs) },
            end_to_end(&["-p", "brunt-tests", "--test", "kernel", "--test", "evil"]),
        ],
    },
];

pub(crate) const FMT: &[&str] = &["fmt", "--all", "--check"];
pub(crate) const CLIPPY: &[&str] = &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];

const NGINX: Tool = Tool { program: "nginx", package: "nginx" };
const NGHTTPD: Tool = Tool { program: "nghttpd", package: "nghttp2-server" };
/// The program and its modules without the service.
const APACHE: Tool = Tool { program: "apache2", package: "apache2-bin" };
/// Asks for Digest authentication with SHA-256.
const LIGHTTPD: Tool = Tool { program: "lighttpd", package: "lighttpd" };
const TINYPROXY: Tool = Tool { program: "tinyproxy", package: "tinyproxy-bin" };
const MICROSOCKS: Tool = Tool { program: "microsocks", package: "microsocks" };
/// Makes network namespaces, in which ports and routes can run out.
const IP: Tool = Tool { program: "ip", package: "iproute2" };
/// Loses packets and counts them.
const NFT: Tool = Tool { program: "nft", package: "nftables" };
/// Sets the limits of such a namespace.
const SYSCTL: Tool = Tool { program: "sysctl", package: "procps" };
/// Makes a command run on another network, its mounts untouched; and runs one as another user.
const NSENTER: Tool = Tool { program: "nsenter", package: "util-linux" };
/// Fetches sources of Python packages that tests read.
const PIP: Tool = Tool { program: "pip3", package: "python3-pip" };
/// Of the same packages as the tests of the suite `unit`, so that their dependencies have the same features and are built once.
const BUILD_BRUNT: Step = Step {
    name: "build brunt",
    work: Work::Build(&[
        "build",
        "--workspace",
        "--exclude",
        "brunt-tests",
        "--bin",
        "brunt",
        "--bin",
        "brunt-loader",
    ]),
};
const HARNESS: Step = Step {
    name: "harness",
    work: Work::Tests(&["-p", "brunt-tests", "--lib", "--test", "harness"], &["--test-threads=1"]),
};

/// One at a time: they measure, and the machine has few cores.
const fn end_to_end(target: &'static [&'static str]) -> Step {
    Step { name: "tests", work: Work::Tests(target, &["--test-threads=1"]) }
}
