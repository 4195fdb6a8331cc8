//! Each planted fault flips the verdict and names itself; a clean run passes without a word.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use brunt_model::verdict::Status;
use brunt_tests::brunt::{Brunt, Measured, measure};
use brunt_tests::clean::quiet;
use brunt_tests::garbage::{Act, Server, wait_for_requests};
use brunt_tests::hog::Hog;
use brunt_tests::listen_queue::ListenQueue;
use brunt_tests::loss::{Loss, Lost};
use brunt_tests::netns::{Namespace, Pair};
use brunt_tests::nginx::Nginx;
use brunt_tests::origin::Origin;
use brunt_tests::paused::Paused;
use brunt_tests::port_range::PortRange;
use brunt_tests::truth;
use brunt_tests::turn;

use crate::note;

const TRUTH: &str = env!("CARGO_BIN_EXE_brunt-truth");
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The run is invalid, and one of its reasons at least names the cause.
#[track_caller]
fn expect_invalid(fault: &str, measured: &Measured, cause: &str) {
    let verdict = &measured.expect(4).report.verdict;
    assert_eq!(verdict.status, Status::Invalid, "{fault}\n{}", measured.story());
    let named = verdict.reasons.iter().find(|reason| reason.contains(cause));
    let named = named.unwrap_or_else(|| panic!("{fault}: no reason names '{cause}'\n{}", measured.story()));
    note(&format!("fault | {fault} | invalid | {named}"));
}

fn inside(namespace: &Namespace, args: &str) -> Brunt {
    let wrapper = namespace.network_wrapper();
    Brunt::new(&format!("run --kernel on {args}")).wrapped(&wrapper.each_ref().map(String::as_str))
}

#[test]
fn a_clean_run_with_stamps_passes_without_a_word() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("a_clean_run_with_stamps_passes_without_a_word") else { return };
    for load in ["-q 500 -z 2s", "-c 16 -z 2s"] {
        let measured = quiet(|| measure(&format!("{load} --cores 0 --kernel on {}", nginx.url("100"))));
        let verdict = &measured.expect(0).report.verdict;
        let said = (verdict.status, verdict.reasons.len(), verdict.marks.len());
        assert_eq!(said, (Status::Pass, 0, 0), "{load}\n{}", measured.story());
        note(&format!("fault | none ({load}) | pass |"));
    }
}

#[test]
fn a_hog_on_the_engines_core() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("a_hog_on_the_engines_core") else { return };
    let hog = Hog::on_core(0, 6);
    let measured =
        measure(&format!("-q 2000 -z 2s --cores 0 --pace precise --kernel on {}", nginx.url("100")));
    drop(hog);
    expect_invalid("six spinning threads on the engine's core", &measured, "run-queue delay");
}

#[test]
fn a_stopped_engine() {
    let _turn = turn();
    let server = Server::start(&[Act::send(ANSWER)]);
    let run = Brunt::new(&format!("run -q 200 -z 3s --cores 0 --kernel on {}", server.url())).start_json();
    wait_for_requests(&server, 50);
    Paused::stop(run.engine(), Duration::from_millis(700)).wait();
    expect_invalid("SIGSTOP of the engine for 700 ms", &run.finish(), "the engine was paused for");
}

#[test]
fn a_thousand_ports() {
    let _turn = turn();
    let Some(namespace) = Namespace::make_or_skip("a_thousand_ports") else { return };
    let _range = PortRange::narrow(&namespace, 1_000);
    let wrapper = namespace.network_wrapper();
    let origin = Origin::start_wrapped(&wrapper.each_ref().map(String::as_str), "");
    let measured = inside(&namespace, &format!("-c 1100 -z 1s {}", origin.url(""))).json();
    assert!(measured.errors("no_port") > 0, "{}", measured.story());
    expect_invalid("1,000 local ports for 1,100 connections", &measured, "local ports ran out");
}

#[test]
fn a_limit_on_files_in_mid_run() {
    let _turn = turn();
    let server = Server::start(&[Act::send(ANSWER)]);
    let args = format!("run -q 300 -z 2s --disable-keepalive --kernel on {}", server.url());
    let run = Brunt::new(&args).start_json();
    wait_for_requests(&server, 100);
    // Its user may lower its limits, and root that lacks CAP_SYS_RESOURCE may not.
    let script = format!("prlimit --pid {} --nofile=3:3", run.engine().as_raw_nonzero());
    let as_its_user = ["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", &script];
    let status = Command::new("setpriv").args(as_its_user).status().expect("setpriv starts");
    assert!(status.success(), "its limit cannot be lowered: {status}");
    let measured = run.finish();
    assert!(measured.errors("no_fd") > 0, "{}", measured.story());
    expect_invalid("a limit of 3 open files", &measured, "file descriptors ran out");
}

#[test]
fn a_slow_reader() {
    let _turn = turn();
    let mut origin = truth::Origin::start(Path::new(TRUTH), "--core 1 --delay-us 5000");
    let args = format!("-c 2 -z 2s --cores 0 --late-reads 3ms --kernel on {}", origin.url(""));
    let measured = measure(&args);
    assert!(origin.report().count > 0, "{}", measured.story());
    expect_invalid("answers read 3 ms late", &measured, "responses sat in the socket for");
}

#[test]
fn lost_packets() {
    let _turn = turn();
    let test = "lost_packets";
    let Some(pair) = Pair::make_or_skip(test) else { return };
    let wrapper = pair.server().network_wrapper();
    let server =
        Origin::start_wrapped(&wrapper.each_ref().map(String::as_str), &format!("--host {}", Pair::SERVER));
    let Some(loss) = Loss::plant_or_skip(test, pair.server(), Lost::Every(50)) else { return };
    let url = format!("http://{}:{}/", Pair::SERVER, server.port());
    let measured = inside(pair.client(), &format!("-c 16 -z 3s {url}")).json();
    assert!(loss.packets() > 0, "{}", measured.story());
    let again = measured.report.totals.retransmits;
    assert!(again >= loss.packets(), "{again} sent again, {} lost\n{}", loss.packets(), measured.story());
    expect_invalid("every 50th request lost (nftables)", &measured, "segments were sent again");
}

/// From another host its queue cannot be looked at, and on this one it can.
#[test]
fn a_full_listen_queue() {
    let _turn = turn();
    let Some(pair) = Pair::make_or_skip("a_full_listen_queue") else { return };
    for (client, address, cause) in [
        (pair.client(), Pair::SERVER.to_string(), "the target's listen queue was full or SYNs were lost"),
        (pair.server(), "127.0.0.1".to_owned(), "listen drops: a full queue on this host"),
    ] {
        let queue = ListenQueue::fill(pair.server()).accept_after(Duration::from_millis(500));
        let url = format!("http://{address}:{}/", queue.port());
        let measured = inside(client, &format!("-c 6 -z 4s {url}")).json();
        assert!(measured.report.totals.syn_retransmits >= 3, "{}", measured.story());
        expect_invalid(&format!("a full listen queue at {address}"), &measured, cause);
    }
}

#[test]
fn an_overflowed_log() {
    let _turn = turn();
    // It answers each stream by a segment of its own, and all at about the same time.
    let origin = truth::Origin::start(Path::new(TRUTH), "--core 1 --delay-us 2000");
    let load = "-c 1 -p 200 --h2c -z 2s --cores 0 --late-reads 10ms --kernel on";
    let args = format!("{load} {}", origin.url(""));
    let measured = measure(&args);
    assert!(measured.report.kernel.overwritten > 0, "{}", measured.story());
    expect_invalid("more segments than the log holds between two reads", &measured, "log overflowed");
}
