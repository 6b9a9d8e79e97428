//! CD721.

use super::{clock_ahead, support::certbot as support};
use crate::{
    check::Case,
    edit::Applicability,
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

rule! {
    /// **What it means.** This host's clock is behind: a certificate that it holds is not valid yet. Certbot then never takes anything to
    /// be due, with exit status 0, and clients with a right clock see it expire.
    ///
    /// **How it is found.** notBefore of a certificate on disk lies after now by more than a day; or the CA's `Date` in the newest log is
    /// more than a day ahead of the time that this host wrote beside it, and of now: a clock that has passed it may have been put right.
    ///
    /// **What to do.** Put the clock right, then run `certbot renew`.
    ///
    /// **Sources.** Measured with certbot 2.1.0 and a clock in 2020; RFC 9110, section 6.6.1.
    "CD721" "clock-behind" Error "the clock is behind, so nothing is ever due"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((_, all)) = support::host(case) else { return };
    // A CA dates certificates back by an hour, and clocks may differ a little.
    let early = all.iter().find(|s| s.lineage.leaf().is_some_and(|leaf| leaf.is_not_yet_valid(case.at.plus_days(1))));
    let (reason, evidence) = match (early, clock_ahead::off(case)) {
        (Some(subject), _) => {
            let begins = subject.lineage.leaf().and_then(|leaf| leaf.validity().not_before).unwrap_or(case.at);
            (
                format!("the certificate of {} was issued {begins}", subject.name()),
                Evidence::file(&subject.lineage.path, Some(1), "issued later"),
            )
        }
        (None, Some((theirs, ours, path, line))) if theirs > ours && *theirs > case.at => {
            (format!("when it was {theirs} for the CA it was {ours} here"), Evidence::file(path, Some(*line), "the CA's Date"))
        }
        _ => return,
    };
    let message = format!("the clock says {}, but {reason}: certbot takes nothing to be due", case.at);
    let mut finding = support::of_host(&CHECK, "clock", &all, message);
    finding.severity = Severity::Error;
    finding.evidence = vec![evidence];
    let command = "timedatectl set-ntp true && timedatectl && certbot renew".to_owned();
    finding.remedies.push(Remedy::new(Intent::FixClock, Applicability::Manual, "put the clock right, then renew", Some(command)));
    out.push(finding);
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_clock_before_the_certificate() {
        let mut world = World::renewing(|_| {});
        world.at = crate::base::At::parse("2020-01-01").expect("a time");
        let finding = world.one(&CHECK);
        assert!(
            finding.message.starts_with("the clock says 2020-01-01T00:00:00Z, but the certificate of a.test was issued 2026-"),
            "{}",
            finding.message
        );
    }

    #[test]
    fn catches_what_the_ca_said() {
        let text = issued("2026-11-10 01:00:00").replace("HTTP 200\n", "HTTP 200\nDate: Sun, 22 Nov 2026 00:27:49 GMT\n");
        let mut world = World::renewing(|tree| tree.file(LOG, text));
        // Put right since.
        world.silent(&CHECK);
        world.at = crate::base::At::parse("2026-11-10T03:00:00Z").expect("a time");
        let finding = world.one(&CHECK);
        assert!(
            finding.message.contains("when it was 2026-11-22T00:27:49Z for the CA it was 2026-11-10T01:00:00Z here"),
            "{}",
            finding.message
        );
    }

    #[test]
    fn is_silent_when_all_agrees() {
        World::renewing(|tree| tree.file(LOG, issued("2026-11-10 01:00:00"))).silent(&CHECK);
    }
}
