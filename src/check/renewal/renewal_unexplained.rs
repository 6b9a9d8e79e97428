//! CD766.

use super::support::{self, certbot};
use crate::{
    check::Case,
    facts::renewal::Lineage,
    finding::{Evidence, Finding, Severity},
};

rule! {
    /// **What it means.** A certificate has expired, or should have been renewed days ago, and nothing that this host knows tells why: its
    /// configuration is whole, something starts the manager, and no failure is in the logs. Perhaps the logs are gone, the machine was
    /// off, the tree is a copy of a host that has renewed since, or nobody needs the certificate any more.
    ///
    /// **How it is found.** The end of the certificate that the manager keeps; for certbot also the moment from which on this version
    /// takes it to be due, the time between two runs, and a day more. It is left out where another finding about the certificate says why it was not renewed.
    ///
    /// **What to do.** Let the manager try now, and read what it says. What is not needed any more is deleted with the manager's own
    /// command, so that it is not taken for a failure again.
    ///
    /// **Sources.** `storage.RenewableCert.should_autorenew` of certbot 2.1.0 and 5.8.0.
    "CD766" "renewal-unexplained" Error "a certificate was not renewed, and nothing tells why"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    let subjects = certbot::lineages(case);
    for lineage in &renewal.lineages {
        let Some(end) = lineage.leaf().and_then(|leaf| leaf.validity().not_after) else { continue };
        let subject = subjects.iter().find(|s| s.lineage == lineage);
        let overdue = subject.and_then(certbot::Subject::overdue);
        let when = |at| case.at.relative(at);
        let (message, severity) = match overdue {
            _ if end < case.at => {
                (format!("{} expired {}, and nothing on this host tells why", lineage.name, when(end)), Severity::Error)
            }
            Some(due) => {
                let message = format!(
                    "{} was due to be renewed {}, and nothing on this host tells why it was not",
                    lineage.name,
                    when(due)
                );
                (message, Severity::Warning)
            }
            None => continue,
        };
        let mut finding = Finding::new(&CHECK, &lineage.name, message);
        finding.severity = severity;
        finding.lineages = vec![support::key(lineage)];
        finding.evidence = vec![Evidence::file(&lineage.path, None, "the newest certificate")];
        finding.facts.push(("expires", end.to_string()));
        // Why it failed then has been changed since.
        if let Some((event, why)) = subject.and_then(certbot::Subject::failed) {
            finding.evidence.push(certbot::logged(event));
            finding.facts.push(("failed last", why.to_owned()));
        }
        finding.remedies.push(match subject {
            Some(subject) => certbot::by_hand("let certbot try, and read what it says", subject.dry_run()),
            None => support::by_hand(ask(lineage), None),
        });
        if let Some(subject) = subject {
            let command = format!("certbot delete --cert-name {}", support::shell(subject.name()));
            finding.remedies.push(certbot::by_hand("or delete it, if nobody needs it any more", command));
        }
        out.push(finding);
    }
}

fn ask(lineage: &Lineage) -> &'static str {
    match lineage.manager {
        "certmagic" => {
            "start Caddy and read its log: it tries at once; what no site needs any more it deletes itself after two weeks"
        }
        _ => "start what renews it by hand, and read what it says",
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::base::At;

    fn at(day: &str) -> World {
        let mut world = World::renewing(|_| {});
        world.at = At::parse(day).expect("a day");
        world
    }

    /// Made on 20 October for 90 days: due on 19 December, over on 18 January.
    #[test]
    fn catches_what_has_expired_and_what_is_overdue() {
        let finding = at("2027-02-18").one(&CHECK);
        assert_eq!(finding.message, "a.test expired 31 days ago, and nothing on this host tells why");
        assert_eq!(finding.severity, Severity::Error);
        let finding = at("2026-12-29").one(&CHECK);
        let message = "a.test was due to be renewed 10 days ago, and nothing on this host tells why it was not";
        assert_eq!((finding.message.as_str(), finding.severity), (message, Severity::Warning));
    }

    #[test]
    fn catches_every_managers() {
        let mut world = World::at("2028-01-01");
        let chain = certificates(&issued_by("Test CA", "a.test", (2026, 10, 1), None));
        let lineage = Lineage { manager: "certmagic", name: "a.test".into(), path: "/s/a.crt".into(), chain };
        world = world.renewal(|r| r.lineages.push(lineage));
        assert_eq!(world.one(&CHECK).lineages, [("certmagic", "a.test".to_owned())]);
    }

    #[test]
    fn is_silent_until_it_should_have_run() {
        World::renewing(|_| {}).silent(&CHECK);
        at("2026-12-20").silent(&CHECK);
        // What runs once a week may not have run yet.
        let weekly = "[Timer]\nOnCalendar=\nOnCalendar=weekly\n";
        let mut world = World::renewing(|tree| tree.file("/etc/systemd/system/certbot.timer.d/a.conf", weekly));
        world.at = At::parse("2026-12-26").expect("a day");
        world.silent(&CHECK);
        world.at = At::parse("2026-12-28").expect("a day");
        world.one(&CHECK);
    }
}
