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

/// Is there one who can be shown more than lines, now?
pub(crate) fn is_viewable() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    is_watched() && !is_dumb && crate::tui::is_ours()
}

/// Does text on stdout get colour?
pub(crate) fn is_coloured(choice: ColorChoice) -> bool {
    wants_colour(choice, is_colour_refused(), std::io::stdout().is_terminal())
}

/// Does the terminal view, which is on stderr?
pub(crate) fn is_view_coloured(choice: ColorChoice) -> bool {
    wants_colour(choice, is_colour_refused(), is_watched())
}

fn is_colour_refused() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
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
