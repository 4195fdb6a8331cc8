//! Completions and man pages, from the same definition as the flags.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::error::CommandError;
use crate::exit::Exit;
use crate::flags::Cli;
use crate::output::write;

pub(crate) fn completions(shell: Shell) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "brunt", &mut script);
    print(&script)
}

/// One file each into the folder, or all of them to stdout.
pub(crate) fn pages(folder: Option<&Path>) -> Result<Exit, CommandError> {
    match folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .map_err(CommandError::system("making the folder of the man pages"))?;
            clap_mangen::generate_to(Cli::command(), folder)
                .map_err(CommandError::system("writing the man pages"))?;
            Ok(Exit::Pass)
        }
        None => print(&all_pages().map_err(CommandError::system("rendering the man pages"))?),
    }
}

fn all_pages() -> std::io::Result<Vec<u8>> {
    let mut root = Cli::command();
    root.build();
    let mut pages = Vec::new();
    let shown = root.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    for command in std::iter::once(root.clone()).chain(shown) {
        Man::new(command).render(&mut pages)?;
    }
    Ok(pages)
}

fn print(bytes: &[u8]) -> Result<Exit, CommandError> {
    write::to_stdout(&String::from_utf8_lossy(bytes)).map_err(CommandError::system("writing to stdout"))?;
    Ok(Exit::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let pages = String::from_utf8(all_pages().unwrap()).unwrap();
        for name in [
            "brunt",
            "brunt-run",
            "brunt-check",
            "brunt-plan",
            "brunt-import",
            "brunt-schema",
            "brunt-report",
            "brunt-doctor",
            "brunt-origin",
            "brunt-completions",
        ] {
            assert!(pages.contains(&format!(".TH {name} 1 ")), "{name}");
        }
        assert!(!pages.contains(".TH brunt-man"));
    }
}
