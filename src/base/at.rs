//! An instant, as an argument.

use std::fmt;

use serde::{Serialize, Serializer};
use time::{Date, OffsetDateTime, PrimitiveDateTime, format_description::well_known::Rfc3339};

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// There is no `now()`: an instant is made once, by [`crate::host`] or by `--at`, and handed on as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub i64);

/// Text that is not an instant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time; write 2020-05-30T10:48:38Z, 2020-05-30, or seconds since 1970")]
pub struct AtError(String);

/// Seconds in a day.
const DAY: i64 = 86_400;

impl At {
    /// Reads RFC 3339, a bare date (midnight UTC) or Unix seconds.
    ///
    /// # Errors
    /// [`AtError`] when the text is none of the three.
    pub fn parse(text: &str) -> Result<Self, AtError> {
        let text = text.trim();
        let error = || AtError(text.to_owned());
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map(At).map_err(|_| error());
        }
        if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
            return Ok(At(instant.unix_timestamp()));
        }
        let mut parts = text.splitn(3, '-').map(str::parse::<u16>);
        let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) = (parts.next(), parts.next(), parts.next()) else {
            return Err(error());
        };
        let month = u8::try_from(month).ok().and_then(|m| m.try_into().ok()).ok_or_else(error)?;
        let day = u8::try_from(day).map_err(|_| error())?;
        let date = Date::from_calendar_date(i32::from(year), month, day).map_err(|_| error())?;
        Ok(At(PrimitiveDateTime::new(date, time::Time::MIDNIGHT).assume_utc().unix_timestamp()))
    }

    /// This instant and `days` days more (or fewer).
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        At(self.0.saturating_add(days.saturating_mul(DAY)))
    }

    /// Whole days from `self` to `later`, rounded towards zero; negative when `later` is in the past.
    #[must_use]
    pub fn days_until(self, later: At) -> i64 {
        later.0.saturating_sub(self.0) / DAY
    }

    /// How far `then` is from `self`, for people: `in 12 days`, `today`, `5 years ago`.
    #[must_use]
    pub fn relative(self, then: At) -> String {
        let days = self.days_until(then);
        let amount = match days.unsigned_abs() {
            0 => return if then < self { "earlier today".into() } else { "later today".into() },
            1 => "1 day".into(),
            n @ 2..=729 => format!("{n} days"),
            n => format!("{} years", n / 365),
        };
        if days < 0 { format!("{amount} ago") } else { format!("in {amount}") }
    }

    /// The instant in the form that `openssl x509` and `openssl s_client` print: `May 30 10:48:38 2020 GMT`.
    #[must_use]
    pub fn openssl(self) -> String {
        match OffsetDateTime::from_unix_timestamp(self.0) {
            Ok(t) => {
                let month = t.month().to_string();
                format!("{} {:>2} {:02}:{:02}:{:02} {} GMT", &month[..3], t.day(), t.hour(), t.minute(), t.second(), t.year())
            }
            Err(_) => format!("@{}", self.0),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Certificates may say year 9999 or nonsense; what RFC 3339 can't write is shown as Unix seconds.
        match OffsetDateTime::from_unix_timestamp(self.0).ok().and_then(|t| t.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "@{}", self.0),
        }
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_forms() {
        assert_eq!(At::parse("2020-05-30T10:48:38Z"), Ok(At(1_590_835_718)));
        assert_eq!(At::parse("2020-06-01"), Ok(At(1_590_969_600)));
        assert_eq!(At::parse("1590835718"), Ok(At(1_590_835_718)));
        assert_eq!(At::parse("2020-05-30T12:48:38+02:00"), Ok(At(1_590_835_718)));
        assert!(At::parse("yesterday").is_err());
        assert!(At::parse("2020-13-01").is_err());
        assert!(At::parse("").is_err());
    }

    #[test]
    fn prints_both_forms() {
        let at = At(1_590_835_718);
        assert_eq!(at.to_string(), "2020-05-30T10:48:38Z");
        assert_eq!(at.openssl(), "May 30 10:48:38 2020 GMT");
        assert_eq!(At(1_590_969_600).openssl(), "Jun  1 00:00:00 2020 GMT");
    }

    #[test]
    fn tells_distance() {
        let at = At::parse("2026-11-22").expect("a date");
        assert_eq!(at.relative(At::parse("2026-12-04").expect("a date")), "in 12 days");
        assert_eq!(at.relative(At::parse("2020-05-30T10:48:38Z").expect("a date")), "6 years ago");
        assert_eq!(at.relative(At(at.0 - 5)), "earlier today");
    }
}
