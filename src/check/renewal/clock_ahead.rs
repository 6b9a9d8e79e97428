//! CD722.

use super::support::certbot as support;
use crate::{
    base::{At, TreePath},
    check::Case,
    edit::Applicability,
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

rule! {
    /// **What it means.** This host's clock is ahead of the CA's by days. Certbot takes certificates to be due that are not, renews at
    /// every run and uses up the limit for the same set of names; and programs here call valid certificates expired.
    ///
    /// **How it is found.** The `Date` of the CA's answers in the newest log, against the time that this host wrote beside it. A time zone
    /// makes at most 14 hours; more than a day is a wrong clock.
    ///
    /// **What to do.** Put the clock right.
    ///
    /// **Sources.** Measured with certbot 2.1.0 and a clock 400 days ahead: it renews at every run. RFC 9110, section 6.6.1.
    "CD722" "clock-ahead" Error "the clock is ahead, so everything is due at every run"
}

/// The CA's time, this host's, and where both stand.
pub(super) type Dates = (At, At, TreePath, u32);

/// The newest answer of a CA, when its date and this host's are more than a day apart.
pub(super) fn off<'a>(case: &Case<'a>) -> Option<&'a Dates> {
    let newest = case.facts.renewal.as_ref()?.log.ca_dates.last()?;
    (newest.0.days_until(newest.1).abs() >= 1).then_some(newest)
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((renewal, all)) = support::host(case) else { return };
    let Some((theirs, ours, path, line)) = off(case).filter(|(theirs, ours, ..)| ours > theirs) else { return };
    // A clock that was put right since then is behind what it wrote; and so was the last run, where now has caught up with it.
    let last = renewal.log.events.iter().max_by_key(|e| e.run).map_or(case.at, |e| e.at);
    if last.min(case.at).plus_days(1) < *ours {
        return;
    }
    let days = theirs.days_until(*ours);
    let message = format!("the clock was {days} days ahead of the CA's: {ours} here, {theirs} there");
    let mut finding = support::of_host(&CHECK, "clock", &all, message);
    finding.severity = Severity::Error;
    finding.evidence = vec![Evidence::file(path, Some(*line), "the CA's Date")];
    let command = "timedatectl set-ntp true && timedatectl".to_owned();
    finding.remedies.push(Remedy::new(Intent::FixClock, Applicability::Manual, "put the clock right", Some(command)));
    out.push(finding);
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    fn logged(ours: &str, theirs: &str) -> World {
        let text = issued(ours).replace("HTTP 200\n", &format!("HTTP 200\nDate: {theirs}\n"));
        World::renewing(move |tree| tree.file(LOG, text))
    }

    #[test]
    fn catches_days() {
        let finding = logged("2026-11-22 01:00:00", "Wed, 18 Nov 2026 00:27:49 GMT").one(&CHECK);
        assert_eq!(
            finding.message,
            "the clock was 4 days ahead of the CA's: 2026-11-22T01:00:00Z here, 2026-11-18T00:27:49Z there"
        );
    }

    #[test]
    fn is_silent_about_a_time_zone_and_a_clock_that_was_mended() {
        logged("2026-11-22 01:00:00", "Sat, 21 Nov 2026 15:00:00 GMT").silent(&CHECK);
        logged("2027-12-24 01:00:00", "Sat, 21 Nov 2026 15:00:00 GMT").silent(&CHECK);
        World::renewing(|_| {}).silent(&CHECK);
        // Four days later, with runs at the right time in between.
        let ahead = "2026-11-21 01:00:00";
        let text = issued(ahead).replace("HTTP 200\n", "HTTP 200\nDate: Tue, 17 Nov 2026 01:00:00 GMT\n");
        World::renewing(|tree| {
            tree.file("/var/log/letsencrypt/letsencrypt.log.1", text);
            tree.file(LOG, "2026-11-18 01:00:00,001:DEBUG:certbot._internal.main:certbot version: 2.1.0\n");
        })
        .silent(&CHECK);
    }
}
