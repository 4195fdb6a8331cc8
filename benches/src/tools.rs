//! Other load generators: how each is called, and how the number of answers is read from what it prints.
//!
//! Every tool gets one thread, and speaks HTTP/1.1 where the load does not ask for more. One that is in no folder of `PATH` can be given by an
//! environment variable with its name in capitals, such as `WRK2=/opt/wrk2/wrk`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// What a tool is asked to do.
#[derive(Copy, Clone, Debug)]
pub struct Load<'a> {
    pub connections: u32,
    pub seconds: u32,
    pub url: &'a str,
    /// Requests a second; `None` for as many as there can be.
    pub rate: Option<u32>,
    pub shape: Shape,
}

/// How requests are laid on connections.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One after another on each, in HTTP/1.1.
    KeepAlive,
    /// This many at once on each, in HTTP/2.
    Streams(u32),
    /// One on each, and then a new one in its place, until the time is over.
    Close,
    /// One on each, and all connections opened at once; the number of connections ends it.
    AtOnce,
}

/// What a tool says it did.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Counts {
    pub completed: u64,
    pub failed: u64,
}

/// One adapter.
pub struct Tool {
    pub name: &'static str,
    /// `None` for a shape of load that the tool cannot make.
    arguments: fn(&Load<'_>) -> Option<Vec<String>>,
    pub counts: fn(&str) -> Option<Counts>,
    environment: &'static [(&'static str, &'static str)],
}

/// A tool that is installed here.
#[derive(Clone)]
pub struct Found {
    pub tool: &'static Tool,
    path: PathBuf,
}

/// A rate that no server here reaches: wrk2 only knows open loads, and one it cannot reach is a closed one.
const OUT_OF_REACH: u32 = 5_000_000;

pub static TOOLS: [Tool; 6] = [
    Tool { name: "wrk", arguments: wrk, counts: wrk_counts, environment: &[] },
    Tool { name: "wrk2", arguments: wrk2, counts: wrk_counts, environment: &[] },
    Tool { name: "h2load", arguments: h2load, counts: h2load_counts, environment: &[] },
    Tool { name: "oha", arguments: oha, counts: oha_counts, environment: &[("TOKIO_WORKER_THREADS", "1")] },
    Tool { name: "hey", arguments: hey, counts: hey_counts, environment: &[("GOMAXPROCS", "1")] },
    Tool { name: "ab", arguments: ab, counts: ab_counts, environment: &[] },
];

/// The tools that are installed, in the order above.
#[must_use]
pub fn found() -> Vec<Found> {
    TOOLS.iter().filter_map(|tool| Some(Found { tool, path: find(tool.name)? })).collect()
}

impl Found {
    /// `None` for a shape of load that the tool cannot make.
    #[must_use]
    pub fn command(&self, load: &Load<'_>) -> Option<Command> {
        let mut command = Command::new(&self.path);
        command.args((self.tool.arguments)(load)?).envs(self.tool.environment.iter().copied());
        Some(command)
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os(name.to_uppercase()).map(PathBuf::from).filter(|path| path.is_file());
    given.or_else(|| in_path(name))
}

/// The first file of that name in `PATH`.
#[must_use]
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path: OsString = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn words(line: &str, url: &str) -> Option<Vec<String>> {
    Some(line.split_whitespace().chain([url]).map(str::to_owned).collect())
}

fn wrk(load: &Load<'_>) -> Option<Vec<String>> {
    let line = format!("-t1 -c{} -d{}s --timeout 10s", load.connections, load.seconds);
    match load.shape {
        Shape::KeepAlive => words(&line, load.url),
        Shape::Close => {
            let mut all = words(&line, load.url)?;
            // The blank is part of one argument: wrk takes a header only with it.
            all.splice(0..0, ["-H", "Connection: close"].map(str::to_owned));
            Some(all)
        }
        Shape::Streams(_) | Shape::AtOnce => None,
    }
}

fn wrk2(load: &Load<'_>) -> Option<Vec<String>> {
    let rate = load.rate.unwrap_or(OUT_OF_REACH);
    let line = format!("-t1 -c{} -d{}s --timeout 10s -R{rate}", load.connections, load.seconds);
    keeps_alive(load).then(|| words(&line, load.url))?
}

fn h2load(load: &Load<'_>) -> Option<Vec<String>> {
    let Load { connections, seconds, .. } = load;
    let line = match load.shape {
        Shape::KeepAlive => format!("--h1 -t1 -c{connections} -D{seconds}"),
        Shape::Streams(streams) => format!("-t1 -c{connections} -m{streams} -D{seconds}"),
        Shape::AtOnce => format!("--h1 -t1 -c{connections} -n{connections}"),
        // It opens a connection for each client and never another.
        Shape::Close => return None,
    };
    words(&line, load.url)
}

fn oha(load: &Load<'_>) -> Option<Vec<String>> {
    let line = format!("--no-tui --insecure -c {} -z {}s", load.connections, load.seconds);
    match load.shape {
        Shape::KeepAlive => words(&line, load.url),
        Shape::Streams(streams) => words(&format!("{line} --http2 -p {streams}"), load.url),
        Shape::Close => words(&format!("{line} --disable-keepalive"), load.url),
        Shape::AtOnce => None,
    }
}

fn hey(load: &Load<'_>) -> Option<Vec<String>> {
    let line = format!("-cpus 1 -disable-compression -c {} -z {}s", load.connections, load.seconds);
    keeps_alive(load).then(|| words(&line, load.url))?
}

fn ab(load: &Load<'_>) -> Option<Vec<String>> {
    // The time limit alone would stop it after 50,000 requests; memory for the count given is only touched when used.
    let requests = load.seconds.saturating_mul(1_000_000);
    let line = format!("-q -k -c {} -t {} -n {requests}", load.connections, load.seconds);
    keeps_alive(load).then(|| words(&line, load.url))?
}

fn keeps_alive(load: &Load<'_>) -> bool {
    load.shape == Shape::KeepAlive
}

/// `  123 requests in 2.00s, 4.5MB read`; errors and statuses only where there are some. Timeouts are not counted:
/// to wrk they are a remark on an answer that it goes on to wait for.
fn wrk_counts(output: &str) -> Option<Counts> {
    let line = output.lines().find(|line| line.contains(" requests in "))?;
    let completed = line.split_whitespace().next()?.parse().ok()?;
    let socket = output.lines().find(|line| line.contains("Socket errors:")).map_or(0, |line| {
        ["connect", "read", "write"].iter().filter_map(|kind| number_after(line, kind)).sum()
    });
    let statuses = number_after(output, "Non-2xx or 3xx responses:").unwrap_or(0);
    Some(Counts { completed, failed: socket + statuses })
}

/// `requests: 10 total, 12 started, 10 done, 10 succeeded, 0 failed, 0 errored, 0 timeout`
fn h2load_counts(output: &str) -> Option<Counts> {
    let line = output.lines().find_map(|line| line.strip_prefix("requests:"))?;
    let before =
        |word: &str| line.split(',').find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok());
    Some(Counts { completed: before("succeeded")?, failed: before("failed")? + before("errored")? })
}

/// Requests that the end of the run cut off are listed as errors, and are none.
fn oha_counts(output: &str) -> Option<Counts> {
    distributions(output)
}

/// hey lists no more than a million answers, so their number is taken from rate and time, which count errors too.
fn hey_counts(output: &str) -> Option<Counts> {
    let figure = |name: &str| -> Option<f64> {
        let rest = output.lines().find_map(|line| line.trim().strip_prefix(name))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let all = (figure("Requests/sec:")? * figure("Total:")?).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, far below 2^53")]
    let all = all as u64;
    let failed = distributions(output)?.failed;
    Some(Counts { completed: all.saturating_sub(failed), failed })
}

/// `  [200] 123 responses` under `Status code distribution:`, and `  [2] some error` under `Error distribution:`.
fn distributions(output: &str) -> Option<Counts> {
    let (_, listed) = output.split_once("Status code distribution:")?;
    let (statuses, errors) = listed.split_once("Error distribution:").unwrap_or((listed, ""));
    let bracketed = |line: &'_ str| -> Option<(String, String)> {
        let (inside, after) = line.trim().strip_prefix('[')?.split_once(']')?;
        Some((inside.to_owned(), after.trim().to_owned()))
    };
    let mut counts = Counts { completed: 0, failed: 0 };
    for (status, responses) in statuses.lines().filter_map(bracketed) {
        let responses: u64 = responses.split_whitespace().next()?.parse().ok()?;
        *if status.starts_with('2') { &mut counts.completed } else { &mut counts.failed } += responses;
    }
    for (number, error) in errors.lines().filter_map(bracketed) {
        let cut_off = error.contains("aborted due to deadline");
        counts.failed += if cut_off { 0 } else { number.parse::<u64>().ok()? };
    }
    Some(counts)
}

/// `Complete requests:      123` and, with or without a remark below it, `Failed requests:        0`.
fn ab_counts(output: &str) -> Option<Counts> {
    let complete = number_after(output, "Complete requests:")?;
    let failed =
        number_after(output, "Failed requests:")? + number_after(output, "Non-2xx responses:").unwrap_or(0);
    Some(Counts { completed: complete.saturating_sub(failed), failed })
}

/// The whole number that follows a word.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    let rest = rest.trim_start();
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

#[cfg(test)]
mod tests;
