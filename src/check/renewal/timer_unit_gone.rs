//! CD703.

use super::{
    no_scheduler,
    support::{by_hand, certbot as support},
    timer_disabled,
};
use crate::{base::shell, check::Case, facts::renewal::schedule::UnitState, finding::Finding};

rule! {
    /// **What it means.** The timer is enabled by a link, but its unit file is gone: the package was removed, or replaced by pip or
    /// snap. systemd starts nothing.
    ///
    /// **How it is found.** A link in a `.wants` folder whose unit is nowhere on systemd's path, and no other job that would start
    /// certbot.
    ///
    /// **What to do.** Install the package again, or give the certbot that is there a timer of its own; then take the dead link away.
    ///
    /// **Sources.** systemd.unit(5); measured with `systemctl --root=DIR is-enabled`, systemd 252.
    "CD703" "timer-unit-gone" Warning "the timer that renews has lost its unit file"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((renewal, all)) = support::host(case) else { return };
    let Some(job) = timer_disabled::idle(case, |state| matches!(state, UnitState::Gone(_))) else { return };
    let Some(timer) = job.timer() else { return };
    let UnitState::Gone(path) = &timer.state else { return };
    let message = format!("{} is linked, but there is no such unit, and nothing else starts certbot", timer.unit);
    let mut finding = support::of_host(&CHECK, &timer.unit, &all, message);
    finding.evidence = vec![timer_disabled::link(path, "a link to nothing")];
    let disable = format!("systemctl disable {}", shell(&timer.unit));
    let remedy = match renewal.certbot.current().map(|i| i.how) {
        None => by_hand("install certbot again", None),
        Some("Debian package") => support::by_hand("install the package again", "apt-get install --reinstall certbot"),
        Some("RPM package") => support::by_hand("install the package again", "dnf reinstall certbot"),
        Some("snap") => support::by_hand("use the snap's own timer", format!("{disable}; snap start --enable certbot.renew")),
        Some(_) => {
            let own = no_scheduler::own_job(&renewal.schedule);
            support::by_hand("give this certbot a job of its own", format!("{disable}; {}", own.command.unwrap_or_default()))
        }
    };
    finding.remedies.push(remedy);
    finding.facts.push(("verify", "systemctl list-timers".to_owned()));
    out.push(finding);
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_dangling_link() {
        let finding = World::renewing(|tree| tree.remove_directory(&"/usr/lib/systemd/system/certbot.timer".into())).one(&CHECK);
        assert_eq!(finding.evidence[0].path, Some(TIMER_LINK.into()));
        assert_eq!(finding.remedies[0].command.as_deref(), Some("apt-get install --reinstall certbot"));
    }

    #[test]
    fn is_silent_when_the_unit_is_there() {
        World::renewing(|_| {}).silent(&CHECK);
    }
}
