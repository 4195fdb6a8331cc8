//! Requests that are not the same each time: filled in for a user, and with its cookies.

use std::sync::Arc;

use brunt_model::cookies::Jar;
use brunt_model::expr::{RenderError, Sight};
use brunt_model::random::Random;
use brunt_model::script::call::{self, Call, Draft};

use crate::conn::Wants;
use crate::conn::h2;
use crate::conn::link::Outgoing;
use crate::conn::one::Wire;

/// Where cookies are to go.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) secure: bool,
    pub(crate) now_s: i64,
}

/// Memory for what is put together; it is kept from one request to the next.
#[derive(Default)]
pub(crate) struct Filler {
    head: Vec<u8>,
    body: Vec<u8>,
    cookies: Vec<u8>,
}

impl Filler {
    /// The call's request for whoever `sight` is, or `None` where it is the same as always.
    ///
    /// # Errors
    /// The expression that has no value, or one that cannot stand there.
    pub(crate) fn fill<'c>(
        &mut self,
        call: &'c Call,
        wants: Wants,
        multiplexed: bool,
        (sight, random): (&dyn Sight, &mut Random),
        (jar, place): (&Jar, &Place),
    ) -> Result<Option<Outgoing>, RenderError<'c>> {
        if call.draft.is_none() && jar.is_empty() {
            return Ok(None);
        }
        if multiplexed {
            return self.fill_two(call, wants, (sight, random), (jar, place));
        }
        self.head.clear();
        self.body.clear();
        match &call.draft {
            None => {
                let (head, body) = call.request.wire.split_at(call.request.head_len);
                self.head.extend_from_slice(head.strip_suffix(b"\r\n").unwrap_or(head));
                self.body.extend_from_slice(body);
            }
            Some(draft) => {
                call::render(&draft.head, sight, random, &mut self.head)?;
                call::render(&draft.body, sight, random, &mut self.body)?;
                if draft.has_body {
                    self.head
                        .extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
                }
            }
        }
        let path = path_of_head(&self.head);
        self.cookies.clear();
        if !jar.is_empty() && jar.write(&place.host, path, place.secure, place.now_s, &mut self.cookies) {
            self.head.extend_from_slice(b"Cookie: ");
            self.head.extend_from_slice(&self.cookies);
            self.head.extend_from_slice(b"\r\n");
        }
        self.head.extend_from_slice(b"\r\n");
        let head_len = self.head.len();
        self.head.extend_from_slice(&self.body);
        let expects_continue = call.request.expects_continue;
        Ok(Some(Outgoing::One(Wire { bytes: Arc::from(&self.head[..]), head_len, expects_continue, wants })))
    }

    fn fill_two<'c>(
        &mut self,
        call: &'c Call,
        wants: Wants,
        (sight, random): (&dyn Sight, &mut Random),
        (jar, place): (&Jar, &Place),
    ) -> Result<Option<Outgoing>, RenderError<'c>> {
        let (mut fields, body) = match &call.draft {
            None => {
                let same = |(name, value): &(String, String)| (name.clone().into(), value.clone().into());
                (call.request.fields.iter().map(same).collect(), call.request.body.clone())
            }
            Some(draft) => self.fields(draft, sight, random)?,
        };
        let path = fields.iter().find(|(name, _): &&(Vec<u8>, Vec<u8>)| name == b":path");
        let path = path.map_or("/", |(_, value)| path_of_target(value));
        let mut cookies = Vec::new();
        if !jar.is_empty() && jar.write(&place.host, path, place.secure, place.now_s, &mut cookies) {
            fields.push((b"cookie".to_vec(), cookies));
        }
        let expects_continue = call.request.expects_continue;
        Ok(Some(Outgoing::Two(h2::request::Outgoing {
            fields,
            body,
            expects_continue,
            repeated: false,
            wants,
        })))
    }

    #[expect(clippy::type_complexity, reason = "a list of fields and a body, as they are sent")]
    fn fields<'c>(
        &mut self,
        draft: &'c Draft,
        sight: &dyn Sight,
        random: &mut Random,
    ) -> Result<(Vec<(Vec<u8>, Vec<u8>)>, Arc<[u8]>), RenderError<'c>> {
        let mut fields = Vec::with_capacity(draft.fields.len() + 2);
        for (name, pieces) in &draft.fields {
            let mut value = Vec::new();
            call::render(pieces, sight, random, &mut value)?;
            fields.push((name.clone().into_bytes(), value));
        }
        self.body.clear();
        call::render(&draft.body, sight, random, &mut self.body)?;
        if draft.has_body {
            fields.push((b"content-length".to_vec(), self.body.len().to_string().into_bytes()));
        }
        Ok((fields, Arc::from(&self.body[..])))
    }
}

/// The path of a request line (RFC 9112 section 3).
pub(crate) fn path_of_head(head: &[u8]) -> &str {
    path_of_target(head.split(|&byte| byte == b' ').nth(1).unwrap_or_default())
}

/// The path of a request's target, without its query.
fn path_of_target(target: &[u8]) -> &str {
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    std::str::from_utf8(&target[..end]).unwrap_or("/")
}
