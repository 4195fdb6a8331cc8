//! Flags whose names are settled but which this build cannot do yet: using one is a clear error, never a silent
//! difference. They are one table rather than fields, since nothing ever reads their values.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// Proof that none of the flags below was used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoneOfLater;

struct Later {
    long: &'static str,
    env: &'static str,
}

const LATER: [Later; 1] = [Later { long: "controller", env: "BRUNT_CONTROLLER" }];

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
        Arg::new(self.long)
            .long(self.long)
            .env(self.env)
            .help("Not in this build")
            .help_heading("Not in this build")
            .hide_short_help(true)
            .hide_env(true)
            .action(ArgAction::Append)
            .value_name("VALUE")
    }
}

impl FromArgMatches for NoneOfLater {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        match LATER.iter().find(|later| matches.contains_id(later.long)) {
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
