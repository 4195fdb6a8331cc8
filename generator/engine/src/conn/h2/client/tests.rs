use super::*;
use crate::conn::h1::Answer;

const CONTEXT: Context =
    Context { to_head_request: false, body_limit: 1 << 20, decode: false, redirects: false };

/// A client whose server has sent its SETTINGS, and a request without a body or with one of so many bytes.
fn begun(lanes: u32) -> (Client, Vec<u8>) {
    let (mut client, mut out) = (Client::new(lanes), Vec::new());
    client.start(&CONTEXT, &mut out);
    let mut settings = Vec::new();
    frame::write_settings(&[], &mut settings);
    assert_eq!(client.feed(&settings, 1, &CONTEXT, &mut out), (settings.len(), Step::Ready));
    (client, out)
}

fn request(body: usize) -> Outgoing {
    let field = |name: &str, value: &str| (name.into(), value.into());
    let fields = vec![
        field(":method", "GET"),
        field(":scheme", "http"),
        field(":authority", "a"),
        field(":path", "/"),
    ];
    Outgoing { fields, body: vec![b'x'; body].into(), expects_continue: false, repeated: false }
}

fn steps(client: &mut Client, bytes: &[u8], out: &mut Vec<u8>) -> Vec<Step> {
    let (mut at, mut steps) = (0, Vec::new());
    loop {
        let (used, step) = client.feed(&bytes[at..], 1, &CONTEXT, out);
        at += used;
        match step {
            Step::More { .. } => return steps,
            step => steps.push(step),
        }
    }
}

/// Its lane's next request once took the rest of the frame for its own answer, and failed for it.
#[test]
fn a_frame_of_a_stream_that_was_given_up_is_read_to_its_end() {
    let (mut client, mut out) = begun(1);
    client.request(0, &request(0), &mut out);
    let mut bytes = Vec::new();
    frame::write_headers(1, &[0x88], false, true, &mut bytes);
    frame::write_data(1, b"0123456789", true, &mut bytes);
    let (first, second) = bytes.split_at(bytes.len() - 5);
    assert_eq!(steps(&mut client, first, &mut out), []);
    client.abandon(0, &mut out);
    client.request(0, &request(0), &mut out);
    assert_eq!(steps(&mut client, second, &mut out), []);
    bytes.clear();
    frame::write_headers(3, &[0x88], true, true, &mut bytes);
    let answer = Answer { status: 200, reusable: true };
    assert_eq!(steps(&mut client, &bytes, &mut out), [Step::Done { lane: 0, answer }]);
}

/// A server that never opens its window once made the list of waiting bodies one longer with each request given up.
#[test]
fn bodies_that_were_given_up_do_not_gather() {
    let (mut client, mut out) = begun(2);
    for _ in 0..100 {
        out.clear();
        client.request(0, &request(100_000), &mut out);
        client.request(1, &request(10), &mut out);
        client.abandon(0, &mut out);
        client.abandon(1, &mut out);
    }
    assert!(client.uploads.len() <= 2, "{} bodies of two lanes wait", client.uploads.len());
}
