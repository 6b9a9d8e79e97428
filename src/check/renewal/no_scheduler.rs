//! CD706.

use super::support::certbot as support;
use crate::{
    check::Case,
    facts::renewal::{EventKind, Schedule, schedule::UnitState},
    finding::{Evidence, Finding, Remedy, Severity},
};

rule! {
    /// **What it means.** Nothing on this host starts certbot: there is no timer and no cron job that would. Typical for a container
    /// (Debian's package brings a timer and a cron job, but neither systemd nor cron runs there) and for certbot from pip.
    ///
    /// **How it is found.** No enabled timer where systemd is, no job in a table of cron where a cron daemon is, no process that runs
    /// certbot in a loop; and the logs do not show that it is run regularly all the same.
    ///
    /// **What to do.** Run `certbot renew` twice a day: by a timer, by cron, or, for a container, by what starts the container.
    ///
    /// **Sources.** /etc/cron.d/certbot of Debian's package (`! -d /run/systemd/system`); certbot's user guide, "Automated Renewals".
    "CD706" "no-scheduler" Warning "nothing starts certbot"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((renewal, all)) = support::host(case) else { return };
    let schedule = &renewal.schedule;
    let idle_timer = |job: &crate::facts::renewal::schedule::Job| job.timer().is_some_and(|t| t.state != UnitState::Enabled);
    // With systemd, a timer that is off has a finding of its own.
    if schedule.of("certbot").any(|job| schedule.starts(job) || schedule.systemd && idle_timer(job))
        || !schedule.unread.is_empty()
    {
        return;
    }
    let looping = renewal.processes.all.iter().any(|p| p.arguments.iter().any(|a| a.contains("certbot")));
    // Somebody runs it, from wherever: three runs in the last ten days.
    let recent = renewal
        .log
        .events
        .iter()
        .filter(|e| matches!(e.kind, EventKind::Run(..)) && e.at >= case.at.plus_days(-10) && e.at <= case.at);
    let mut days: Vec<i64> = recent.map(|e| e.at.0 / 86_400).collect();
    days.dedup();
    if looping || days.len() >= 3 {
        return;
    }
    let live = !renewal.processes.all.is_empty();
    let here = match (schedule.systemd, schedule.cron) {
        (false, false) if live => "neither systemd nor a cron daemon runs here",
        (false, false) => "neither systemd nor a cron daemon is installed",
        (true, _) => "systemd has no timer for it",
        (false, true) => "cron has no job for it",
    };
    let mut finding = support::of_host(&CHECK, "schedule", &all, format!("nothing starts certbot: {here}"));
    // What is left for weeks may be renewed from outside: only a certificate that is overdue proves that nobody does.
    if !all.iter().any(|subject| subject.overdue().is_some()) {
        finding.severity = Severity::Warning;
    }
    for job in schedule.of("certbot") {
        let what = if job.timer().is_some() { "a timer, but systemd is not here" } else { "a cron job that is not run here" };
        finding.evidence.push(Evidence::file(&job.path, job.line, what));
    }
    finding.remedies.push(own_job(schedule));
    out.push(finding);
}

/// A job for certbot by what starts jobs on this host.
pub(super) fn own_job(schedule: &Schedule) -> Remedy {
    match (schedule.systemd, schedule.cron) {
        (true, _) => support::by_hand("give certbot a timer", TIMER),
        (false, true) => {
            support::by_hand("give certbot a cron job", "echo '17 3,15 * * * root certbot -q renew' > /etc/cron.d/certbot-renew")
        }
        (false, false) => support::by_hand(
            "run it beside the server, from what starts this container",
            // A shell of its own, whose arguments say to everybody what it is for.
            "sh -c 'while :; do certbot -q renew; sleep 43200; done' &",
        ),
    }
}

/// Writes a timer and its service; a name without a path is looked for in systemd's own (systemd 239).
const TIMER: &str = "printf '[Service]\\nType=oneshot\\nExecStart=certbot -q renew\\n' > /etc/systemd/system/certbot-renew.service && \
    printf '[Timer]\\nOnCalendar=*-*-* 00,12:00:00\\nRandomizedDelaySec=43200\\nPersistent=true\\n[Install]\\nWantedBy=timers.target\\n' \
    > /etc/systemd/system/certbot-renew.timer && systemctl enable --now certbot-renew.timer";

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    fn without_systemd() -> World {
        World::renewing(|tree| {
            tree.remove_directory(&"/usr/lib/systemd/systemd".into());
            tree.file(
                "/etc/cron.d/certbot",
                "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot -q renew\n",
            );
        })
    }

    #[test]
    fn catches_a_container() {
        let finding = without_systemd().one(&CHECK);
        assert_eq!(finding.message, "nothing starts certbot: neither systemd nor a cron daemon is installed");
        assert_eq!(finding.severity, Severity::Warning);
        assert_eq!(finding.evidence.len(), 2);
    }

    /// What is printed for systemd is what cures it: the files that the command writes, with the link of `enable`.
    #[test]
    fn the_timer_that_is_printed_cures_it() {
        let bare = |tree: &Tree| {
            tree.remove_directory(&TIMER_LINK.into());
            tree.remove_directory(&"/usr/lib/systemd/system/certbot.timer".into());
        };
        let finding = World::renewing(bare).one(&CHECK);
        let command = finding.remedies[0].command.clone().expect("a command");
        let words: Vec<&str> = command.split('\'').collect();
        let [_, service, to_service, timer, to_timer] = words[..] else { panic!("{command}") };
        let path = |rest: &str| rest.split_whitespace().nth(1).expect("a path").to_owned();
        World::renewing(|tree| {
            bare(tree);
            tree.file(path(to_service).as_str(), service.replace("\\n", "\n"));
            tree.file(path(to_timer).as_str(), timer.replace("\\n", "\n"));
            let link = format!("/etc/systemd/system/timers.target.wants/{}", path(to_timer).rsplit('/').next().expect("a name"));
            tree.symlink(link.as_str(), path(to_timer));
        })
        .silent(&CHECK);
        // What systemd-run makes lies elsewhere, and nothing is linked.
        World::renewing(|tree| {
            bare(tree);
            tree.file("/run/systemd/transient/certbot-renew.timer", "[Timer]\nOnCalendar=*-*-* 03,15:17\n");
            tree.file("/run/systemd/transient/certbot-renew.service", "[Service]\nExecStart=\"certbot\" \"-q\" \"renew\"\n");
        })
        .silent(&CHECK);
    }

    #[test]
    fn is_silent_with_a_timer_with_cron_and_when_it_is_run_all_the_same() {
        World::renewing(|_| {}).silent(&CHECK);
        World::renewing(|tree| {
            tree.remove_directory(&"/usr/lib/systemd/systemd".into());
            tree.file("/usr/sbin/cron", "x");
            tree.file("/etc/cron.d/certbot", "0 */12 * * * root certbot -q renew\n");
        })
        .silent(&CHECK);
        let mut world = without_systemd();
        let run = |day: i64| crate::facts::renewal::Event {
            at: world.at.plus_days(-day),
            path: "/var/log/letsencrypt/letsencrypt.log".into(),
            line: 1,
            run: 1,
            lineage: None,
            kind: EventKind::Run("2.1.0".into(), "/usr/bin/certbot".into()),
        };
        let events = vec![run(3), run(2), run(1)];
        world.facts.renewal.as_mut().expect("facts").log.events = events;
        world.silent(&CHECK);
    }
}
