//! A preview on one page.

use std::fmt::Write as _;

use brunt_model::preview::{Estimate, FlowPreview, LoadPreview, Preview, WorkloadModel, spoken_duration};
use brunt_model::units::{Bytes, Nanos};

use super::chart;
use crate::output::clean;

pub(super) fn render(preview: &Preview, protocol: &str) -> String {
    let mut page = Page::default();
    page.row("plan", &format!("{}  {}", clean(&preview.name), preview.plan_id));
    page.row("target", &format!("{}  {protocol}", clean(&preview.url)));
    for (name, url) in &preview.other_targets {
        page.row("", &format!("{}  {}", clean(url), clean(name)));
    }
    page.row("addresses", &clean(&preview.endpoints.join(", ")));
    let loads: Vec<_> = preview.loads().collect();
    for (index, load) in loads.iter().enumerate() {
        let name = if load.name.is_empty() { String::new() } else { format!("{}: ", clean(&load.name)) };
        page.row(["load", ""][index.min(1)], &format!("{name}{}", load.words));
    }
    expected(&mut page, preview, &loads);
    for load in &loads {
        page.text.push('\n');
        if !load.name.is_empty() {
            page.text.push_str(&format!("{}\n", clean(&load.name)));
        }
        page.text.push_str(&drawn(load));
    }
    page.text.push('\n');
    flows(&mut page, &preview.flows);
    if preview.on_start.value > 0.0 {
        page.row("on start", &format!("{} a user", requests(preview.on_start)));
    }
    if preview.on_stop.value > 0.0 {
        page.row("on stop", &format!("{} a user", requests(preview.on_stop)));
    }
    for (index, load) in loads.iter().enumerate() {
        page.row(["connections", ""][index.min(1)], &connections(load));
    }
    page.row("upload", &upload(preview));
    if preview.warmup_ns > Nanos::ZERO {
        page.row("warm-up", &format!("{}, not measured", spoken_duration(preview.warmup_ns)));
    }
    for (index, limit) in preview.limits.iter().enumerate() {
        page.row(if index == 0 { "limits" } else { "" }, &clean(limit));
    }
    page.row("seed", &preview.seed.to_string());
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn row(&mut self, name: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{name:<12} {value}");
    }
}

fn expected(page: &mut Page, preview: &Preview, loads: &[&LoadPreview]) {
    let of_load = |load: &&LoadPreview| {
        let iterations = load.iterations.map(|count| format!("{count} iterations"));
        load.arrivals.map(|arrivals| format!("{} arrivals", number(arrivals))).or(iterations)
    };
    let parts: Vec<_> = loads.iter().filter_map(of_load).chain(preview.requests.map(requests)).collect();
    if parts.is_empty() {
        page.row("expected", "as many requests as answers come");
    } else {
        page.row("expected", &parts.join(", "));
    }
}

/// Users of a closed load, the rate of an open one.
fn drawn(load: &LoadPreview) -> String {
    let unit = if load.model == WorkloadModel::Open { "/s" } else { " users" };
    let label = |value: f64| format!("{}{unit}", rounded(value));
    let (middle, end) = match load.course_ns {
        Nanos::ZERO => (String::new(), "end".to_owned()),
        length => (spoken_duration(Nanos(length.0 / 2)), spoken_duration(length)),
    };
    chart::draw(&load.course, load.peak, label, ["0s", &middle, &end])
}

fn flows(page: &mut Page, flows: &[FlowPreview]) {
    let full = |flow: &FlowPreview| match flow.load.as_str() {
        "" => clean(&flow.name).into_owned(),
        load => format!("{} of {}", clean(&flow.name), clean(load)),
    };
    let names: Vec<_> = flows.iter().map(full).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (index, (flow, name)) in flows.iter().zip(&names).enumerate() {
        let (share, requests) = (flow.share * 100.0, requests(flow.requests));
        let what = if index == 0 { "flows" } else { "" };
        page.row(
            what,
            &format!("{name:width$}  weight {}  {share:.1} %  {requests} an iteration", flow.weight),
        );
    }
}

fn connections(load: &LoadPreview) -> String {
    match load.max_backlog {
        None if load.connections_each == 1 => format!("{}, one a user", load.max_connections),
        None => format!("{} at most, {} a user", load.max_connections, load.connections_each),
        Some(backlog) => format!(
            "{} at the start, {} at most; {backlog} arrivals may wait",
            load.warm_connections, load.max_connections
        ),
    }
}

fn upload(preview: &Preview) -> String {
    let size = |bytes: Estimate| format!("{}{}", about(bytes), Bytes(whole(bytes.value)));
    let iteration = size(preview.upload.iteration);
    match preview.upload.per_second_at_peak {
        Some(rate) => format!("{}/s at the peak, {iteration} an iteration", size(rate)),
        None => format!("{iteration} an iteration"),
    }
}

const fn about(estimate: Estimate) -> &'static str {
    if estimate.about { "about " } else { "" }
}

fn number(estimate: Estimate) -> String {
    format!("{}{}", about(estimate), rounded(estimate.value))
}

fn requests(estimate: Estimate) -> String {
    let number = number(estimate);
    if number == "1" { "1 request".to_owned() } else { format!("{number} requests") }
}

/// With at most two decimals.
fn rounded(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are not negative, and saturate"
)]
const fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use brunt_model::plan::{Inputs, compile};
    use brunt_model::scenario::{Scenario, ScriptSource};

    use super::*;

    /// The page of a scenario without its chart and its plan's id.
    #[track_caller]
    fn check(source: &str, want: &str) {
        let script = Some(ScriptSource { text: source.to_owned(), ..ScriptSource::default() });
        let scenario = Scenario { script, name: Some("shop".to_owned()), ..Scenario::of("http://h/") };
        let inputs = Inputs { addresses: vec!["192.0.2.1:80".parse().unwrap()], ..Inputs::default() };
        let plan = compile(&scenario, &inputs).expect(source);
        let page = render(&Preview::of(&plan, chart::WIDTH), "HTTP/1.1 in clear text");
        let is_told = |line: &&str| !line.contains('|') && !line.contains(" +-") && !line.starts_with(' ');
        let told: Vec<_> = page.lines().filter(is_told).map(|line| line.replace(&plan.id, "ID")).collect();
        assert_eq!(told.join("\n"), want, "{source}");
        assert!(page.lines().all(|line| line.chars().count() <= 110), "{page}");
    }

    #[test]
    fn an_open_load_tells_its_rate() {
        check(
            "flows: {browse: {weight: 3, steps: [{get: /}]}, buy: [{post: '/{{ pick(1, 2) }}', body: x}]}\n\
             on_start: [{get: /login}]\n\
             load: [{open: {rate: 0/s..100/s, over: 1m}, warmup: true}, {open: {rate: 100/s, for: 1m}}]",
            "plan         shop  ID\n\
             target       http://h/  HTTP/1.1 in clear text\n\
             addresses    192.0.2.1:80\n\
             load         open load of up to 100/s for 2m\n\
             expected     9000 arrivals, 9000 requests\n\
             \n\
             \n\
             flows        browse  weight 3  75.0 %  1 request an iteration\n\
             on start     1 request a user\n\
             connections  1 at the start, 10000 at most; 100 arrivals may wait\n\
             upload       about 7.9 KiB/s at the peak, about 81 B an iteration\n\
             warm-up      1m, not measured\n\
             limits       error_rate < 50%\n\
             seed         1",
        );
    }

    #[test]
    fn a_closed_load_tells_its_users() {
        check(
            "flows: {a: [{get: /}, {get: /b}]}\nload: [{closed: {users: 7, iterations: 70}}]",
            "plan         shop  ID\n\
             target       http://h/  HTTP/1.1 in clear text\n\
             addresses    192.0.2.1:80\n\
             load         closed load of 7 users for 70 iterations\n\
             expected     70 iterations, 140 requests\n\
             \n\
             \n\
             flows        a  weight 1  100.0 %  2 requests an iteration\n\
             connections  7, one a user\n\
             upload       131 B an iteration\n\
             limits       error_rate < 50%\n\
             seed         1",
        );
    }
}
