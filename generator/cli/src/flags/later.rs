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
    takes_value: bool,
}

const fn flag(long: &'static str, env: &'static str) -> Later {
    Later { long, env, takes_value: false }
}

const fn value(long: &'static str, env: &'static str) -> Later {
    Later { long, env, takes_value: true }
}

const LATER: [Later; 2] = [flag("once", "BRUNT_ONCE"), value("controller", "BRUNT_CONTROLLER")];

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
                let message = format!("--{} is not in this build", later.long);
                Err(Error::raw(ErrorKind::UnknownArgument, message))
            }
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
