//! One request of a script: what of it is the same each time, what is filled in, and what is asked of its answer.

use serde::{Serialize, Serializer};
use url::Url;

use crate::expr::{Escape, Expr, RenderError, Sight};
use crate::extract::JsonPath;
use crate::random::Random;
use crate::request::Request;
use crate::scenario::StatusRange;
use crate::units::Nanos;

/// Content that is kept of an answer for checks and values; what comes after it is only counted.
pub const KEPT_BODY_MAX: usize = 1 << 20;

/// A request of a script.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Index of its label.
    pub name: u16,
    /// Index of the plan's target.
    pub target: u16,
    /// Which it is of the requests to its target that are made at once.
    pub way: u16,
    /// Where it goes with nothing filled in, without credentials.
    pub url: String,
    /// The request, where nothing in it changes; else what it would be with nothing filled in.
    pub request: Request,
    /// Set where something is filled in.
    pub draft: Option<Draft>,
    /// What it may take in all, where that is not the plan's.
    pub total: Option<Nanos>,
    /// Redirects that it follows; `None` leaves them alone.
    pub redirects: Option<u32>,
    /// Statuses that count as completed; empty leaves it to the plan.
    pub ok_status: Vec<StatusRange>,
    /// The status is none of those that count as failed: a check speaks of it.
    pub judges_status: bool,
    pub checks: Vec<Check>,
    pub saves: Vec<(u16, Probe)>,
}

/// A request with places that are filled in each time.
#[derive(Clone, Debug, Serialize)]
pub struct Draft {
    /// HTTP/1.1: the request line and all fields but `Content-Length` and the empty line.
    pub head: Vec<Piece>,
    /// HTTP/2: all fields but `content-length`, pseudo-header fields first.
    pub fields: Vec<(String, Vec<Piece>)>,
    pub body: Vec<Piece>,
    /// Its length is told even where there is none.
    pub has_body: bool,
    pub signer: Option<Signer>,
}

/// Who a request is signed by, or asked for by a challenge.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::large_enum_variant, reason = "there are as few as calls with credentials")]
pub enum Signer {
    /// RFC 7616: user and password.
    Digest { user: Expr, password: Expr },
    /// AWS Signature Version 4.
    Aws { region: Expr, service: Expr, access_key: Expr, secret_key: Expr, session_token: Option<Expr> },
}

/// A piece of a draft.
#[derive(Clone, Debug)]
pub enum Piece {
    Literal(Box<[u8]>),
    Slot(Expr, Escape),
    /// The value of an expression as JSON has it: texts in quotes, numbers as they are.
    Json(Expr),
}

impl Serialize for Piece {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Literal(bytes) => serializer.collect_str(&bytes.escape_ascii()),
            Self::Slot(expr, escape) => serializer.collect_str(&format_args!("{escape:?} {}", expr.source())),
            Self::Json(expr) => serializer.collect_str(&format_args!("json {}", expr.source())),
        }
    }
}

/// What must be true of an answer.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub name: String,
    pub that: Probe,
}

/// An expression over an answer, with the paths that it looks at.
#[derive(Clone, Debug)]
pub struct Probe {
    pub expr: Expr,
    /// By the index in [`crate::expr::Needs::json`].
    pub paths: Vec<JsonPath>,
}

impl Serialize for Probe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expr.source())
    }
}

impl Call {
    /// One that never changes, and of whose answer only the status is asked.
    #[must_use]
    pub const fn fixed(name: u16, request: Request, url: String) -> Self {
        Self {
            name,
            target: 0,
            way: 0,
            url,
            request,
            draft: None,
            total: None,
            redirects: None,
            ok_status: Vec::new(),
            judges_status: false,
            checks: Vec::new(),
            saves: Vec::new(),
        }
    }

    /// Where it went when it was sent to this path, for what a redirect is relative to.
    #[must_use]
    pub fn url_at(&self, path: &str) -> String {
        Url::parse(&self.url).map_or_else(
            |_| self.url.clone(),
            |mut url| {
                url.set_path(path);
                url.into()
            },
        )
    }

    /// The same each time, and nothing special about its answer.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.draft.is_none()
            && self.total.is_none()
            && self.redirects.is_none()
            && self.ok_status.is_empty()
            && !self.looks_at_answer()
    }

    #[must_use]
    pub fn looks_at_answer(&self) -> bool {
        !(self.checks.is_empty() && self.saves.is_empty())
    }

    /// All that looks at its answer.
    pub fn probes(&self) -> impl Iterator<Item = &Probe> {
        self.checks.iter().map(|check| &check.that).chain(self.saves.iter().map(|(_, probe)| probe))
    }

    /// Somebody looks at the fields of its answer.
    #[must_use]
    pub fn keeps_head(&self) -> bool {
        self.answers_challenges()
            || self.probes().any(|probe| !probe.expr.needs().headers.is_empty() || probe.expr.needs().cookies)
    }

    /// A challenge of the server is answered.
    #[must_use]
    pub fn answers_challenges(&self) -> bool {
        let signer = self.draft.as_ref().and_then(|draft| draft.signer.as_ref());
        matches!(signer, Some(Signer::Digest { .. }))
    }

    /// How much is kept of the content of its answer, in bytes.
    #[must_use]
    pub fn keeps_body(&self) -> usize {
        let looks = |probe: &Probe| probe.expr.needs().body || !probe.expr.needs().json.is_empty();
        if self.probes().any(looks) { KEPT_BODY_MAX } else { 0 }
    }
}

/// Appends what pieces become.
///
/// # Errors
/// The expression whose value is missing or cannot stand there; `out` is then of no use.
pub fn render<'p>(
    pieces: &'p [Piece],
    sight: &dyn Sight,
    random: &mut Random,
    out: &mut Vec<u8>,
) -> Result<(), RenderError<'p>> {
    for piece in pieces {
        match piece {
            Piece::Literal(bytes) => out.extend_from_slice(bytes),
            Piece::Slot(expr, escape) => expr.render(sight, random, *escape, out)?,
            Piece::Json(expr) => expr.render_json(sight, random, out)?,
        }
    }
    Ok(())
}
