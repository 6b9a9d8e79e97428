//! When a version of certbot takes a certificate to be due (`certbot/_internal/storage.py`, `should_autorenew`, and its changelog).

use crate::{
    base::At,
    facts::renewal::certbot::{RenewalConf, Version},
    x509::Certificate,
};

/// When a certificate becomes due, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::check::renewal) struct Due {
    pub(in crate::check::renewal) at: At,
    pub(in crate::check::renewal) rule: String,
}

const DAY: i64 = 86_400;

/// When this certificate is due. What the CA's renewal information (ARI, certbot 4.1) says is not known here: it may come sooner.
pub(in crate::check::renewal) fn due(version: Option<Version>, conf: &RenewalConf, leaf: &Certificate) -> Option<Due> {
    let (begin, end) = (leaf.validity().not_before?, leaf.validity().not_after?);
    let setting = conf.config.text(&[], "renew_before_expiry").and_then(interval);
    let of_setting = |seconds: i64| Due { at: At(end.0 - seconds), rule: "renew_before_expiry".to_owned() };
    let lifetime = end.0.saturating_sub(begin.0);
    let share = if lifetime < 10 * DAY { 2 } else { 3 };
    let of_lifetime = Due { at: At(end.0 - lifetime / share), rule: format!("1/{share} of its lifetime before it expires") };
    Some(match version {
        Some(v) if v >= Version(4, 1, 0) => setting.map_or(of_lifetime, of_setting),
        // In 4.0 a setting only counts when it is earlier than the rule.
        Some(v) if v >= Version(4, 0, 0) => match setting.map(of_setting) {
            Some(set) if set.at < of_lifetime.at => set,
            _ => of_lifetime,
        },
        _ => match setting {
            Some(seconds) => of_setting(seconds),
            None => Due { at: At(end.0 - 30 * DAY), rule: "30 days before it expires".to_owned() },
        },
    })
}

/// Seconds of `30 days`, `12 hours`; a number alone is days (`storage.add_time_interval`).
fn interval(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: i64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().trim_end_matches('s') {
        "" | "day" | "d" => DAY,
        "hour" | "h" => 3600,
        "minute" | "min" | "m" => 60,
        "second" | "sec" => 1,
        "week" | "w" => 7 * DAY,
        "month" => 30 * DAY,
        "year" => 365 * DAY,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        for (text, seconds) in
            [("30 days", Some(30 * DAY)), ("10", Some(10 * DAY)), ("36 hours", Some(36 * 3600)), ("soon", None)]
        {
            assert_eq!(interval(text), seconds, "{text}");
        }
        assert_eq!(interval("99999999999999999 years"), None);
    }
}
