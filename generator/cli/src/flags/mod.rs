//! The command line, as typed. This one definition also gives help, man pages and completions.

mod later;
mod protocol;
pub(crate) mod proxy;
mod run;
mod secret;
pub(crate) mod values;

use std::net::IpAddr;
use std::path::PathBuf;

use brunt_loader::session::SOCKET_PATH;
use brunt_model::units::{Bytes, Nanos};
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::protocol::{ProtocolFlags, TlsFlags};
pub(crate) use self::run::{
    ArrivalsChoice, ConnectionFlags, EngineFlags, IoChoice, LoadFlags, OutputFlags, PaceChoice, RequestFlags,
    RunFlags, ScenarioFlags,
};
use self::values::OutputSpec;

/// Generates HTTP load and tells the truth about it.
#[derive(Parser, Debug)]
#[command(name = "brunt", version, max_term_width = 110, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 pass, 1 a fault of brunt's own, 2 usage, 3 a limit failed, 4 the run is \
invalid (the generator was the limit), 5 file or configuration invalid, 6 refused, 7 not one answer arrived, \
130 and 143 interrupted.";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a load from here and report what came out
    Run(Box<RunFlags>),
    /// Find all that is wrong with scenario files, without contacting anybody
    Check(CheckFlags),
    /// Preview a run: load, flows and what may be expected of them; takes the flags of `brunt run`
    Plan(Box<RunFlags>),
    /// Make a scenario of a recording, an API description, command lines or a locustfile
    Import(ImportFlags),
    /// Print the JSON Schema of scenario files
    Schema,
    /// Render a stored result again
    Report(ReportFlags),
    /// Is this host fit to generate load? Each finding comes with its mend
    Doctor(DoctorFlags),
    /// Serve a built-in target to try things on
    Origin(OriginFlags),
    /// Print a completion script for a shell
    Completions { shell: Shell },
    /// Make the load of a `brunt run`, which starts this by itself
    #[command(hide = true)]
    Engine(EngineProcess),
    /// Print the man pages, or write one file each to a folder
    #[command(hide = true)]
    Man { folder: Option<PathBuf> },
}

/// What the engine's process must know before it reads its job.
#[derive(Args, Debug)]
pub(crate) struct EngineProcess {
    pub parent: u32,
    /// Descriptors that it inherits on purpose
    #[arg(long, value_delimiter = ',')]
    pub keep: Vec<i32>,
    /// The target, where it is a unix socket
    #[arg(long)]
    pub unix_socket: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "Exits with 0 where all files can be run, and with 5 where anything is wrong.")]
pub(crate) struct CheckFlags {
    /// Scenario files; - is stdin
    #[arg(required = true, value_name = "SCENARIO")]
    pub scenarios: Vec<PathBuf>,
    /// text: a sentence for each fault on stderr; json: an array of them on stdout
    #[arg(short, long, value_name = "FORMAT", default_value = "text", env = "BRUNT_CHECK_OUTPUT")]
    pub output: TextOrJson,
}

#[derive(Args, Debug)]
#[command(after_help = "What is left out is told on stderr; what is not understood is refused with 5.")]
pub(crate) struct ImportFlags {
    /// What the file is
    pub format: ImportFormat,
    /// The file; - is stdin
    #[arg(value_name = "FILE")]
    pub source: PathBuf,
    /// Where to write the scenario; stdout by default
    #[arg(short, long, value_name = "FILE", env = "BRUNT_IMPORT_OUTPUT")]
    pub output: Option<PathBuf>,
    /// Replace the output where it is there already
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_IMPORT_FORCE")]
    pub force: bool,
    /// Send one URL of a list an iteration, rather than all of them in their order
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_IMPORT_RANDOM")]
    pub random: bool,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ImportFormat {
    /// A recording of a browser, HTTP Archive 1.2
    Har,
    /// An OpenAPI 3 document in JSON
    Openapi,
    /// Command lines of curl
    Curl,
    /// URLs, one a line, or targets of vegeta
    Urls,
    Locustfile,
}

#[derive(Args, Debug)]
pub(crate) struct ReportFlags {
    /// A result written by `-o json=FILE`
    pub result: PathBuf,
    #[command(flatten)]
    pub output: OutputFlags,
}

#[derive(Args, Debug)]
#[command(after_help = "Exits with 0 where the host is fit, and with 4 where a finding is bad.")]
pub(crate) struct DoctorFlags {
    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text", env = "BRUNT_DOCTOR_OUTPUT")]
    pub output: TextOrJson,
    /// Where brunt-loader listens
    #[arg(long, value_name = "PATH", default_value = SOCKET_PATH, env = "BRUNT_LOADER_SOCKET")]
    pub loader_socket: PathBuf,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", env = "BRUNT_COLOR")]
    pub color: ColorChoice,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum TextOrJson {
    Text,
    Json,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// Paths: `/status/NNN` answers with that status, `/delay/20ms` waits, `/bytes/64KiB` has that size; any other
/// answers 200. HTTP/1.1 and HTTP/2 are spoken at the same port. The origin's URL is printed on one line.
#[derive(Args, Clone, Debug)]
#[command(after_help = ORIGIN_SHOP)]
pub(crate) struct OriginFlags {
    /// Address to listen at; loopback unless you say otherwise
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", env = "BRUNT_ORIGIN_HOST")]
    pub host: IpAddr,
    /// Port to listen at; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080, env = "BRUNT_ORIGIN_PORT")]
    pub port: u16,
    /// Wait before each answer
    #[arg(long, value_name = "DURATION", default_value = "0s", env = "BRUNT_ORIGIN_DELAY")]
    pub delay: Nanos,
    /// Size of each answer's body
    #[arg(long, value_name = "SIZE", default_value = "1KiB", env = "BRUNT_ORIGIN_SIZE")]
    pub size: Bytes,
    /// Threads that serve
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256),
          env = "BRUNT_ORIGIN_THREADS")]
    pub threads: u16,
    /// Serve over TLS, with a certificate of its own for localhost, 127.0.0.1 and ::1 that is valid for a day
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_ORIGIN_TLS")]
    pub tls: bool,
    /// Certificate to use with --tls, with the chain above it, in PEM; needs --key
    #[arg(long, value_name = "FILE", env = "BRUNT_ORIGIN_CERT")]
    pub cert: Option<PathBuf>,
    /// Key of that certificate, in PEM without a passphrase; needs --cert
    #[arg(long, value_name = "FILE", env = "BRUNT_ORIGIN_KEY")]
    pub key: Option<PathBuf>,
}

/// What scenarios are tried on.
const ORIGIN_SHOP: &str = "\
A shop to try scenarios on, with JSON answers:
  POST /login        user and password, as a form or JSON: a token and the cookie `session`; 401 without a password
  GET /me            the user of that cookie, or of `Authorization: Bearer TOKEN`; else 401
  GET /items?page=N  ten items; pages count from 1
  GET /items/N       id, name, price and stock of an item, with an ETag
  POST /cart         {\"item\": N} of a user with a token: 201, with id and items; else 401
  /echo              method, path, query, headers and body of the request, whatever the method
Nothing is remembered: tokens are computed from the user's name. Content past 64 KiB is answered with 413.";

/// The outputs asked for; text on stdout where none goes there.
pub(crate) fn outputs_or_text(asked: &[OutputSpec]) -> Result<Vec<OutputSpec>, String> {
    let mut outputs = asked.to_vec();
    match asked.iter().filter(|output| output.file.is_none()).count() {
        0 => outputs.push(OutputSpec::text_on_stdout()),
        1 => {}
        _ => {
            return Err(
                "two outputs (-o) go to stdout; give all but one a file, as in -o json=FILE".to_owned()
            );
        }
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_has_an_environment_variable() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            for option in command.get_arguments().filter(is_told) {
                let env = option.get_env().and_then(|name| name.to_str()).unwrap_or_default();
                assert!(env.starts_with("BRUNT_"), "{} --{:?}", command.get_name(), option.get_long());
            }
        }
    }

    /// An option that help and manual tell of.
    fn is_told(argument: &&clap::Arg) -> bool {
        !argument.is_positional() && argument.get_long().is_some() && !argument.is_hide_set()
    }

    #[test]
    fn what_is_not_in_this_build_says_so() {
        for typed in ["-o html=x", "-o ndjson", "-o locust", "--controller https://c"] {
            let words = ["brunt", "run"].into_iter().chain(typed.split(' ')).chain(["http://h/"]);
            let error = Cli::try_parse_from(words).expect_err(typed);
            assert_eq!(error.exit_code(), 2, "{typed}");
            assert!(error.to_string().contains("not in this build"), "{typed}: {error}");
        }
    }

    #[test]
    fn what_costs_nothing_to_accept_is_accepted() {
        for typed in
            ["--no-tui", "--tui", "--kernel off", "--kernel on", "--guard off", "--allow 10.0.0.0/8:80,[::1]"]
        {
            let words = ["brunt", "run"].into_iter().chain(typed.split(' ')).chain(["http://h/"]);
            assert!(Cli::try_parse_from(words).is_ok(), "{typed}");
        }
    }

    #[test]
    fn one_output_may_go_to_stdout() {
        let spec = |text: &str| text.parse::<OutputSpec>().expect("a good spec");
        for (asked, want) in [
            (vec![], Ok(1)),
            (vec![spec("json=a")], Ok(2)),
            (vec![spec("json")], Ok(1)),
            (vec![spec("json"), spec("csv=b"), spec("text")], Err(())),
        ] {
            assert_eq!(outputs_or_text(&asked).map(|outputs| outputs.len()).map_err(|_| ()), want);
        }
    }
}
