//! CD710.

use super::support::certbot as support;
use crate::{check::Case, facts::renewal::certbot::PARAMETERS, finding::Finding};

rule! {
    /// **What it means.** The renewal configuration says `autorenew = False`. Certbot then tells "Certificate not yet due for renewal",
    /// with exit status 0, even when it has expired.
    ///
    /// **How it is found.** The key in `[renewalparams]` (at the top of the file it has no effect).
    ///
    /// **What to do.** Take the line out, unless somebody wants this certificate to lapse.
    ///
    /// **Sources.** `storage.RenewableCert.autorenewal_is_enabled`; measured with certbot 2.1.0.
    "CD710" "autorenew-off" Warning "the renewal configuration switches renewal off"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        if !subject.conf.parameter("autorenew").is_some_and(|v| v.eq_ignore_ascii_case("false")) {
            continue;
        }
        let message = format!("`autorenew = False`: certbot never takes {} to be due", subject.name());
        let mut finding = subject.finding(&CHECK, Some("autorenew"), message);
        let remove = subject.splice(subject.conf.config.remove(&[PARAMETERS], "autorenew"));
        finding.remedies.extend(subject.patch("take `autorenew = False` out", vec![remove]));
        finding.remedies.push(support::by_hand(
            "or give it up for good",
            format!("certbot delete --cert-name {}", crate::base::shell(subject.name())),
        ));
        finding.facts.push(("verify", subject.dry_run()));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_the_parameter_and_takes_its_line_out() {
        let off = RENEWAL_CONF.replace("[renewalparams]\n", "[renewalparams]\nautorenew = False\n");
        let finding = World::renewing(|tree| edit(tree, CONF, |_| off.clone())).one(&CHECK);
        assert_eq!(finding.evidence[0].line, Some(10));
        assert_eq!(patched(&off, &finding.remedies[0]), RENEWAL_CONF);
    }

    #[test]
    fn is_silent_about_the_top_level_and_about_true() {
        World::renewing(|tree| edit(tree, CONF, |text| format!("autorenew = False\n{text}"))).silent(&CHECK);
        World::renewing(|tree| edit(tree, CONF, |t| t.replace("[renewalparams]\n", "[renewalparams]\nautorenew = True\n")))
            .silent(&CHECK);
    }
}
