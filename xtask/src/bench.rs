//! `cargo xtask bench`: builds and runs one of the programs of the package `brunt-benches`.

use std::process::Command;

use crate::cargo;
use crate::failure::Failure;
use crate::target;

/// What can be measured; each is a program of that name.
const BENCHES: [&str; 3] = ["peers", "runtimes", "icount"];

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    let (name, rest) = choose(arguments)?;
    let brunt = match name {
        "peers" => {
            // It is looked for beside brunt.
            cargo::build("brunt-loader", "brunt-loader", true)?;
            Some(cargo::build("brunt-cli", "brunt", true)?)
        }
        _ => None,
    };
    let program = cargo::build("brunt-benches", name, true)?;
    let mut command = Command::new(&program);
    command.args(rest).current_dir(cargo::root()?);
    if let Some(brunt) = brunt {
        command.env("BRUNT_BIN", brunt);
    }
    let status =
        command.status().map_err(|e| Failure::io(format_args!("start {}", program.display()), &e))?;
    Ok(target::exit_code(status))
}

/// The bench and its arguments. Arguments alone belong to the peers.
fn choose(arguments: &[String]) -> Result<(&str, &[String]), Failure> {
    match arguments.split_first() {
        None => Ok((BENCHES[0], arguments)),
        Some((word, _)) if word.starts_with('-') => Ok((BENCHES[0], arguments)),
        Some((word, rest)) => {
            BENCHES.iter().find(|name| *name == word).map(|name| (*name, rest)).ok_or_else(|| {
                Failure::usage(format!("there is no bench `{word}`; the benches are {}", BENCHES.join(", ")))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn a_bench_is_chosen_by_its_first_word() {
        let words = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        assert_eq!(choose(&[]).expect("default").0, "peers");
        let given = words("--pairs 3");
        assert_eq!(choose(&given).expect("arguments alone"), ("peers", &given[..]));
        let given = words("icount --all");
        assert_eq!(choose(&given).expect("known"), ("icount", &given[1..]));
        assert!(choose(&words("speed")).expect_err("unknown").message.contains("peers, runtimes"));
    }
}
