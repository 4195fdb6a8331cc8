pub(in super::super) mod strategies;

use super::super::fault::Faults;
use super::super::read;
use super::super::tree::parse;
use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(source: &str, want: &str) {
    let file = read(source).unwrap_or_else(|faults| panic!("{source}: {faults:?}"));
    assert_eq!(write(&file), want);
    assert_eq!(read(want), Ok(file));
}

#[test]
fn what_is_default_is_left_out() {
    check("{}", "{}\n");
    check("{http: {}, vars: {}, load: {phases: []}}", "load: []\n");
    check("flows: {a: {steps: []}}\non_stop: []", "flows:\n  a: []\n");
    check(
        "load: [{replay: {log: a, format: combined, speed: 1x}, warmup: false}]",
        "load:\n  - replay:\n      log: a\n",
    );
}

#[test]
fn steps_are_written_in_blocks() {
    check(
        "{target: 'http://h', flows: {a: [{get: '/{{ x }}', tags: ['a', 'b'], \
         check: [status == 200, {that: 'a ~ \"b: c\"', name: n}]}, \
         {if: a, then: [{think: 1000ms..2s}], else: [{random: [{weight: 1, steps: []}]}]}]}, \
         load: {points: [[0s, 0], [90s, 500]]}}",
        r#"target: http://h
load:
  - points:
      - [0s, 0/s]
      - [90s, 500/s]
flows:
  a:
    - get: /{{ x }}
      tags: [a, b]
      check:
        - status == 200
        - that: 'a ~ "b: c"'
          name: n
    - if: a
      then:
        - think: 1s..2s
      else:
        - random:
            - steps: []
"#,
    );
}

#[test]
fn texts_are_quoted_where_they_would_read_differently() {
    for (text, want) in [
        ("plain words", "plain words"),
        ("Bearer {{ secret.KEY }}", "Bearer {{ secret.KEY }}"),
        ("{{ id }}", "\"{{ id }}\""),
        ("5", "\"5\""),
        ("true", "\"true\""),
        ("", "\"\""),
        ("~", "\"~\""),
        ("a: b", "\"a: b\""),
        ("a #b", "\"a #b\""),
        ("a#b:c", "a#b:c"),
        ("- a", "\"- a\""),
        ("-a", "-a"),
        (" a", "\" a\""),
        ("say \"it's\"", "say \"it's\""),
        ("\"it's\": \\d", "'\"it''s\": \\d'"),
        ("a\tb", "\"a\\tb\""),
        ("a\nb", "|-\n    a\n    b"),
        ("a\n\n b\n", "|\n    a\n\n     b"),
        ("\na", "\"\\na\""),
        ("a \nb", "\"a \\nb\""),
        ("\u{1b}\u{2028}ü", "\"\\u001b\\u2028ü\""),
    ] {
        let file = File {
            vars: vec![(String::from("v").into(), Scalar::Text(text.to_owned().into()))],
            ..File::default()
        };
        let written = write(&file);
        assert_eq!(written, format!("vars:\n  v: {want}\n"));
        assert_eq!(read(&written), Ok(file));
    }
}

#[test]
fn quantities_keep_their_value() {
    for (nanos, want) in [(0, "0s"), (90_000_000_000, "90s"), (7_200_000_000_000, "2h"), (1_500, "1500ns")] {
        assert_eq!(duration_text(Nanos(nanos)), want);
    }
    for (thousandths, want) in
        [(0, "0/s"), (500, "0.5/s"), (1_005, "1.005/s"), (10_000_000_000, "10000000/s")]
    {
        assert_eq!(rate_text(Rate(thousandths)), want);
    }
}

/// Whether the content of each value stands where its place says.
fn stands_there(node: &Node, lines: &[&str]) -> bool {
    match node {
        Node::Leaf(leaf) => {
            let (line, column) = (leaf.at.line as usize - 1, leaf.at.column as usize - 1);
            let before: String = lines[line].chars().take(column).collect();
            let from: String = lines[line].chars().skip(column).collect();
            match leaf.style {
                Style::Plain if leaf.is_secret => from.starts_with("!secret"),
                Style::Plain => from.starts_with(&leaf.text),
                Style::Quoted => before.ends_with(['"', '\'']),
                Style::Block => from == leaf.text.lines().next().unwrap_or_default(),
            }
        }
        Node::List(nodes, _) => nodes.iter().all(|node| stands_there(node, lines)),
        Node::Map(entries, _) => entries
            .iter()
            .all(|(key, node)| stands_there(&Node::Leaf(key.clone()), lines) && stands_there(node, lines)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_reads_as_the_same(file in strategies::file()) {
        let written = write(&file);
        let read = match read(&written) {
            Ok(read) => read,
            Err(faults) => return Err(TestCaseError::fail(format!("{faults:?}\n{written}"))),
        };
        prop_assert_eq!(&read, &file, "{}", written);
        prop_assert_eq!(write(&read), written);
    }

    #[test]
    fn places_are_those_of_the_content(file in strategies::file()) {
        let written = write(&file);
        let tree = parse(&written, &mut Faults::default());
        let lines: Vec<&str> = written.split('\n').collect();
        prop_assert!(tree.is_some_and(|tree| stands_there(&tree, &lines)), "{}", written);
    }

    #[test]
    fn whatever_is_read_does_no_harm(source in "[\\[\\]{}:,'\"|>#&*!?\\-\n a-c0-9.~/%]{0,120}") {
        if let Ok(file) = read(&source) {
            prop_assert_eq!(read(&write(&file)), Ok(file));
        }
    }
}
