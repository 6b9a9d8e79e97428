//! CD701.

use super::support::certbot as support;
use crate::{
    base::{TreePath, shell},
    check::Case,
    edit::{Applicability, Change, Precondition},
    facts::renewal::schedule::{Job, UnitState},
    finding::{Evidence, Finding, Intent, Remedy},
};

rule! {
    /// **What it means.** The timer that renews is installed but linked to no target, so nothing starts it. Packages of Debian and
    /// Ubuntu enable it; those of Fedora, EPEL and AlmaLinux do not.
    ///
    /// **How it is found.** No link to the timer in a `.wants` or `.requires` folder below `/etc/systemd/system` (what
    /// `systemctl is-enabled` calls disabled), and no other job that would start certbot.
    ///
    /// **What to do.** Enable and start it. In an unpacked root the link is the patch.
    ///
    /// **Sources.** systemctl(1); measured with `systemctl --root=DIR is-enabled`, systemd 252.
    "CD701" "timer-disabled" Warning "the timer that renews is disabled"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((renewal, all)) = support::host(case) else { return };
    let Some(job) = idle(case, |state| *state == UnitState::Disabled) else { return };
    let Some(timer) = job.timer() else { return };
    let message = format!("{} is disabled, and nothing else starts certbot", timer.unit);
    let mut finding = support::of_host(&CHECK, &timer.unit, &all, message);
    finding.evidence = vec![support::defined(job)];
    let enable = format!("systemctl enable --now {}", shell(&timer.unit));
    if renewal.processes.all.is_empty() {
        let path = TreePath::from("/etc/systemd/system/timers.target.wants").join(&timer.unit);
        let link = Change::Link { path, was: Precondition::Absent, target: job.path.as_bytes().to_vec() };
        let text = format!("link {} to timers.target", timer.unit);
        finding.remedies.push(Remedy::new(Intent::Patch(vec![link]), Applicability::Auto, text, None));
    }
    finding.remedies.push(support::by_hand(format!("enable and start {}", timer.unit), enable));
    finding.facts.push(("verify", format!("systemctl list-timers {}", shell(&timer.unit))));
    out.push(finding);
}

/// Certbot's first timer in such a state, where systemd would start it and nothing else does.
pub(super) fn idle<'a>(case: &Case<'a>, wanted: impl Fn(&UnitState) -> bool) -> Option<&'a Job> {
    let schedule = &case.facts.renewal.as_ref()?.schedule;
    if !schedule.systemd || schedule.starting("certbot").next().is_some() {
        return None;
    }
    schedule.of("certbot").find(|job| job.timer().is_some_and(|timer| wanted(&timer.state)))
}

/// The place of a link.
pub(super) fn link(path: &TreePath, what: &str) -> Evidence {
    Evidence::file(path, None, what)
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_timer_without_a_link() {
        let finding = World::renewing(|tree| tree.remove_directory(&TIMER_LINK.into())).one(&CHECK);
        assert_eq!(finding.message, "certbot.timer is disabled, and nothing else starts certbot");
        assert!(
            matches!(&finding.remedies[0].intent, Intent::Patch(changes) if matches!(&changes[0], Change::Link { target, .. }
            if target == b"/usr/lib/systemd/system/certbot.timer"))
        );
    }

    #[test]
    fn is_silent_when_enabled_or_cron_does_it() {
        World::renewing(|_| {}).silent(&CHECK);
        World::renewing(|tree| {
            tree.remove_directory(&TIMER_LINK.into());
            tree.file("/usr/sbin/cron", "x");
            tree.file("/etc/cron.d/renew", "7 3 * * * root certbot -q renew\n");
        })
        .silent(&CHECK);
    }
}
