//! CD702.

use super::{support::certbot as support, timer_disabled};
use crate::{base::shell, check::Case, facts::renewal::schedule::UnitState, finding::Finding};

rule! {
    /// **What it means.** The timer that renews is masked: its unit is a link to `/dev/null`, and systemd refuses to start it, enabled
    /// or not.
    ///
    /// **How it is found.** The first unit of that name on systemd's path is a link to `/dev/null` or an empty file, and no other job
    /// would start certbot.
    ///
    /// **What to do.** Unmask it, then enable and start it. Somebody masked it on purpose: ask why first.
    ///
    /// **Sources.** systemctl(1), `mask`; measured with `systemctl --root=DIR is-enabled`, systemd 252.
    "CD702" "timer-masked" Warning "the timer that renews is masked"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((_, all)) = support::host(case) else { return };
    let Some(job) = timer_disabled::idle(case, |state| matches!(state, UnitState::Masked(_))) else { return };
    let Some(timer) = job.timer() else { return };
    let UnitState::Masked(path) = &timer.state else { return };
    let message = format!("{} is masked, and nothing else starts certbot", timer.unit);
    let mut finding = support::of_host(&CHECK, &timer.unit, &all, message);
    finding.evidence = vec![timer_disabled::link(path, "masks the timer")];
    let command = format!("systemctl unmask {0} && systemctl enable --now {0}", shell(&timer.unit));
    finding.remedies.push(support::by_hand(format!("unmask, enable and start {}", timer.unit), command));
    finding.facts.push(("verify", format!("systemctl list-timers {}", shell(&timer.unit))));
    out.push(finding);
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_link_to_nowhere() {
        let finding = World::renewing(|tree| tree.symlink("/etc/systemd/system/certbot.timer", "/dev/null")).one(&CHECK);
        assert_eq!(finding.message, "certbot.timer is masked, and nothing else starts certbot");
        assert_eq!(finding.evidence[0].path, Some("/etc/systemd/system/certbot.timer".into()));
    }

    #[test]
    fn is_silent_when_enabled() {
        World::renewing(|_| {}).silent(&CHECK);
    }
}
