//! The server of the crate h2, doing what scripts say.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::io::DuplexStream;

use super::{Random, content};

pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// How an answer ends.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Whole,
    /// More or less content comes than was announced.
    WrongLength,
    ResetAtOnce(u32),
    /// After some of the content.
    Reset(u32),
}

/// One exchange.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) fields: Fields,
    pub(crate) body: usize,
    pub(crate) expects_continue: bool,
    pub(crate) status: u16,
    answer_fields: Fields,
    interim: usize,
    pub(crate) pieces: Vec<usize>,
    known_length: bool,
    trailers: bool,
    /// The answer does not wait for the request's body.
    early: bool,
    pub(crate) end: End,
}

/// What the server is told at its start, and does in mid-connection.
#[derive(Clone, Debug)]
pub(crate) struct Temper {
    pub(crate) to_head_request: bool,
    pub(crate) max_streams: Option<u32>,
    pub(crate) window: u32,
    connection_window: u32,
    table: Option<u32>,
    /// After so many requests it begins to shut down.
    leaves_after: usize,
}

/// What the server saw of a request.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    pub(crate) exchange: usize,
    pub(crate) stream: u32,
    pub(crate) fields: Fields,
    /// None where the server did not read the body to its end.
    pub(crate) body: Option<Vec<u8>>,
}

pub(crate) type Sights = Arc<Mutex<Vec<Sight>>>;

impl Script {
    pub(crate) fn new(exchange: usize, to_head_request: bool, random: &mut Random) -> Self {
        let body = if to_head_request || random.chance(50) { 0 } else { random.length(300_000) };
        let method = match (to_head_request, body) {
            (true, _) => "HEAD",
            (false, 0) => random.one_of(&["GET", "DELETE", "OPTIONS"]),
            _ => random.one_of(&["POST", "PUT", "PATCH"]),
        };
        let mut fields: Fields = vec![
            (b":method".to_vec(), method.into()),
            (b":scheme".to_vec(), b"https".to_vec()),
            (b":authority".to_vec(), b"a.example".to_vec()),
            (b":path".to_vec(), format!("/{exchange}?q={}", random.below(9)).into_bytes()),
        ];
        fields.extend(any_fields(random, 6, 3_000));
        let status = random.one_of(&[200, 200, 200, 201, 204, 304, 302, 404, 500, 503, 599]);
        let bodiless = to_head_request || matches!(status, 204 | 304);
        let length = if bodiless { 0 } else { random.length(200_000) };
        let code = u32::try_from(random.below(16)).unwrap_or(0);
        let end = match random.below(100) {
            0..3 if !bodiless => End::WrongLength,
            3..6 => End::ResetAtOnce(code),
            6..9 if !bodiless => End::Reset(code),
            _ => End::Whole,
        };
        Self {
            fields,
            body,
            expects_continue: body > 0 && random.chance(10),
            status,
            answer_fields: any_fields(random, 12, 20_000),
            interim: if random.chance(10) { random.below(4) } else { 0 },
            pieces: random.pieces(length),
            known_length: random.chance(50) || end == End::WrongLength,
            trailers: !bodiless && random.chance(20),
            early: random.chance(10),
            end,
        }
    }

    pub(crate) fn content_length(&self) -> usize {
        self.pieces.iter().sum()
    }

    fn head(&self) -> Response<()> {
        let mut head = Response::builder().status(self.status);
        for (name, value) in &self.answer_fields {
            head = head.header(name.as_slice(), HeaderValue::from_bytes(value).expect("a value"));
        }
        if self.known_length && self.status != 204 {
            let wrong = usize::from(self.end == End::WrongLength);
            head = head.header("content-length", self.content_length() + wrong);
        }
        head.body(()).expect("a head")
    }
}

/// Fields, some of them again, new or the same; values hold any octet that may be in one.
fn any_fields(random: &mut Random, most: usize, longest: usize) -> Fields {
    let mut fields = Fields::new();
    for _ in 0..random.below(most) {
        let name = format!("x-{}", random.one_of(&["a", "b", "c", "long-name-of-a-field", "authorization"]));
        let length = if random.chance(5) { random.below(longest) } else { random.below(40) };
        let fresh = random.chance(50);
        let octet = |at: usize, random: &mut Random| match random.below(9) {
            0 if fresh && at > 0 && at + 1 < length => 0x80 + u8::try_from(random.below(0x80)).unwrap_or(0),
            _ if fresh => b'a' + u8::try_from(random.below(26)).unwrap_or(0),
            _ => b'v',
        };
        let value = (0..length).map(|at| octet(at, random)).collect();
        fields.push((name.into_bytes(), value));
    }
    fields
}

impl Temper {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            to_head_request: random.chance(10),
            max_streams: random.chance(50).then(|| 1 + u32::try_from(random.below(12)).unwrap_or(0)),
            window: random.one_of(&[100, 3_000, 65_535, 65_535, 1 << 20]),
            connection_window: random.one_of(&[65_535, 65_535, 1 << 20]),
            table: random.chance(60).then(|| random.one_of(&[0, 60, 500, 4_096, 65_536])),
            leaves_after: if random.chance(40) { random.below(60) } else { usize::MAX },
        }
    }
}

/// Serves one connection to its end.
///
/// # Errors
/// What the library found wrong with the connection.
pub(crate) async fn serve(
    io: DuplexStream,
    temper: Temper,
    scripts: Arc<Vec<Script>>,
    sights: Sights,
    mut random: Random,
) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(temper.window).initial_connection_window_size(temper.connection_window);
    builder.max_send_buffer_size(1 << 20);
    if let Some(streams) = temper.max_streams {
        builder.max_concurrent_streams(streams);
    }
    if let Some(table) = temper.table {
        builder.header_table_size(table);
    }
    let mut connection = builder.handshake::<_, Bytes>(io).await?;
    let (mut accepted, mut window) = (0, temper.window);
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        accepted += 1;
        let exchange = exchange_of(&request);
        let answer = answer(scripts[exchange].clone(), exchange, request, respond, sights.clone());
        tokio::spawn(answer);
        if random.chance(10) {
            // Only wider: this server forgets to open a stream's window that became narrower than what was read of it.
            // It refuses while the change before is not acknowledged.
            window = window.max(random.one_of(&[50, 2_000, 65_535, 1 << 20]));
            let _ = connection.set_initial_window_size(window);
        }
        if accepted == temper.leaves_after {
            connection.graceful_shutdown();
        }
    }
    Ok(())
}

fn exchange_of(request: &Request<RecvStream>) -> usize {
    request.uri().path()[1..].parse().expect("the number of an exchange")
}

/// Ends early, and quietly, where the client gave the stream up.
async fn answer(
    script: Script,
    exchange: usize,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    sights: Sights,
) -> Result<(), h2::Error> {
    let (head, mut received) = request.into_parts();
    let mut fields: Fields = vec![
        (b":method".to_vec(), head.method.as_str().into()),
        (b":path".to_vec(), head.uri.path_and_query().expect("a path").as_str().into()),
    ];
    let regular = head.headers.iter();
    fields.extend(regular.map(|(name, value)| (name.as_str().into(), value.as_bytes().into())));
    let stream = respond.stream_id().as_u32();
    let place = {
        let mut sights = sights.lock().expect("the sights");
        sights.push(Sight { exchange, stream, fields, body: None });
        sights.len() - 1
    };
    if let End::ResetAtOnce(code) = script.end {
        respond.send_reset(Reason::from(code));
        return Ok(());
    }
    for _ in 0..script.interim {
        respond.send_informational(Response::builder().status(103).body(()).expect("a head"))?;
    }
    if !script.early {
        if script.expects_continue {
            respond.send_informational(Response::builder().status(100).body(()).expect("a head"))?;
        }
        let body = read(&mut received).await?;
        sights.lock().expect("the sights")[place].body = Some(body);
    }
    send(&script, &mut respond).await
}

async fn read(received: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut body = Vec::new();
    while let Some(data) = received.data().await {
        let data = data?;
        body.extend_from_slice(&data);
        received.flow_control().release_capacity(data.len())?;
    }
    Ok(body)
}

async fn send(script: &Script, respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    let bare = script.pieces.is_empty() && !script.trailers;
    let mut stream = respond.send_response(script.head(), bare && !matches!(script.end, End::Reset(_)))?;
    let sent = match script.end {
        End::Reset(_) => script.pieces.len() / 2,
        _ => script.pieces.len(),
    };
    for (at, piece) in script.pieces[..sent].iter().enumerate() {
        let ends = at + 1 == script.pieces.len() && !script.trailers;
        stream.send_data(Bytes::from(content(*piece)), ends)?;
        if at % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    if let End::Reset(code) = script.end {
        stream.send_reset(Reason::from(code));
    } else if script.trailers {
        let mut trailers = HeaderMap::new();
        trailers.insert(HeaderName::from_static("x-sum"), HeaderValue::from_static("1"));
        stream.send_trailers(trailers)?;
    }
    Ok(())
}
