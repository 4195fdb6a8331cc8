//! Which target a URL belongs to: the first origin is the scenario's target, others are named ones.

use super::split_origin;
use super::template::{Piece, identifier, render};
use crate::plan::parse_url;
use crate::scenario::file::{File, Request};

/// More hosts than this in one test are a list, not a test; each lookup goes through all.
const ORIGINS_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Origins {
    known: Vec<(String, String)>,
    /// Of URLs without an origin.
    base: Option<usize>,
    /// There were URLs without an origin while there was no base.
    loose: bool,
}

impl Origins {
    /// From here on, URLs without an origin belong to this one, which may have a path.
    pub(super) fn set_base(&mut self, url: Option<&str>) -> Result<(), &'static str> {
        self.base = match url {
            Some(url) => Some(self.number(url.trim_end_matches('/'))?),
            None => None,
        };
        Ok(())
    }

    /// The target's name, and the URL relative to it.
    pub(super) fn place(&mut self, mut pieces: Vec<Piece>) -> Result<(Option<String>, String), &'static str> {
        pieces.retain(|piece| *piece != Piece::Literal(String::new()));
        let followed = pieces.len() > 1;
        let number = match pieces.first_mut() {
            None => self.base,
            Some(Piece::Expression(_)) => return Err("a URL that begins with a computed part"),
            Some(Piece::Literal(text)) => match split_origin(text) {
                Some((_, "")) if followed => return Err("a URL whose host is computed"),
                Some((origin, rest)) => {
                    let (origin, rest) = (origin.to_owned(), rest.to_owned());
                    let number = self.number(&origin)?;
                    *text = rest;
                    Some(number)
                }
                None if text.contains("://") && !text.starts_with('/') && !text.contains('?') => {
                    return Err("a URL of another scheme, or whose host is computed");
                }
                None => self.base,
            },
        };
        self.loose |= number.is_none();
        let target = number.map(|number| self.known[number].0.clone());
        let url = render(&pieces);
        Ok((target, if url.starts_with('/') { url } else { format!("/{url}") }))
    }

    /// Writes the targets down. Requests to the first need not name it, unless there are some of which nobody
    /// knows where they go: then those have the scenario's target, which is left open. Tells whether that is
    /// so.
    pub(super) fn fill(self, file: &mut File, requests: &mut [Request]) -> bool {
        let mut known = self.known.into_iter();
        if !self.loose
            && let Some((name, origin)) = known.next()
        {
            for request in requests {
                request.target.take_if(|target| target.value == name);
            }
            file.target = Some(origin.into());
        }
        file.targets = known.map(|(name, origin)| (name.into(), origin.into())).collect();
        self.loose
    }

    fn number(&mut self, origin: &str) -> Result<usize, &'static str> {
        if let Some(number) = self.known.iter().position(|(_, known)| known.eq_ignore_ascii_case(origin)) {
            return Ok(number);
        }
        if self.known.len() == ORIGINS_MAX {
            return Err("one host too many");
        }
        let host = split_origin(origin).and_then(|(origin, _)| origin.split_once("://"));
        let host = host.filter(|_| parse_url(origin).is_ok());
        let Some((_, host)) = host else { return Err("a host that is no http:// or https:// URL") };
        let base = identifier(host);
        let mut name = base.clone();
        let mut number = 2;
        while self.known.iter().any(|(known, _)| *known == name) {
            name = format!("{base}_{number}");
            number += 1;
        }
        self.known.push((name, origin.to_owned()));
        Ok(self.known.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_find_their_target() {
        let mut origins = Origins::default();
        origins.set_base(Some("http://a.test/base/")).unwrap();
        for (url, want) in [
            ("/x", Ok((Some("a_test"), "/x"))),
            ("x?y", Ok((Some("a_test"), "/x?y"))),
            ("", Ok((Some("a_test"), "/"))),
            ("http://b.test:8080/y", Ok((Some("b_test_8080"), "/y"))),
            ("http://B.test:8080", Ok((Some("b_test_8080"), "/"))),
            ("ftp://c.test/", Err(())),
            ("http://:/", Err(())),
            ("http://a=b:c/", Err(())),
        ] {
            let got = origins.place(vec![Piece::Literal(url.into())]);
            let got = got.as_ref().map(|(target, url)| (target.as_deref(), url.as_str())).map_err(|_| ());
            assert_eq!(got, want, "{url}");
        }
        let computed = |before: &str| vec![Piece::Literal(before.into()), Piece::Expression("x".into())];
        assert!(origins.place(computed("http://b")).is_err() && origins.place(computed("")).is_err());
        assert_eq!(origins.place(computed("/a/")), Ok((Some("a_test".into()), "/a/{{ x }}".into())));
    }

    #[test]
    fn the_first_origin_is_the_target_if_every_url_has_one() {
        for (urls, target, named) in [
            (["http://a.test/", "http://b.test/"], Some("http://a.test"), [None, Some("b_test")]),
            (["http://a.test/", "/"], None, [Some("a_test"), None]),
        ] {
            let (mut origins, mut file) = (Origins::default(), File::default());
            let mut requests = urls.map(|url| {
                let (target, _) = origins.place(vec![Piece::Literal(url.into())]).unwrap();
                Request { target: target.map(Into::into), ..Request::default() }
            });
            assert_eq!(origins.fill(&mut file, &mut requests), target.is_none());
            assert_eq!(file.target.as_ref().map(|t| t.value.as_str()), target);
            let found = requests.each_ref().map(|r| r.target.as_ref().map(|t| t.value.as_str()));
            assert_eq!(found, named);
        }
    }
}
