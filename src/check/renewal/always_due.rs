//! CD723.

use super::support::certbot as support;
use crate::{
    check::Case,
    facts::renewal::{Value, certbot::Version},
    finding::{Finding, Severity},
};

rule! {
    /// **What it means.** A certbot before version 4 takes a certificate to be due 30 days before its end, whatever its lifetime. One that
    /// lives 30 days or less is due at every run, and the CA's limit for the same set of names (5 in 7 days) is used up within days.
    ///
    /// **How it is found.** The installed version, the certificate's lifetime, and no `renew_before_expiry` in the renewal configuration.
    ///
    /// **What to do.** Set `renew_before_expiry` to a third of the lifetime, or upgrade certbot: version 4 takes a third by itself,
    /// version 4.1 asks the CA.
    ///
    /// **Sources.** certbot's changelog, 4.0.0 and 4.1.0; `storage.should_autorenew`; letsencrypt.org/2025/12/02 (lifetimes).
    "CD723" "always-due" Warning "this certbot takes the certificate to be due at every run"
}

const DAY: i64 = 86_400;

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let Some(version) = subject.version().filter(|v| *v < Version(4, 0, 0)) else { continue };
        let validity = subject.lineage.leaf().map(|leaf| leaf.validity());
        let Some((begin, end)) = validity.and_then(|v| Some((v.not_before?, v.not_after?))) else { continue };
        let lifetime = end.0 - begin.0;
        let is_set = subject.conf.config.get(&[], "renew_before_expiry").is_some();
        // Below a day it is no public certificate.
        if is_set || !(DAY..=30 * DAY).contains(&lifetime) {
            continue;
        }
        let days = lifetime / DAY;
        let message = format!(
            "certbot {version} renews 30 days before the end, and {} lives {days} days: it is due at every run",
            subject.name()
        );
        let mut finding = subject.finding(&CHECK, None, message);
        finding.severity = Severity::Warning;
        let third = (days / 3).max(1);
        let value = Value::One(if third == 1 { "1 day".to_owned() } else { format!("{third} days") });
        let set = subject.splice(subject.conf.config.set(&[], "renew_before_expiry", &value));
        let mut remedy =
            subject.patch(format!("set renew_before_expiry to {}, a third of the lifetime", value.strings()[0]), vec![set]);
        if let Some(remedy) = &mut remedy {
            remedy.command = Some(format!("certbot renew --cert-name {}", crate::base::shell(subject.name())));
        }
        finding.remedies.extend(remedy);
        finding.remedies.push(support::by_hand("or upgrade certbot to 4.1 or later", "snap install --classic certbot"));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_short_lifetime() {
        let finding = World::renewing(|tree| lineage(tree, "2026-11-20", 6)).one(&CHECK);
        assert_eq!(
            finding.message,
            "certbot 2.1.0 renews 30 days before the end, and a.test lives 6 days: it is due at every run"
        );
        let after = patched(RENEWAL_CONF, &finding.remedies[0]);
        assert!(after.contains("fullchain.pem\nrenew_before_expiry = 2 days\n\n# Options"), "{after}");
    }

    #[test]
    fn is_silent_about_ninety_days_a_setting_and_newer_versions() {
        World::renewing(|_| {}).silent(&CHECK);
        World::renewing(|tree| {
            lineage(tree, "2026-11-20", 6);
            edit(tree, CONF, |text| format!("renew_before_expiry = 2 days\n{text}"));
        })
        .silent(&CHECK);
        World::renewing(|tree| {
            lineage(tree, "2026-11-20", 6);
            edit(tree, CONF, |text| text.replace("2.1.0", "5.8.0"));
            tree.remove_directory(&"/usr/lib/python3".into());
            tree.remove_directory(&"/var/lib/dpkg".into());
        })
        .silent(&CHECK);
    }
}
