//! What is done with answers: content codings are decoded, redirects followed where that was asked for.

use brunt_tests::brunt::measure;
use brunt_tests::certificates::{Certificates, Holder};
use brunt_tests::garbage::{Act, Server};
use brunt_tests::nginx::{Nginx, Site};
use brunt_tests::turn;

use crate::{IO, agrees, completes, fails, url};

/// HTTP/1.1 in clear text, and HTTP/2 over TLS, with these directives.
fn sites(certificates: &Certificates, more: &str) -> [Site; 2] {
    [Site::new("", more), Site::secure("ssl http2", certificates, Holder::Server, more)]
}

fn spoken(certificates: &Certificates) -> [(&'static str, String); 2] {
    [("http", String::new()), ("https", format!("--http2 -p 4 --cacert {}", certificates.authority()))]
}

#[test]
fn compressed_bodies_are_decoded() {
    let _turn = turn();
    let made = Certificates::make();
    let sites = sites(&made, "gzip on; gzip_types text/plain; gzip_http_version 1.0;");
    let Some(nginx) = Nginx::with_sites_or_skip("compressed_bodies_are_decoded", &sites) else { return };
    for (site, (scheme, flags)) in spoken(&made).into_iter().enumerate() {
        for io in IO {
            for file in ["4k", "64k"] {
                let args = format!("-n 40 -c 2 --io {io} {flags} {}", url(&nginx, site, scheme, file));
                let (plain, _) = agrees(&nginx, &args, 40);
                let (packed, _) = agrees(&nginx, &format!("--compressed {args}"), 40);
                let (plain, bytes) = (plain.report.totals.bytes_in, packed.report.totals.bytes_in);
                assert!(bytes < plain / 2, "{bytes} of {plain} bytes\n{}", packed.story());
            }
        }
    }
}

#[test]
fn what_is_not_gzip_is_found_where_it_is_decoded() {
    let _turn = turn();
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n";
    // A sound header, and then a block of a type that does not exist (RFC 1951 section 3.2.3).
    let broken = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), &[0xff; 10]].concat();
    for body in [b"this is not gzip at all!"[..20].to_vec(), broken] {
        for io in IO {
            let server = Server::start(&[Act::Send([head.as_bytes(), &body].concat())]);
            fails(&format!("-n 4 -c 2 --compressed --io {io} {}", server.url()), "protocol");
            completes(&format!("-n 4 -c 2 --io {io} {}", server.url()), 4);
        }
    }
}

const HOPS: &str = "location = /hop { return 302 /100; } location = /hops { return 307 /hop; } \
    location = /loop { return 302 /loop; } location = /away { return 301 http://127.0.0.2:9/; } \
    location = /down { return 302 http://127.0.0.1:$server_port/100; }";

/// Path, flag, what nginx logs for each arrival, and how it ends: a status, or a refusal.
type Redirect = (&'static str, &'static str, &'static [(&'static str, u16)], Result<u16, u16>);

const REDIRECTS: [Redirect; 7] = [
    ("hop", "", &[("/hop", 302)], Ok(302)),
    ("hop", "--redirects 3", &[("/hop", 302), ("/100", 200)], Ok(200)),
    ("hops", "--redirects 2", &[("/hops", 307), ("/hop", 302), ("/100", 200)], Ok(200)),
    ("hops", "--redirects 1", &[("/hops", 307), ("/hop", 302)], Err(302)),
    ("loop", "--redirects 3", &[("/loop", 302), ("/loop", 302), ("/loop", 302), ("/loop", 302)], Err(302)),
    ("away", "--redirects 3", &[("/away", 301)], Err(301)),
    ("100", "--redirects 3", &[("/100", 200)], Ok(200)),
];

#[test]
fn redirects_are_followed_within_the_origin() {
    let _turn = turn();
    let made = Certificates::make();
    let name = "redirects_are_followed_within_the_origin";
    let Some(nginx) = Nginx::with_sites_or_skip(name, &sites(&made, HOPS)) else { return };
    for (site, (scheme, flags)) in spoken(&made).into_iter().enumerate() {
        for (io, redirect) in IO.into_iter().flat_map(|io| REDIRECTS.map(|redirect| (io, redirect))) {
            check_redirect(&nginx, &format!("--io {io} {flags}"), &redirect, &|path| {
                url(&nginx, site, scheme, path)
            });
        }
    }
}

#[track_caller]
fn check_redirect(nginx: &Nginx, flags: &str, redirect: &Redirect, url: &dyn Fn(&str) -> String) {
    const COUNT: usize = 20;
    let (path, flag, steps, end) = redirect;
    let before = nginx.logged().len();
    let measured = measure(&format!("-n {COUNT} -c 2 {flags} {flag} {}", url(path)));
    let mut logged: Vec<_> =
        nginx.logged()[before..].iter().map(|line| (line.path.clone(), line.status)).collect();
    let all = std::iter::repeat_n(steps.iter(), COUNT).flatten();
    let mut wanted: Vec<_> = all.map(|(path, status)| ((*path).to_owned(), *status)).collect();
    logged.sort();
    wanted.sort();
    assert_eq!(logged, wanted, "{}", measured.story());
    let status = match end {
        Ok(status) => {
            measured.expect_counts(0).expect_errors(&[]);
            status
        }
        Err(status) => {
            measured.expect_counts(3).expect_errors(&[("redirect_refused", COUNT as u64)]);
            status
        }
    };
    let seen = measured.report.status.get(&status.to_string());
    assert_eq!(seen, Some(&(COUNT as u64)), "{}", measured.story());
}

/// From TLS to clear text is another origin, even at the same host.
#[test]
fn a_redirect_out_of_tls_is_refused() {
    let _turn = turn();
    let made = Certificates::make();
    let Some(nginx) = Nginx::with_sites_or_skip("a_redirect_out_of_tls_is_refused", &sites(&made, HOPS))
    else {
        return;
    };
    for io in IO {
        let refused: &Redirect = &("down", "--redirects 3", &[("/down", 302)], Err(302));
        for version in ["", "--http2"] {
            let flags = format!("--io {io} {version} --cacert {}", made.authority());
            check_redirect(&nginx, &flags, refused, &|path| url(&nginx, 1, "https", path));
        }
    }
}
