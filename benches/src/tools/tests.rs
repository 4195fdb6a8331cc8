//! What each tool really prints, shortened where nothing is read.

use super::*;

fn check(tool: &str, output: &str, completed: u64, failed: u64) {
    let tool = TOOLS.iter().find(|candidate| candidate.name == tool).expect("the tool is known");
    assert_eq!((tool.counts)(output), Some(Counts { completed, failed }), "{}: {output}", tool.name);
}

#[test]
fn wrk_and_wrk2() {
    let clean = "Running 1s test @ http://127.0.0.1:18099/100
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    64.51us   41.11us   1.45ms   94.12%
    Req/Sec    53.28k     4.82k   61.74k    81.82%
  58223 requests in 1.10s, 18.77MB read
Requests/sec:  52936.40
Transfer/sec:     17.06MB
";
    check("wrk", clean, 58_223, 0);
    check("wrk2", &clean.replace("in 1.10s", "in 999.99ms"), 58_223, 0);
    let errors = "  25278 requests in 1.00s, 7.42MB read
  Socket errors: connect 1, read 20, write 300, timeout 4000
  Non-2xx or 3xx responses: 50000
";
    check("wrk", errors, 25_278, 50_321);
}

#[test]
fn h2load_timed_runs() {
    let clean = "Main benchmark duration is over for thread #0. Stopping all clients.

finished in 1.00s, 47161.00 req/s, 15.20MB/s
requests: 47161 total, 47165 started, 47161 done, 47161 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 47161 2xx, 0 3xx, 0 4xx, 0 5xx
";
    check("h2load", clean, 47_161, 0);
    let errors =
        "requests: 100 total, 100 started, 90 done, 60 succeeded, 30 failed, 10 errored, 0 timeout\n";
    check("h2load", errors, 60, 40);
}

#[test]
fn oha_text() {
    let clean = "Summary:
  Success rate:\t100.00%
  Total:\t2.0012 secs
  Requests/sec:\t42012.2929

Response time histogram:
  0.000 [1]     |
  0.001 [84072] |■■■■■■■■■

Status code distribution:
  [200] 84010 responses

Error distribution:
  [64] aborted due to deadline
";
    check("oha", clean, 84_010, 0);
    let errors = clean.replace("[64] aborted due to deadline", "[7] connection refused\n  [2] reset");
    check("oha", &errors.replace("[200] 84010 responses", "[200] 10 responses\n  [503] 5 responses"), 10, 14);
}

#[test]
fn hey_counts_errors_apart() {
    let clean = "
Summary:
  Total:\t1.0022 secs
  Slowest:\t0.0058 secs
  Requests/sec:\t46964.5034
  
  Total data:\t4706900 bytes

Response time histogram:
  0.000 [1]\t|
  0.001 [47031]\t|■■■■

Status code distribution:
  [200]\t47069 responses



";
    check("hey", clean, 47_068, 0);
    check("hey", &clean.replace("[200]\t47069", "[404]\t60"), 47_008, 60);
    let refused =
        "Error distribution:\n  [47068]\tGet \"http://127.0.0.1:1/x\": connect: connection refused\n";
    check("hey", &clean.replace("  [200]\t47069 responses", refused), 0, 47_068);
}

#[test]
fn ab_with_and_without_failures() {
    let clean = "Concurrency Level:      4
Time taken for tests:   1.000 seconds
Complete requests:      77416
Failed requests:        0
Keep-Alive requests:    77416
";
    check("ab", clean, 77_416, 0);
    check("ab", &clean.replace("Keep-Alive", "Non-2xx responses:      77416\nKeep-Alive"), 0, 77_416);
    let failed =
        clean.replace("requests:        0", "requests:        7\n   (Connect: 0, Receive: 0, Length: 7)");
    check("ab", &failed, 77_409, 7);
}

#[test]
fn an_answer_without_figures_is_no_count() {
    for tool in &TOOLS {
        assert_eq!(
            (tool.counts)("unable to connect to 127.0.0.1:1 Connection refused"),
            None,
            "{}",
            tool.name
        );
    }
}

const LOAD: Load<'_> =
    Load { connections: 77, seconds: 13, url: "http://127.0.0.1:1/x", rate: None, shape: Shape::KeepAlive };

fn arguments(tool: &Tool, load: &Load<'_>) -> String {
    (tool.arguments)(load).map_or_else(String::new, |arguments| arguments.join(" "))
}

#[test]
fn every_tool_is_called_with_the_load() {
    for tool in &TOOLS {
        let arguments = arguments(tool, &LOAD);
        assert!(arguments.contains("77") && arguments.contains("13"), "{}: {arguments}", tool.name);
        assert!(arguments.ends_with(LOAD.url), "{}: {arguments}", tool.name);
    }
    let open = arguments(&TOOLS[1], &Load { rate: Some(20_000), ..LOAD });
    assert!(open.contains("-R20000"), "{open}");
}

#[test]
fn a_tool_is_asked_only_for_shapes_that_it_can_make() {
    let made = |shape| {
        let load = Load { shape, ..LOAD };
        let made = TOOLS.iter().filter_map(|tool| Some((tool.name, (tool.arguments)(&load)?.join(" "))));
        made.collect::<Vec<_>>()
    };
    for (shape, expected) in [
        (Shape::Streams(9), vec![("h2load", "-m9 "), ("oha", "--http2 -p 9 ")]),
        (Shape::Close, vec![("wrk", "-H Connection: close "), ("oha", "--disable-keepalive ")]),
        (Shape::AtOnce, vec![("h2load", "-c77 -n77 ")]),
    ] {
        let made = made(shape);
        let names: Vec<_> = made.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{shape:?}");
        for ((name, line), (_, word)) in made.iter().zip(&expected) {
            assert!(line.contains(word), "{name}: {line}");
        }
    }
}
