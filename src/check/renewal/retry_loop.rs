//! CD744.

use super::support::certbot::{self as support, rate_limit};
use crate::{
    check::Case,
    facts::renewal::{Event, EventKind},
    finding::{Evidence, Finding, Severity},
};

rule! {
    /// **What it means.** This host itself tries again and again: more than five failed renewals of one certificate within an hour. Each
    /// counts at the CA (5 failed validations per name and hour at Let's Encrypt), so the loop keeps the limit shut.
    ///
    /// **How it is found.** Failed renewals in all logs, rotated ones too, in the last seven days, without a success since.
    ///
    /// **What to do.** Stop what repeats it (a timer that was made too eager, a container that restarts, a deployment), mend the cause,
    /// prove it with `--dry-run`, and let it run twice a day.
    ///
    /// **Sources.** letsencrypt.org/docs/rate-limits, as of June 2025.
    "CD744" "retry-loop" Warning "this host tries again and again"
}

/// Failures in an hour that are still within the CA's limit.
const ALLOWED: usize = rate_limit::LIMITS[0].burst as usize;

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let recent = |e: &&Event| matches!(e.kind, EventKind::Failed(_)) && e.at >= case.at.plus_days(-7) && e.at <= case.at;
        let mut failures: Vec<&Event> = subject.renewal.log.since_issued(subject.name()).filter(recent).collect();
        failures.reverse();
        let window = |first: usize| failures[first..].iter().take_while(|e| e.at.0 - failures[first].at.0 < 3600).count();
        let Some((first, count)) =
            (0..failures.len()).map(|i| (i, window(i))).max_by_key(|(_, n)| *n).filter(|(_, n)| *n > ALLOWED)
        else {
            continue;
        };
        let message = format!("{} failed {count} times within an hour, from {}", subject.name(), failures[first].at);
        let mut finding = subject.finding(&CHECK, None, message);
        finding.severity = finding.severity.max(Severity::Warning);
        finding.evidence.insert(0, support::logged(failures[first]));
        finding.evidence.insert(1, support::logged(failures[first + count - 1]));
        let jobs: Vec<_> = subject.renewal.schedule.starting("certbot").collect();
        finding.evidence.extend(jobs.iter().map(|job| Evidence::file(&job.path, job.line, "starts certbot")));
        let command = match jobs.iter().find_map(|job| job.timer()) {
            Some(timer) => format!("systemctl stop {}   # until {} works", crate::base::shell(&timer.unit), subject.dry_run()),
            None => format!("ps -ef | grep [c]ertbot   # stop what starts it, until {} works", subject.dry_run()),
        };
        finding.remedies.push(support::by_hand("stop what repeats it, and mend the cause first", command));
        finding.facts.push(("failures in 7 days", failures.len().to_string()));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    fn failures(minutes: impl Iterator<Item = u32>) -> String {
        minutes.map(|m| failed(&format!("2026-11-22 00:{m:02}:00"), "Some challenges have failed.")).collect()
    }

    #[test]
    fn catches_a_loop() {
        let text = failures((0..42).step_by(6));
        let finding = World::renewing(|tree| tree.file(LOG, text)).one(&CHECK);
        assert_eq!(finding.message, "a.test failed 7 times within an hour, from 2026-11-22T00:00:00Z");
    }

    #[test]
    fn is_silent_about_a_few_and_about_what_was_mended() {
        let text = failures((0..25).step_by(6));
        World::renewing(|tree| tree.file(LOG, text)).silent(&CHECK);
        let text = failures((0..42).step_by(6)) + &issued("2026-11-22 00:50:00");
        World::renewing(|tree| tree.file(LOG, text)).silent(&CHECK);
    }
}
