//! Command lines of curl, as people write and browsers copy them -> one flow with a step each.
//!
//! Words are split as a POSIX shell does (XCU section 2.2), with `$'...'` of bash; nothing is expanded, and
//! what would be (`$X`, backticks, `@file`) is refused. Options are those of curl 8
//! (<https://curl.se/docs/manpage.html>).

use super::origins::Origins;
use super::template::{Piece, literal};
use super::{ImportError, Imported, Note, SOURCE_MAX, check_count, default_load, is_token, text_of};
use crate::scenario::file::{
    Auth, Body, Entries, File, Flow, Part, PartContent, Place, Request, Step, Text, Version,
};
use crate::units::Nanos;

/// Each URL has the headers and the body of its command, so that many could come to far more than the source.
const URLS_MAX: usize = 64;
/// As many redirects as curl follows with `-L`.
const REDIRECTS: u32 = 50;

/// The scenario of command lines of at most 1 MiB together.
///
/// # Errors
/// Where a word cannot be split, an option is not understood, or a command has no URL.
pub fn import(source: &[u8]) -> Result<Imported, ImportError> {
    let text = text_of(source, SOURCE_MAX)?;
    let mut build = Build::default();
    for command in commands(text)? {
        build.command(command)?;
    }
    if build.requests.is_empty() {
        let at = Place { line: 1, column: 1 };
        return Err(ImportError::new(at, "there is no curl command", "write curl and a URL"));
    }
    Ok(build.finish())
}

#[derive(Clone, Debug)]
struct Word {
    at: Place,
    text: String,
}

#[derive(Default)]
struct Build {
    requests: Vec<Request>,
    origins: Origins,
    file: File,
    notes: Vec<Note>,
}

/// What one command line says.
#[derive(Default)]
struct Command {
    urls: Vec<Word>,
    method: Option<String>,
    headers: Entries<Text>,
    data: Vec<String>,
    /// Literal text of `--json`.
    json: Option<String>,
    form: Vec<Part>,
    auth: Option<Auth>,
    timeout: Option<Nanos>,
    follow: bool,
    get: bool,
    head: bool,
}

impl Build {
    fn command(&mut self, words: Vec<Word>) -> Result<(), ImportError> {
        let mut words = words.into_iter();
        let Some(first) = words.next() else { return Ok(()) };
        if !["curl", "curl.exe"].contains(&first.text.rsplit('/').next().unwrap_or_default()) {
            let what = format!("'{:.40}' is no curl command", first.text);
            return Err(ImportError::new(first.at, what, "begin each command with curl"));
        }
        let mut command = Command::default();
        let mut only_urls = false;
        while let Some(word) = words.next() {
            match word.text.as_str() {
                "--" if !only_urls => only_urls = true,
                text if only_urls || text == "-" || !text.starts_with('-') => command.urls.push(word),
                text if text.starts_with("--") => {
                    let name = text.to_owned();
                    self.option(&name, word.at, &mut || words.next(), &mut command)?;
                }
                _ => self.short_options(&word, &mut || words.next(), &mut command)?,
            }
        }
        self.add(first.at, command)
    }

    /// `-sXPOST`: letters without values, then one with it.
    fn short_options(
        &mut self,
        word: &Word,
        next: &mut dyn FnMut() -> Option<Word>,
        command: &mut Command,
    ) -> Result<(), ImportError> {
        let mut rest = word.text[1..].chars();
        while let Some(letter) = rest.next() {
            let known = SHORT.iter().find(|(short, _)| *short == letter);
            let Some((_, name)) = known else { return Err(unknown(word.at, &format!("-{letter}"))) };
            let attached = rest.as_str();
            if WITH_VALUE.contains(name) && !attached.is_empty() {
                let mut value = Some(Word { at: word.at, text: attached.to_owned() });
                return self.option(name, word.at, &mut || value.take(), command);
            }
            self.option(name, word.at, next, command)?;
        }
        Ok(())
    }

    fn option(
        &mut self,
        name: &str,
        at: Place,
        next: &mut dyn FnMut() -> Option<Word>,
        command: &mut Command,
    ) -> Result<(), ImportError> {
        if WITH_VALUE.contains(&name) {
            let value = next().ok_or_else(|| {
                ImportError::new(at, format!("{name} has no value"), "write it behind the option")
            })?;
            return self.option_with_value(name, value, command);
        }
        match name {
            "--insecure" => self.file.http.tls.verify = Some(false),
            "--location" => command.follow = true,
            "--compressed" => self.file.http.compressed = Some(true),
            "--get" => command.get = true,
            "--head" => command.head = true,
            "--http1.1" => self.file.http.version = Some(Version::Http1),
            "--http2" | "--http2-prior-knowledge" => self.file.http.version = Some(Version::Http2),
            "--silent"
            | "--show-error"
            | "--verbose"
            | "--include"
            | "--fail"
            | "--no-progress-meter"
            | "--globoff" => {}
            _ => return Err(unknown(at, name)),
        }
        Ok(())
    }

    fn option_with_value(
        &mut self,
        name: &str,
        value: Word,
        command: &mut Command,
    ) -> Result<(), ImportError> {
        let at = value.at;
        let text = value.text;
        let body_of_file = text.starts_with('@') && !["--data-raw", "--form", "--user"].contains(&name);
        if body_of_file && name.starts_with("--data") || name == "--json" && text.starts_with('@') {
            let mend = "write `body: {file: ...}` in the scenario";
            return Err(ImportError::new(at, format!("the body is in a file, {text:.60}"), mend));
        }
        match name {
            "--request" if !is_token(&text) => {
                let what = format!("'{text:.60}' is no method");
                return Err(ImportError::new(at, what, "write one such as GET"));
            }
            "--request" => command.method = Some(text),
            "--header" => match text.split_once(':') {
                Some((name, value)) if is_token(name.trim()) && !value.trim().contains(char::is_control) => {
                    command.headers.push((name.trim().to_owned().into(), literal(value.trim()).into()));
                }
                _ => {
                    let what = format!("'{text:.60}' is no header");
                    return Err(ImportError::new(at, what, "write it as 'Name: value'"));
                }
            },
            "--data" => command.data.push(text.replace(['\r', '\n'], "")),
            "--data-raw" | "--data-binary" | "--data-ascii" => command.data.push(text),
            "--data-urlencode" => command.data.push(url_encoded(at, &text)?),
            "--json" => command.json.get_or_insert_default().push_str(&text),
            "--form" | "--form-string" => command.form.push(form_part(at, &text, name == "--form-string")?),
            "--user" => {
                let (user, password) = text.split_once(':').unwrap_or((&text, ""));
                command.auth =
                    Some(Auth::Basic { user: literal(user).into(), password: literal(password).into() });
            }
            "--cookie" if text.contains('=') => {
                command.headers.push(("Cookie".to_owned().into(), literal(&text).into()));
            }
            "--cookie" => {
                let mend = "write the cookies themselves: -b 'name=value'";
                return Err(ImportError::new(at, format!("the cookies are in a file, {text:.60}"), mend));
            }
            "--user-agent" => command.headers.push(("User-Agent".to_owned().into(), literal(&text).into())),
            "--referer" => command.headers.push(("Referer".to_owned().into(), literal(&text).into())),
            "--max-time" => command.timeout = Some(seconds(at, &text)?),
            "--connect-timeout" => self.file.http.connect_timeout = Some(seconds(at, &text)?),
            "--url" => command.urls.push(Word { at, text }),
            "--output" | "--write-out" => {}
            _ => return Err(unknown(at, name)),
        }
        Ok(())
    }

    fn add(&mut self, at: Place, command: Command) -> Result<(), ImportError> {
        if command.urls.is_empty() {
            return Err(ImportError::new(at, "a curl command has no URL", "add one"));
        }
        if command.urls.len() > URLS_MAX {
            let what = format!("a curl command has more than {URLS_MAX} URLs");
            return Err(ImportError::new(at, what, "write several commands"));
        }
        let of_query = command.get;
        let bodies =
            [command.json.is_some(), !command.form.is_empty(), !command.data.is_empty() && !of_query];
        if bodies.into_iter().filter(|there| *there).count() > 1 - usize::from(of_query) {
            let what = "a curl command has a body of several kinds, or one beside --get";
            return Err(ImportError::new(at, what, "keep one of --data, --json and --form"));
        }
        let mut template =
            Request { headers: command.headers, total_timeout: command.timeout, ..Request::default() };
        template.auth = command.auth.map(Into::into);
        template.redirects = command.follow.then_some(REDIRECTS);
        let has = |headers: &Entries<Text>, name: &str| {
            headers.iter().any(|(known, _)| known.value.eq_ignore_ascii_case(name))
        };
        let mut query = String::new();
        let data = command.data.join("&");
        let mut content_type = None;
        if command.get {
            query = data;
        } else if let Some(json) = command.json {
            template.body = Some(Body::Text(literal(&json).into()));
            content_type = Some("application/json");
            if !has(&template.headers, "Accept") {
                template.headers.push(("Accept".to_owned().into(), "application/json".to_owned().into()));
            }
        } else if !command.data.is_empty() {
            template.body = Some(Body::Text(literal(&data).into()));
            content_type = Some("application/x-www-form-urlencoded");
        } else if !command.form.is_empty() {
            template.body = Some(Body::Multipart(command.form));
        }
        if let Some(content_type) = content_type.filter(|_| !has(&template.headers, "Content-Type")) {
            template.headers.push(("Content-Type".to_owned().into(), content_type.to_owned().into()));
        }
        // A header without a value takes one away that curl would send.
        template.headers.retain(|(_, value)| !value.value.is_empty());
        let default = match (&template.body, command.head) {
            (_, true) => "HEAD",
            (Some(_), _) => "POST",
            (None, _) => "GET",
        };
        template.method = command.method.unwrap_or_else(|| default.to_owned());
        check_count(self.requests.len() + command.urls.len(), at)?;
        for url in command.urls {
            let text = if url.text.contains("://") { url.text } else { format!("http://{}", url.text) };
            let (url_text, _) = text.split_once('#').unwrap_or((&text, ""));
            let mark = if url_text.contains('?') { '&' } else { '?' };
            let whole =
                if query.is_empty() { url_text.to_owned() } else { format!("{url_text}{mark}{query}") };
            let (target, relative) = self.origins.place(vec![Piece::Literal(whole)]).map_err(|what| {
                ImportError::new(url.at, format!("this is {what}"), "write it as http://host/path")
            })?;
            let request =
                Request { url: relative.into(), target: target.map(Into::into), ..template.clone() };
            self.requests.push(request);
        }
        Ok(())
    }

    fn finish(mut self) -> Imported {
        self.origins.fill(&mut self.file, &mut self.requests);
        let steps =
            self.requests.into_iter().map(|request| Step::Request(Box::new(request)).into()).collect();
        self.file.flows.push(("requests".to_owned().into(), Flow { steps, ..Flow::default() }));
        self.file.loads.push((String::new().into(), default_load()));
        self.notes.push(Note { line: 1, text: "curl has no load; here it is 1 user for 1m".into() });
        Imported { file: self.file, notes: self.notes }
    }
}

/// Options of one letter, and their long names.
const SHORT: [(char, &str); 20] = [
    ('X', "--request"),
    ('H', "--header"),
    ('d', "--data"),
    ('F', "--form"),
    ('u', "--user"),
    ('b', "--cookie"),
    ('A', "--user-agent"),
    ('e', "--referer"),
    ('k', "--insecure"),
    ('L', "--location"),
    ('G', "--get"),
    ('I', "--head"),
    ('m', "--max-time"),
    ('s', "--silent"),
    ('S', "--show-error"),
    ('v', "--verbose"),
    ('i', "--include"),
    ('f', "--fail"),
    ('o', "--output"),
    ('w', "--write-out"),
];

const WITH_VALUE: [&str; 19] = [
    "--request",
    "--header",
    "--data",
    "--data-raw",
    "--data-binary",
    "--data-ascii",
    "--data-urlencode",
    "--json",
    "--form",
    "--form-string",
    "--user",
    "--cookie",
    "--user-agent",
    "--referer",
    "--max-time",
    "--connect-timeout",
    "--url",
    "--output",
    "--write-out",
];

fn unknown(at: Place, name: &str) -> ImportError {
    ImportError::new(at, format!("the option {name:.60} of curl is not understood"), "remove it")
}

fn seconds(at: Place, text: &str) -> Result<Nanos, ImportError> {
    let wrong =
        || ImportError::new(at, format!("'{text:.40}' is no time"), "write it in seconds, such as 2.5");
    format!("{text}s").parse().map_err(|_| wrong())
}

/// `name=content`, `=content`, `content`: the content is encoded.
fn url_encoded(at: Place, text: &str) -> Result<String, ImportError> {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    match text.split_once('=') {
        Some(("", content)) => Ok(encode(content)),
        Some((name, content)) => Ok(format!("{name}={}", encode(content))),
        None if text.contains('@') => {
            Err(ImportError::new(at, format!("the data is in a file, {text:.60}"), "write the data itself"))
        }
        None => Ok(encode(text)),
    }
}

/// `name=content`, `name=@file;type=...;filename=...`.
fn form_part(at: Place, text: &str, plain: bool) -> Result<Part, ImportError> {
    let wrong = |what: String| ImportError::new(at, what, "write it as name=content or name=@file");
    let (name, content) =
        text.split_once('=').ok_or_else(|| wrong(format!("'{text:.60}' is no part of a form")))?;
    let mut part = Part {
        name: literal(name).into(),
        content: PartContent::Text(literal(content).into()),
        filename: None,
        content_type: None,
    };
    if plain {
        return Ok(part);
    }
    let mut fields = content.split(';');
    let content = fields.next().unwrap_or_default();
    for field in fields {
        match field.trim().split_once('=') {
            Some(("type", value)) => part.content_type = Some(literal(value).into()),
            Some(("filename", value)) => part.filename = Some(literal(value.trim_matches('"')).into()),
            _ => return Err(wrong(format!("';{field:.40}' of a form is not understood"))),
        }
    }
    part.content = match content.strip_prefix('@') {
        Some(file) => {
            let name = file.rsplit('/').next().unwrap_or(file);
            part.filename.get_or_insert_with(|| literal(name).into());
            PartContent::File(file.to_owned().into())
        }
        None if content.starts_with('<') => return Err(wrong("a part of a form is in a file".into())),
        None => PartContent::Text(literal(content).into()),
    };
    Ok(part)
}

/// The commands of a text, each as its words.
fn commands(text: &str) -> Result<Vec<Vec<Word>>, ImportError> {
    let mut shell =
        Shell { rest: text, at: Place { line: 1, column: 1 }, commands: Vec::new(), words: Vec::new() };
    while let Some(c) = shell.peek() {
        match c {
            '\n' | ';' | '&' | '|' => {
                if c == '|' {
                    return Err(shell.error("a pipe", "remove what follows the command"));
                }
                shell.take();
                let words = std::mem::take(&mut shell.words);
                shell.commands.push(words);
            }
            ' ' | '\t' | '\r' => {
                shell.take();
            }
            '\\' if shell.rest.starts_with("\\\n") || shell.rest.starts_with("\\\r\n") => {
                while shell.take() != Some('\n') {}
            }
            '#' => {
                while !matches!(shell.peek(), None | Some('\n')) {
                    shell.take();
                }
            }
            _ => shell.word()?,
        }
    }
    shell.commands.push(shell.words);
    shell.commands.retain(|words| !words.is_empty());
    Ok(shell.commands)
}

struct Shell<'t> {
    rest: &'t str,
    at: Place,
    commands: Vec<Vec<Word>>,
    words: Vec<Word>,
}

impl Shell<'_> {
    fn word(&mut self) -> Result<(), ImportError> {
        let at = self.at;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' => break,
                '\'' => self.single(&mut text)?,
                '"' => self.double(&mut text)?,
                '$' if self.rest.starts_with("$'") => self.dollar(&mut text)?,
                '$' | '`' | '<' | '>' | '(' | ')' => {
                    return Err(self
                        .error("something that the shell would work on", "put the word into single quotes"));
                }
                '\\' => {
                    self.take();
                    match self.take() {
                        Some('\n') | None => {}
                        Some('\r') => {
                            self.take();
                        }
                        Some(c) => text.push(c),
                    }
                }
                c => {
                    self.take();
                    text.push(c);
                }
            }
        }
        self.words.push(Word { at, text });
        Ok(())
    }

    fn single(&mut self, text: &mut String) -> Result<(), ImportError> {
        let open = self.error("a quote without its end", "close it with '");
        self.take();
        loop {
            match self.take() {
                None => return Err(open),
                Some('\'') => return Ok(()),
                Some(c) => text.push(c),
            }
        }
    }

    fn double(&mut self, text: &mut String) -> Result<(), ImportError> {
        let open = self.error("a quote without its end", "close it with \"");
        self.take();
        loop {
            match self.peek() {
                None => return Err(open),
                Some('$' | '`') => {
                    return Err(
                        self.error("something that the shell would work on", "use single quotes, or '\\$'")
                    );
                }
                _ => {}
            }
            match self.take() {
                Some('"') | None => return Ok(()),
                Some('\\') => match self.take() {
                    Some(c @ ('"' | '\\' | '$' | '`')) => text.push(c),
                    Some('\n') | None => {}
                    Some(c) => text.extend(['\\', c]),
                },
                Some(c) => text.push(c),
            }
        }
    }

    /// `$'...'` with escapes as in C.
    fn dollar(&mut self, text: &mut String) -> Result<(), ImportError> {
        let open = self.error("a quote without its end", "close it with '");
        self.take();
        self.take();
        loop {
            match self.take() {
                None => return Err(open),
                Some('\'') => return Ok(()),
                Some('\\') => match self.take() {
                    None => return Err(open),
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some(c @ ('x' | 'u' | 'U')) => text.push(self.code(c)?),
                    Some(c @ ('\\' | '\'' | '"' | '?')) => text.push(c),
                    Some(_) => {
                        return Err(
                            self.error("an escape that is not understood", "write the character itself")
                        );
                    }
                },
                Some(c) => text.push(c),
            }
        }
    }

    fn code(&mut self, kind: char) -> Result<char, ImportError> {
        let most = match kind {
            'x' => 2,
            'u' => 4,
            _ => 8,
        };
        let mut code = 0u32;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else { break };
            code = code.saturating_mul(16).saturating_add(digit);
            self.take();
        }
        let ascii = kind != 'x' || code < 0x80;
        char::from_u32(code)
            .filter(|_| ascii)
            .ok_or_else(|| self.error("an escape that is no character", "write the character itself"))
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.at = Place { line: self.at.line.saturating_add(1), column: 1 };
        } else {
            self.at.column = self.at.column.saturating_add(1);
        }
        Some(c)
    }

    fn error(&self, what: &str, mend: &str) -> ImportError {
        ImportError::new(self.at, format!("here is {what}"), mend)
    }
}

#[cfg(test)]
mod tests {
    use super::super::written::compiles;
    use super::*;
    use proptest::prelude::*;

    fn show(source: &str) -> String {
        let file = match import(source.as_bytes()) {
            Ok(imported) => {
                compiles(&imported);
                imported.file
            }
            Err(error) => return format!("{}:{} {}", error.line, error.column, error.what),
        };
        let mut out = vec![file.target.map(|target| target.value).unwrap_or_default()];
        for step in &file.flows[0].1.steps {
            let Step::Request(request) = &step.value else { continue };
            let mut line = format!("{} {}", request.method, request.url.value);
            for (name, value) in &request.headers {
                line.push_str(&format!(" {}={}", name.value, value.value));
            }
            match &request.body {
                Some(Body::Text(text)) => line.push_str(&format!(" body:{}", text.value)),
                Some(Body::Multipart(parts)) => {
                    for part in parts {
                        line.push_str(&format!(" part:{}={:?}", part.name.value, part.content));
                    }
                }
                _ => {}
            }
            if let Some(Auth::Basic { user, password }) = request.auth.as_ref().map(|auth| &auth.value) {
                line.push_str(&format!(" auth:{}:{}", user.value, password.value));
            }
            out.push(line);
        }
        out.join("\n")
    }

    #[test]
    fn commands_become_steps() {
        for (source, want) in [
            (
                "curl 'https://a.test/x?y=1' \\\n  -H 'accept: */*' \\\n  --data-raw $'{\"a\":\"it\\'s \\u00e9\"}' \\\n  --compressed",
                "https://a.test\nPOST /x?y=1 accept=*/* Content-Type=application/x-www-form-urlencoded body:{\"a\":\"it's é\"}",
            ),
            (
                "curl -sXPUT a.test -d a=1 -d b=2 -u me:pw",
                "http://a.test\nPUT / Content-Type=application/x-www-form-urlencoded body:a=1&b=2 auth:me:pw",
            ),
            ("curl -G https://a.test/s --data-urlencode 'q=a b' -d n=1", "https://a.test\nGET /s?q=a+b&n=1"),
            (
                "curl --json '{\"k\": \"{{x}}\"}' https://a.test",
                "https://a.test\nPOST / Accept=application/json Content-Type=application/json body:{\"k\": \"{{ \"{\" }}{x}}\"}",
            ),
            (
                "# two\ncurl -I https://a.test/1; curl -b 'a=b' -A me -e you https://a.test/2",
                "https://a.test\nHEAD /1\nGET /2 Cookie=a=b User-Agent=me Referer=you",
            ),
            (
                "curl -F 'a=b' -F 'f=@x/y.png;type=image/png' https://a.test/up",
                "https://a.test\nPOST /up part:a=Text(Located { value: \"b\", at: Place { line: 0, column: 0 } }) part:f=File(Located { value: \"x/y.png\", at: Place { line: 0, column: 0 } })",
            ),
            ("curl -H 'Accept:' --url https://a.test --max-time 2.5 -k -L --http2", "https://a.test\nGET /"),
            (
                "curl -L -k -u me:pw -F 'a={{b}}' -F 'c=<3' https://a.test/x",
                "1:37 a part of a form is in a file",
            ),
            (
                "curl -Lku 'me:p w' --data-urlencode '=a&b' --data-urlencode 'c d' a.test:8080/{x}?q",
                "http://a.test:8080\nPOST /{x}?q Content-Type=application/x-www-form-urlencoded body:a%26b&c+d auth:me:p w",
            ),
            (
                "curl --json '{}' -d a=b https://a.test",
                "1:1 a curl command has a body of several kinds, or one beside --get",
            ),
            (
                "curl -G --json '{}' https://a.test",
                "1:1 a curl command has a body of several kinds, or one beside --get",
            ),
            (
                "curl -G -d a=b -F a=b https://a.test",
                "1:1 a curl command has a body of several kinds, or one beside --get",
            ),
            ("curl -H 'X;Y: z' a.test", "1:9 'X;Y: z' is no header"),
            ("curl -H $'X: y\\nz' a.test", "1:9 'X: y\nz' is no header"),
            ("curl -X 'G T' a.test", "1:9 'G T' is no method"),
            ("curl http://:/", "1:6 this is a host that is no http:// or https:// URL"),
            ("curl https://a.test --proxy x", "1:21 the option --proxy of curl is not understood"),
            (
                "curl https://a.test\ncurl -d @body.json https://a.test",
                "2:9 the body is in a file, @body.json",
            ),
            ("curl -H 'a: b", "1:9 here is a quote without its end"),
            ("curl \"https://$HOST/\"", "1:15 here is something that the shell would work on"),
            ("wget x", "1:1 'wget' is no curl command"),
            ("curl -X", "1:6 --request has no value"),
            ("curl -k", "1:1 a curl command has no URL"),
            ("", "1:1 there is no curl command"),
        ] {
            assert_eq!(show(source), want, "{source}");
        }
    }

    /// What people write and importers' own tests of words do not have.
    #[test]
    fn odd_commands_can_be_run() {
        for source in [
            "curl -F a=b -F a=c\\;type=x/y -F 'f=@d/é.png;filename=\"x.png\"' -H 'X: {{y}}' 'http://[::1]:8/a'",
            "curl 'https://a.test/a b?c=\u{e9}&d={e}' https://a.test/y -d '{% raw %}'",
            "curl -X DELETE -H 'Host: other' -H 'X_Y: z' https://a.test/x",
            "curl -X M-SEARCH -m 0.5 --connect-timeout 3 --http2 --compressed https://a.test",
            "curl -kL -u 'me' -b 'a=b; c={{d}}' -A '' https://me.test:65535/?",
            "curl --json '[\"{{ pick(1, 2) }}\"]' -H 'content-type: application/vnd.a+json' https://a.test#top",
            "curl -I -G -d a=b -d c https://a.test?x",
            "curl --data-binary $'a\\n\\tb\\x00' https://a.test/%zz",
        ] {
            let imported = import(source.as_bytes()).unwrap_or_else(|error| panic!("{source}: {error}"));
            assert!(compiles(&imported).is_some(), "{source}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_has_an_answer(cut in 0usize..150, junk in "[ \\n'\"$\\\\@=;a-zA-Z:/-]{0,30}") {
            let source = "curl 'https://a.test/x' -H \"a: b\\\"\" -F 'f=@x;type=y' \\\n --data-urlencode $'a=\\u00e9' -sXPOST -m 3 --json '{}'";
            let (before, after) = source.split_at(cut.min(source.len()));
            match import(format!("{before}{junk}{after}").as_bytes()) {
                Ok(imported) => drop(compiles(&imported)),
                Err(error) => prop_assert!(error.line >= 1 && error.column >= 1),
            }
        }
    }
}
