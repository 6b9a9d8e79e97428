//! CD725.

use super::support::certbot as support;
use crate::{
    check::Case,
    finding::{Evidence, Finding},
};

rule! {
    /// **What it means.** A certbot has been running for more than an hour and holds certbot's lock, so every other run ends with
    /// "Another instance of Certbot is already running". Usually one that waits for an answer on a terminal, or a hook that does not
    /// return. A lock *file* that was left behind is harmless: the lock is the kernel's.
    ///
    /// **How it is found.** Processes that have `.certbot.lock` open, and when they started.
    ///
    /// **What to do.** See what it waits for, and end it.
    ///
    /// **Sources.** `certbot/_internal/lock.py` (fcntl); measured with certbot 2.1.0: a stale file changes nothing.
    "CD725" "client-lock-held" Warning "a certbot that hangs holds the lock"
}

/// Seconds for which a run may take: it sleeps up to 8 minutes first, and waits for DNS.
const LONG_RUN: i64 = 3600;

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((renewal, all)) = support::host(case) else { return };
    for (pid, lock) in &renewal.certbot.lock_holders {
        let Some(process) = renewal.processes.get(*pid).filter(|p| p.started.0 + LONG_RUN < case.at.0) else { continue };
        let message = format!("certbot (process {pid}) has held its lock since {}", process.started);
        let mut finding = support::of_host(&CHECK, &format!("process {pid}"), &all, message);
        finding.evidence = vec![Evidence::file(lock, None, "held open")];
        finding.facts.push(("command", process.arguments.join(" ")));
        // By parent: certbot leads no session of its own under cron or in a shell.
        let command = format!("ps -o pid,ppid,lstart,stat,args -p {pid} --ppid {pid}; kill {pid}");
        finding.remedies.push(support::by_hand("see what it waits for (its hooks are its children), then end it", command));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::{base::At, facts::renewal::Process};

    fn holding(minutes: i64) -> World {
        let mut world = World::renewing(|_| {});
        let started = At(world.at.0 - 60 * minutes);
        let renewal = world.facts.renewal.as_mut().expect("facts");
        let arguments = vec!["/usr/bin/python3".into(), "/usr/bin/certbot".into(), "certonly".into()];
        renewal.processes.all.push(Process {
            pid: 7,
            parent: 1,
            comm: "certbot".into(),
            exe: None,
            arguments,
            started,
            unit: None,
        });
        renewal.certbot.lock_holders.push((7, "/etc/letsencrypt/.certbot.lock".into()));
        world
    }

    #[test]
    fn catches_one_that_hangs() {
        assert_eq!(holding(90).one(&CHECK).message, "certbot (process 7) has held its lock since 2026-11-21T23:30:00Z");
    }

    #[test]
    fn is_silent_about_one_that_works() {
        holding(5).silent(&CHECK);
    }
}
