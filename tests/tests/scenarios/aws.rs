//! AWS Signature Version 4, against the verifier of the crate scratchstack-aws-signature.

use std::str::FromStr;

use brunt_tests::brunt::Measured;
use brunt_tests::clock;
use brunt_tests::nginx::{Nginx, Site};
use brunt_tests::recorder::{Recorder, Seen, answer};
use brunt_tests::turn;
use chrono::DateTime;
use http::Request;
use scratchstack_aws_signature::errors::ServiceError;
use scratchstack_aws_signature::{
    GetSigningKeyRequest, GetSigningKeyResponse, KSecretKey, NO_ADDITIONAL_SIGNED_HEADERS, SignatureError,
    SignatureOptions, service_for_signing_key_fn, sigv4_validate_request,
};

use crate::{Folder, IO};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const REGION: &str = "eu-central-1";
/// Not in the scenario as they are: they would be taken for what they look like.
const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "FwoGZXIvYXdzEBYaD+/token==";

/// Steps whose queries must be sorted and encoded, and whose content must be hashed.
const QUERIES: [&str; 4] = [
    "get: /items?b=2&a=1&a=0&A=&c",
    "{get: /items, query: {z: \"ö /?&+=\", \"a b\": \"~*'()\", \"A[]\": \"%41\", n: \"{{ 6 * 7 }}\"}}",
    "get: /items?plus=a+b&lower=%c3%b6&twice=c=d&&",
    "{request: /items/42, method: DELETE}",
];
const CONTENTS: [&str; 4] = [
    "{put: /items/1?acl, body: \"say ö {{ 6 * 7 }}\"}",
    "{put: /items/2, file: bytes}",
    "{post: /items, json: {n: \"{{ 6 * 7 }}\"}}",
    "{post: /items, form: {a: 1 2}}",
];
/// Names of objects: only S3 takes them as they are.
const OBJECTS: [&str; 3] = ["get: /a/ö b/(1)~", "get: /a//b/./c", "get: /a/1%2b{{ \"1 x\" }}"];

/// The key of the one who may come, and of nobody else.
async fn key_of(request: GetSigningKeyRequest) -> Result<GetSigningKeyResponse, Failure> {
    let is_known = request.access_key() == ACCESS_KEY && request.session_token().is_none_or(|t| t == TOKEN);
    if !is_known {
        return Err(SignatureError::InvalidClientTokenId("nobody has this key".to_owned()).into());
    }
    let secret = KSecretKey::from_str(SECRET_KEY)?;
    let key = secret.to_ksigning(request.request_date(), request.region(), request.service());
    Ok(GetSigningKeyResponse::builder().signing_key(key).build()?)
}

async fn verify(seen: &Seen, service: &str, options: SignatureOptions) -> Result<(), Failure> {
    let (method, target) = seen.asked().split_once(' ').unwrap_or_default();
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in &seen.headers {
        request = request.header(name, value);
    }
    let now = DateTime::from_timestamp_secs(clock::unix_s()).unwrap_or_default();
    let mut keys = service_for_signing_key_fn(key_of);
    let request = request.body(seen.body.clone())?;
    let headers = NO_ADDITIONAL_SIGNED_HEADERS;
    sigv4_validate_request(request, REGION, service, &mut keys, now, &headers, options).await?;
    Ok(())
}

/// 200 for a request that is signed as it should be, else the status that AWS has for it.
fn judged(seen: &Seen, service: &str, options: SignatureOptions) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    match runtime.block_on(verify(seen, service, options)) {
        Ok(()) => answer(200, &[], ""),
        Err(failure) => {
            let status = failure.downcast_ref::<SignatureError>().map_or(500, |of| of.http_status().as_u16());
            answer(status, &[], &failure.to_string())
        }
    }
}

fn api(seen: &Seen) -> String {
    judged(seen, "execute-api", SignatureOptions::default())
}

fn s3(seen: &Seen) -> String {
    judged(seen, "s3", SignatureOptions::S3)
}

/// Who signs.
#[derive(Copy, Clone)]
struct Signer {
    service: &'static str,
    secret_key: &'static str,
    token: Option<&'static str>,
}

const SIGNER: Signer = Signer { service: "s3", secret_key: SECRET_KEY, token: None };

/// One user takes the steps once.
fn run(target: &str, signer: Signer, steps: &[&str], args: &str) -> Measured {
    let token = signer.token.map_or("", |_| ", session_token: \"{{ secret.TOKEN }}\"");
    let scenario = format!(
        "target: {target}\nhttp: {{auth: {{aws_sigv4: {{region: {REGION}, service: {}, \
         access_key: \"{{{{ secret.ACCESS }}}}\", secret_key: \"{{{{ secret.SECRET }}}}\"{token}}}}}}}\n\
         limits: [error_rate <= 100%]\nflows:\n  a:\n    - {}\n",
        signer.service,
        steps.join("\n    - ")
    );
    let folder = Folder::new(&scenario, &[("bytes", "\u{1}\u{2}{{ 1 }}"), ("secret", signer.secret_key)]);
    let secret = folder.path().join("secret").display().to_string();
    let run = folder.run(&format!("-c 1 -n 1 {args}")).arg("--secret-file").arg(&format!("SECRET={secret}"));
    run.env("BRUNT_SECRET_ACCESS", ACCESS_KEY).env("BRUNT_SECRET_TOKEN", signer.token.unwrap_or("")).json()
}

/// All steps end with this status.
#[track_caller]
fn check(measured: &Measured, server: &Recorder, steps: &[&str], status: u16) {
    let count = steps.len() as u64;
    let lines = || server.seen().into_iter().map(|seen| seen.line).collect::<Vec<_>>();
    let errors = [("status", count)];
    measured.expect_counts(0).expect_errors(if status == 200 { &[] } else { &errors });
    let got: Vec<_> =
        measured.report.status.iter().map(|(status, count)| (status.to_string(), *count)).collect();
    assert_eq!(got, [(status.to_string(), count)], "{:#?}\n{}", lines(), measured.story());
    assert_eq!(lines().len() as u64, count, "{:#?}", lines());
}

#[test]
fn signed_requests_are_accepted() {
    let _turn = turn();
    let plain = [&QUERIES[..], &CONTENTS].concat();
    let objects = [&plain[..], &OBJECTS].concat();
    for io in IO {
        for (service, answer, steps) in
            [("execute-api", api as fn(&Seen) -> String, &plain), ("s3", s3, &objects)]
        {
            for token in [None, Some(TOKEN)] {
                let server = Recorder::start(answer);
                let signer = Signer { service, token, ..SIGNER };
                let measured = run(&server.target(), signer, steps, &format!("--io {io}"));
                check(&measured, &server, steps, 200);
            }
        }
    }
}

/// The verifier is one: what is not signed with this key, for this service, is not let in.
#[test]
fn wrongly_signed_requests_are_refused() {
    let _turn = turn();
    let steps = [&QUERIES[..], &CONTENTS].concat();
    for signer in [
        Signer { secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEZ", ..SIGNER },
        Signer { service: "execute-api", ..SIGNER },
        Signer { token: Some("another"), ..SIGNER },
    ] {
        let server = Recorder::start(s3);
        check(&run(&server.target(), signer, &steps, ""), &server, &steps, 403);
    }
}

/// nginx takes HTTP/2, and hands each request on as it was written.
#[test]
fn signed_requests_are_accepted_by_http2() {
    let _turn = turn();
    let steps = [&QUERIES[..], &CONTENTS, &OBJECTS].concat();
    for (secret_key, status) in [(SECRET_KEY, 200), ("wrong", 403)] {
        let server = Recorder::start(s3);
        let directives = format!(
            "location / {{ proxy_pass {}; proxy_http_version 1.1; proxy_set_header Host $http_host; \
             proxy_set_header Connection \"\"; }}",
            server.target()
        );
        let sites = [Site::new("http2", &directives)];
        let Some(nginx) = Nginx::with_sites_or_skip("signed_requests_are_accepted_by_http2", &sites) else {
            return;
        };
        let target = format!("http://127.0.0.1:{}", nginx.port_of(0));
        let measured = run(&target, Signer { secret_key, ..SIGNER }, &steps, "--h2c");
        check(&measured, &server, &steps, status);
    }
}
