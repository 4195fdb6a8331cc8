//! What is said to a person: notices on stderr, colour where it is wanted.
//!
//! Results go to stdout by way of [`crate::output::write`]. A reader that went away is never an error here.

use std::io::{IsTerminal as _, Write as _};

use crate::flags::ColorChoice;

/// One line to stderr.
pub(crate) fn say(line: &str) {
    // Nobody may be listening, and there is no other place to say so.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Is there a person at stderr?
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Does text on stdout get colour?
pub(crate) fn is_coloured(choice: ColorChoice) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    wants_colour(choice, no_color, std::io::stdout().is_terminal())
}

/// `NO_COLOR` (no-color.org) speaks only where the user did not.
fn wants_colour(choice: ColorChoice, no_color: bool, is_terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => is_terminal && !no_color,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_people_who_did_not_refuse_it() {
        for (choice, no_color, is_terminal, want) in [
            (ColorChoice::Auto, false, true, true),
            (ColorChoice::Auto, true, true, false),
            (ColorChoice::Auto, false, false, false),
            (ColorChoice::Always, true, false, true),
            (ColorChoice::Never, false, true, false),
        ] {
            assert_eq!(
                wants_colour(choice, no_color, is_terminal),
                want,
                "{choice:?} {no_color} {is_terminal}"
            );
        }
    }
}
