//! Dates as servers write them into `Expires`: RFC 6265 section 5.1.1, which takes whatever can be
//! understood.

use crate::calendar::{DAY_S, Date};

const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// Seconds since 1970, or `None` where a part is missing or out of its range.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|byte| is_delimiter(*byte)) {
        // Each part is the first token that looks like it and is not another part already.
        if time.is_none() && clock(token).is_some() {
            time = clock(token);
        } else if day.is_none() && number(token, 1, 2).is_some() {
            day = number(token, 1, 2);
        } else if month.is_none() && month_of(token).is_some() {
            month = month_of(token);
        } else if year.is_none() {
            year = number(token, 2, 4);
        }
    }
    let ((hour, minute, second), year) = (time?, year?);
    let year = match year {
        70..=99 => year + 1900,
        0..=69 => year + 2000,
        _ => year,
    };
    if year < 1601 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = Date { year, month: month?, day: day? }.days()?;
    Some(days * DAY_S + hour * 3_600 + minute * 60 + second)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// `8:00:00`; what follows the last digits is ignored, as for all numbers here.
fn clock(token: &[u8]) -> Option<(i64, i64, i64)> {
    let mut parts = token.splitn(3, |byte| *byte == b':');
    let mut part = |is_last: bool| {
        let part = parts.next()?;
        number(part, 1, 2).filter(|_| is_last || part.len() <= 2 && part.iter().all(u8::is_ascii_digit))
    };
    Some((part(false)?, part(false)?, part(true)?))
}

/// A number of so many digits, and whatever follows that is no digit.
fn number(token: &[u8], least: usize, most: usize) -> Option<i64> {
    let digits = token.iter().take_while(|byte| byte.is_ascii_digit()).take(most + 1).count();
    let value = token.iter().take(digits).fold(0, |value, byte| value * 10 + i64::from(byte - b'0'));
    (least..=most).contains(&digits).then_some(value)
}

fn month_of(token: &[u8]) -> Option<i64> {
    let name = token.get(..3)?;
    (1..).zip(MONTHS).find(|(_, month)| name.eq_ignore_ascii_case(month)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn dates_are_understood_in_all_their_forms() {
        let some = Some(784_111_777);
        check("Sun, 06 Nov 1994 08:49:37 GMT", some);
        check("Sunday, 06-Nov-94 08:49:37 GMT", some);
        check("Sun Nov  6 08:49:37 1994", some);
        check("1994 November 6th 8:49:37.5", some);
        check("06 nov 1994 08:49:37 07 dec 1995 09:00:00", some);
        check("1 Jan 1970 00:00:00", Some(0));
        check("1 Jan 69 00:00:00", Some(3_124_224_000));
        check("1 Jan 1601 00:00:00", Some(-11_644_473_600));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "Sun, 06 Nov 1994",
            "06 Nov 08:49:37",
            "Nov 1994 08:49:37",
            "06 1994 08:49:37",
            "32 Nov 1994 08:49:37",
            "30 Feb 1994 08:49:37",
            "06 Nov 1600 08:49:37",
            "06 Nov 1994 24:00:00",
            "06 Nov 1994 00:60:00",
            "06 Nov 1994 00:00:60",
            "06 Nov 1994 008:49:37",
            "06 Nov 1994 08:4x:37",
            "06 Nov 19945 08:49:37",
            "06 Nox 1994 08:49:37",
            "06 Nov 1994 08:49",
        ] {
            check(text, None);
        }
    }
}
