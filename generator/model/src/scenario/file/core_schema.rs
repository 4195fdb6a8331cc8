//! What a plain scalar means: the core schema of YAML 1.2.2 (section 10.3.2). `yes`, `no` and `on` are texts.

/// The meaning of a plain scalar.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(super) enum Meaning {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A number that cannot be kept: an integer past 64 bits, infinity, or not a number at all.
    Unkept,
    Text,
}

pub(super) fn meaning(plain: &str) -> Meaning {
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "true" | "True" | "TRUE" => return Meaning::Bool(true),
        "false" | "False" | "FALSE" => return Meaning::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Meaning::Unkept,
        _ => {}
    }
    let unsigned = plain.strip_prefix(['-', '+']).unwrap_or(plain);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Meaning::Unkept;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        let digits = plain.strip_prefix(prefix).unwrap_or_default();
        if !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)) {
            return i64::from_str_radix(digits, radix).map_or(Meaning::Unkept, Meaning::Int);
        }
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return plain.parse().map_or(Meaning::Unkept, Meaning::Int);
    }
    if !is_float(unsigned) {
        return Meaning::Text;
    }
    plain.parse().ok().filter(|value: &f64| value.is_finite()).map_or(Meaning::Unkept, Meaning::Float)
}

/// Digits with a point or an exponent.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_mean_what_the_core_schema_says() {
        for (plain, want) in [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("null", Meaning::Null),
            ("True", Meaning::Bool(true)),
            ("yes", Meaning::Text),
            ("no", Meaning::Text),
            ("0", Meaning::Int(0)),
            ("-0012", Meaning::Int(-12)),
            ("+5", Meaning::Int(5)),
            ("0x1F", Meaning::Int(31)),
            ("0o17", Meaning::Int(15)),
            ("0x", Meaning::Text),
            ("-0x1", Meaning::Text),
            ("0xg", Meaning::Text),
            ("9223372036854775807", Meaning::Int(i64::MAX)),
            ("9223372036854775808", Meaning::Unkept),
            ("1.", Meaning::Float(1.0)),
            (".5", Meaning::Float(0.5)),
            ("-1.5e+3", Meaning::Float(-1_500.0)),
            ("1e3", Meaning::Float(1_000.0)),
            ("1e999", Meaning::Unkept),
            ("-.inf", Meaning::Unkept),
            (".nan", Meaning::Unkept),
            (".", Meaning::Text),
            ("1e", Meaning::Text),
            ("1.2.3", Meaning::Text),
            ("-", Meaning::Text),
            ("inf", Meaning::Text),
            ("nan", Meaning::Text),
            ("1_000", Meaning::Text),
            ("10s", Meaning::Text),
        ] {
            assert_eq!(meaning(plain), want, "{plain}");
        }
    }
}
