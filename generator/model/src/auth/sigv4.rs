//! AWS Signature Version 4, with the content's hash in a field of its own, as all services accept it.
//!
//! Source: "Create a signed AWS API request" in the IAM user guide, and for S3 "Authenticating Requests" in
//! its API reference. Only what AWS asks for is signed, so a request's other fields may be set freely.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};

use crate::calendar::{DAY_S, Date};
use crate::request::hex;

/// Bytes that stay as they are in the canonical form (RFC 3986 section 2.3, unreserved).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same within a path, whose slashes part it.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Who signs, and for which service.
#[derive(Copy, Clone)]
pub struct Credentials<'a> {
    pub region: &'a str,
    /// `s3`, `execute-api` and the like.
    pub service: &'a str,
    pub access_key: &'a str,
    pub secret_key: &'a str,
    pub session_token: Option<&'a str>,
}

/// What is signed, as it is sent.
#[derive(Copy, Clone, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// The value of `Host`, or of `:authority`.
    pub host: &'a str,
    /// Encoded as in the request's target.
    pub path: &'a str,
    /// Without its question mark.
    pub query: &'a str,
    pub content: &'a [u8],
}

/// Values of the fields that a signed request has; `X-Amz-Security-Token` is the session token itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    pub authorization: String,
    /// `X-Amz-Date`.
    pub date: String,
    /// `X-Amz-Content-Sha256`.
    pub content_sha256: String,
}

/// Signs a request for a time, in seconds since 1970.
///
/// # Errors
/// A sentence, if credentials or host have what no field can hold, or the year is past 9999.
pub fn sign(credentials: &Credentials<'_>, request: &Request<'_>, unix_s: i64) -> Result<Signed, String> {
    let date =
        date(unix_s).ok_or_else(|| format!("{unix_s} s since 1970 is no time of the years 0 to 9999"))?;
    let content_sha256 = hex(&Sha256::digest(request.content));
    let mut fields = vec![
        ("host", request.host),
        ("x-amz-content-sha256", content_sha256.as_str()),
        ("x-amz-date", date.as_str()),
    ];
    fields.extend(credentials.session_token.map(|token| ("x-amz-security-token", token)));
    check(credentials, request.host)?;
    let authorization = authorization(credentials, request, &fields, &content_sha256, &date);
    Ok(Signed { authorization, date, content_sha256 })
}

/// Spaces or line ends would end a word of the field, or the field.
fn check(credentials: &Credentials<'_>, host: &str) -> Result<(), String> {
    let parts = [
        ("the region", credentials.region),
        ("the service", credentials.service),
        ("the access key", credentials.access_key),
        ("the session token", credentials.session_token.unwrap_or("-")),
        ("the host", host),
    ];
    for (what, text) in parts {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "{what} of the AWS signature must be printable ASCII without spaces, and not empty"
            ));
        }
    }
    Ok(())
}

/// The field's value; `fields` are in the order of their names, which are in lower case.
fn authorization(
    credentials: &Credentials<'_>,
    request: &Request<'_>,
    fields: &[(&str, &str)],
    content_sha256: &str,
    date: &str,
) -> String {
    let Credentials { region, service, access_key, secret_key, .. } = credentials;
    let canonical = canonical(request, *service == "s3", fields, content_sha256);
    let day = date.split('T').next().unwrap_or_default();
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(&canonical)));
    let mut key = format!("AWS4{secret_key}").into_bytes();
    for part in [day, region, service, "aws4_request"] {
        key = mac(&key, part);
    }
    format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={}, Signature={}",
        names(fields),
        hex(&mac(&key, &to_sign))
    )
}

/// The canonical request.
fn canonical(request: &Request<'_>, is_s3: bool, fields: &[(&str, &str)], content_sha256: &str) -> String {
    let path = if is_s3 { object_path(request.path) } else { service_path(request.path) };
    let query = canonical_query(request.query);
    let lines: String = fields.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    format!("{}\n{path}\n{query}\n{lines}\n{}\n{content_sha256}", request.method, names(fields))
}

fn names(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
}

/// S3: the names of objects, encoded once; what looks like a step upwards is a part of a name.
fn object_path(path: &str) -> String {
    let decoded: Cow<'_, [u8]> = percent_decode_str(path).into();
    let encoded = percent_encode(&decoded, RESERVED_IN_PATH).to_string();
    if encoded.is_empty() { "/".to_owned() } else { encoded }
}

/// All others: the path without detours (RFC 3986 section 5.2.4), encoded as it is sent, so once more.
fn service_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let is_directory = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let end = if is_directory && !parts.is_empty() { "/" } else { "" };
    let path = format!("/{}{end}", parts.join("/"));
    percent_encode(path.as_bytes(), RESERVED_IN_PATH).to_string()
}

/// Names and values encoded in one way, in the order of their bytes.
fn canonical_query(query: &str) -> String {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let mut pairs: Vec<_> = parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (recoded(name), recoded(value))
        })
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// A plus is a space, as the services read it.
fn recoded(text: &str) -> String {
    let text = text.replace('+', " ");
    let decoded: Cow<'_, [u8]> = percent_decode_str(&text).into();
    percent_encode(&decoded, RESERVED).to_string()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length will do, so there is always a code.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|hmac| hmac.chain_update(text).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

/// `20150830T123600Z`.
fn date(unix_s: i64) -> Option<String> {
    let Date { year, month, day } = Date::of(unix_s.div_euclid(DAY_S));
    let second = unix_s.rem_euclid(DAY_S);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    (0..=9999)
        .contains(&year)
        .then(|| format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2015-08-30 12:36:00.
    const SUITE_S: i64 = 1_440_938_160;
    const SUITE_DATE: &str = "20150830T123600Z";
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    const SUITE: Credentials<'_> = Credentials {
        region: "us-east-1",
        service: "service",
        access_key: "AKIDEXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token: None,
    };
    const S3: Credentials<'_> = Credentials {
        service: "s3",
        access_key: "AKIAIOSFODNN7EXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ..SUITE
    };
    const GET: Request<'_> =
        Request { method: "GET", host: "example.amazonaws.com", path: "/", query: "", content: b"" };

    /// The AWS test suite signs no hash of the content and, in one case, the type.
    fn check_suite(request: Request<'_>, content_type: Option<&str>, signature: &str) {
        let mut fields = vec![("host", request.host), ("x-amz-date", SUITE_DATE)];
        if let Some(content_type) = content_type {
            fields.insert(0, ("content-type", content_type));
        }
        let value =
            authorization(&SUITE, &request, &fields, &hex(&Sha256::digest(request.content)), SUITE_DATE);
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={}, Signature={signature}",
            names(&fields)
        );
        assert_eq!(value, expected, "{request:?}");
    }

    #[test]
    fn vectors_of_the_test_suite() {
        assert_eq!(date(SUITE_S).as_deref(), Some(SUITE_DATE));
        let vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        for path in ["/", "", "//", "/./", "/example/..", "/example1/example2/../.."] {
            check_suite(Request { path, ..GET }, None, vanilla);
        }
        check_suite(
            Request { query: "Param2=value2&Param1=value1", ..GET },
            None,
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        );
        check_suite(
            Request { method: "POST", ..GET },
            None,
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        );
        check_suite(
            Request { method: "POST", content: b"Param1=value1", ..GET },
            Some("application/x-www-form-urlencoded"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        );
    }

    #[test]
    fn examples_of_s3() {
        let request = Request { host: "examplebucket.s3.amazonaws.com", ..GET };
        for (query, signature) in [
            ("lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
            ("prefix=%4a&max-keys=2", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ] {
            let signed = sign(&S3, &Request { query, ..request }, 1_369_353_600).unwrap();
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                 SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
            );
            let expected = Signed {
                authorization,
                date: "20130524T000000Z".to_owned(),
                content_sha256: EMPTY.to_owned(),
            };
            assert_eq!(signed, expected, "{query}");
        }
    }

    #[test]
    fn a_session_token_is_signed() {
        let with_token = Credentials { session_token: Some("token=="), ..SUITE };
        let [plain, signed] = [SUITE, with_token].map(|by| sign(&by, &GET, SUITE_S).unwrap().authorization);
        let names = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=";
        assert!(signed.contains(names), "{signed}");
        let signature = |value: &str| value.rsplit('=').next().map(str::to_owned);
        assert_ne!(signature(&plain), signature(&signed));
    }

    #[test]
    fn paths_differ_by_service() {
        for (path, object, service) in [
            ("/a%20b", "/a%20b", "/a%2520b"),
            ("/a b/é", "/a%20b/%C3%A9", "/a%20b/%C3%A9"),
            ("/a//b/../c/", "/a//b/../c/", "/a/c/"),
            ("/a/.", "/a/.", "/a/"),
            ("/a/b/..", "/a/b/..", "/a/"),
            ("/../..", "/../..", "/"),
            ("/(a)+~%2f", "/%28a%29%2B~/", "/%28a%29%2B~%252f"),
            ("", "/", "/"),
        ] {
            assert_eq!([object_path(path), service_path(path)], [object, service], "{path}");
        }
    }

    #[test]
    fn queries_have_one_form() {
        for (query, expected) in [
            ("", ""),
            ("b=2&a=1&a=0&A=", "A=&a=0&a=1&b=2"),
            ("a&&=&b=c=d", "=&a=&b=c%3Dd"),
            ("a=x+y%20z%2B&%c3%a9=/", "%C3%A9=%2F&a=x%20y%20z%2B"),
            ("a=%zz%", "a=%25zz%25"),
        ] {
            assert_eq!(canonical_query(query), expected, "{query}");
        }
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let fails = |credentials: Credentials<'_>, host, unix_s, part: &str| {
            let error = sign(&credentials, &Request { host, ..GET }, unix_s).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        fails(Credentials { region: "", ..SUITE }, "h", 0, "the region");
        fails(Credentials { service: "a b", ..SUITE }, "h", 0, "the service");
        fails(Credentials { access_key: "a\r\n", ..SUITE }, "h", 0, "the access key");
        fails(Credentials { session_token: Some("é"), ..SUITE }, "h", 0, "the session token");
        fails(SUITE, "h\n", 0, "the host");
        for unix_s in [i64::MIN, i64::MAX, 253_402_300_800] {
            fails(SUITE, "h", unix_s, "no time of the years");
        }
        assert_eq!(date(253_402_300_799).as_deref(), Some("99991231T235959Z"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_canonical_form_of_a_query_is_its_own(query in "[a-c=&%+2 é]{0,30}") {
            let once = canonical_query(&query);
            prop_assert_eq!(canonical_query(&once), once);
        }

        #[test]
        fn the_canonical_form_of_an_object_path_is_its_own(path in "/[a-c/.%+2 é]{0,30}") {
            let once = object_path(&path);
            prop_assert_eq!(object_path(&once), once);
        }
    }
}
