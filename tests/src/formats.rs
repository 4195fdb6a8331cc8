//! Small checks that a file is what it claims to be. They know the outer form of a format, not its meaning.

/// Are all elements of this XML closed in the right order, with one at the root?
///
/// # Errors
/// The first place that is not well-formed.
pub fn check_xml(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut roots = 0;
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start], open.is_empty())?;
        let inside = &rest[start + 1..];
        let end = tag_end(inside).ok_or_else(|| format!("a tag without end: {}", shorten(inside)))?;
        let tag = &inside[..end];
        rest = &inside[end + 1..];
        if tag.starts_with('?') || tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop();
            if opened != Some(name.trim()) {
                return Err(format!("</{name}> closes {opened:?}"));
            }
            continue;
        }
        roots += usize::from(open.is_empty());
        if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap_or(""));
        }
    }
    check_text(rest, true)?;
    match (open.is_empty(), roots) {
        (true, 1) => Ok(()),
        (false, _) => Err(format!("never closed: {open:?}")),
        (true, _) => Err(format!("{roots} roots")),
    }
}

/// Where the tag ends: a `>` that is in no quoted value.
fn tag_end(inside: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in inside.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (_, '<') => return None,
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn check_text(text: &str, outside: bool) -> Result<(), String> {
    if outside && !text.trim().is_empty() {
        return Err(format!("text outside of the root: {}", shorten(text)));
    }
    for (at, _) in text.match_indices('&') {
        let entity = text[at + 1..].split(';').next().unwrap_or("");
        let known = ["amp", "lt", "gt", "quot", "apos"].contains(&entity) || entity.starts_with('#');
        if !known {
            return Err(format!("a bare '&': {}", shorten(&text[at..])));
        }
    }
    Ok(())
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Rows of comma-separated values, all with as many as the first. Quoted values may hold commas and doubled quotes.
///
/// # Errors
/// The first row that is shorter or longer.
pub fn parse_csv(text: &str) -> Result<Vec<Vec<String>>, String> {
    let rows: Vec<Vec<String>> = text.lines().map(csv_row).collect();
    let width = rows.first().map_or(0, Vec::len);
    match rows.iter().find(|row| row.len() != width) {
        Some(row) => Err(format!("{} values where the header has {width}: {row:?}", row.len())),
        None => Ok(rows),
    }
}

fn csv_row(line: &str) -> Vec<String> {
    let mut row = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            _ => row.last_mut().expect("a row has a value").push(c),
        }
    }
    row
}

/// One line of a percentile distribution as HdrHistogram prints it: value, percentile (0..=1), count up to it.
pub type Percentile = (f64, f64, u64);

/// The lines of a percentile distribution.
///
/// # Errors
/// A line that is none, or a column that goes down.
pub fn parse_hgrm(text: &str) -> Result<Vec<Percentile>, String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let header = lines.next().unwrap_or("");
    if !header.split_whitespace().eq(["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]) {
        return Err(format!("not the header of a percentile distribution: {header}"));
    }
    let parse = |line: &str| -> Option<Percentile> {
        let mut fields = line.split_whitespace();
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let rows = lines
        .map(|line| parse(line).ok_or_else(|| format!("not a line of a percentile distribution: {line}")))
        .collect::<Result<Vec<_>, _>>()?;
    match rows.windows(2).find(|pair| pair[0].0 > pair[1].0 || pair[0].1 > pair[1].1 || pair[0].2 > pair[1].2)
    {
        Some(pair) => Err(format!("it goes down: {pair:?}")),
        None => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_is_well_formed_or_not() {
        let good = r#"<?xml version="1.0"?><a x="1 > 0"><b/>t &lt; u<c></c></a>"#;
        assert_eq!(check_xml(good), Ok(()));
        for bad in ["", "<a>", "<a></b>", "<a/><b/>", "x<a/>", "<a>&</a>", "<a", "<a x=\"<\"/>"] {
            assert!(check_xml(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn csv_rows_are_of_equal_width() {
        assert_eq!(parse_csv("a,b\n1,\"x, y\"\n").unwrap()[1], ["1", "x, y"]);
        assert!(parse_csv("a,b\n1\n").is_err());
    }

    #[test]
    fn a_percentile_distribution_only_rises() {
        let head = "       Value     Percentile TotalCount 1/(1-Percentile)\n";
        let text = format!("{head}\n 1.0 0.0 1 1.00\n 2.5 1.0 3 inf\n#[Mean = 1]\n");
        assert_eq!(parse_hgrm(&text).unwrap(), [(1.0, 0.0, 1), (2.5, 1.0, 3)]);
        assert!(parse_hgrm(&format!("{head} 2 0.5 1 2\n 1 1.0 2 inf\n")).is_err());
        assert!(parse_hgrm("1 2 3\n").is_err());
    }
}
