//! CD720.

use super::support::certbot as support;
use crate::{check::Case, facts::renewal::EventKind, finding::Finding};

rule! {
    /// **What it means.** Certbot did not reach the CA: its name does not resolve, there is no route or no proxy, or the CA's own
    /// certificate was not trusted on this host.
    ///
    /// **How it is found.** The words of the last failed renewal in the log, with no success since.
    ///
    /// **What to do.** Test name, route and trust one after the other, from this host and as root. An untrusted CA is a matter of this
    /// host's trust store: `certdoctor diagnose` with the CA's host tells which root is missing.
    ///
    /// **Sources.** Measured with certbot 2.1.0 without a resolver; requests' and OpenSSL's error texts.
    "CD720" "ca-unreachable" Warning "certbot does not reach the CA"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    out.extend(support::lineages(case).iter().filter_map(about));
}

/// What is to be said about one lineage.
pub(super) fn about(subject: &support::Subject<'_>) -> Option<Finding> {
    // The last run that tried counts: an outage that is over is none.
    let (failed, _) = subject.failed()?;
    let event = subject.with(failed).rev().find(|e| matches!(e.kind, EventKind::Unreachable(_)))?;
    let EventKind::Unreachable(words) = &event.kind else { return None };
    let server = subject.conf.server();
    let host = server.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or(server);
    let untrusted = words.contains("CERTIFICATE_VERIFY_FAILED");
    let message = match (untrusted, words.contains("name resolution")) {
        (true, _) => format!("this host does not trust {host}, so {} was not renewed", subject.name()),
        (_, true) => format!("the name of {host} does not resolve, so {} was not renewed", subject.name()),
        _ => format!("{host} could not be reached, so {} was not renewed", subject.name()),
    };
    let mut finding = subject.finding(&CHECK, Some("server"), message);
    finding.facts.push(("logged", words.clone()));
    finding.evidence.push(support::logged(event));
    let remedy = match (untrusted, words.contains("name resolution")) {
        (true, _) => support::by_hand("mend the trust store", format!("certdoctor diagnose {}", crate::base::shell(host))),
        (_, true) => {
            let name = host.split(':').next().unwrap_or(host);
            support::by_hand("mend the resolver of this host", format!("getent hosts {}", crate::base::shell(name)))
        }
        _ => support::by_hand("look for a firewall or a proxy in between", format!("curl -sv {}", crate::base::shell(server))),
    };
    finding.remedies.push(remedy);
    finding.facts.push(("verify", subject.dry_run()));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    const WHY: &str = "HTTPSConnectionPool(host='acme-v02.api.letsencrypt.org', port=443): Max retries exceeded with url: /directory (Caused by NewConnectionError('Failed to establish a new connection: [Errno -3] Temporary failure in name resolution'))";

    #[test]
    fn catches_a_resolver_that_fails() {
        let finding = World::renewing(|tree| tree.file(LOG, failed("2026-11-22 01:00:00", WHY))).one(&CHECK);
        assert_eq!(finding.message, "the name of acme-v02.api.letsencrypt.org does not resolve, so a.test was not renewed");
        let untrusted = "HTTPSConnectionPool(host='x', port=443): Max retries exceeded with url: / (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed')))";
        let finding = World::renewing(|tree| tree.file(LOG, failed("2026-11-22 01:00:00", untrusted))).one(&CHECK);
        assert_eq!(finding.remedies[0].command.as_deref(), Some("certdoctor diagnose acme-v02.api.letsencrypt.org"));
    }

    #[test]
    fn is_silent_after_a_success_and_about_other_failures() {
        World::renewing(|tree| tree.file(LOG, failed("2026-11-21 01:00:00", WHY) + &issued("2026-11-21 13:00:00")))
            .silent(&CHECK);
        World::renewing(|tree| {
            tree.file(LOG, failed("2026-11-21 01:00:00", WHY) + &failed("2026-11-21 13:00:00", "Some challenges have failed."))
        })
        .silent(&CHECK);
    }
}
