//! A JSON object a line: `time`, `method`, `url`, and where wanted `headers` and `body`. Other keys are another's.

use serde::Deserialize;

use super::{Entry, moment, request, shown};

pub(super) const MEND: &str = r#"a line is like: {"time": "2000-10-10T13:55:36.123Z", "method": "GET", "url": "/path", "headers": {"Accept": "*/*"}}"#;

#[derive(Deserialize)]
struct Line {
    time: Time,
    method: String,
    url: String,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`time` is neither a text nor a number of seconds since 1970")]
enum Time {
    Unix(f64),
    Rfc3339(String),
}

/// In the order of the line, and as often as there.
#[derive(Default)]
struct Headers(Vec<(String, String)>);

pub(super) fn entry(line: &[u8]) -> Result<Option<Entry>, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| without_line(&error))?;
    let time = match &line.time {
        Time::Unix(seconds) => moment::unix(*seconds)
            .ok_or_else(|| format!("{seconds} is not a number of seconds since 1970"))?,
        Time::Rfc3339(text) => moment::rfc3339(text.as_bytes())
            .ok_or_else(|| format!("'{}' is not a time such as 2000-10-10T13:55:36.123Z", shown(text)))?,
    };
    let body = line.body.unwrap_or_default().into_bytes();
    Ok(Some(Entry { time, request: request(line.method, &line.url, line.headers.0, body)? }))
}

/// The parser sees one line only, so what it says of lines would mislead.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("{what}, at column {}", error.column())
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Headers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of headers")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Vec::new();
                while let Some(header) = map.next_entry()? {
                    headers.push(header);
                }
                Ok(Headers(headers))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
