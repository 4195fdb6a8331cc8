//! YAML 1.2 (of which JSON is a subset) to a tree whose parts know their places.
//!
//! The parser's events become a tree of bounded size and depth, whoever wrote the file: budgets come before
//! anything is kept, and what could make a short file large (anchors, aliases, merge keys) is refused. So is
//! what would make a file read differently elsewhere: tags, double keys, several documents, control
//! characters.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};

use super::Place;
use super::fault::{Fault, Faults, Shown};

/// Far more than a person writes. Data belongs into files of its own.
pub const SOURCE_BYTES_MAX: usize = 256 << 10;
/// Deeper, nobody finds the place that an error names; and readers go down as deep.
pub(super) const DEPTH_MAX: usize = 32;
/// Bounds memory at some 10 MiB.
pub(super) const NODES_MAX: usize = 100_000;
/// A key is a name. YAML bounds keys without `?` at 1,024 (YAML 1.2.2 section 7.4.2), and this fits in that
/// even if each character is written as an escape of six.
const KEY_CHARS_MAX: usize = 128;

/// A part of the file.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node {
    Leaf(Leaf),
    List(Vec<Node>, Place),
    /// In the order of the file; no two keys have the same text.
    Map(Vec<(Leaf, Node)>, Place),
}

/// A text, a number, or the like.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Leaf {
    pub(super) text: String,
    pub(super) style: Style,
    /// It has the tag `!secret`.
    pub(super) is_secret: bool,
    /// Of the first character of its content, behind quotes and the like.
    pub(super) at: Place,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Style {
    /// May mean a number, a boolean or null.
    Plain,
    /// Always a text.
    Quoted,
    /// Always a text, in lines of its own.
    Block,
}

impl Node {
    pub(super) const fn at(&self) -> Place {
        match self {
            Self::Leaf(leaf) => leaf.at,
            Self::List(_, at) | Self::Map(_, at) => *at,
        }
    }
}

/// Reads the one document of a source. Without a tree there is a fault; with a tree there can be as well.
pub(super) fn parse(source: &str, faults: &mut Faults) -> Option<Node> {
    let parsed = checked(source).and_then(|source| {
        let mut builder = Builder { faults, open: Vec::new(), root: None, nodes: 0 };
        builder.run(source)?;
        builder.root.ok_or_else(|| Fault {
            at: Place { line: 1, column: 1 },
            what: "the file is empty".into(),
            mend: "write at least target, flows and load".into(),
        })
    });
    match parsed {
        Ok(node) => Some(node),
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

/// The source without its byte order mark, if it has a fitting length and none but printable characters. The
/// parser takes a NUL for the end of the file, and would not see what stands behind it.
fn checked(source: &str) -> Result<&str, Fault> {
    let first = Place { line: 1, column: 1 };
    if source.len() > SOURCE_BYTES_MAX {
        return Err(Fault {
            at: first,
            what: format!("the file has {} bytes, {SOURCE_BYTES_MAX} are allowed", source.len()),
            mend: "move rows into a file that `data` names, and bodies into files that `file` names".into(),
        });
    }
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut at = first;
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        let is_line_break = c == '\n' || (c == '\r' && chars.peek() == Some(&'\n'));
        if !is_line_break && c != '\t' && (c.is_control() && c != '\u{85}' || c == '\u{feff}') {
            return Err(Fault {
                at,
                what: format!("the character {} cannot stand in YAML", c.escape_unicode()),
                mend: "leave it out, or write it as \\u and its four digits in double quotes".into(),
            });
        }
        at = if c == '\n' {
            Place { line: at.line + 1, column: 1 }
        } else {
            Place { column: at.column + 1, ..at }
        };
    }
    Ok(source)
}

/// A list or map whose end has not come yet.
enum Open {
    List(Vec<Node>, Place),
    Map { entries: Vec<(Leaf, Node)>, key: Option<Leaf>, places: BTreeMap<String, Place>, at: Place },
}

struct Builder<'a> {
    faults: &'a mut Faults,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

impl Builder<'_> {
    fn run(&mut self, source: &str) -> Result<(), Fault> {
        let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(source);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| Fault {
                at: place(error.marker()),
                what: format!("this is not YAML: {}", error.info()),
                mend: "look at the indentation, quotes and brackets here and in the line above".into(),
            })?;
            self.event(event, place(&span.start))?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, at: Place) -> Result<(), Fault> {
        match event {
            Event::Alias(_) => Err(repeated(at)),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                Err(repeated(at))
            }
            Event::DocumentStart(_) if self.root.is_some() => Err(Fault {
                at,
                what: "a second document begins here".into(),
                mend: "write it into a file of its own".into(),
            }),
            Event::Scalar(text, style, _, tag) => {
                let is_secret = self.is_secret(tag.as_deref(), at);
                let (style, at) = content(style, tag.is_some(), at);
                self.close(Node::Leaf(Leaf { text: text.into_owned(), style, is_secret, at }))
            }
            Event::SequenceStart(_, tag) => {
                self.no_tag(tag.as_deref(), at);
                self.begin(Open::List(Vec::new(), at), at)
            }
            Event::MappingStart(_, tag) => {
                self.no_tag(tag.as_deref(), at);
                self.begin(Open::Map { entries: Vec::new(), key: None, places: BTreeMap::new(), at }, at)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(nodes, at)) => self.close(Node::List(nodes, at)),
                Some(Open::Map { entries, at, .. }) => self.close(Node::Map(entries, at)),
                None => Ok(()),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, at: Place) -> Result<(), Fault> {
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(Fault {
                at,
                what: "a key must be a text, but here is a list or map".into(),
                mend: "quote the key if it begins with [ or {, or write {{ ... }} in quotes".into(),
            });
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Fault {
                at,
                what: format!("lists and maps are nested deeper than {DEPTH_MAX} levels here"),
                mend: "make groups of steps flatter, or move a body into a file that `file` names".into(),
            });
        }
        self.open.push(open);
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn close(&mut self, node: Node) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Fault {
                at: node.at(),
                what: format!("the file has more than {NODES_MAX} values"),
                mend: "move rows into a file that `data` names".into(),
            });
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(nodes, _)) => nodes.push(node),
            Some(Open::Map { entries, key, places, .. }) => match (key.take(), node) {
                (Some(key), node) => {
                    if is_new(&key, places, self.faults) {
                        entries.push((key, node));
                    }
                }
                (None, Node::Leaf(leaf)) => *key = Some(leaf),
                // `begin` let no list or map be a key.
                (None, Node::List(..) | Node::Map(..)) => {}
            },
        }
        Ok(())
    }

    fn is_secret(&mut self, tag: Option<&Tag>, at: Place) -> bool {
        let is_secret = tag.is_some_and(|tag| tag.handle == "!" && tag.suffix == "secret");
        if !is_secret {
            self.no_tag(tag, at);
        }
        is_secret
    }

    fn no_tag(&mut self, tag: Option<&Tag>, at: Place) {
        if let Some(tag) = tag {
            let tag = tag.to_string();
            self.faults.add(
                at,
                format!("the tag {} is not known", Shown(&tag)),
                "leave it out: !secret NAME is the only tag, and a text is made sure of by quotes",
            );
        }
    }
}

/// Whether a key can stand in its map.
fn is_new(key: &Leaf, places: &mut BTreeMap<String, Place>, faults: &mut Faults) -> bool {
    if key.is_secret {
        faults.add(key.at, "a key cannot be a secret", "write the name itself");
    } else if key.text.chars().count() > KEY_CHARS_MAX {
        faults.add(
            key.at,
            format!("the key {} is longer than {KEY_CHARS_MAX} characters", Shown(&key.text)),
            "choose a shorter one",
        );
    } else if key.text == "<<" && key.style == Style::Plain {
        faults.add(key.at, "merge keys are not read", "repeat the text instead");
    } else if let Some(first) = places.get(&key.text) {
        faults.add(
            key.at,
            format!(
                "the key {} stands here again; first at {}:{}",
                Shown(&key.text),
                first.line,
                first.column
            ),
            "leave one of them out",
        );
    } else {
        places.insert(key.text.clone(), key.at);
        return true;
    }
    false
}

fn repeated(at: Place) -> Fault {
    Fault {
        at,
        what: "anchors and aliases (& and *) are not read".into(),
        mend: "repeat the text instead, or quote it if it begins with & or *".into(),
    }
}

/// Where the content of a scalar begins. For a block the parser tells the place of its first character, for a
/// quoted text that of the quote, for what has a tag that of the tag.
fn content(style: ScalarStyle, has_tag: bool, at: Place) -> (Style, Place) {
    match style {
        ScalarStyle::Plain => (Style::Plain, at),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            (Style::Quoted, Place { column: at.column + u32::from(!has_tag), ..at })
        }
        ScalarStyle::Literal | ScalarStyle::Folded => (Style::Block, at),
    }
}

fn place(marker: &Marker) -> Place {
    Place { line: number_of(marker.line()).max(1), column: number_of(marker.col()).saturating_add(1) }
}

/// Lines and columns of a bounded source always fit.
fn number_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree as text: `key@line:column=value`.
    fn show(node: &Node) -> String {
        let leaf = |leaf: &Leaf| {
            let mark = match (leaf.is_secret, leaf.style) {
                (true, _) => "!",
                (_, Style::Plain) => "",
                (_, Style::Quoted) => "'",
                (_, Style::Block) => "|",
            };
            format!("{mark}{}@{}:{}", leaf.text, leaf.at.line, leaf.at.column)
        };
        match node {
            Node::Leaf(one) => leaf(one),
            Node::List(nodes, _) => format!("[{}]", nodes.iter().map(show).collect::<Vec<_>>().join(" ")),
            Node::Map(entries, _) => {
                let entries = entries.iter().map(|(key, value)| format!("{}={}", leaf(key), show(value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[track_caller]
    fn check(source: &str, want: &str) {
        let mut faults = Faults::default();
        let tree = parse(source, &mut faults).map(|node| show(&node)).unwrap_or_default();
        let faults: Vec<String> = faults.into_first().iter().map(ToString::to_string).collect();
        let found = format!("{tree}{}", faults.join("\n"));
        assert!(if faults.is_empty() { found == want } else { found.contains(want) }, "{found}");
    }

    #[test]
    fn what_is_written_is_read_with_its_place() {
        check("a: b", "{a@1:1=b@1:4}");
        check("\u{feff}a: \"b\\n\"\n'c': '5'\n", "{a@1:1='b\n@1:5 'c@2:2='5@2:7}");
        check("a:\r\n- b\r\n- [c, {d: e}]\r\n", "{a@1:1=[b@2:3 [c@3:4 {d@3:8=e@3:11}]]}");
        check("a: |\n\n   x\n   y\nb: >-\n  z\n", "{a@1:1=|\nx\ny\n@3:4 b@5:1=|z@6:3}");
        check("{\"a\": [1, null, \"ü\", {}], \"b\":[]}", "{'a@1:3=[1@1:8 null@1:11 'ü@1:18 {}] 'b@1:28=[]}");
        check("a: !secret KEY\nb:", "{a@1:1=!KEY@1:4 b@2:1=@2:2}");
        check("get: /items/{{ pick(1, 10) }}", "{get@1:1=/items/{{ pick(1, 10) }}@1:6}");
    }

    #[test]
    fn what_is_refused_is_told_with_its_place() {
        for (source, want) in [
            ("", "1:1: the file is empty"),
            ("# nothing\n", "1:1: the file is empty"),
            ("a: &x 1\nb: *x", "1:4: anchors and aliases (& and *) are not read; repeat the text instead"),
            ("a: {<<: {b: 1}}", "1:5: merge keys are not read; repeat the text instead"),
            ("a: 1\n---\nb: 2", "2:1: a second document begins here"),
            ("a: 1\nb: 2\n'a': 3", "3:2: the key 'a' stands here again; first at 1:1"),
            ("a: !!str 5", "1:4: the tag 'tag:yaml.org,2002:!str' is not known"),
            ("a: !python/object {}", "1:4: the tag '!python/object' is not known"),
            ("!secret a: b", "1:1: a key cannot be a secret"),
            ("? [a]\n: b", "1:3: a key must be a text"),
            ("a: {{ b }}", "1:5: a key must be a text"),
            ("a: [1", "this is not YAML"),
            ("a: 'b", "this is not YAML"),
            ("a:\n\tb: 1", "2:2: this is not YAML"),
            ("a: b: c", "this is not YAML"),
            ("a: 1\0\nb: 2", "1:5: the character \\u{0} cannot stand in YAML"),
            ("a: 1\n# \u{1b}[2J", "2:3: the character \\u{1b}"),
            ("a: 1\rb: 2", "1:5: the character \\u{d}"),
        ] {
            check(source, want);
        }
    }

    #[test]
    fn budgets_hold() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let mut faults = Faults::default();
        assert!(parse(&nested(DEPTH_MAX), &mut faults).is_some() && faults.is_empty());
        let exact = format!("a: {}", "x".repeat(SOURCE_BYTES_MAX - 3));
        assert!(parse(&exact, &mut faults).is_some() && faults.is_empty());
        let many = format!("[{}]", "1,".repeat(NODES_MAX - 1));
        assert!(parse(&many, &mut faults).is_some() && faults.is_empty());

        let laughs: String =
            (1..10).map(|i| format!("a{i}: &a{i} [{}]\n", format!("*a{},", i - 1).repeat(9))).collect();
        for (source, want) in [
            (nested(DEPTH_MAX + 1), "1:33: lists and maps are nested deeper than 32 levels"),
            (format!("a: {}", "x".repeat(SOURCE_BYTES_MAX - 2)), "the file has 262145 bytes, 262144"),
            (format!("a0: &a0 [lol]\n{laughs}"), "1:5: anchors and aliases"),
            (format!("[{}]", "1,".repeat(NODES_MAX)), "the file has more than 100000 values"),
            ("- 1\n".repeat(1_000_000), "the file has 4000000 bytes"),
            (format!("{{{}: 1}}", "k".repeat(200 << 10)), "kkk...' is longer than 128 characters"),
            (format!("? {}\n: 1", "k".repeat(200 << 10)), "kkk...' is longer than 128 characters"),
        ] {
            check(&source, want);
        }
    }

    /// Each fills the budget of bytes with what costs a parser most; that this ends in moments is the test.
    #[test]
    fn nothing_costs_more_than_it_is_long() {
        for piece in [
            "[",
            "{",
            "{a: ",
            "[a, ",
            "- ",
            "? ",
            ": ",
            "-\n",
            "!",
            "!a ",
            "&a ",
            "*a ",
            "\"",
            "'",
            "'a\n\n",
            "#\n",
            "\t",
            " ",
            "\n",
            "|\n",
            "a: |\n",
            "a: >\n\n\n",
            "%TAG ! a\n",
            "---\n",
            "...\n",
            "a\n",
            "a: \n",
            "\"a\": ",
            "{{",
            "[{",
            "\u{2028}",
            "a: b: ",
            "[a: b, ",
            "'a': 'b', ",
            "]",
            "}",
            "\\",
            "\"\\",
            ",",
            "@",
            "`",
        ] {
            for begin in ["", "a: ", "a: [", "{", "- \"", "a: |\n "] {
                let source = format!("{begin}{}", piece.repeat((SOURCE_BYTES_MAX - 8) / piece.len()));
                let mut faults = Faults::default();
                let tree = parse(&source, &mut faults);
                assert!(tree.is_some() || !faults.is_empty(), "{begin}{piece}");
            }
        }
    }
}
