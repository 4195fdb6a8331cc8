//! Bodies of requests arrive whole, byte for byte, however they are framed.

use std::fs;
use std::time::Duration;

use brunt_tests::certificates::{Certificates, Holder};
use brunt_tests::garbage::{Act, Server};
use brunt_tests::nghttpd::Nghttpd;
use brunt_tests::nginx::{Nginx, Site};
use brunt_tests::turn;
use tempfile::TempDir;

use crate::{IO, agrees, completes, url};

const MIB: usize = 1 << 20;
/// nginx keeps what is put there: the test reads it back.
const STORES: &str = "location /put/ { dav_methods PUT; create_full_put_path on; client_max_body_size 4m; }";

/// A file in which each part differs from the others, so that nothing can be swapped unseen.
fn body(directory: &TempDir, size: usize) -> (String, Vec<u8>) {
    let bytes: Vec<u8> =
        (0u64..).flat_map(|number| (number * 0x9e37_79b9).to_le_bytes()).take(size).collect();
    let path = directory.path().join("body");
    fs::write(&path, &bytes).expect("a new directory is writable");
    (path.to_string_lossy().into_owned(), bytes)
}

/// Each request puts the same file; every answer says that it was stored, and what is there in the end is the body.
#[track_caller]
fn check(test: &str, cases: &[(&'static str, &str, &str)]) {
    let _turn = turn();
    let made = Certificates::make();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let sites = cases.iter().map(|(listen, ..)| match *listen {
        "" | "http2" => Site::new(listen, STORES),
        secure => Site::secure(secure, &made, Holder::Server, STORES),
    });
    let Some(nginx) = Nginx::with_sites_or_skip(test, &sites.collect::<Vec<_>>()) else { return };
    for (site, (listen, scheme, flags)) in cases.iter().enumerate() {
        let trust = if *scheme == "https" { format!("--cacert {}", made.authority()) } else { String::new() };
        for (io, size) in IO.into_iter().flat_map(|io| [1, 70_000, MIB].map(|size| (io, size))) {
            let (file, bytes) = body(&directory, size);
            let path = format!("put/{io}-{site}-{size}");
            let target = url(&nginx, site, scheme, &path);
            let args = format!("-n 12 -c 2 -m PUT -D {file} --io {io} {trust} {flags} {target}");
            let (measured, logged) = agrees(&nginx, &args, 12);
            let stored = logged.iter().all(|line| matches!(line.status, 201 | 204) && line.method == "PUT");
            assert!(stored, "{listen}: {:?}\n{}", logged[0], measured.story());
            assert!(nginx.stored(&path) == Some(bytes), "{listen} {flags}: stored otherwise than sent");
            let expects = flags.contains("--expect-continue");
            let asked = logged.iter().all(|line| (line.way.expect == "100-continue") == expects);
            assert!(asked, "{listen}: {:?}\n{}", logged[0], measured.story());
            assert!(measured.report.totals.bytes_out > 12 * size as u64, "{}", measured.story());
        }
    }
}

#[test]
fn with_their_length() {
    check(
        "with_their_length",
        &[
            ("", "http", ""),
            ("ssl", "https", ""),
            ("http2", "http", "--h2c -p 4"),
            ("ssl http2", "https", "--http2 -p 4"),
        ],
    );
}

#[test]
fn in_chunks() {
    check("in_chunks", &[("", "http", "--chunked"), ("ssl", "https", "--chunked")]);
}

/// HTTP/2 has frames instead of chunks; the option leaves the length out.
#[test]
fn without_their_length_over_http2() {
    let flags = [("http2", "http", "--h2c --chunked"), ("ssl http2", "https", "--http2 --chunked")];
    check("without_their_length_over_http2", &flags);
}

/// A server that said something may take its time before it answers; its head is not late by that.
#[test]
fn an_interim_answer_is_no_late_head() {
    let _turn = turn();
    let (early, head) = ("HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Le");
    let long = Act::Pause(Duration::from_millis(2_400));
    let later = Act::Pause(Duration::from_millis(50));
    for io in IO {
        let rest = Act::send("ngth: 2\r\n\r\nok");
        let script = [Act::send(early), long.clone(), Act::send(head), later.clone(), rest];
        let server = Server::start(&script);
        completes(&format!("-n 4 -c 4 --io {io} {}", server.url()), 4);
    }
}

#[test]
fn after_a_continue() {
    check(
        "after_a_continue",
        &[("", "http", "--expect-continue"), ("ssl", "https", "--expect-continue --chunked")],
    );
}

/// nginx sends no 100 in HTTP/2, nghttpd does; both get the body.
#[test]
fn after_a_continue_over_http2() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let name = "after_a_continue_over_http2";
    let Some(server) = Nghttpd::start_or_skip(name, None, &["--echo-upload"]) else { return };
    let (file, _) = body(&directory, 70_000);
    for io in IO {
        let args = format!("-n 12 -c 2 -p 2 -m POST -D {file} --expect-continue --io {io} --h2c");
        let measured = completes(&format!("{args} {}", server.url("100")), 12);
        assert!(measured.report.totals.bytes_in > 12 * 70_000, "{}", measured.story());
    }
}

/// A window of 64 KiB has to be opened again and again for each stream (RFC 9113 section 5.2), and what is sent comes
/// back. It is not smaller than what the server grants before its SETTINGS: then it could end streams for what was
/// sent before them (section 6.9.3).
#[test]
fn through_a_narrow_window() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let made = Certificates::make();
    let (file, _) = body(&directory, MIB);
    let trust = format!("--http2 --cacert {}", made.authority());
    for (certificates, flags) in [(None, "--h2c"), (Some(&made), trust.as_str())] {
        let options = ["--echo-upload", "-w", "16", "-W", "16"];
        let Some(server) = Nghttpd::start_or_skip("through_a_narrow_window", certificates, &options) else {
            return;
        };
        for io in IO {
            let args = format!("-n 8 -c 2 -p 2 -m POST -D {file} --io {io} {flags} {}", server.url("100"));
            let measured = completes(&args, 8);
            let t = &measured.report.totals;
            assert!(t.bytes_in > 8 << 20 && t.bytes_out > 8 << 20, "{}", measured.story());
        }
    }
}
