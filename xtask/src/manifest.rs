//! The part of TOML that cargo manifests use, read by hand so that this crate needs no dependency.
//!
//! Understood: tables, dotted keys, strings, inline tables, arrays over several lines, comments. Values stay text.

/// One `key = value` with the table it stands in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// The table's name, `""` at the top; `[[package]]` and `[package]` are both `package`.
    pub(crate) table: String,
    /// Counts headers, so that entries of one `[[package]]` can be told from those of the next.
    pub(crate) table_index: usize,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// What a crate asks for, and in which kind of table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) is_dev: bool,
}

/// Reads a manifest. Lines it cannot understand are left out: cargo itself reports them.
pub(crate) fn entries(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut table = String::new();
    let mut table_index = 0;
    let mut lines = text.lines().map(without_comment);
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).trim().to_owned();
            table_index += 1;
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let mut value = value.trim().to_owned();
        while depth(&value) > 0 {
            let Some(more) = lines.next() else { break };
            value.push(' ');
            value.push_str(more.trim());
        }
        found.push(Entry { table: table.clone(), table_index, key: key.trim().to_owned(), value });
    }
    found
}

/// The value of a key, without its quotes.
pub(crate) fn value<'a>(entries: &'a [Entry], table: &str, key: &str) -> Option<&'a str> {
    entries.iter().find(|entry| entry.table == table && entry.key == key).map(|entry| unquoted(&entry.value))
}

/// Everything a manifest depends on, target tables included. Names are those of the packages, not of renamings.
pub(crate) fn dependencies(entries: &[Entry]) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    for entry in entries {
        let Some((kind, named_by_table)) = dependency_table(&entry.table) else { continue };
        let key = entry.key.split('.').next().unwrap_or(&entry.key);
        let alias = named_by_table.unwrap_or_else(|| unquoted(key));
        let renamed = match named_by_table {
            Some(_) if entry.key == "package" => Some(unquoted(&entry.value)),
            Some(_) => None,
            None => inline_package(&entry.value),
        };
        let name = renamed.unwrap_or(alias).to_owned();
        let dependency = Dependency { name, is_dev: kind == "dev-dependencies" };
        if !found.contains(&dependency) {
            found.push(dependency);
        }
    }
    found
}

pub(crate) fn unquoted(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

/// `dependencies` and its kin, alone, below `target.'cfg(..)'`, or with the crate's name after a dot.
fn dependency_table(table: &str) -> Option<(&str, Option<&str>)> {
    const KINDS: [&str; 3] = ["dev-dependencies", "build-dependencies", "dependencies"];
    // A cfg may hold dots and spaces, so the table's own name is looked for after its closing quote.
    let local = if table.starts_with("target.") {
        let after_quote = table.rfind(['\'', '"']).map_or("target.".len(), |quote| quote + 1);
        let rest = &table[after_quote..];
        &rest[rest.find('.')? + 1..]
    } else {
        table
    };
    KINDS.iter().find_map(|kind| match local.strip_prefix(kind)? {
        "" => Some((*kind, None)),
        rest => rest.strip_prefix('.').map(|name| (*kind, Some(unquoted(name)))),
    })
}

/// The `package = "name"` of an inline table.
fn inline_package(value: &str) -> Option<&str> {
    let inner = value.strip_prefix('{')?;
    let at = inner.find("package")?;
    let rest = inner[at + "package".len()..].trim_start().strip_prefix('=')?.trim_start();
    rest.strip_prefix('"')?.split('"').next()
}

/// Cuts what follows a `#` that is outside a string.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') => return &line[..at],
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    line
}

/// How many brackets and braces stay open, strings left aside.
fn depth(value: &str) -> i32 {
    let mut quote = None;
    let mut open = 0;
    for c in value.chars() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => open += 1,
            (None, ']' | '}') => open -= 1,
            _ => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::{dependencies, entries, value};

    fn check(text: &str, expected: &[(&str, bool)]) {
        let found = dependencies(&entries(text));
        let found: Vec<_> = found.iter().map(|d| (d.name.as_str(), d.is_dev)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_way_to_write_a_dependency_is_seen() {
        check("[dependencies]\na = \"1\"\nb.workspace = true\n", &[("a", false), ("b", false)]);
        check("[dependencies.a]\nversion = \"1\"\nfeatures = [\"x\"]\n", &[("a", false)]);
        check("[dev-dependencies]\n\"a\" = { version = \"1\" } # why\n", &[("a", true)]);
        check("[build-dependencies]\na = \"1\"\n", &[("a", false)]);
        check("[target.'cfg(any(unix, target_os = \"x.y\"))'.dependencies]\na = \"1\"\n", &[("a", false)]);
        check("[target.x86_64-unknown-linux-gnu.dev-dependencies]\na = \"1\"\n", &[("a", true)]);
        check("[dependencies]\nb = { package = \"a\", version = \"1\" }\n", &[("a", false)]);
        check(
            "[dependencies]\na = { version = \"1\", features = [\n  \"x\", # why\n  \"y\",\n] }\nb = \"1\"\n",
            &[("a", false), ("b", false)],
        );
        check("[features]\na = []\n[package.metadata.dependencies]\nb = \"1\"\n", &[]);
    }

    #[test]
    fn values_lose_their_quotes_and_comments() {
        let manifest = entries("[package]\nname = \"a#b\" # why\n[[bin]]\nname = \"c\"\n");
        assert_eq!(value(&manifest, "package", "name"), Some("a#b"));
        assert_eq!(value(&manifest, "bin", "name"), Some("c"));
    }
}
