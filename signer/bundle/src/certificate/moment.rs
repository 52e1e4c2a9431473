//! Times in certificates.
use super::der::{Element, GENERALIZED_TIME, UTC_TIME};

/// A `UTCTime` or `GeneralizedTime` in unix seconds, if it is written as RFC 5280 has it: to the second, in UTC.
pub(super) fn read(element: Option<Element<'_>>) -> Option<i64> {
    let element = element?;
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = digits(element.content)?;
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        GENERALIZED_TIME => {
            let (century, rest) = digits(element.content)?;
            let (year, rest) = digits(rest)?;
            (century * 100 + year, rest)
        }
        _ => return None,
    };
    let (month, rest) = digits(rest)?;
    let (day, rest) = digits(rest)?;
    let (hour, rest) = digits(rest)?;
    let (minute, rest) = digits(rest)?;
    let (second, rest) = digits(rest)?;
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !valid || rest != b"Z" {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Two decimal digits, and what follows them.
fn digits(text: &[u8]) -> Option<(i64, &[u8])> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
            Some((i64::from(tens - b'0') * 10 + i64::from(ones - b'0'), rest))
        }
        _ => None,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; years begin in March, so that the leap day is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    before + (month * 153 + 2) / 5 + day - 1 - 719_468
}
