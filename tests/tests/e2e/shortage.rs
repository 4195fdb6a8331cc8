//! What the host is short of: files and ports. A clear word or a classified outcome, never a panic.

use brunt_model::verdict::Status;
use brunt_tests::brunt::Brunt;
use brunt_tests::netns::Namespace;
use brunt_tests::origin::Origin;
use brunt_tests::{skip, turn};

use crate::IO;

/// Runs the command under this limit on open files, soft and hard.
fn under(limit: u32) -> [String; 3] {
    ["sh".to_owned(), "-c".to_owned(), format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]
}

#[test]
fn too_few_files_are_an_error_that_names_the_limit() {
    let _turn = turn();
    let origin = Origin::start("");
    for io in IO {
        let shell = under(64);
        let command = Brunt::new(&format!("run -c 500 -z 2s --io {io} {}", origin.url("")));
        let ended = command.wrapped(&shell.each_ref().map(String::as_str)).run();
        ended.expect_code(5).expect_on_stderr(&["open files", "64", "connections"]);
        assert!(ended.stderr.lines().count() <= 2, "one line\n{}", ended.story());
    }
}

/// Brunt raises the soft limit by itself, up to the hard one.
#[test]
fn the_soft_limit_on_files_is_raised() {
    let _turn = turn();
    let origin = Origin::start("");
    let script = "ulimit -S -n 64 && exec \"$0\" \"$@\"";
    let command = Brunt::new(&format!("run -c 200 -n 1k {}", origin.url("")));
    let measured = command.wrapped(&["sh", "-c", script]).json();
    assert!(matches!(measured.ended.code, Some(0 | 4)), "{}", measured.story());
    measured.expect_errors(&[]);
    assert_eq!(measured.report.totals.completed, 1_000, "{}", measured.story());
}

#[test]
fn exhausted_source_ports_are_counted_and_make_it_invalid() {
    let _turn = turn();
    let name = "exhausted_source_ports_are_counted_and_make_it_invalid";
    if !skip::has_program("sysctl") {
        return skip::skip(name, "needs the program sysctl (procps)");
    }
    for io in IO {
        // A new one each time: ports of connections that have just ended stay taken for a while.
        let Some(namespace) = Namespace::make_or_skip(name) else { return };
        namespace.run(&["sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40015"]);
        let wrapper = namespace.wrapper();
        let origin = Origin::start_wrapped(&wrapper, "");
        let command = Brunt::new(&format!("run -c 64 -z 1s --io {io} {}", origin.url("")));
        let measured = command.wrapped(&wrapper).json();
        let no_port = measured.errors("no_port");
        measured.expect(4).expect_errors(&[("no_port", no_port)]);
        let report = &measured.report;
        assert!(no_port > 0, "{}", measured.story());
        assert_eq!((report.verdict.status, report.totals.connections_opened), (Status::Invalid, 16));
        let named = report.verdict.reasons.iter().any(|reason| reason.contains("local ports ran out"));
        assert!(named, "{}", measured.story());
    }
}
