//! `cargo xtask demo`: ten seconds of load on a real server of this machine, and the report.
//!
//! The target is nginx where it is installed, else `brunt origin`. It needs no privileges, keeps every file below
//! `target/demo`, listens on a loopback port of its own, and ends with this command.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cargo;
use crate::console::say;
use crate::failure::{Failure, no_arguments};
use crate::target::{self, Server};

/// A modest open-model load.
const LOAD: &str = "-q 2000 -z 10s -c 16";
/// What the target serves: 100 bytes.
const BODY: &str =
    "Brunt sends load and tells the truth about it. This page is 100 bytes long and lies in target/demo.\n";
const REPORT: &str = "target/demo/report.json";

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    no_arguments("demo", arguments)?;
    let root = cargo::root()?;
    say("== building brunt");
    let brunt = cargo::build("brunt-cli", "brunt", true)?;
    let directory = root.join("target/demo");
    prepare(&directory)?;
    let address = target::free_address()?;
    let apart = target::find_program("taskset").filter(|taskset| has_two_cpus(taskset));
    let _server = start_target(&brunt, &directory, address, apart.as_deref())?;
    let cores: &[&str] = if apart.is_some() { &["--cores", "1"] } else { &[] };
    let url = format!("http://{address}/");
    say(&format!("== brunt run {LOAD} -o text -o json={REPORT} {url}"));
    let status = Command::new(&brunt)
        .arg("run")
        .args(LOAD.split(' '))
        .args(cores)
        .args(["-o", "text", "-o", &format!("json={REPORT}"), &url])
        .current_dir(&root)
        .stdin(Stdio::null())
        .status()
        .map_err(|e| Failure::io("start brunt", &e))?;
    say(&format!("== the report as JSON: {REPORT}"));
    Ok(target::exit_code(status))
}

/// An empty directory with the page and the temporary directories of nginx.
fn prepare(directory: &Path) -> Result<(), Failure> {
    let fault = |e: std::io::Error| Failure::io(format_args!("prepare {}", directory.display()), &e);
    match std::fs::remove_dir_all(directory) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fault(e)),
        _ => {}
    }
    std::fs::create_dir_all(directory.join("www")).map_err(fault)?;
    std::fs::create_dir_all(directory.join("temporary")).map_err(fault)?;
    std::fs::write(directory.join("www/index.html"), BODY).map_err(fault)
}

/// CPU 1 for the engine and CPU 0, which most hosts use for their own work, for the target: apart, neither takes the other's time.
fn has_two_cpus(taskset: &Path) -> bool {
    ["0", "1"].iter().all(|cpu| {
        let mut command = Command::new(taskset);
        command.args(["-c", cpu, "true"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// The target's process, away from the engine where `taskset` was found to work.
fn target_process(program: &Path, apart: Option<&Path>) -> Command {
    let Some(taskset) = apart else { return target::child(program) };
    let mut command = target::child(taskset);
    command.args(["-c", "0"]).arg(program);
    command
}

/// nginx, and `brunt origin` where nginx is missing or does not start.
fn start_target(
    brunt: &Path,
    directory: &Path,
    address: SocketAddr,
    apart: Option<&Path>,
) -> Result<Server, Failure> {
    if let Some(nginx) = target::find_program("nginx") {
        say(&format!("== target: {} on {address}", nginx.display()));
        match start_nginx(target_process(&nginx, apart), directory, address) {
            Ok(server) => return Ok(server),
            Err(failure) => say(&format!("nginx is of no use here: {}", failure.message)),
        }
    }
    say(&format!("== target: brunt origin on {address}"));
    let port = address.port().to_string();
    let mut command = target_process(brunt, apart);
    command.args(["origin", "--port", &port]).stdin(Stdio::null()).stdout(Stdio::null());
    Server::start(&mut command, address)
}

fn start_nginx(mut command: Command, directory: &Path, address: SocketAddr) -> Result<Server, Failure> {
    std::fs::write(directory.join("nginx.conf"), nginx_configuration(address))
        .map_err(|e| Failure::io("write nginx.conf", &e))?;
    // -e: without it nginx first tries its log of the whole system, which only root may write.
    command.arg("-p").arg(directory).args(["-c", "nginx.conf", "-e", "error.log"]);
    Server::start(command.stdin(Stdio::null()), address)
}

/// Relative paths are below the prefix given by `-p`.
///
/// One process, no master: it stays the child that was started, and as root it keeps the right to read a clone that
/// only root may read.
fn nginx_configuration(address: SocketAddr) -> String {
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path temporary/body;
    proxy_temp_path temporary/proxy;
    fastcgi_temp_path temporary/fastcgi;
    uwsgi_temp_path temporary/uwsgi;
    scgi_temp_path temporary/scgi;
    types {{ text/html html; }}
    server {{
        listen {address};
        root www;
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::{BODY, nginx_configuration};
    use crate::target::free_address;

    #[test]
    fn the_page_has_the_size_it_tells() {
        assert_eq!(BODY.len(), 100);
    }

    #[test]
    fn nginx_gets_only_relative_paths() {
        let configuration = nginx_configuration(free_address().expect("a free port"));
        assert!(configuration.contains("listen 127.0.0.1:"));
        assert!(!configuration.contains(" /"), "{configuration}");
    }
}
