//! CD707.

use super::support::certbot as support;
use crate::{
    check::Case,
    facts::renewal::{EventKind, certbot::Version},
    finding::{Evidence, Finding, Severity},
};

rule! {
    /// **What it means.** Two certbots are installed (a package and a snap, or one from pip), or two jobs renew. The older one may not
    /// understand what the newer one wrote, lacks its plugins, and both may order at the same time and use up a rate limit.
    ///
    /// **How it is found.** More than one of: Debian's package, a `certbot` among the packages of a Python, the snap; or more than one
    /// job that starts certbot.
    ///
    /// **What to do.** Keep one, the one that the last log names if it works; remove the other with its job.
    ///
    /// **Sources.** certbot's installation instructions ("remove any Certbot OS packages").
    "CD707" "two-certbots" Warning "two certbots renew"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((renewal, all)) = support::host(case) else { return };
    let certbot = &renewal.certbot;
    let starting: Vec<_> = renewal.schedule.of("certbot").filter(|job| renewal.schedule.starts(job)).collect();
    if certbot.installed.len() < 2 && starting.len() < 2 {
        return;
    }
    let label = |i: &crate::facts::renewal::certbot::Installed| {
        format!("{}{}", i.how, i.version.as_ref().map(|v| format!(" {v}")).unwrap_or_default())
    };
    let message = match certbot.installed.len() {
        0 | 1 => format!("{} jobs start certbot", starting.len()),
        n => format!("{n} certbots are installed: {}", certbot.installed.iter().map(label).collect::<Vec<_>>().join(", ")),
    };
    let mut finding = support::of_host(&CHECK, "certbot", &all, message);
    finding.severity = Severity::Warning;
    let last = renewal.log.events.iter().rev().find_map(|e| match &e.kind {
        EventKind::Run(version, program) => Some(format!("{program} {version}, {}", e.at)),
        _ => None,
    });
    finding.facts.extend(last.map(|last| ("last run", last)));
    finding.evidence = certbot.installed.iter().map(|i| Evidence::file(&i.path, None, label(i))).collect();
    finding.evidence.extend(starting.iter().map(|job| support::defined(job)));
    let oldest = certbot.installed.iter().min_by_key(|i| i.version.as_deref().and_then(Version::parse));
    let command = match oldest.filter(|_| certbot.installed.len() > 1).map(|i| i.how) {
        Some("Debian package") => "apt-get remove certbot".to_owned(),
        Some("snap") => "snap remove certbot".to_owned(),
        Some(_) => oldest.map(|i| format!("pip uninstall certbot   # the one in {}", i.path.parent())).unwrap_or_default(),
        None => starting.last().map(|job| format!("editor {}", crate::base::shell(&job.path.to_string()))).unwrap_or_default(),
    };
    finding.remedies.push(support::by_hand("keep one; remove the other and its job", command));
    out.push(finding);
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_package_and_pip_and_two_jobs() {
        let finding =
            World::renewing(|tree| tree.file("/opt/certbot/lib/python3.11/site-packages/certbot-5.8.0.dist-info/x", ""))
                .one(&CHECK);
        assert_eq!(finding.message, "2 certbots are installed: Debian package 2.1.0, Python package 5.8.0");
        assert_eq!(finding.remedies[0].command.as_deref(), Some("apt-get remove certbot"));
        let finding = World::renewing(|tree| {
            tree.file("/usr/sbin/cron", "x");
            tree.file("/etc/crontab", "0 3 * * * root certbot renew\n");
        })
        .one(&CHECK);
        assert_eq!(finding.message, "2 jobs start certbot");
    }

    #[test]
    fn is_silent_about_debians_own_pair() {
        World::renewing(|tree| {
            tree.file("/usr/sbin/cron", "x");
            tree.file(
                "/etc/cron.d/certbot",
                "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot -q renew\n",
            );
        })
        .silent(&CHECK);
    }
}
