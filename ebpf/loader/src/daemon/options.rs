//! The command line. It is all that the loader reads from anybody but fixed messages.

use std::path::PathBuf;

use brunt_loader::grant::Grant;
use brunt_loader::session::SOCKET_PATH;

pub(crate) const HELP: &str = "\
Loads Brunt's kernel programs and hands their memory to load generators on this host.

Usage: brunt-loader [OPTIONS]

Options:
      --socket PATH         Where to listen [default: /run/brunt/loader.sock]; a socket from systemd goes before
      --allow CIDR[:PORTS]  What guarded processes may be allowed to reach; may be repeated
                            [default: 127.0.0.0/8 and [::1]]
      --reserve ADDR:PORT   A listening socket that they never may, such as a controller's; may be repeated
      --peer-uid UID        Who may ask, beside root; may be repeated
      --once                Serve the one peer at standard input, then end
  -h, --help                Print help
  -V, --version             Print version

SIGUSR1 is the kill switch: nothing leaves guarded processes any more. SIGTERM ends the loader; guards of processes
that still run stay, and are named.
";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) socket: PathBuf,
    pub(crate) once: bool,
    pub(crate) allow: Vec<Grant>,
    pub(crate) reserve: Vec<Grant>,
    pub(crate) peers: Vec<u32>,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Serve(Options),
    Print(String),
}

/// # Errors
/// A sentence for whoever typed it.
pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut options = Options {
        socket: PathBuf::from(SOCKET_PATH),
        once: false,
        allow: Vec::new(),
        reserve: Vec::new(),
        peers: Vec::new(),
    };
    while let Some(word) = words.next() {
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let mut value =
            || inline.clone().or_else(|| words.next()).ok_or_else(|| format!("{flag} needs a value"));
        match flag {
            "--socket" => options.socket = PathBuf::from(value()?),
            "--allow" => options.allow.push(grant("--allow", &value()?)?),
            "--reserve" => options.reserve.push(grant("--reserve", &value()?)?),
            "--peer-uid" => {
                let value = value()?;
                options
                    .peers
                    .push(value.parse().map_err(|_| format!("--peer-uid: '{value}' is no user id"))?);
            }
            "--once" => options.once = true,
            "-h" | "--help" => return Ok(Asked::Print(HELP.to_owned())),
            "-V" | "--version" => {
                return Ok(Asked::Print(format!("brunt-loader {}\n", env!("CARGO_PKG_VERSION"))));
            }
            _ => return Err(format!("unknown argument '{word}'; see brunt-loader --help")),
        }
    }
    if options.allow.is_empty() {
        options.allow = ["127.0.0.0/8", "[::1]"].iter().filter_map(|text| text.parse().ok()).collect();
    }
    Ok(Asked::Serve(options))
}

fn grant(flag: &str, text: &str) -> Result<Grant, String> {
    text.parse().map_err(|error| format!("{flag}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Asked, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    fn served(line: &str) -> Options {
        match parsed(line) {
            Ok(Asked::Serve(options)) => options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn without_flags_only_loopback_is_granted() {
        let options = served("");
        let granted: Vec<_> = options.allow.iter().map(ToString::to_string).collect();
        assert_eq!(granted, ["127.0.0.0/8", "[::1]/128"]);
        assert_eq!((options.socket.to_str(), options.once), (Some(SOCKET_PATH), false));
    }

    #[test]
    fn flags_are_taken_in_both_forms() {
        let options = served(
            "--allow=10.0.0.0/8:80 --allow 192.0.2.1 --reserve 10.0.0.5:8443 --peer-uid=7 --socket /x --once",
        );
        assert_eq!((options.allow.len(), options.reserve.len(), options.once), (2, 1, true));
        assert_eq!((options.peers, options.socket), (vec![7], PathBuf::from("/x")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, want) in [
            ("--allow", "--allow needs a value"),
            ("--allow localhost", "--allow: 'localhost' is no grant"),
            ("--peer-uid joe", "no user id"),
            ("--frobnicate", "unknown argument '--frobnicate'"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(want), "{line}: {error}");
        }
        assert!(matches!(parsed("--help"), Ok(Asked::Print(text)) if text.contains("--reserve")));
    }
}
