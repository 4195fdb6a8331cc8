//! The terminal view, drawn from a model: two charts, a table by request name, the verdict so far, and the keys.
//!
//! Pure: a model and a look in, cells out. Text from outside is cleaned before it becomes cells. A screen smaller than
//! [`WIDTH_MIN`] by [`HEIGHT_MIN`] gets the progress line alone.

use brunt_engine::Stop;
use brunt_model::units::Nanos;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph, Row, Table, Wrap};

use super::model::{Model, Point};
use crate::output::clean;
use crate::run::progress::line_of;

pub(crate) const WIDTH_MIN: u16 = 60;
pub(crate) const HEIGHT_MIN: u16 = 16;
/// Lines that reasons get: on a small screen the charts need theirs.
const REASON_LINES: u16 = 2;
/// Of the lines that charts and table share, the table gets at most one in so many.
const TABLE_SHARE: u16 = 3;
/// Kinds of errors named; the rest is a count.
const KINDS_MAX: usize = 3;

/// How the model is shown.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Look {
    pub coloured: bool,
    pub help: bool,
    pub stop: Stop,
}

impl Look {
    /// The colour, where there are any.
    fn painted(self, colour: Color) -> Style {
        if self.coloured { Style::new().fg(colour) } else { Style::new() }
    }
}

/// Fills the frame.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model, look: Look) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        frame.render_widget(Paragraph::new(small(model, look)), area);
        return;
    }
    let reason_lines = if model.reasons().is_empty() { 1 } else { REASON_LINES };
    let [head, verdict, figures, errors, middle, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(reason_lines),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_head(frame, head, model);
    frame.render_widget(verdict_of(model, look), verdict);
    frame.render_widget(Paragraph::new(figures_of(model)), figures);
    frame.render_widget(errors_of(model, look), errors);
    draw_middle(frame, middle, model, look);
    frame.render_widget(Paragraph::new(keys_of(model, look.stop)), keys);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let time = time_of(model);
    let width = u16::try_from(time.chars().count()).unwrap_or(u16::MAX);
    let [left, right] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(width)]).spacing(1).areas(area);
    let name = Span::styled(clean(&model.name), Modifier::BOLD);
    frame.render_widget(Line::from(vec![name, Span::raw("  "), Span::raw(clean(&model.url))]), left);
    frame.render_widget(Paragraph::new(time), right);
}

fn time_of(model: &Model) -> String {
    let elapsed = seconds(model.elapsed());
    match model.duration().zip(model.left()) {
        Some((duration, left)) => format!("{elapsed} of {}, {} left", seconds(duration), seconds(left)),
        None => elapsed,
    }
}

fn seconds(time: Nanos) -> String {
    format!("{:.0} s", time.as_secs_f64())
}

/// For a screen too small for more.
fn small(model: &Model, look: Look) -> String {
    match (note_of(look.stop), model.newest()) {
        (Some(note), _) => note.to_owned(),
        (None, Some(row)) => line_of(row, model.elapsed(), model.duration()),
        (None, None) => "waiting for the first interval".to_owned(),
    }
}

fn verdict_of<'a>(model: &'a Model, look: Look) -> Paragraph<'a> {
    let reasons: Vec<_> = model.reasons().iter().map(|reason| clean(reason)).collect();
    let (text, colour) = if reasons.is_empty() {
        ("no reason to doubt".to_owned(), Color::Green)
    } else {
        (reasons.join("; "), Color::Yellow)
    };
    let line = Line::from(vec![Span::raw("verdict so far: "), Span::styled(text, look.painted(colour))]);
    Paragraph::new(line).wrap(Wrap { trim: true })
}

fn figures_of(model: &Model) -> String {
    let Some(row) = model.newest() else { return "waiting for the first interval".to_owned() };
    let of_target = row.target.map_or_else(String::new, |target| format!("/{target:.0}"));
    format!(
        "{:.0}{of_target} req/s  {} connections  lag p99 {}",
        row.achieved,
        row.connections,
        Nanos(row.lag_p99)
    )
}

fn errors_of(model: &Model, look: Look) -> Paragraph<'static> {
    let errors = model.errors();
    if errors.is_empty() {
        return Paragraph::new("no errors in the last interval");
    }
    let named = errors.iter().take(KINDS_MAX).map(|(kind, rate)| format!("{} {rate:.1}", kind.name()));
    let mut text = format!("errors/s: {}", named.collect::<Vec<_>>().join(", "));
    if let Some(more) = errors.len().checked_sub(KINDS_MAX).filter(|more| *more > 0) {
        text.push_str(&format!(", {more} more kinds"));
    }
    Paragraph::new(text).style(look.painted(Color::Red))
}

fn draw_middle(frame: &mut Frame<'_>, area: Rect, model: &Model, look: Look) {
    let wanted = u16::try_from(model.lines().len()).unwrap_or(u16::MAX).max(1).saturating_add(1);
    let table_height = wanted.min((area.height / TABLE_SHARE).max(2));
    let [upper, lower] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(table_height)]).areas(area);
    if look.help {
        frame.render_widget(help(model), upper);
    } else {
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(upper);
        draw_rates(frame, left, model, look);
        draw_times(frame, right, model, look);
    }
    frame.render_widget(table(model, look), lower);
}

/// A line of a chart; its marker tells it from the others where there are no colours.
struct Curve<'a> {
    points: &'a [(f64, f64)],
    marker: Marker,
    style: Style,
}

type Dots = Vec<(f64, f64)>;

/// The points of those stretches that have the figure, over the seconds of the run.
fn dots(points: &[Point], figure: impl Fn(&Point) -> Option<f64>) -> Dots {
    points.iter().filter_map(|point| Some((point.end.as_secs_f64(), figure(point)?))).collect()
}

fn draw_rates(frame: &mut Frame<'_>, area: Rect, model: &Model, look: Look) {
    let done = dots(model.points(), |point| Some(point.achieved));
    let target = dots(model.points(), |point| point.target);
    let title = if target.is_empty() { "req/s  ⠒ done" } else { "req/s  ⠒ done  • target" };
    let curves = [
        Curve { points: &target, marker: Marker::Dot, style: look.painted(Color::Blue) },
        Curve { points: &done, marker: Marker::Braille, style: look.painted(Color::Green) },
    ];
    draw_chart(frame, area, title, &curves, &|value| format!("{value:.0}"));
}

fn draw_times(frame: &mut Frame<'_>, area: Rect, model: &Model, look: Look) {
    let p50 = dots(model.points(), |point| Some(point.p50 as f64));
    let p99 = dots(model.points(), |point| Some(point.p99 as f64));
    let kernel = dots(model.points(), |point| point.kernel_p99.map(|time| time as f64));
    let title = if kernel.is_empty() { "• p50  ⠒ p99" } else { "• p50  ⠒ p99  ▀ kernel p99" };
    let curves = [
        Curve { points: &kernel, marker: Marker::HalfBlock, style: look.painted(Color::Cyan) },
        Curve { points: &p50, marker: Marker::Dot, style: look.painted(Color::Green) },
        Curve { points: &p99, marker: Marker::Braille, style: look.painted(Color::Yellow) },
    ];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times are positive and were 64 bits"
    )]
    draw_chart(frame, area, title, &curves, &|value| Nanos(value as u64).to_string());
}

fn draw_chart(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &'static str,
    curves: &[Curve<'_>],
    label: &dyn Fn(f64) -> String,
) {
    let all = || curves.iter().flat_map(|curve| curve.points);
    // An axis without length could not be drawn.
    let end = all().map(|(x, _)| *x).fold(1.0, f64::max);
    let top = all().map(|(_, y)| *y).fold(0.0, f64::max).max(1.0) * 1.1;
    let datasets = curves.iter().map(|curve| {
        let kind = if curve.marker == Marker::Dot { GraphType::Scatter } else { GraphType::Line };
        Dataset::default().marker(curve.marker).graph_type(kind).style(curve.style).data(curve.points)
    });
    let x = Axis::default().bounds([0.0, end]).labels(["0 s".to_owned(), format!("{end:.0} s")]);
    let y = Axis::default().bounds([0.0, top]).labels(["0".to_owned(), label(top / 2.0), label(top)]);
    let chart = Chart::new(datasets.collect()).block(Block::bordered().title(title)).x_axis(x).y_axis(y);
    frame.render_widget(chart.legend_position(None), area);
}

fn table<'a>(model: &'a Model, look: Look) -> Table<'a> {
    let rows = model.lines().iter().map(|line| {
        let style = if line.failed > 0 { look.painted(Color::Red) } else { Style::new() };
        let figures =
            [line.requests.to_string(), line.failed.to_string(), line.p50.to_string(), line.p99.to_string()];
        let figures = figures.map(|figure| Line::from(figure).right_aligned());
        Row::new(std::iter::once(Line::from(clean(&line.name))).chain(figures)).style(style)
    });
    let heads = ["requests", "failed", "p50", "p99"].map(|head| Line::from(head).right_aligned());
    let header = Row::new(std::iter::once(Line::from("request")).chain(heads)).style(Modifier::BOLD);
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(10),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    Table::new(rows, widths).header(header)
}

fn help(model: &Model) -> Paragraph<'static> {
    let mut lines = vec![
        "q, Ctrl-C  stop: wait for the answers under way; again: at once",
        "?          this help, and back",
        "",
        "done       requests completed a second",
        "p50, p99   of the time from when a request was meant to be sent to its answer",
        "kernel     of the time from the request leaving this host to its answer",
        "lag        how late requests were sent",
    ];
    if model.is_open {
        lines.insert(1, "+ -        10 % of the target rate more, or less");
    }
    let lines: Vec<_> = lines.into_iter().map(Line::from).collect();
    Paragraph::new(lines).block(Block::bordered().title("help"))
}

fn keys_of(model: &Model, stop: Stop) -> String {
    match note_of(stop) {
        Some(note) => note.to_owned(),
        None if model.is_open => {
            format!("q stop  + - rate (now {:.0} % of the plan's)  ? help", model.share() * 100.0)
        }
        None => "q stop  ? help".to_owned(),
    }
}

/// What a press of the switch led to.
const fn note_of(stop: Stop) -> Option<&'static str> {
    match stop {
        Stop::No => None,
        Stop::Drain => Some("stopping: waiting for the answers under way; once more stops at once"),
        Stop::Now => Some("stopping at once"),
    }
}

#[cfg(test)]
mod tests {
    use brunt_model::outcome::ErrorKind;
    use brunt_model::tempo::RateChange;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;

    use super::super::model::Load;
    use super::super::model::tests::{plan, row, total};
    use super::*;

    const PLAIN: Look = Look { coloured: false, help: false, stop: Stop::No };

    fn screen(width: u16, height: u16, model: &Model, look: Look) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model, look)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn text_of(buffer: &Buffer) -> String {
        let width = usize::from(buffer.area.width);
        let lines = buffer.content.chunks(width);
        let line =
            |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
        lines.map(|cells| format!("{}\n", line(cells).trim_end())).collect()
    }

    /// Twenty seconds of a rate that falls behind its target, with failures towards the end.
    fn model(rate: Option<u64>) -> Model {
        let mut model = Model::new(&plan(rate, 30));
        for tick in 0..20 {
            let mut row = row(tick, 100.0 - tick as f64);
            row.target = row.target.filter(|_| rate.is_some());
            let failed = [(ErrorKind::Reset, tick.saturating_sub(15) * 6), (ErrorKind::Status, tick / 19)];
            let mut total = total((tick + 1) * 90, &failed);
            total.counters.late = if tick > 10 { 50 } else { 0 };
            model.add(&row, &total, Load::default());
        }
        model
    }

    #[test]
    fn screens_look_as_they_did() {
        fn check(width: u16, height: u16, want: &str) {
            let got = text_of(&screen(width, height, &model(Some(100)), PLAIN));
            assert!(got == want, "{width}x{height} is now:\n{got}");
        }
        check(60, 16, include_str!("golden/60x16.txt"));
        check(100, 30, include_str!("golden/100x30.txt"));
    }

    #[test]
    fn what_a_screen_says() {
        fn check(model: &Model, look: Look, size: (u16, u16), says: &[&str], not: &[&str]) {
            let text = text_of(&screen(size.0, size.1, model, look));
            assert!(says.iter().all(|word| text.contains(word)), "{says:?}:\n{text}");
            assert!(!not.iter().any(|word| text.contains(word)), "not {not:?}:\n{text}");
        }
        let (open, closed, fresh) = (model(Some(100)), model(None), Model::new(&plan(None, 30)));
        let usual = (80, 24);
        check(&open, PLAIN, (59, 16), &["20/30 s  81/100 req/s"], &["verdict", "q stop"]);
        check(&open, PLAIN, (60, 15), &["20/30 s  81/100 req/s"], &["verdict", "q stop"]);
        check(&closed, PLAIN, usual, &["81 req/s", "⠒ done", "q stop  ? help"], &["target"]);
        check(&fresh, PLAIN, usual, &["no reason to doubt", "waiting for the first interval"], &["NaN"]);
        check(&fresh, PLAIN, (10, 1), &["waiting"], &["verdict"]);
        check(&open, Look { help: true, ..PLAIN }, usual, &["this help", "+ -        10 % of"], &["⠒ p99"]);
        check(&open, Look { stop: Stop::Drain, ..PLAIN }, usual, &["once more stops at once"], &["q stop"]);
        check(&open, Look { stop: Stop::Now, ..PLAIN }, (20, 1), &["stopping at once"], &["req/s"]);
    }

    #[test]
    fn a_changed_rate_is_told() {
        let mut model = model(Some(100));
        model.retune(RateChange { at_ns: 0, per_mille: 1_100 });
        let text = text_of(&screen(80, 24, &model, PLAIN));
        assert!(text.contains("rate (now 110 % of the plan's)"), "{text}");
    }

    #[test]
    fn text_from_outside_moves_nothing() {
        for (width, height) in [(60, 16), (100, 30)] {
            let text = text_of(&screen(width, height, &model(Some(100)), PLAIN));
            assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
            assert!(text.contains("\\u{1b}[31mshop"), "{text}");
        }
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        for (coloured, want) in [(false, false), (true, true)] {
            let buffer = screen(80, 24, &model(Some(100)), Look { coloured, ..PLAIN });
            let any = buffer.content.iter().any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset));
            assert_eq!(any, want);
        }
    }

    #[test]
    fn every_size_is_drawn() {
        let model = model(Some(100));
        for width in (0..130).step_by(13) {
            for height in (0..50).step_by(7) {
                let buffer = screen(width, height, &model, Look { help: width % 2 == 0, ..PLAIN });
                assert_eq!(buffer.content.len(), usize::from(width) * usize::from(height));
            }
        }
    }
}
