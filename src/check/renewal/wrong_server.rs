//! CD717.

use super::support::certbot as support;
use crate::{
    check::Case,
    facts::renewal::certbot::USUAL_SERVER,
    finding::{Finding, Severity},
};

rule! {
    /// **What it means.** The certificate is ordered from a CA that nobody trusts or that is gone: Let's Encrypt's staging server, left
    /// over from a trial, or the ACMEv1 server, which was switched off in 2021.
    ///
    /// **How it is found.** `server` in the renewal configuration; the issuer of the certificate on disk ("(STAGING)", "Fake LE").
    ///
    /// **What to do.** Order the certificate once from the right server under the same name: that changes the configuration too, with an
    /// account of that server. Changing the line alone would keep the wrong account.
    ///
    /// **Sources.** letsencrypt.org/docs/staging-environment; letsencrypt.org/docs/acme-protocol-updates (end of ACMEv1).
    "CD717" "wrong-server" Warning "the certificate comes from the wrong server"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let server = subject.conf.parameter("server").unwrap_or_default();
        let issuer = subject.lineage.leaf().map(|leaf| leaf.issuer().to_string()).unwrap_or_default();
        let is_staging = server.contains("acme-staging") || server.contains("staging.api.letsencrypt.org");
        let is_fake = issuer.contains("(STAGING)") || issuer.contains("Fake LE");
        let message = if is_staging {
            format!("{} is ordered from the staging server, whose certificates nobody trusts", subject.name())
        } else if server.contains("acme-v01.api.letsencrypt.org") {
            format!("{} is ordered from the ACMEv1 server, which is switched off", subject.name())
        } else if is_fake {
            format!("the certificate of {} comes from a staging server ({issuer}), and nobody trusts it", subject.name())
        } else {
            continue;
        };
        let mut finding = subject.finding(&CHECK, Some("server"), message);
        if is_fake {
            finding.severity = Severity::Error;
        }
        let command = subject.order_from(USUAL_SERVER);
        finding.remedies.push(support::by_hand("order it once from the real server", command));
        finding.facts.push(("server", server.to_owned()));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_staging() {
        let staging = |text: String| text.replace("acme-v02.api", "acme-staging-v02.api");
        let finding = World::renewing(|tree| edit(tree, CONF, staging)).one(&CHECK);
        assert_eq!(finding.message, "a.test is ordered from the staging server, whose certificates nobody trusts");
        assert_eq!(finding.severity, Severity::Warning);
    }

    #[test]
    fn is_silent_about_others() {
        World::renewing(|_| {}).silent(&CHECK);
        World::renewing(|tree| {
            edit(tree, CONF, |text| {
                text.replace("https://acme-v02.api.letsencrypt.org/directory", "https://ca.corp.example/acme")
            })
        })
        .silent(&CHECK);
    }
}
