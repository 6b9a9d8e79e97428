//! CD715.

use super::support::certbot as support;
use crate::{
    check::Case,
    finding::{Evidence, Finding, Severity},
};

rule! {
    /// **What it means.** An update of the links was interrupted (power, kill, a full disk): `previous_*.pem` are still in `live/NAME`.
    /// Certbot finishes or takes it back at its next run.
    ///
    /// **How it is found.** The names in `live/NAME`.
    ///
    /// **What to do.** Let certbot run once, and see that they are gone.
    ///
    /// **Sources.** `storage.RenewableCert._previous_symlinks` and `_fix_symlinks`, certbot 5.8.
    "CD715" "interrupted-update" Warning "an update of the links was interrupted"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case).into_iter().filter(|s| !s.conf.previous.is_empty()) {
        let mut finding = subject.finding(&CHECK, None, format!("an update of the links of {} was interrupted", subject.name()));
        finding.severity = Severity::Warning;
        finding.evidence = subject.conf.previous.iter().map(|p| Evidence::file(p, None, "left by the update")).collect();
        let command = format!("certbot certificates --cert-name {}", crate::base::shell(subject.name()));
        finding.remedies.push(support::by_hand("let certbot run once: it finishes the update or takes it back", command));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_what_is_left() {
        let finding = World::renewing(|tree| {
            tree.symlink("/etc/letsencrypt/live/a.test/previous_cert.pem", "../../archive/a.test/cert1.pem")
        })
        .one(&CHECK);
        assert_eq!(finding.evidence[0].path, Some("/etc/letsencrypt/live/a.test/previous_cert.pem".into()));
    }

    #[test]
    fn is_silent_otherwise() {
        World::renewing(|_| {}).silent(&CHECK);
    }
}
