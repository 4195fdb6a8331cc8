//! Lists of URLs: one a line, or targets of vegeta (<https://github.com/tsenart/vegeta#http-format>): `METHOD
//! URL`, then lines `Name: value`, then an empty line.

use super::origins::Origins;
use super::template::{Piece, literal};
use super::{
    ImportError, Imported, Note, SOURCE_MAX, check_count, default_load, is_token, split_origin, text_of,
};
use crate::scenario::file::{File, Flow, Place, Request, Step};

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

/// In which order the requests of a list are sent.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// All of them, one after the other, again and again.
    AsWritten,
    /// One an iteration, each as likely.
    Random,
}

/// The scenario of a list of at most 1 MiB.
///
/// # Errors
/// Where a line is no URL, header or comment, or a body is in a file.
pub fn import(source: &[u8], order: Order) -> Result<Imported, ImportError> {
    let mut requests: Vec<Request> = Vec::new();
    let mut origins = Origins::default();
    // Headers may follow a line with a method, up to an empty line.
    let mut open = false;
    for (line, text) in (1u32..).zip(text_of(source, SOURCE_MAX)?.lines()) {
        let at = Place { line, column: 1 };
        let text = text.trim();
        if text.is_empty() {
            open = false;
        } else if text.starts_with('#') {
        } else if text.starts_with('@') {
            let mend = "write `body: {file: ...}` in the scenario";
            return Err(ImportError::new(at, format!("the body is in a file, {text:.60}"), mend));
        } else if let Some((method, url)) = request_line(text) {
            open = method.is_some();
            check_count(requests.len() + 1, at)?;
            let (target, url) = origins.place(vec![Piece::Literal(url.to_owned())]).map_err(|what| {
                ImportError::new(at, format!("this is {what}"), "write http://host/path, or /path")
            })?;
            let method = method.unwrap_or("GET").to_owned();
            requests.push(Request {
                method,
                url: url.into(),
                target: target.map(Into::into),
                ..Request::default()
            });
        } else {
            match (header(text), requests.last_mut()) {
                (Some((name, value)), Some(request)) if open => {
                    request.headers.push((name.to_owned().into(), literal(value).into()));
                }
                _ => {
                    let what = format!("'{text:.60}' is neither a URL nor a header of one");
                    return Err(ImportError::new(
                        at,
                        what,
                        "write URL, METHOD URL, or Name: value below such a line",
                    ));
                }
            }
        }
    }
    if requests.is_empty() {
        let at = Place { line: 1, column: 1 };
        return Err(ImportError::new(at, "there is no URL", "write one a line"));
    }
    Ok(finish(origins, requests, order))
}

fn finish(origins: Origins, mut requests: Vec<Request>, order: Order) -> Imported {
    let mut file = File::default();
    let mut notes = vec![Note { line: 1, text: "a list has no load; here it is 1 user for 1m".into() }];
    if origins.fill(&mut file, &mut requests) {
        notes.push(Note {
            line: 1,
            text: "there are URLs without a host; set `target` of the scenario".into(),
        });
    }
    let mut steps: Vec<_> =
        requests.into_iter().map(|request| Step::Request(Box::new(request)).into()).collect();
    if order == Order::Random {
        steps = vec![Step::Random(steps.into_iter().map(|step| (1, vec![step])).collect()).into()];
    }
    file.flows.push(("requests".to_owned().into(), Flow { steps, ..Flow::default() }));
    file.loads.push((String::new().into(), default_load()));
    Imported { file, notes }
}

/// Method, if there is one, and URL.
fn request_line(text: &str) -> Option<(Option<&str>, &str)> {
    let is_url = |url: &str| {
        !url.contains(char::is_whitespace) && (url.starts_with('/') || split_origin(url).is_some())
    };
    match text.split_once(char::is_whitespace) {
        None => is_url(text).then_some((None, text)),
        Some((method, url)) => {
            let method = METHODS.into_iter().find(|known| *known == method)?;
            is_url(url.trim()).then_some((Some(method), url.trim()))
        }
    }
}

/// A name of tchar (RFC 9110 section 5.6.2) and a value.
fn header(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    is_token(name).then(|| (name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::written::compiles;
    use super::*;
    use proptest::prelude::*;

    fn show(source: &str, order: Order) -> String {
        let file = match import(source.as_bytes(), order) {
            Ok(imported) => {
                compiles(&imported);
                imported.file
            }
            Err(error) => return format!("{} {}", error.line, error.what),
        };
        let one = |step: &Step| match step {
            Step::Request(request) => {
                let target = request.target.as_ref().map_or_else(String::new, |t| format!("@{} ", t.value));
                let headers = request.headers.iter().map(|(n, v)| format!(" {}={}", n.value, v.value));
                format!("{} {target}{}{}", request.method, request.url.value, headers.collect::<String>())
            }
            Step::Random(ways) => format!("one of {}", ways.len()),
            other => format!("{other:?}"),
        };
        let steps = file.flows[0].1.steps.iter().map(|step| one(&step.value));
        let target = file.target.map(|target| target.value).unwrap_or_default();
        format!("{target}: {}", steps.collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn lists_become_flows() {
        use Order::{AsWritten, Random};
        for (source, order, want) in [
            (
                "http://a.test/x\n# no\nhttp://a.test/y?z={{1}}\n",
                AsWritten,
                "http://a.test: GET /x; GET /y?z={{ \"{\" }}{1}}",
            ),
            ("http://a.test/x\nhttp://b.test/\n", AsWritten, "http://a.test: GET /x; GET @b_test /"),
            ("/x\n/y", Random, ": one of 2"),
            (
                "POST http://a.test/x\nX-A: b: c\n\nGET http://a.test/y",
                AsWritten,
                "http://a.test: POST /x X-A=b: c; GET /y",
            ),
            ("POST http://a.test/x\n@body.json", AsWritten, "2 the body is in a file, @body.json"),
            ("http://a.test/x\nX-A: b", AsWritten, "2 'X-A: b' is neither a URL nor a header of one"),
            (
                "GET\thttp://a.test/x\n\nnothing",
                AsWritten,
                "3 'nothing' is neither a URL nor a header of one",
            ),
            ("ftp://a.test/", AsWritten, "1 'ftp://a.test/' is neither a URL nor a header of one"),
            ("\n", AsWritten, "1 there is no URL"),
        ] {
            assert_eq!(show(source, order), want, "{source}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_url_becomes_a_step(paths in prop::collection::vec("[a-z0-9/?=&{}%]{0,20}", 1..20)) {
            let source = paths.iter().map(|path| format!("http://a.test/{path}\n")).collect::<String>();
            let imported = import(source.as_bytes(), Order::AsWritten).unwrap();
            prop_assert_eq!(imported.file.flows[0].1.steps.len(), paths.len());
            compiles(&imported);
        }
    }
}
