//! The text of a limit, read from left to right.

use super::figure::{Figure, METRICS, Metric};
use super::{Comparison, LimitError, Scope};
use crate::units::{Nanos, Rate};

pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, LimitError> {
        let column = self.text[..self.at].chars().count() + 1;
        Err(LimitError { text: self.text.to_owned(), column, expected })
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
    }

    fn word(&mut self) -> &'a str {
        self.skip_space();
        let rest = &self.text[self.at..];
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        &rest[..end]
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let found = self.text[self.at..].starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    pub(super) fn figure(&mut self) -> Result<(Figure, Scope), LimitError> {
        let word = self.word();
        let rate = match word {
            "error_rate" => Some(Figure::ErrorRate),
            "check_rate" => Some(Figure::CheckRate),
            "rate" => Some(Figure::Rate),
            _ => None,
        };
        if let Some(rate) = rate {
            self.at += word.len();
            return Ok((rate, self.scope_of_rate()?));
        }
        let percent = word.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
        let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
        let of_metric: &dyn Fn(Metric) -> Figure = match (word, percent) {
            ("mean" | "avg", _) => &Figure::Mean,
            ("min", _) => &Figure::Min,
            ("max", _) => &Figure::Max,
            (_, Some(percent)) => &move |metric| Figure::Quantile(percent / 100.0, metric),
            _ => {
                return self.fail(
                    "p50..p99.99, mean, min or max of a metric, or error_rate, or check_rate, or rate",
                );
            }
        };
        self.at += word.len();
        let (metric, scope) = self.metric()?;
        Ok((of_metric(metric), scope))
    }

    fn metric(&mut self) -> Result<(Metric, Scope), LimitError> {
        const EXPECTED: &str = "'(' and one of response_time, response_time_ok, service_time, first_byte, connect_time, lag, kernel_time, dwell_time";
        if !self.symbol("(") {
            return self.fail(EXPECTED);
        }
        let word = self.word();
        let Some(&(_, metric)) = METRICS.iter().find(|(name, _)| *name == word) else {
            return self.fail(EXPECTED);
        };
        self.at += word.len();
        if self.symbol(")") {
            return Ok((metric, Scope::All));
        }
        if !metric.is_by_name() {
            return self.fail("')', because connect_time and lag are not kept by request");
        }
        if !self.symbol(",") {
            return self.fail("')', or ',' and a name or a tag");
        }
        Ok((metric, self.scope()?))
    }

    fn scope_of_rate(&mut self) -> Result<Scope, LimitError> {
        if self.symbol("(") { self.scope() } else { Ok(Scope::All) }
    }

    /// `name="..."` or `tag="..."`, and the bracket that closes.
    fn scope(&mut self) -> Result<Scope, LimitError> {
        const EXPECTED: &str = "name=\"...\" or tag=\"...\"";
        let word = self.word();
        let scope = match word {
            "name" => Scope::Name,
            "tag" => Scope::Tag,
            _ => return self.fail(EXPECTED),
        };
        self.at += word.len();
        if !self.symbol("=") {
            return self.fail("'=' and the text in double quotes");
        }
        let scope = scope(self.string()?);
        if self.symbol(")") { Ok(scope) } else { self.fail("')'") }
    }

    fn string(&mut self) -> Result<String, LimitError> {
        if !self.symbol("\"") {
            return self.fail("a text in double quotes");
        }
        let mut text = String::new();
        let mut rest = self.text[self.at..].char_indices();
        while let Some((at, char)) = rest.next() {
            match char {
                '"' => {
                    self.at += at + 1;
                    return Ok(text);
                }
                '\\' => match rest.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    _ => {
                        self.at += at;
                        return self.fail("\\\" or \\\\ where there is a backslash");
                    }
                },
                _ => text.push(char),
            }
        }
        self.at = self.text.len();
        self.fail("a double quote that ends the text")
    }

    pub(super) fn comparison(&mut self) -> Result<Comparison, LimitError> {
        for (symbol, comparison) in [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ] {
            if self.symbol(symbol) {
                return Ok(comparison);
            }
        }
        self.fail("one of < <= > >=")
    }

    pub(super) fn bound(&mut self, figure: Figure) -> Result<f64, LimitError> {
        self.skip_space();
        let text = self.text[self.at..].trim_end();
        let (value, expected) = match figure {
            Figure::ErrorRate | Figure::CheckRate => {
                (share(text), "a share such as 0.1% or 0.001, and nothing after it")
            }
            Figure::Rate => (
                text.parse::<Rate>().ok().map(Rate::as_per_second),
                "a rate such as 1000/s, and nothing after it",
            ),
            _ => (
                text.parse::<Nanos>().ok().map(|n| n.0 as f64),
                "a duration such as 50ms, and nothing after it",
            ),
        };
        value.map_or_else(|| self.fail(expected), Ok)
    }
}

fn share(text: &str) -> Option<f64> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent.trim_end(), 100.0));
    let value = number.parse::<f64>().ok()? / scale;
    (0.0..=1.0).contains(&value).then_some(value)
}
