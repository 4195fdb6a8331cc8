//! HAR 1.2, as browsers record it (<http://www.softwareishard.com/blog/har-12-spec/>) -> one flow with the
//! requests in order, and the pauses of the person between pages.
//!
//! What belongs to the browser or to other sites is left out, and secrets become references.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::origins::Origins;
use super::template::{Piece, identifier, literal};
use super::{
    DOCUMENT_MAX, ImportError, Imported, Note, check_count, default_load, is_token, json_of, split_origin,
    text_of,
};
use crate::scenario::file::{Body, Entries, File, Flow, Place, Request, Span, Step, Text};
use crate::units::Nanos;

/// Shorter gaps are the browser's own.
const GAP_MIN: Nanos = Nanos::from_millis(500);
/// Longer ones are a break of the person, not a part of the test.
const GAP_MAX: Nanos = Nanos::from_secs(300);
/// More notes of one kind help nobody.
const LISTED_MAX: usize = 20;

/// Headers that the browser adds to all its requests, or that connections are made of.
const NOISE: [&str; 8] = [
    "cookie",
    "user-agent",
    "content-length",
    "accept-encoding",
    "connection",
    "host",
    "transfer-encoding",
    "te",
];
const SECRETS: [&str; 5] =
    ["authorization", "proxy-authorization", "x-api-key", "x-auth-token", "x-csrf-token"];

/// The scenario of a HAR file of at most 64 MiB.
///
/// # Errors
/// Where it is no such file, has no request that can be sent, or one whose body is not in it.
pub fn import(source: &[u8]) -> Result<Imported, ImportError> {
    let text = text_of(source, DOCUMENT_MAX)?;
    let har: Har = json_of(text, "HAR file", "export it anew, as HAR with content")?;
    let mut entries = har.log.entries;
    // A file without a time keeps its order.
    entries.sort_by_key(|entry| started_ns(&entry.started));
    let mut notes = BTreeSet::new();
    let entries = wanted(entries, &mut notes);
    let mut build = Build { notes, ..Build::default() };
    let paged = entries.iter().any(|entry| entry.page.is_some());
    let mut before: Option<(Option<String>, u64)> = None;
    for entry in entries {
        let (begin, end) = times(&entry);
        if let (Some((page, ended)), Some(begin)) = (&before, begin) {
            let gap = Nanos(begin.saturating_sub(*ended));
            if gap > GAP_MIN && (!paged || *page != entry.page) {
                build.pauses.push((build.requests.len(), gap.min(GAP_MAX)));
            }
        }
        let ended = before.as_ref().map_or(0, |(_, ended)| *ended).max(end);
        before = Some((entry.page.clone(), ended));
        build.request(entry.request)?;
    }
    if build.requests.is_empty() {
        let at = Place { line: 1, column: 1 };
        return Err(ImportError::new(
            at,
            "there is no request to send",
            "record a page over http:// or https://",
        ));
    }
    Ok(build.finish())
}

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "pageref")]
    page: Option<String>,
    #[serde(rename = "startedDateTime", default)]
    started: String,
    /// Milliseconds.
    #[serde(default)]
    time: f64,
    #[serde(rename = "_resourceType")]
    kind: Option<String>,
    request: Recorded,
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Recorded {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    #[serde(rename = "postData")]
    body: Option<PostData>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(rename = "mimeType", default)]
    mime: String,
    text: Option<String>,
    #[serde(default)]
    params: Vec<Pair>,
}

#[derive(Deserialize)]
struct Response {
    content: Option<Content>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(rename = "mimeType")]
    mime: Option<String>,
}

impl Entry {
    fn mime(&self) -> &str {
        let content = self.response.as_ref().and_then(|response| response.content.as_ref());
        content.and_then(|content| content.mime.as_deref()).unwrap_or_default()
    }

    fn origin(&self) -> Option<String> {
        split_origin(&self.request.url).map(|(origin, _)| origin.to_ascii_lowercase())
    }

    fn is_page(&self) -> bool {
        self.kind.as_deref().map_or_else(|| self.mime().starts_with("text/html"), |kind| kind == "document")
    }

    /// Images, fonts, style sheets and media.
    fn is_static(&self) -> bool {
        let kinds = ["image", "font", "stylesheet", "media"];
        let types =
            ["image/", "font/", "text/css", "audio/", "video/", "application/font", "application/x-font"];
        self.kind.as_deref().is_some_and(|kind| kinds.contains(&kind))
            || types.iter().any(|start| self.mime().starts_with(start))
    }
}

/// The requests to the sites whose pages were looked at, without static resources unless there is nothing
/// else.
fn wanted(entries: Vec<Entry>, notes: &mut BTreeSet<Note>) -> Vec<Entry> {
    let mut main: BTreeSet<String> =
        entries.iter().filter(|e| e.is_page()).filter_map(Entry::origin).collect();
    if main.is_empty() {
        main.extend(entries.iter().find_map(Entry::origin));
    }
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    let (mut kept, mut resources) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.origin() {
            Some(origin) if main.contains(&origin) => {
                if entry.is_static() {
                    resources.push(entry)
                } else {
                    kept.push(entry)
                }
            }
            origin => *others.entry(origin.unwrap_or_else(|| "no http:// URL".into())).or_default() += 1,
        }
    }
    for (origin, count) in others.iter().take(LISTED_MAX) {
        let text = format!("{count} requests to another site are left out: {origin:.100}");
        notes.insert(Note { line: 1, text });
    }
    if others.len() > LISTED_MAX {
        let text = format!("requests to {} further sites are left out", others.len() - LISTED_MAX);
        notes.insert(Note { line: 1, text });
    }
    if kept.is_empty() {
        return resources;
    }
    if !resources.is_empty() {
        let text = format!("{} images, fonts, style sheets and the like are left out", resources.len());
        notes.insert(Note { line: 1, text });
    }
    kept
}

#[derive(Default)]
struct Build {
    requests: Vec<Request>,
    /// Before which request there is a pause.
    pauses: Vec<(usize, Nanos)>,
    origins: Origins,
    notes: BTreeSet<Note>,
}

impl Build {
    fn request(&mut self, recorded: Recorded) -> Result<(), ImportError> {
        let at = Place { line: 1, column: 1 };
        check_count(self.requests.len() + 1, at)?;
        let method = recorded.method.to_ascii_uppercase();
        let wrong = |what: String, mend: &str| ImportError::new(at, what, mend);
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            let what = format!("the method '{method:.20}' of {:.100} is none", recorded.url);
            return Err(wrong(what, "remove the entry"));
        }
        let (url, _) = recorded.url.split_once('#').unwrap_or((&recorded.url, ""));
        let (target, url) = self
            .origins
            .place(vec![Piece::Literal(url.to_owned())])
            .map_err(|what| wrong(format!("{:.100} is {what}", recorded.url), "remove the entry"))?;
        let mut request =
            Request { method, url: url.into(), target: target.map(Into::into), ..Request::default() };
        request.headers = self.headers(recorded.headers);
        if let Some(body) = recorded.body {
            let multipart = body.mime.starts_with("multipart/");
            request.body = match (body.text.filter(|text| !text.is_empty()), body.params) {
                (Some(text), _) => Some(Body::Text(literal(&text).into())),
                (None, params) if params.is_empty() => None,
                (None, _) if multipart => {
                    let what = format!("the upload to {:.100} is not in the file", recorded.url);
                    return Err(wrong(
                        what,
                        "remove the entry, and write it as `multipart:` in the scenario",
                    ));
                }
                (None, params) => Some(Body::Form(pairs(params))),
            };
        }
        self.requests.push(request);
        Ok(())
    }

    fn headers(&mut self, recorded: Vec<Pair>) -> Entries<Text> {
        let mut headers = Entries::new();
        for Pair { name, value } in recorded {
            let lower = name.to_ascii_lowercase();
            let noise =
                lower.starts_with(':') || lower.starts_with("sec-") || NOISE.contains(&lower.as_str());
            if noise {
                continue;
            }
            if !is_token(&name) {
                let text = "a header whose name is none was left out".to_owned();
                self.notes.insert(Note { line: 1, text });
                continue;
            }
            let value = if SECRETS.contains(&lower.as_str()) {
                let secret = identifier(&name).to_ascii_uppercase();
                let text = format!("the header {name} is a secret: give it as {secret}");
                self.notes.insert(Note { line: 1, text });
                format!("{{{{ secret.{secret} }}}}")
            } else {
                literal(&value.unwrap_or_default())
            };
            headers.push((name.into(), value.into()));
        }
        headers
    }

    fn finish(mut self) -> Imported {
        let mut file = File::default();
        self.origins.fill(&mut file, &mut self.requests);
        let mut steps = Vec::new();
        let mut pauses = self.pauses.into_iter().peekable();
        for (index, request) in self.requests.into_iter().enumerate() {
            while let Some((_, gap)) = pauses.next_if(|(before, _)| *before == index) {
                steps.push(Step::Think(Span { from: gap, to: gap }).into());
            }
            steps.push(Step::Request(Box::new(request)).into());
        }
        file.flows.push(("recorded".to_owned().into(), Flow { steps, ..Flow::default() }));
        file.loads.push((String::new().into(), default_load()));
        self.notes.insert(Note { line: 1, text: "a recording has no load; here it is 1 user for 1m".into() });
        Imported { file, notes: self.notes.into_iter().collect() }
    }
}

fn pairs(pairs: Vec<Pair>) -> Entries<Text> {
    let pair = |pair: Pair| (pair.name.into(), literal(&pair.value.unwrap_or_default()).into());
    pairs.into_iter().map(pair).collect()
}

/// When the request began, if that is known, and when its answer was there; nanoseconds since 1970.
fn times(entry: &Entry) -> (Option<u64>, u64) {
    let begin = started_ns(&entry.started);
    // The browser writes -1 where it does not know.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a day")]
    let took = (entry.time.clamp(0.0, 86_400_000.0) * 1e6) as u64;
    (begin, begin.map_or(0, |begin| begin.saturating_add(took)))
}

/// Nanoseconds since 1970 of `2024-05-01T10:00:00.123+02:00` (RFC 3339).
fn started_ns(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok().map(i64::from);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let rest = text.get(19..)?;
    let digits = rest
        .strip_prefix('.')
        .map_or("", |rest| &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())]);
    let fraction = format!("{digits:0<9.9}").parse::<i64>().ok()?;
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes() {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), ..] => {
            let minutes = zone.get(1..3)?.parse::<u32>().ok()? * 60
                + zone.get(zone.len() - 2..)?.parse::<u32>().ok()?;
            if *sign == b'+' { i64::from(minutes) } else { -i64::from(minutes) }
        }
        _ => return None,
    };
    // Days from the civil date (Howard Hinnant, chrono-compatible low-level date algorithms).
    let shifted = if month > 2 { year } else { year - 1 };
    let (era, month) = (shifted.div_euclid(400), (month + 9) % 12);
    let of_era = shifted.rem_euclid(400);
    let days =
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3_600 + (minute - offset) * 60 + second;
    u64::try_from(seconds.checked_mul(1_000_000_000)?.checked_add(fraction)?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::written::compiles;
    use super::*;
    use proptest::prelude::*;

    fn entry(page: &str, second: &str, kind: &str, request: &str) -> String {
        format!(
            r#"{{"pageref":"{page}","startedDateTime":"2024-05-01T10:00:{second}Z","time":100,"request":{request},
            "response":{{"content":{{"mimeType":"{kind}"}}}}}}"#
        )
    }

    fn get(url: &str) -> String {
        format!(
            r#"{{"method":"GET","url":"{url}","headers":[{{"name":"User-Agent","value":"x"}},{{"name":":path","value":"x"}},
            {{"name":"Sec-Fetch-Mode","value":"x"}},{{"name":"Accept","value":"*/*"}},{{"name":"Authorization","value":"B s"}}]}}"#
        )
    }

    fn har() -> String {
        let post = r#"{"method":"POST","url":"https://a.test/api","postData":{"mimeType":"application/json","text":"{{x}}"}}"#;
        let entries = [
            entry("1", "00.000", "text/html", &get("https://a.test/?q=1#top")),
            entry("1", "00.200", "image/png", &get("https://a.test/logo.png")),
            entry("1", "02.000", "application/json", &get("https://other.test/track")),
            entry("2", "03.100", "text/html", post),
        ];
        format!(r#"{{"log":{{"version":"1.2","entries":[{}]}}}}"#, entries.join(","))
    }

    #[test]
    fn recordings_become_a_flow() {
        let imported = import(har().as_bytes()).unwrap();
        compiles(&imported);
        let steps = imported.file.flows[0].1.steps.iter().map(|step| match &step.value {
            Step::Request(request) => {
                let headers =
                    request.headers.iter().map(|(name, value)| format!(" {}={}", name.value, value.value));
                let body = match &request.body {
                    Some(Body::Text(text)) => format!(" body:{}", text.value),
                    _ => String::new(),
                };
                format!("{} {}{}{body}", request.method, request.url.value, headers.collect::<String>())
            }
            Step::Think(span) => format!("think {}", span.from),
            other => format!("{other:?}"),
        });
        assert_eq!(
            steps.collect::<Vec<_>>().join("; "),
            "GET /?q=1 Accept=*/* Authorization={{ secret.AUTHORIZATION }}; think 3.00 s; POST /api body:{{ \"{\" }}{x}}"
        );
        assert_eq!(imported.file.target.map(|target| target.value).as_deref(), Some("https://a.test"));
        let notes: Vec<_> = imported.notes.into_iter().map(|note| note.text).collect();
        assert_eq!(
            notes,
            [
                "1 images, fonts, style sheets and the like are left out",
                "1 requests to another site are left out: https://other.test",
                "a recording has no load; here it is 1 user for 1m",
                "the header Authorization is a secret: give it as AUTHORIZATION",
            ]
        );
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        for (source, line, what) in [
            ("{\n\"log\": 3}", 2, "this is no HAR file"),
            ("{\"log\":{\"entries\":[]}}", 1, "there is no request"),
            (
                "{\"log\":{\"entries\":[{\"request\":{\"method\":\"G T\",\"url\":\"http://a.test/\"}}]}}",
                1,
                "the method 'G T'",
            ),
        ] {
            let error = import(source.as_bytes()).unwrap_err();
            assert!(error.line == line && error.what.contains(what), "{error}");
        }
    }

    #[test]
    fn instants() {
        for (text, want) in [
            ("1970-01-01T00:00:01.5Z", Some(1_500_000_000)),
            ("2024-02-29T12:00:00+02:00", Some(1_709_200_800_000_000_000)),
            ("2024-02-29T12:00:00.123456789123Z", Some(1_709_208_000_123_456_789)),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(started_ns(text), want, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_has_an_answer(cut in 0usize..1500, gone in 0usize..60, junk in "[\"{}:,0-9a-zA-Z+.é-]{0,10}") {
            let source = har();
            let from = cut.min(source.len());
            let to = (from + gone).min(source.len());
            match import(format!("{}{junk}{}", &source[..from], &source[to..]).as_bytes()) {
                Ok(imported) => drop(compiles(&imported)),
                Err(error) => prop_assert!(error.line >= 1 && error.column >= 1),
            }
        }
    }
}
