//! CD750.

use super::support::certbot as support;
use crate::{
    base::At,
    check::Case,
    facts::renewal::{EventKind, certbot::PARAMETERS},
    finding::{Finding, Severity},
};

rule! {
    /// **What it means.** The CA does not take the order as it is configured: it has must-staple, which Let's Encrypt refuses since it
    /// gave up OCSP; or it requires a profile that the CA does not offer; or the key is of a kind that it does not accept.
    ///
    /// **How it is found.** `must_staple = True` with a server of Let's Encrypt after 7 May 2025; the CA's errors `invalidProfile`,
    /// `badPublicKey` and `badCSR` in the log, with no success since.
    ///
    /// **What to do.** Take the setting out; or name a profile from the CA's directory; or let a new key be made.
    ///
    /// **Sources.** letsencrypt.org/2024/12/05/ending-ocsp; RFC 8555, section 6.7; draft-ietf-acme-profiles.
    "CD750" "order-refused" Warning "the CA does not take the order as it is configured"
}

/// From this day on Let's Encrypt refuses orders with must-staple: 7 May 2025.
const NO_MUST_STAPLE: At = At(1_746_576_000);

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    out.extend(support::lineages(case).iter().filter_map(about));
}

/// What is to be said about one lineage.
pub(super) fn about(subject: &support::Subject<'_>) -> Option<Finding> {
    let server = subject.conf.server();
    let staple = subject.conf.parameter("must_staple").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    if staple && server.contains(".api.letsencrypt.org") && subject.at >= NO_MUST_STAPLE {
        let message = format!("`must_staple = True`: Let's Encrypt refuses such orders, so {} can't be renewed", subject.name());
        let mut finding = subject.finding(&CHECK, Some("must_staple"), message);
        let remove = subject.splice(subject.conf.config.remove(&[PARAMETERS], "must_staple"));
        finding.remedies.extend(subject.patch("take `must_staple` out", vec![remove]));
        finding.facts.push(("verify", subject.dry_run()));
        return Some(finding);
    }
    let refused = |kind: &EventKind| matches!(kind, EventKind::Acme(kind, _) if ["invalidProfile", "badPublicKey", "badCSR"].contains(&kind.as_str()));
    let event = subject.last_event(|e| refused(&e.kind))?;
    let EventKind::Acme(kind, detail) = &event.kind else { return None };
    let key = if kind == "invalidProfile" { "required_profile" } else { "key_type" };
    let message = format!("the CA refuses the order for {}: {kind}", subject.name());
    let mut finding = subject.finding(&CHECK, Some(key), message);
    finding.severity = finding.severity.max(Severity::Warning);
    finding.facts.push(("the CA said", detail.clone()));
    finding.evidence.push(support::logged(event));
    let name = crate::base::shell(subject.name());
    let remedy = match kind.as_str() {
        "invalidProfile" => support::by_hand(
            "name a profile that the CA's directory lists",
            format!(
                "curl -s {} && certbot reconfigure --cert-name {name} --preferred-profile PROFILE",
                crate::base::shell(server)
            ),
        ),
        _ => support::by_hand("have a new key made", format!("certbot certonly --cert-name {name} --key-type ecdsa --new-key")),
    };
    finding.remedies.push(remedy);
    finding.facts.push(("verify", subject.dry_run()));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_must_staple_and_a_profile() {
        let staple = RENEWAL_CONF.replace("key_type", "must_staple = True\nkey_type");
        let finding = World::renewing(|tree| edit(tree, CONF, |_| staple.clone())).one(&CHECK);
        assert_eq!(patched(&staple, &finding.remedies[0]), RENEWAL_CONF);
        let why = "urn:ietf:params:acme:error:invalidProfile :: The request specified a profile which is not supported :: profile \"soon\" not recognized";
        let finding = World::renewing(|tree| tree.file(LOG, failed("2026-11-22 00:30:00", why))).one(&CHECK);
        assert_eq!(finding.message, "the CA refuses the order for a.test: invalidProfile");
    }

    #[test]
    fn is_silent_about_other_cas_and_without() {
        World::renewing(|_| {}).silent(&CHECK);
        let other = |text: String| {
            text.replace("acme-v02.api.letsencrypt.org", "ca.corp").replace("key_type", "must_staple = True\nkey_type")
        };
        World::renewing(|tree| edit(tree, CONF, other)).silent(&CHECK);
    }
}
