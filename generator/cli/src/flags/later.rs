//! Flags whose names are settled but which this build cannot do yet: using one is a clear error, never a silent
//! difference. They are one table rather than fields, since nothing ever reads their values.

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// Proof that none of the flags below was used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoneOfLater;

struct Later {
    long: &'static str,
    env: &'static str,
    short: Option<char>,
    takes_value: bool,
}

const fn flag(long: &'static str, env: &'static str) -> Later {
    Later { long, env, short: None, takes_value: false }
}

const fn value(long: &'static str, env: &'static str) -> Later {
    Later { long, env, short: None, takes_value: true }
}

const LATER: [Later; 23] = [
    flag("http2", "BRUNT_HTTP2"),
    flag("h2c", "BRUNT_H2C"),
    Later { short: Some('p'), ..value("streams", "BRUNT_STREAMS") },
    value("pipeline", "BRUNT_PIPELINE"),
    flag("insecure", "BRUNT_INSECURE"),
    value("cacert", "BRUNT_CACERT"),
    value("cert", "BRUNT_CERT"),
    value("key", "BRUNT_KEY"),
    value("tls-min", "BRUNT_TLS_MIN"),
    value("tls-max", "BRUNT_TLS_MAX"),
    flag("no-resume", "BRUNT_NO_RESUME"),
    value("keylog", "BRUNT_KEYLOG"),
    value("redirects", "BRUNT_REDIRECTS"),
    value("proxy", "BRUNT_PROXY"),
    flag("compressed", "BRUNT_COMPRESSED"),
    value("form", "BRUNT_FORM"),
    flag("cookies", "BRUNT_COOKIES"),
    value("allow", "BRUNT_ALLOW"),
    flag("once", "BRUNT_ONCE"),
    value("tags", "BRUNT_TAGS"),
    value("exclude-tags", "BRUNT_EXCLUDE_TAGS"),
    flag("tui", "BRUNT_TUI"),
    value("controller", "BRUNT_CONTROLLER"),
];

impl Args for NoneOfLater {
    fn augment_args(command: Command) -> Command {
        LATER.iter().fold(command, |command, later| command.arg(later.arg()))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl Later {
    fn arg(&self) -> Arg {
        let arg = Arg::new(self.long)
            .long(self.long)
            .short(self.short)
            .env(self.env)
            .help("Not in this build")
            .help_heading("Not in this build")
            .hide_short_help(true)
            .hide_env(true);
        if self.takes_value {
            arg.action(ArgAction::Append).value_name("VALUE")
        } else {
            arg.action(ArgAction::SetTrue).value_parser(BoolishValueParser::new())
        }
    }

    fn is_used(&self, matches: &ArgMatches) -> bool {
        if self.takes_value { matches.contains_id(self.long) } else { matches.get_flag(self.long) }
    }
}

impl FromArgMatches for NoneOfLater {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        match LATER.iter().find(|later| later.is_used(matches)) {
            None => Ok(Self),
            Some(later) => {
                let short = later.short.map_or_else(String::new, |short| format!("-{short}, "));
                let message = format!("{short}--{} is not in this build", later.long);
                Err(Error::raw(ErrorKind::UnknownArgument, message))
            }
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
