//! Names for requests of a log: so few that results can have a row for each.

/// Names are columns of a table, and a log's paths may be long.
const LABEL_BYTES_MAX: usize = 200;
/// Fewer hexadecimal digits may be a word.
const HEX_DIGITS_MIN: usize = 16;

/// `METHOD /path` without its query, and `{id}` in place of each segment that is a number, a UUID or long hexadecimal.
/// `path` is printable ASCII; what is longer than 200 bytes is cut.
#[must_use]
pub fn label(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let segments: Vec<_> =
        path.split('/').map(|segment| if is_id(segment) { "{id}" } else { segment }).collect();
    let mut label = format!("{method} {}", segments.join("/"));
    if label.len() > LABEL_BYTES_MAX {
        label.truncate(label.floor_char_boundary(LABEL_BYTES_MAX - 3));
        label.push_str("...");
    }
    label
}

fn is_id(segment: &str) -> bool {
    let is_number = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number || is_uuid(segment) || segment.len() >= HEX_DIGITS_MIN && is_hex(segment)
}

/// [RFC 9562 section 4](https://www.rfc-editor.org/rfc/rfc9562#section-4).
fn is_uuid(segment: &str) -> bool {
    let groups = segment.split('-').map(|group| {
        let is_hex = group.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then_some(group.len())
    });
    groups.eq([8, 4, 4, 4, 12].map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, want: &str) {
        assert_eq!(label("GET", path), format!("GET {want}"), "{path}");
    }

    #[test]
    fn ids_in_paths_are_one_name() {
        check("/", "/");
        check("/items/17/", "/items/{id}/");
        check("/items?page=17", "/items");
        check("/a/550e8400-e29b-41d4-a716-446655440000/b", "/a/{id}/b");
        check("/a/550e8400-e29b-41d4-a716-44665544000g", "/a/550e8400-e29b-41d4-a716-44665544000g");
        check("/o/507f1f77bcf86cd799439011", "/o/{id}");
        check("/facade/v2/17.html", "/facade/v2/17.html");
        check("//x", "//x");
        let long = format!("/{}", "z".repeat(300));
        let cut = label("GET", &long);
        assert!(cut.len() == LABEL_BYTES_MAX && cut.ends_with("z..."), "{cut}");
    }
}
