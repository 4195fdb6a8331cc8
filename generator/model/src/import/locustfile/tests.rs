//! Locustfiles in, scenarios in few words out.

use proptest::prelude::*;

use super::super::written::compiles;
use super::*;
use crate::scenario::file::{Auth, Body, Json, Request, Scalar, Text};

const HEAD: &str = "from locust import HttpUser, TaskSet, SequentialTaskSet, LoadTestShape, task, tag, between\n\
     import random, time, uuid, json, os\n";

fn show(source: &str) -> String {
    let imported = match import(format!("{HEAD}{source}").as_bytes()) {
        Ok(imported) => imported,
        Err(error) => return format!("{}:{}: {}", i64::from(error.line) - 2, error.column, error.what),
    };
    compiles(&imported);
    let file = imported.file;
    let mut lines = Vec::new();
    lines.extend((!file.on_start.is_empty()).then(|| format!("on_start: {}", steps(&file.on_start))));
    for (name, flow) in &file.flows {
        let weight = flow.weight.map_or_else(String::new, |weight| format!(" x{weight}"));
        let tags = flow.tags.iter().map(|tag| format!(" #{tag}")).collect::<String>();
        let pacing = flow.pacing.as_ref().map_or_else(String::new, |p| format!(" every {}", p.value.to));
        lines.push(format!("{}{weight}{tags}{pacing}: {}", name.value, steps(&flow.steps)));
    }
    lines.extend((!file.on_stop.is_empty()).then(|| format!("on_stop: {}", steps(&file.on_stop))));
    lines.join("\n")
}

fn steps(steps: &Steps) -> String {
    steps.iter().map(|s| step(&s.value)).collect::<Vec<_>>().join("; ")
}

fn step(step: &Step) -> String {
    match step {
        Step::Request(request) => shown(request),
        Step::Think(span) => format!("think {}..{}", span.from, span.to),
        Step::Set(set) => set.iter().map(|(n, v)| format!("{} = {}", n.value, v.value)).collect(),
        Step::Group { name, steps: inner } => format!("{} {{{}}}", name.value, steps(inner)),
        Step::Repeat { times, steps: inner } => format!("{} times {{{}}}", times.value, steps(inner)),
        Step::While { condition, steps: inner, .. } => {
            format!("while {} {{{}}}", condition.value, steps(inner))
        }
        Step::If { condition, then, otherwise } => {
            format!("if {} {{{}}} else {{{}}}", condition.value, steps(then), steps(otherwise))
        }
        Step::Random(ways) => {
            ways.iter().map(|(weight, inner)| format!("[{weight}: {}]", steps(inner))).collect()
        }
        Step::Switch { on, cases, .. } => {
            let cases = cases.iter().map(|(_, inner)| format!("[{}]", steps(inner))).collect::<String>();
            format!("switch {} {cases}", on.value)
        }
        Step::Parallel(_) => "parallel".into(),
    }
}

fn shown(request: &Request) -> String {
    let target = request.target.as_ref().map_or_else(String::new, |target| format!("@{} ", target.value));
    let mut out = format!("{} {target}{}", request.method, request.url.value);
    let pairs = |entries: &[(Text, Text)]| {
        entries
            .iter()
            .map(|(name, value)| format!("{}={}", name.value, value.value))
            .collect::<Vec<_>>()
            .join("&")
    };
    let mut add = |name: &str, text: String| {
        if !text.is_empty() {
            out.push_str(&format!(" {name}:{text}"));
        }
    };
    add("name", request.name.clone().unwrap_or_default());
    add("headers", pairs(&request.headers));
    add("query", pairs(&request.query));
    match &request.body {
        Some(Body::Form(form)) => add("form", pairs(form)),
        Some(Body::Text(text)) => add("text", text.value.clone()),
        Some(Body::Json(value)) => add("json", json(value)),
        Some(other) => add("body", format!("{other:?}")),
        None => {}
    }
    if let Some(Auth::Basic { user, password }) = request.auth.as_ref().map(|auth| &auth.value) {
        add("auth", format!("{}:{}", user.value, password.value));
    }
    add("check", request.check.iter().map(|c| c.that.value.as_str()).collect::<Vec<_>>().join(", "));
    add("save", pairs(&request.save));
    out
}

fn json(value: &Json) -> String {
    match value {
        Json::Scalar(Scalar::Text(text)) => format!("'{}'", text.value),
        Json::Scalar(Scalar::Int(number)) => number.to_string(),
        Json::Scalar(other) => format!("{other:?}"),
        Json::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Json::Map(entries) => {
            let entries = entries.iter().map(|(name, value)| format!("{}:{}", name.value, json(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
    }
}

/// One task `t` with these statements; `before` stands in its class.
fn check_task(before: &str, body: &str, want: &str) {
    let body = body.replace('\n', "\n        ");
    let source = format!(
        "N = 3\nclass A(HttpUser):\n    host = 'http://a.test'\n    {before}\n    @task\n    def t(self):\n        {body}\n"
    );
    let got = show(&source);
    let got = got.strip_prefix("t: ").unwrap_or(&got);
    assert_eq!(got, want, "{body}");
}

#[test]
fn calls_become_requests() {
    for (body, want) in [
        ("self.client.get('/a', name='x', params={'q': 1})", "GET /a name:x query:q=1"),
        ("self.client.post('/a', {'k': 'v'})", "POST /a form:k=v"),
        (
            "self.client.put('/a', data='x{{y}}', headers={'A': 'b'})",
            "PUT /a headers:A=b text:x{{ \"{\" }}{y}}",
        ),
        ("self.client.request('patch', '/a', json={'a': [1, None]})", "PATCH /a json:{a:[1,Null]}"),
        ("self.client.post('/a', data=json.dumps({'a': 'b'}))", "POST /a json:{a:'b'}"),
        ("self.client.get('http://b.test/c', auth=('u', 'p'))", "GET /c auth:u:p"),
        ("self.client.get(f'/i/{random.randint(1, N)}')", "GET /i/{{ pick(1, 3) }}"),
        ("self.client.get('/i/%d/%s' % (N, uuid.uuid4()))", "GET /i/3/{{ uuid() }}"),
        ("self.client.get('/{}/{x}'.format(self.limit, x=str(uuid.uuid4())))", "GET /7/{{ uuid() }}"),
        ("self.client.get('/a?' + random.choice(['x', 'y']))", "GET /a?{{ one_of(\"x\", \"y\") }}"),
        ("self.client.get(random.choice(['/x', '/y']))", "[1: GET /x][1: GET /y]"),
        (
            "u = random.choice(['/x', '/y'])\nself.client.get(u, name=u[0])",
            "8:33: the name of this request is not understood, and it may change what is sent",
        ),
        (
            "u = random.choice(['/x', '/y'])\nself.client.get(u)",
            "u = one_of(\"/x\", \"/y\"); switch u [GET /x][GET /y]",
        ),
        (
            "self.client.get('/a', headers={'K': os.environ['KEY']})",
            "7:39: 'headers' with 'os.environ', whose value is not known is not understood, and it may change what is sent",
        ),
        ("self.client.get('/a', headers={'K': os.getenv('KEY')})", "GET /a headers:K={{ secret.KEY }}"),
    ] {
        let host = if body.contains("b.test") { "limit = 7" } else { "limit = N + 4" };
        if body.contains("b.test") {
            check_task(host, body, &want.replace("GET ", "GET @b_test "));
        } else {
            check_task(host, body, want);
        }
    }
}

#[test]
fn values_are_saved_and_drawn_once() {
    for (body, want) in [
        (
            "r = self.client.get('/a')\nself.client.get(f\"/{r.json()['x']['y-z']}/{r.headers['ETag']}\")",
            "GET /a save:y_z=json(\"$.x[\\\"y-z\\\"]\")&ETag=header(\"ETag\"); GET /{{ y_z }}/{{ ETag }}",
        ),
        (
            "x = self.client.get('/a').json()['id']\nself.client.post('/b', json={'id': x, 't': f'{x}'})",
            "GET /a save:id=json(\"$.id\"); POST /b json:{id:'{{ id }}',t:'{{ text(id) }}'}",
        ),
        (
            "n = f'u{random.randint(1, 9)}'\nself.client.get('/' + n)\nself.client.get('/' + n)",
            "n = pick(1, 9); GET /u{{ n }}; GET /u{{ n }}",
        ),
        (
            "u, p = random.choice([('a', 'b'), ('c', 'd')])\nself.client.post('/', {'u': u, 'p': p})",
            "row = pick(0, 1); u = if(row == 0, \"a\", \"c\"); p = if(row == 0, \"b\", \"d\"); POST / form:u={{ u }}&p={{ p }}",
        ),
        (
            "r = self.client.get('/a')\nif r.status_code == 200:\n    self.client.get('/b')\nelse:\n    print('no')",
            "GET /a save:status_value=status; if status_value == 200 {GET /b} else {}",
        ),
        (
            "for i in range(N):\n    self.client.get(f'/{i}')\n    time.sleep(0.5)",
            "i = 0; 3 times {GET /{{ i }}; think 500 ms..500 ms; i = i + 1}",
        ),
        ("for x in ['a', 'b']:\n    self.client.get(f'/{x}')", "GET /a; GET /b"),
        (
            "i = 0\nfor _ in range(2):\n    i += 1\n    self.client.get(f'/{i}')",
            "10:29: a URL with 'i', which changes from round to round of a loop is not understood, and it may change what is sent",
        ),
        (
            "x = 1\nif random.random() < 0.5:\n    x = 2\nself.client.get(f'/{x}')",
            "10:25: a URL with 'x', whose value depends on an 'if' is not understood, and it may change what is sent",
        ),
    ] {
        check_task("pass", body, want);
    }
}

#[test]
fn caught_responses_become_checks() {
    let with = "with self.client.get('/', catch_response=True) as r:\n    ";
    for (body, want) in [
        ("if r.status_code != 200:\n    r.failure('no')", "status == 200"),
        ("if r.status_code == 404:\n    r.success()", "(status == 404 or status < 400)"),
        ("if 'ok' not in r.text:\n    r.failure('no')\nelse:\n    r.success()", "contains(body, \"ok\")"),
        ("if r.json()['k'] != 'v':\n    r.failure('no')", "json(\"$.k\") == \"v\""),
        ("if r.elapsed.total_seconds() > 0.5:\n    r.failure('slow')", "response_time <= 500ms"),
        (
            "if r.status_code != 200:\n    r.failure('a')\nelif r.json()['n'] < 3 or not r.ok:\n    r.failure('b')",
            "(status == 200 and ((json(\"$.n\") >= 3 and status < 400) and status < 400))",
        ),
        ("assert r.status_code in (200, 201)\nprint(r.text)", "(status == 200 or status == 201)"),
        (
            "try:\n    if r.json()['a'] != 1:\n        r.failure('x')\nexcept ValueError:\n    r.failure('y')",
            "json(\"$.a\") == 1",
        ),
        ("pass", ""),
    ] {
        let want = if want.is_empty() { "GET /".to_owned() } else { format!("GET / check:{want}") };
        check_task("pass", &format!("{with}{}", body.replace('\n', "\n    ")), &want);
    }
    check_task(
        "pass",
        "with self.client.post('/', catch_response=True) as r:\n    if r.status_code == 200:\n        self.x = r.json()['x']\n    else:\n        r.failure('no')\nself.client.get(f'/{self.x}')",
        "POST / check:status == 200 save:x=json(\"$.x\"); GET /{{ x }}",
    );
}

#[test]
fn what_is_not_understood_is_refused_by_its_line() {
    for (body, line, what) in [
        ("self.client.get('/')\nfoo.bar()", 7, "the call 'foo.bar(...)'"),
        ("while True:\n    self.client.get('/')", 6, "a while loop"),
        ("self.client.post('/', files={'a': 'b'})", 6, "an upload of files"),
        ("self.client.get('/', data=open('x').read())", 6, "'data' with"),
        ("self.client.get(f'/{time.localtime()}')", 6, "a URL with"),
        ("self.client.get(f'/{N:03}')", 6, "a URL with a value with a format of its own"),
        ("self.client.get('/', headers=[x for x in y])", 6, "'headers' with a comprehension"),
        ("self.client.get(self.client.base_url)", 6, "a URL with"),
        ("async def x(): pass\nself.client.get('/')", 6, "a coroutine"),
        ("if self.client.get('/').ok:\n    pass", 6, "a condition with"),
        ("self.client.headers['a'] = 'b'\nself.client.get('/')", 6, "headers of the client"),
        ("with open('x') as f:\n    self.client.get('/')", 6, "a 'with'"),
        ("del x\nself.client.get('/')", 6, "a 'del'"),
        ("def f(): pass", 6, "a definition within a task"),
        ("print('nothing')", -1, "no task of an HttpUser sends anything"),
    ] {
        let body = body.replace('\n', "\n        ");
        let source = format!(
            "N = 3\nclass A(HttpUser):\n    host = 'http://a'\n    @task\n    def t(self):\n        {body}\n"
        );
        let got = show(&source);
        assert!(got.starts_with(&format!("{line}:")) && got.contains(what), "{body}: {got}");
    }
}

#[test]
fn users_and_task_sets_become_flows() {
    for (source, want) in [
        (
            "class B(HttpUser):\n    abstract = True\n    wait_time = between(1, 2.5)\n    def on_start(self):\n        self.token = self.client.post('/login').json()['t']\n        self.client.headers.update({'Auth': f'B {self.token}'})\nclass A(B):\n    @tag('x')\n    @task(3)\n    def a(self):\n        self.client.get('/a')\n    @task\n    def b(self):\n        self.helper(4)\n    def helper(self, n):\n        self.client.get(f'/{n}')\n    def on_stop(self):\n        self.client.get('/out')\n",
            "on_start: POST /login save:t=json(\"$.t\")\na x3 #x: GET /a headers:Auth=B {{ t }}; think 1.00 s..2.50 s\nb: GET /4 headers:Auth=B {{ t }}; think 1.00 s..2.50 s\non_stop: GET /out headers:Auth=B {{ t }}",
        ),
        (
            "def index(l):\n    l.client.get('/')\nclass S(TaskSet):\n    tasks = {index: 2}\n    @task\n    def b(self):\n        self.client.get('/b')\n    def on_start(self):\n        self.client.get('/in')\nclass A(HttpUser):\n    tasks = [S]\n    wait_time = constant_pacing(2)\n",
            "on_start: GET /in\nindex x2 every 2.00 s: GET /\nb every 2.00 s: GET /b",
        ),
        (
            "class S(SequentialTaskSet):\n    @task\n    def a(self):\n        self.r = self.client.get('/a').json()\n    @task\n    def b(self):\n        self.client.get('/' + self.r['id'])\nclass A(HttpUser):\n    tasks = [S]\n    wait_time = constant(1)\n",
            "S: GET /a save:id=json(\"$.id\"); think 1.00 s..1.00 s; GET /{{ id }}; think 1.00 s..1.00 s",
        ),
        (
            "class A(HttpUser):\n    @task\n    class S(TaskSet):\n        @task(9)\n        def a(self):\n            self.client.get('/a')\n        @task\n        def stop(self):\n            self.interrupt()\n    @task\n    def b(self):\n        self.client.get('/b')\n",
            "S: S {in_S = true; while in_S == true {[9: GET /a][1: in_S = false]}}\nb: GET /b",
        ),
        (
            "class A(HttpUser):\n    @task\n    class S(TaskSet):\n        @task\n        def a(self):\n            self.client.get('/a')\n    @task\n    def b(self):\n        self.client.get('/b')\n",
            "2:5: a task set among other tasks that is never left is not understood, and it may change what is sent",
        ),
        (
            "class A(HttpUser):\n    x = 1\n    @task\n    def a(self):\n        self.x = 2\n        self.client.get(f'/{self.x}')\n    @task\n    def b(self):\n        self.client.get(f'/{self.x}')\n",
            "9:25: a URL with 'x', which another task may have set is not understood, and it may change what is sent",
        ),
        (
            "IDS = []\nclass A(HttpUser):\n    @task\n    def a(self):\n        IDS.append(1)\n        self.client.get(f'/{IDS[0]}')\n",
            "5:9: the call 'IDS.append(...)' is not understood, and it may change what is sent",
        ),
        (
            "class A(HttpUser):\n    def __init__(self, e):\n        self.login()\n    def login(self):\n        self.client.get('/')\n    @task\n    def a(self):\n        self.login()\n",
            "3:9: a request in __init__ is not understood, and it may change what is sent",
        ),
        (
            "class A(HttpUser):\n    min_wait = 1\n    @task\n    def a(self):\n        self.client.get('/')\n",
            "2:16: 'min_wait' is not understood, and it may change what is sent",
        ),
    ] {
        assert_eq!(show(source), want, "{source}");
    }
}

#[test]
fn loads_follow_weights_and_stages() {
    let users = "class A(HttpUser):\n    weight = 3\n    @task\n    def a(self):\n        self.client.get('/')\nclass B(HttpUser):\n    fixed_count = 2\n    @task\n    def b(self):\n        self.client.get('/')\n        raise StopUser()\n";
    let shape = "class S(LoadTestShape):\n    stages = [{'duration': 10, 'users': 10, 'spawn_rate': 2}, dict(duration=20, users=4, spawn_rate=1)]\n";
    let one = "class A(HttpUser):\n    @task\n    def a(self):\n        self.client.get('/')\n";
    for (source, want) in [
        (users.to_owned(), "A[A_a]: 3..3 60.0 s; B[B_b]: 2..2 once"),
        (format!("{one}{shape}"), "[]: 0..10 5.00 s, 10..10 5.00 s, 10..4 6.00 s, 4..4 4.00 s"),
        (one.to_owned(), "[]: 1..1 60.0 s"),
    ] {
        let imported = import(format!("{HEAD}{source}").as_bytes()).unwrap();
        compiles(&imported);
        let file = imported.file;
        let loads = file.loads.iter().map(|(name, load)| {
            let phases = load.phases.iter().map(|phase| match &phase.value.shape {
                crate::scenario::file::PhaseShape::Closed { from, to, duration, .. } => {
                    format!("{from}..{to} {}", duration.map_or_else(|| "once".into(), |d| d.to_string()))
                }
                other => format!("{other:?}"),
            });
            let flows = load.flows.iter().map(|flow| flow.value.clone()).collect::<Vec<_>>().join(",");
            format!("{}[{flows}]: {}", name.value, phases.collect::<Vec<_>>().join(", "))
        });
        assert_eq!(loads.collect::<Vec<_>>().join("; "), want);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is cut out and put in: a scenario or a refusal, and no panic.
    #[test]
    fn mutated_files_have_an_answer(
        cut in 0usize..900,
        gone in 0usize..40,
        junk in "[ \\n\"'(){}\\[\\]:,.%=+a-z0-9]{0,20}",
    ) {
        let source = "class S(TaskSet):\n    @task(3)\n    def a(self):\n        x = f\"{random.choice(['a', 'b'])}{N}\"\n        with self.client.get('/' + x, catch_response=True) as r:\n            if r.json()['a'] > 3 or 'x' in r.text:\n                r.failure('%s' % x)\n            else: r.success()\n        for i in range(3):\n            if x == 'a': self.client.post('/{}'.format(i), json={'k': [i, r.json()['b'][0]]})\n            else: time.sleep(i)\n        self.interrupt()\nclass A(HttpUser):\n    host = 'http://a.test/'\n    wait_time = between(1, 2)\n    tasks = {S: 3}\n    @tag('t')\n    @task\n    def b(self):\n        a, c = random.choice([(1, 2), (3, 4)])\n        self.client.request('get', f'/{a}/{c}', auth=(a, c), timeout=3)\nN = 1 + 2 * 3 // 4 % 5\n";
        let from = cut.min(source.len());
        let to = (from + gone).min(source.len());
        let mutated = format!("{HEAD}{}{junk}{}", &source[..from], &source[to..]);
        match import(mutated.as_bytes()) {
            Ok(imported) => drop(compiles(&imported)),
            Err(error) => prop_assert!(error.line >= 1 && error.column >= 1 && !error.mend.is_empty()),
        }
    }
}

#[test]
fn sources_that_would_grow_without_an_end_are_refused() {
    let doubling = (1..60).map(|n| format!("        x{n} = x{} + x{}\n", n - 1, n - 1)).collect::<String>();
    let calls = (0..8).map(|n| {
        let call = format!("        self.f{}()\n", n + 1).repeat(20);
        format!("    def f{n}(self):\n{call}")
    });
    let calls: String = calls.collect();
    for body in [
        format!(
            "    @task\n    def t(self):\n        x0 = 'abc'\n{doubling}        self.client.get('/' + x59)\n"
        ),
        format!(
            "{calls}    def f8(self):\n        self.client.get('/')\n    @task\n    def t(self):\n        self.f0()\n"
        ),
    ] {
        let got = show(&format!("class A(HttpUser):\n{body}"));
        assert!(got.contains("not understood") || got.contains("too many"), "{got}");
    }
}
