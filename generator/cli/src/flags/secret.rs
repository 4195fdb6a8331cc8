//! Values that hold a password: what is wrong with one is said without repeating it, since errors end up in logs.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

/// Parses by [`FromStr`], as clap does by itself, but for the error.
#[derive(Clone)]
pub(super) struct Secret<T>(PhantomData<T>);

impl<T> Secret<T> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> TypedValueParser for Secret<T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let parsed = value.to_str().ok_or_else(|| "it is not UTF-8".to_owned()).and_then(str::parse);
        parsed.map_err(|why| {
            let flag = arg.map(ToString::to_string).unwrap_or_default();
            Error::raw(ErrorKind::ValueValidation, format!("invalid value for '{flag}': {why}\n"))
                .with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::flags::Cli;

    #[test]
    fn an_error_names_the_flag_and_not_the_password() {
        for (flag, value, want) in [
            ("--proxy", "http://me:cret@p:1/x", "nothing may follow the port"),
            ("-a", "cret", "it is not user:password"),
        ] {
            let error = Cli::try_parse_from(["brunt", "run", flag, value, "http://h/"]).expect_err(value);
            let shown = error.to_string();
            assert!(shown.contains(want) && !shown.contains("cret") && error.exit_code() == 2, "{shown}");
        }
    }
}
