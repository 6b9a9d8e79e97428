//! CD705.

use super::support::certbot as support;
use crate::{
    base::shell,
    check::Case,
    finding::{Evidence, Finding},
};

rule! {
    /// **What it means.** The job that renews is started, but can't do its work: the program that it names is not there any more, or
    /// its service may not write where certbot must.
    ///
    /// **How it is found.** The first word of `ExecStart=` (or of cron's command) is a path with nothing there; or the service has
    /// `ProtectSystem=full` or `strict`, or `ReadOnlyPaths=`, over `/etc/letsencrypt` without a `ReadWritePaths=` that allows it.
    ///
    /// **What to do.** Name the program that is installed, or allow the directories; then start the service once by hand and read its
    /// journal. (The journal of the *timer* tells nothing.)
    ///
    /// **Sources.** systemd.service(5), systemd.exec(5).
    "CD705" "scheduled-service-fails" Warning "what renews is started, but can't work"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((renewal, all)) = support::host(case) else { return };
    let starting: Vec<_> = renewal.schedule.starting("certbot").collect();
    let is_broken = |job: &&crate::facts::renewal::schedule::Job| {
        job.program.as_ref().is_some_and(|(_, there)| !there) || job.timer().is_some_and(|t| !t.write_protected.is_empty())
    };
    // Another job that works is enough.
    if !starting.iter().all(is_broken) {
        return;
    }
    for job in starting {
        let place = job.timer().and_then(|t| t.service.as_ref()).unwrap_or(&job.path);
        let service = String::from_utf8_lossy(place.name()).into_owned();
        if let Some((program, _)) = job.program.as_ref().filter(|(_, there)| !there) {
            let message = format!("{service} starts {program}, which is not there");
            let mut finding = support::of_host(&CHECK, &service, &all, message);
            finding.facts.push(("command", job.command.clone()));
            finding.evidence = vec![Evidence::file(place, job.line, "names the program")];
            let text = format!("name the certbot that is installed instead of {program}");
            let command = match job.timer() {
                Some(_) => {
                    let service = shell(&service);
                    format!("systemctl edit --full {service} && systemctl start {service} && journalctl -u {service} -n 20")
                }
                None => format!("editor {}", shell(&place.to_string())),
            };
            finding.remedies.push(support::by_hand(text, command));
            out.push(finding);
        }
        for (setting, path, line) in job.timer().map(|t| t.write_protected.as_slice()).unwrap_or_default() {
            let message = format!("{service} may not write to /etc/letsencrypt: {setting}");
            let mut finding = support::of_host(&CHECK, &service, &all, message);
            finding.evidence = vec![Evidence::file(path, Some(*line), "forbids it")];
            let command = format!(
                "systemctl edit {}   # [Service] ReadWritePaths=/etc/letsencrypt /var/lib/letsencrypt /var/log/letsencrypt",
                shell(&service)
            );
            finding.remedies.push(support::by_hand("allow the directories that certbot writes to", command));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_program_that_is_gone_and_a_protected_directory() {
        let finding = World::renewing(|tree| tree.remove_directory(&"/usr/bin/certbot".into())).one(&CHECK);
        assert_eq!(finding.message, "certbot.service starts /usr/bin/certbot, which is not there");
        let drop_in = "/etc/systemd/system/certbot.service.d/a.conf";
        let finding = World::renewing(|tree| tree.file(drop_in, "[Service]\nProtectSystem=strict\n")).one(&CHECK);
        assert_eq!(finding.message, "certbot.service may not write to /etc/letsencrypt: ProtectSystem=strict");
    }

    #[test]
    fn is_silent_when_all_is_there() {
        World::renewing(|_| {}).silent(&CHECK);
    }
}
