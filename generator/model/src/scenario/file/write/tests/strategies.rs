//! Whole files, bounded, with what is awkward to write in each place where a text can be.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::scenario::file::keys::flow::METHODS;
use crate::scenario::file::*;
use crate::scenario::{StatusRange, TlsVersion};

const AWKWARD: [&str; 40] = [
    "",
    " ",
    "~",
    "null",
    "true",
    "no",
    "5",
    "-5",
    "0x1F",
    "1e3",
    ".5",
    ".inf",
    "-",
    "--- a",
    "...",
    "- a",
    "-a",
    "? a",
    ":",
    "a:",
    "a: b",
    "a #b",
    "#a",
    "&a",
    "*a",
    "!secret A",
    "|",
    ">",
    "'",
    "\"\\",
    "{{ a }}",
    "{",
    "[a, b]",
    "%a",
    "@a",
    "`a`",
    "<<",
    "a\nb",
    "a\n\n  b\n",
    "\u{85}\u{7}",
];

fn text() -> impl Strategy<Value = String> {
    let awkward = select(&AWKWARD[..]).prop_map(str::to_owned);
    prop_oneof![awkward, "[a-z/]{1,8}", "[ -~]{0,12}", "\\PC{0,8}", "[a-c\t\n :#'\"-]{0,12}"]
}

/// A text that stands alone, with at least one character.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z_]{1,8}", 1 => text().prop_filter("a name has a character", |name| !name.is_empty())]
}

fn located<T: std::fmt::Debug>(inner: impl Strategy<Value = T>) -> impl Strategy<Value = Located<T>> {
    inner.prop_map(Located::from)
}

fn expression() -> impl Strategy<Value = Expr> {
    let is_one = |text: &String| !text.trim().is_empty() && text != "~";
    located(prop_oneof!["[a-z]{1,5} == [0-9]{1,3}", text().prop_filter("an expression is not empty", is_one)])
}

fn entries<T: std::fmt::Debug>(inner: impl Strategy<Value = T>) -> impl Strategy<Value = Entries<T>> {
    btree_map(name(), inner, 0..3)
        .prop_map(|map| map.into_iter().map(|(name, value)| (Located::from(name), value)).collect())
}

fn nanos() -> impl Strategy<Value = Nanos> {
    prop_oneof![(0u64..100_000).prop_map(Nanos::from_millis), any::<u64>().prop_map(Nanos)]
}

fn rate() -> impl Strategy<Value = Rate> {
    (0..=Rate::MAX.0).prop_map(Rate)
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        Just(Scalar::Null),
        any::<bool>().prop_map(Scalar::Bool),
        any::<i64>().prop_map(Scalar::Int),
        (proptest::num::f64::NORMAL | proptest::num::f64::ZERO).prop_map(Scalar::Float),
        located(text()).prop_map(Scalar::Text),
    ]
}

fn status() -> impl Strategy<Value = StatusRange> {
    prop_oneof![
        (100u16..1_000, 100u16..1_000).prop_map(|(a, b)| StatusRange { from: a.min(b), to: a.max(b) }),
        (100u16..1_000).prop_map(|one| StatusRange { from: one, to: one }),
        (1u16..10).prop_map(|class| StatusRange { from: class * 100, to: class * 100 + 99 }),
    ]
}

fn auth() -> impl Strategy<Value = Located<Auth>> {
    let one = || located(text());
    located(prop_oneof![
        (one(), one()).prop_map(|(user, password)| Auth::Basic { user, password }),
        one().prop_map(Auth::Bearer),
        (one(), one()).prop_map(|(user, password)| Auth::Digest { user, password }),
        (one(), one(), one(), one(), of(one())).prop_map(
            |(region, service, access_key, secret_key, session_token)| Auth::AwsSigV4 {
                region,
                service,
                access_key,
                secret_key,
                session_token
            }
        ),
    ])
}

fn tls() -> impl Strategy<Value = Tls> {
    let version = || of(select(vec![TlsVersion::Tls12, TlsVersion::Tls13]));
    let key = prop_oneof![
        name().prop_filter("a file's name", |name| !name.contains("{{")).prop_map(Reference::Plain),
        "[A-Z_]{1,8}".prop_map(Reference::Secret)
    ];
    let file = || of(located(name()));
    (of(any::<bool>()), version(), version(), of(any::<bool>()), file(), file(), of(located(key)))
        .prop_map(|(verify, min, max, resume, ca, cert, key)| Tls { verify, min, max, resume, ca, cert, key })
}

fn http() -> impl Strategy<Value = Http> {
    let flag = || of(any::<bool>());
    let time = || of(nanos());
    let version = of(select(vec![Version::Auto, Version::Http1, Version::Http2]));
    (
        (version, of(any::<u32>()), flag(), time(), time(), time(), of(any::<u32>())),
        (of(any::<u64>().prop_map(Bytes)), flag(), flag(), vec(status(), 0..3)),
        (entries(located(text())), of(auth()), tls()),
    )
        .prop_map(|(first, second, (headers, auth, tls))| Http {
            version: first.0,
            streams: first.1,
            keep_alive: first.2,
            connect_timeout: first.3,
            first_byte_timeout: first.4,
            total_timeout: first.5,
            redirects: first.6,
            body_limit: second.0,
            compressed: second.1,
            cookies: second.2,
            ok_status: second.3,
            headers,
            auth,
            tls,
        })
}

fn feeder() -> impl Strategy<Value = Feeder> {
    let format = select(vec![DataFormat::Csv, DataFormat::JsonLines]);
    let pick = select(vec![Pick::Sequential, Pick::Random, Pick::Unique]);
    let on_end = select(vec![OnEnd::Stop, OnEnd::Recycle]);
    (format, located(name()), pick, on_end).prop_map(|(format, file, pick, on_end)| Feeder {
        format,
        file,
        pick,
        on_end,
    })
}

fn closed() -> impl Strategy<Value = PhaseShape> {
    let iterations =
        prop_oneof![any::<u64>().prop_map(Iterations::Shared), any::<u64>().prop_map(Iterations::PerUser)];
    prop_oneof![
        (any::<u32>(), any::<u32>(), of(nanos()), iterations).prop_map(|(from, to, duration, iterations)| {
            PhaseShape::Closed { from, to, duration, iterations: Some(iterations) }
        }),
        (any::<u32>(), nanos()).prop_map(|(users, time)| PhaseShape::Closed {
            from: users,
            to: users,
            duration: Some(time),
            iterations: None
        }),
        nanos().prop_map(PhaseShape::Pause),
    ]
}

fn open() -> impl Strategy<Value = PhaseShape> {
    let format = select(vec![LogFormat::Combined, LogFormat::JsonLines, LogFormat::Har]);
    prop_oneof![
        (rate(), rate(), nanos()).prop_map(|(from, to, duration)| PhaseShape::Open { from, to, duration }),
        (rate(), 1..=Rate::MAX.0, nanos(), rate()).prop_map(|(a, by, every, b)| PhaseShape::Steps {
            from: a.min(b),
            by: Rate(by),
            every,
            until: a.max(b)
        }),
        (rate(), rate(), nanos(), nanos(), nanos())
            .prop_map(|(from, to, rise, hold, fall)| PhaseShape::Spike { from, to, rise, hold, fall }),
        (rate(), rate(), 1..u64::MAX, nanos()).prop_map(|(a, b, period, duration)| PhaseShape::Sine {
            mean: a.max(b),
            amplitude: a.min(b),
            period: Nanos(period),
            duration
        }),
        vec((nanos(), rate()), 2..4).prop_map(|mut points| {
            points.sort();
            points[0].0 = Nanos::ZERO;
            PhaseShape::Points(points)
        }),
        nanos().prop_map(PhaseShape::Pause),
        (located(name()), format, 0.001..1_000.0).prop_map(|(file, format, speed)| PhaseShape::Replay {
            file,
            format,
            speed
        }),
    ]
}

fn load() -> impl Strategy<Value = Load> {
    let phases =
        (prop_oneof![vec(open(), 0..3), vec(closed(), 0..3)], 0usize..3).prop_map(|(shapes, warmups)| {
            let phase = |(at, shape)| Located::from(Phase { shape, warmup: at < warmups });
            shapes.into_iter().enumerate().map(phase).collect()
        });
    let bare = phases.prop_map(|phases| Load { phases, ..Load::default() });
    let arrivals = of(select(vec![Arrivals::Uniform, Arrivals::Poisson]));
    let settings =
        (vec(located(text_of_a_name()), 0..3), nanos(), arrivals, of(any::<u32>()), of(any::<u32>()));
    (bare, of(settings)).prop_map(|(bare, settings)| match settings {
        None => bare,
        Some((flows, start, arrivals, max_connections, max_backlog)) => {
            Load { flows, start, arrivals, max_connections, max_backlog, ..bare }
        }
    })
}

/// A name where it is a value, so that it can be empty.
fn text_of_a_name() -> impl Strategy<Value = String> {
    prop_oneof![name(), text()]
}

fn loads() -> impl Strategy<Value = Entries<Load>> {
    let one = load().prop_map(|load| vec![(Located::from(String::new()), load)]);
    prop_oneof![one, entries(load())]
}

fn json() -> impl Strategy<Value = Json> {
    scalar().prop_map(Json::Scalar).prop_recursive(2, 6, 3, |inner| {
        let map = btree_map(text(), inner.clone(), 0..3).prop_map(|map| {
            Json::Map(map.into_iter().map(|(name, value)| (Located::from(name), value)).collect())
        });
        prop_oneof![vec(inner, 0..3).prop_map(Json::List), map]
    })
}

fn body() -> impl Strategy<Value = Body> {
    let one = || located(text());
    let content = prop_oneof![one().prop_map(PartContent::Text), located(name()).prop_map(PartContent::File)];
    let part = (one(), content, of(one()), of(one()))
        .prop_map(|(name, content, filename, content_type)| Part { name, content, filename, content_type });
    let field = (one(), one()).prop_map(|(name, text)| Part {
        name,
        content: PartContent::Text(text),
        filename: None,
        content_type: None,
    });
    prop_oneof![
        one().prop_map(Body::Text),
        json().prop_map(Body::Json),
        entries(one()).prop_map(Body::Form),
        vec(part, 0..3).prop_map(Body::Multipart),
        vec(field, 0..3).prop_map(Body::Multipart),
        located(name()).prop_map(Body::File),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let method = prop_oneof![select(&METHODS[..]).prop_map(|(_, method)| method.to_owned()), "[A-Z]{1,8}"];
    let check = (expression(), of(text_of_a_name())).prop_map(|(that, name)| Check { that, name });
    (
        (method, located(text()), of(located(text())), of(text()), vec(text(), 0..3)),
        (entries(located(text())), entries(located(text())), of(body()), of(auth())),
        (vec(status(), 0..3), of(nanos()), of(any::<u32>()), vec(check, 0..3), entries(expression())),
    )
        .prop_map(|(first, (headers, query, body, auth), last)| Request {
            method: first.0,
            url: first.1,
            target: first.2,
            name: first.3,
            tags: first.4,
            headers,
            query,
            body,
            auth,
            ok_status: last.0,
            total_timeout: last.1,
            redirects: last.2,
            check: last.3,
            save: last.4,
        })
}

fn span() -> impl Strategy<Value = Span> {
    (nanos(), nanos()).prop_map(|(a, b)| Span { from: a.min(b), to: a.max(b) })
}

fn steps() -> impl Strategy<Value = Vec<Located<Step>>> {
    let flat = prop_oneof![
        3 => request().prop_map(|request| Step::Request(Box::new(request))),
        1 => span().prop_map(Step::Think),
        1 => entries(expression()).prop_map(Step::Set),
        1 => vec(located(request()), 0..2).prop_map(Step::Parallel),
    ];
    let step = flat.prop_recursive(2, 6, 2, |step| {
        let steps = || vec(located(step.clone()), 0..3);
        let texts = btree_map(text(), steps(), 0..3).prop_map(|map| {
            map.into_iter().map(|(text, steps)| (Scalar::Text(text.into()), steps)).collect::<Vec<_>>()
        });
        let numbers = btree_map(any::<i64>(), steps(), 0..3)
            .prop_map(|map| map.into_iter().map(|(number, steps)| (Scalar::Int(number), steps)).collect());
        prop_oneof![
            (located(text()), steps()).prop_map(|(name, steps)| Step::Group { name, steps }),
            (expression(), steps()).prop_map(|(times, steps)| Step::Repeat { times, steps }),
            (expression(), of(any::<u32>()), steps()).prop_map(|(condition, max, steps)| Step::While {
                condition,
                max,
                steps
            }),
            (expression(), steps(), steps()).prop_map(|(condition, then, otherwise)| Step::If {
                condition,
                then,
                otherwise
            }),
            vec((any::<u32>(), steps()), 0..3).prop_map(Step::Random),
            (expression(), prop_oneof![texts, numbers], steps())
                .prop_map(|(on, cases, otherwise)| Step::Switch { on, cases, otherwise }),
        ]
    });
    vec(located(step), 0..3)
}

fn flows() -> impl Strategy<Value = Entries<Flow>> {
    let on_error = select(vec![OnError::Continue, OnError::End]);
    let full = (of(any::<u32>()), vec(text(), 0..3), of(located(span())), on_error, steps())
        .prop_map(|(weight, tags, pacing, on_error, steps)| Flow { weight, tags, pacing, on_error, steps });
    entries(prop_oneof![full, steps().prop_map(|steps| Flow { steps, ..Flow::default() })])
}

fn limit() -> impl Strategy<Value = Located<LimitSpec>> {
    let texts = select(vec!["p99(response_time) < 50ms", "error_rate < 0.1%", "rate >= 10k/s"]);
    let that = texts.prop_map(|text| text.parse().expect("a limit"));
    located((that, of(nanos()), any::<bool>()).prop_map(|(that, window, abort)| LimitSpec {
        that,
        window,
        abort,
    }))
}

pub(in super::super::super) fn file() -> impl Strategy<Value = File> {
    (
        (
            of(text()),
            of(located(text())),
            entries(located(text())),
            http(),
            entries(feeder()),
            entries(scalar()),
        ),
        (loads(), flows(), steps(), steps(), steps(), steps()),
        (vec(limit(), 0..3), of(any::<u64>()), of(located("[a-z]{2,9}: an example of the manual"))),
    )
        .prop_map(|(first, second, (limits, seed, not_secret))| File {
            name: first.0,
            target: first.1,
            targets: first.2,
            http: first.3,
            data: first.4,
            vars: first.5,
            loads: second.0,
            flows: second.1,
            on_start: second.2,
            on_stop: second.3,
            setup: second.4,
            teardown: second.5,
            limits,
            seed,
            not_secret,
        })
}
