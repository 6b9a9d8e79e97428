//! Rate limits of Let's Encrypt, as dated data: each is a bucket of tokens that fills up steadily.

use crate::base::At;

/// One limit.
pub(in crate::check::renewal) struct Limit {
    /// What the error says that there are too many of.
    words: &'static str,
    /// For people.
    pub(in crate::check::renewal) what: &'static str,
    /// Tokens in a full bucket.
    pub(in crate::check::renewal) burst: u32,
    /// Seconds until one token is back.
    pub(in crate::check::renewal) refill: i64,
}

/// As of June 2025: letsencrypt.org/docs/rate-limits. The first whose words are in the text is meant.
pub(in crate::check::renewal) const LIMITS: &[Limit] = &[
    Limit { words: "failed authorizations", what: "failed validations of one name: 5 an hour", burst: 5, refill: 12 * 60 },
    Limit { words: "exact set of", what: "certificates for the same names: 5 in 7 days", burst: 5, refill: 34 * 3600 },
    Limit {
        words: "already issued for",
        what: "certificates under one registered domain: 50 in 7 days",
        burst: 50,
        refill: 202 * 60,
    },
    Limit {
        words: "certificates (",
        what: "certificates under one registered domain: 50 in 7 days",
        burst: 50,
        refill: 202 * 60,
    },
    Limit { words: "new orders", what: "new orders of one account: 300 in 3 hours", burst: 300, refill: 36 },
    Limit { words: "registrations", what: "new accounts from one address: 10 in 3 hours", burst: 10, refill: 18 * 60 },
];

/// The limit that an error text is about.
pub(in crate::check::renewal) fn limit(detail: &str) -> Option<&'static Limit> {
    LIMITS.iter().find(|limit| detail.contains(limit.words))
}

/// When the next try can succeed: as the CA says, else when one token is back.
pub(in crate::check::renewal) fn next_try(detail: &str, logged: At) -> Option<At> {
    told(detail).or_else(|| limit(detail).map(|limit| At(logged.0 + limit.refill)))
}

/// The time in `retry after 2026-11-22 00:31:00 UTC`.
fn told(detail: &str) -> Option<At> {
    let (_, rest) = detail.split_once("retry after ")?;
    let (date, time) = (rest.get(..10)?, rest.get(11..19)?);
    At::parse(&format!("{date}T{time}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cas_own_time_comes_first() {
        let detail =
            "too many failed authorizations (5) for \"d\" in the last 1h0m0s, retry after 2026-11-22 00:31:00 UTC: see https://x";
        assert_eq!(next_try(detail, At(0)).map(|at| at.to_string()).as_deref(), Some("2026-11-22T00:31:00Z"));
        assert_eq!(next_try("too many failed authorizations recently", At(100)), Some(At(100 + 720)));
        let exact = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s";
        assert_eq!(limit(exact).map(|l| l.burst), Some(5));
        assert_eq!(next_try("something else", At(0)), None);
        assert_eq!(next_try("retry after x", At(0)), None);
    }
}
