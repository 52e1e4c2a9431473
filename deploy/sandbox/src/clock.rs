//! What time it is, in the forms that the services write.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}

/// Now, as RFC 3339 with nanoseconds in UTC, as Go prints it.
pub(crate) fn rfc3339_now() -> String {
    jiff::Timestamp::now().to_string()
}

/// A second since 1970 as RFC 3339 in UTC.
pub(crate) fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |time| time.to_string())
}

/// Now in UTC as Unix `date` prints it.
pub(crate) fn unix_date() -> String {
    jiff::Timestamp::now().strftime("%a %b %e %H:%M:%S UTC %Y").to_string()
}

/// Milliseconds since 1970.
pub(crate) fn unix_millis() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
