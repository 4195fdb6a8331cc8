//! [HAR 1.2](http://www.softwareishard.com/blog/har-12-spec/), as browsers save it. Of an entry only its start and its
//! request are read.

use serde::Deserialize;

use super::{Entry, LOG_LINES_MAX, LogError, moment, request, shown};

const MEND: &str = "save it again as HAR 1.2 from the browser's network tab";

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<HarEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarEntry {
    started_date_time: String,
    request: HarRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    text: String,
    #[serde(default)]
    params: Vec<serde::de::IgnoredAny>,
}

pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Entry>, LogError> {
    let har: Har = serde_json::from_slice(bytes).map_err(|error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        LogError {
            line: Some(error.line()),
            what: format!("{what}, at column {}", error.column()),
            mend: MEND,
        }
    })?;
    let entries = har.log.entries;
    if entries.len() > LOG_LINES_MAX {
        let what = format!("the log has more than {LOG_LINES_MAX} entries");
        return Err(LogError { line: None, what, mend: "replay a part of it" });
    }
    let mut read = Vec::with_capacity(entries.len());
    for (entry, number) in entries.into_iter().zip(1..) {
        let error = |what| LogError { line: None, what: format!("entry {number}: {what}"), mend: MEND };
        read.extend(of(entry).map_err(error)?);
    }
    Ok(read)
}

/// `None` for what a browser loads by other means than HTTP requests.
fn of(entry: HarEntry) -> Result<Option<Entry>, String> {
    let HarRequest { method, url, headers, post_data } = entry.request;
    let scheme = url.split(':').next().unwrap_or_default();
    if !["http", "https"].iter().any(|http| http.eq_ignore_ascii_case(scheme)) {
        return Ok(None);
    }
    let time = moment::rfc3339(entry.started_date_time.as_bytes()).ok_or_else(|| {
        let text = shown(&entry.started_date_time);
        format!("its startedDateTime '{text}' is not a time such as 2000-10-10T13:55:36.123Z")
    })?;
    let body = match post_data {
        Some(data) if data.text.is_empty() && !data.params.is_empty() => {
            return Err("its postData has params without the text that was sent".to_owned());
        }
        Some(data) => data.text.into_bytes(),
        None => Vec::new(),
    };
    let headers = headers.into_iter().map(|header| (header.name, header.value)).collect();
    Ok(Some(Entry { time, request: request(method, &url, headers, body)? }))
}
