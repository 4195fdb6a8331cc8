//! The same seed makes the same requests, on any number of cores.

use std::collections::BTreeMap;

use brunt_tests::nginx::Nginx;
use brunt_tests::turn;

use crate::Folder;

/// How often nginx logged each request.
type Logged = BTreeMap<String, u64>;

const FLOWS: &str = r#"
http: {ok_status: [2xx, 404]}
flows:
  browse:
    weight: 3
    steps:
      - {get: "/a/{{ pick(1, 1000000) }}", name: a}
      - random:
          - {weight: 2, steps: [{get: "/b/{{ random_text(8) }}", name: b}]}
          - {weight: 1, steps: [{think: 0ms..1ms}, {get: "/c/{{ uuid() }}", name: c}]}
      - if: pick(1, 2) == 1
        then: [{get: "/d/{{ counter() }}", name: d}]
  buy: [{get: "/e/{{ one_of(\"x\", \"y\") }}/{{ people.name }}", name: e}]
data: {people: {csv: people.csv, pick: random}}
"#;

fn requests(nginx: &Nginx, args: &str) -> Logged {
    let people = (0..50).fold("name\n".to_owned(), |text, row| text + &format!("p{row}\n"));
    let target = nginx.url("");
    let folder =
        Folder::new(&format!("target: {}{FLOWS}", target.trim_end_matches('/')), &[("people.csv", &people)]);
    let before = nginx.logged().len();
    let measured = folder.run(args).json();
    measured.expect_counts(0).expect_errors(&[]);
    assert_eq!(measured.report.totals.scheduled, 400, "{args}\n{}", measured.story());
    let logged = &nginx.logged()[before..];
    assert_eq!(logged.len() as u64, measured.report.totals.completed, "{args}\n{}", measured.story());
    let mut counts = Logged::new();
    for line in logged {
        *counts.entry(format!("{} {}", line.method, line.path)).or_insert(0) += 1;
    }
    counts
}

#[test]
fn a_seed_makes_the_same_requests_on_one_core_and_on_two() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("a_seed_makes_the_same_requests_on_one_core_and_on_two") else {
        return;
    };
    let first = requests(&nginx, "-c 8 -n 400 --cores 0 --seed 7");
    let kinds =
        |kind: &str| first.iter().filter(|(line, _)| line.starts_with(kind)).map(|(_, n)| n).sum::<u64>();
    let all = ["GET /a/", "GET /b/", "GET /c/", "GET /d/", "GET /e/"].map(kinds);
    assert!(all.iter().all(|count| *count > 20) && all[0] + all[4] == 400, "every way is taken: {all:?}");
    for args in [
        "-c 8 -n 400 --cores 0,1 --seed 7",
        "-c 3 -n 400 --cores 0,1 --seed 7 --io epoll",
        "-q 800 -n 400 --cores 0 --seed 7",
        "-q 800 -n 400 --cores 0,1 --seed 7",
    ] {
        assert_eq!(requests(&nginx, args), first, "{args}");
    }
    assert_ne!(requests(&nginx, "-c 8 -n 400 --cores 0 --seed 8"), first, "another seed makes others");
}
