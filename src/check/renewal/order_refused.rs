//! CD750.

use super::support::certbot as support;
use crate::{
    base::At,
    check::Case,
    facts::renewal::{Event, EventKind, Value, certbot::PARAMETERS},
    finding::{Finding, Severity},
};

rule! {
    /// **What it means.** The CA does not take the order as it is configured: it has must-staple, which Let's Encrypt refuses since it
    /// gave up OCSP; or it requires a profile that the CA does not offer; or the key is of a kind that it does not accept.
    ///
    /// **How it is found.** `must_staple = True` with a server of Let's Encrypt after 7 May 2025; the CA's errors `invalidProfile`,
    /// `badPublicKey` and `badCSR` in the log, and `unauthorized` about must-staple, with no success since and with the setting still there.
    ///
    /// **What to do.** Take the setting out; or name a profile from the CA's directory; or let a new key be made.
    ///
    /// **Sources.** letsencrypt.org/2024/12/05/ending-ocsp; RFC 8555, section 6.7; draft-ietf-acme-profiles; boulder `ra/ra.go`,
    /// `goodkey/good_key.go`; certbot 5.8 takes `required_profile` before `preferred_profile`.
    "CD750" "order-refused" Warning "the CA does not take the order as it is configured"
}

/// From this day on Let's Encrypt refuses orders with must-staple: 7 May 2025.
const NO_MUST_STAPLE: At = At(1_746_576_000);

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    out.extend(support::lineages(case).iter().filter_map(about));
}

/// The elliptic curves of which Let's Encrypt takes keys (boulder `goodkey/good_key.go`).
const CURVES: &[&str] = &["secp256r1", "secp384r1"];

/// Why the CA refused.
enum Refusal {
    /// The request has must-staple.
    Staple,
    /// The key is on a curve that is not taken.
    Curve,
    /// The profile is none of the CA's.
    Profile,
    /// The key, or the request, for another reason.
    Key,
}

fn refusal(kind: &EventKind) -> Option<Refusal> {
    let EventKind::Acme(kind, detail) = kind else { return None };
    match kind.as_str() {
        "unauthorized" if detail.contains("must-staple") => Some(Refusal::Staple),
        "invalidProfile" => Some(Refusal::Profile),
        "badCSR" | "badPublicKey" if detail.contains("ECDSA curve") => Some(Refusal::Curve),
        "badCSR" | "badPublicKey" => Some(Refusal::Key),
        _ => None,
    }
}

/// Whether this is a refusal that has a code here.
pub(super) fn tells(kind: &EventKind) -> bool {
    refusal(kind).is_some()
}

/// Whether what the CA refused has been taken out of the renewal configuration since. What is not there may come from `cli.ini` too, so that
/// the file must have been written after the refusal.
pub(super) fn is_mended(subject: &support::Subject<'_>, event: &Event) -> bool {
    let is_gone = match (refusal(&event.kind), &event.kind) {
        (Some(Refusal::Staple), _) => !is_set(subject, "must_staple"),
        (Some(Refusal::Curve), _) => refused_curve(subject).is_none() && !is_set(subject, "reuse_key"),
        (Some(Refusal::Profile), EventKind::Acme(_, detail)) => !["required_profile", "preferred_profile"]
            .iter()
            .filter_map(|key| subject.conf.parameter(key))
            .any(|profile| detail.contains(profile)),
        _ => false,
    };
    is_gone && subject.conf.modified >= event.at
}

fn is_set(subject: &support::Subject<'_>, key: &str) -> bool {
    subject.conf.parameter(key).is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

/// The curve of the renewal configuration, if it is one that is refused. It may be set although the key is to be RSA.
fn refused_curve<'a>(subject: &'a support::Subject<'_>) -> Option<&'a str> {
    let curve = subject.conf.parameter("elliptic_curve")?;
    (subject.conf.parameter("key_type") == Some("ecdsa") && !CURVES.contains(&curve)).then_some(curve)
}

/// What is to be said about one lineage.
pub(super) fn about(subject: &support::Subject<'_>) -> Option<Finding> {
    let server = subject.conf.server();
    let event = subject.refused(tells).filter(|e| !is_mended(subject, e));
    let refused = event.and_then(|e| refusal(&e.kind));
    let staple = is_set(subject, "must_staple") && server.contains(".api.letsencrypt.org") && subject.at >= NO_MUST_STAPLE;
    if staple || matches!(refused, Some(Refusal::Staple)) {
        let ca = if staple { "Let's Encrypt" } else { "the CA" };
        let setting = if is_set(subject, "must_staple") { "`must_staple = True`" } else { "must-staple" };
        let message = format!("{setting}: {ca} refuses such orders, so {} can't be renewed", subject.name());
        let mut finding = subject.finding(&CHECK, Some("must_staple"), message);
        let remove = subject.splice(subject.conf.config.remove(&[PARAMETERS], "must_staple"));
        let elsewhere =
            "grep -rn must.staple /etc/letsencrypt/cli.ini ~/.config/letsencrypt/cli.ini /etc/cron* /etc/systemd/system";
        let patch = subject.patch("take `must_staple` out", vec![remove]);
        finding.remedies.push(patch.unwrap_or_else(|| support::by_hand("take it out where it is asked for", elsewhere)));
        if let Some(event) = event.filter(|_| matches!(refused, Some(Refusal::Staple))) {
            finding.evidence.push(support::logged(event));
        }
        finding.facts.push(("verify", subject.dry_run()));
        return Some(finding);
    }
    let (event, refused) = (event?, refused?);
    let EventKind::Acme(kind, detail) = &event.kind else { return None };
    let key = match refused {
        Refusal::Profile => "required_profile",
        Refusal::Curve => "elliptic_curve",
        _ => "key_type",
    };
    let message = format!("the CA refuses the order for {}: {kind}", subject.name());
    let mut finding = subject.finding(&CHECK, Some(key), message);
    finding.severity = finding.severity.max(Severity::Warning);
    finding.facts.push(("the CA said", detail.clone()));
    finding.evidence.push(support::logged(event));
    let name = crate::base::shell(subject.name());
    let new_key = || {
        let command = format!("certbot renew --cert-name {name} --key-type ecdsa --elliptic-curve secp256r1 --new-key");
        support::by_hand("have a new key made, when it is due", command)
    };
    match refused {
        Refusal::Profile => finding.remedies.push(support::by_hand(
            "name a profile that the CA's directory lists",
            format!(
                "curl -s {} && certbot reconfigure --cert-name {name} --required-profile PROFILE",
                crate::base::shell(server)
            ),
        )),
        // A key that is used again keeps its curve, whatever is set.
        Refusal::Curve if !is_set(subject, "reuse_key") => {
            let usual = Value::One(CURVES[0].to_owned());
            let set = subject.splice(subject.conf.config.set(&[PARAMETERS], "elliptic_curve", &usual));
            finding.remedies.extend(subject.patch(format!("have the key on {}", CURVES[0]), vec![set]));
        }
        _ => finding.remedies.push(new_key()),
    }
    finding.facts.push(("verify", subject.dry_run()));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::facts::Renewal;

    #[test]
    fn catches_must_staple_and_a_profile() {
        let staple = RENEWAL_CONF.replace("key_type", "must_staple = True\nkey_type");
        let finding = World::renewing(|tree| edit(tree, CONF, |_| staple.clone())).one(&CHECK);
        assert_eq!(patched(&staple, &finding.remedies[0]), RENEWAL_CONF);
        let why = "urn:ietf:params:acme:error:invalidProfile :: The request specified a profile which is not supported :: profile name \"soon\" not recognized";
        let log = failed("2026-11-22 00:30:00", why);
        let finding = World::renewing(|tree| {
            edit(tree, CONF, |text| text.replace("key_type", "required_profile = soon\nkey_type"));
            tree.file(LOG, log.clone());
        })
        .one(&CHECK);
        assert_eq!(finding.message, "the CA refuses the order for a.test: invalidProfile");
    }

    #[test]
    fn catches_a_curve_and_another_cas_must_staple_until_it_is_mended() {
        let why = "urn:ietf:params:acme:error:badCSR :: The CSR is unacceptable :: Error finalizing order :: invalid public key in CSR: ECDSA curve P-521 not allowed";
        let log = failed("2026-11-22 00:30:00", why);
        let set = |curve: &str| RENEWAL_CONF.replace("key_type", &format!("elliptic_curve = {curve}\nkey_type"));
        let written = |r: &mut Renewal| r.certbot.confs[0].modified = At::parse("2026-11-22T00:31:00Z").expect("a time");
        let world = |conf: String| {
            let world = World::renewing(|tree| {
                edit(tree, CONF, |_| conf);
                tree.file(LOG, log.clone());
            });
            world.renewal(written)
        };
        let finding = world(set("secp521r1")).one(&CHECK);
        assert_eq!(patched(&set("secp521r1"), &finding.remedies[0]), set("secp256r1"));
        world(set("secp256r1")).silent(&CHECK);
        let finding = world(set("secp256r1\nreuse_key = True")).one(&CHECK);
        assert!(finding.remedies[0].command.as_deref().is_some_and(|c| c.ends_with("--new-key")), "{:?}", finding.remedies);
        let why = "urn:ietf:params:acme:error:unauthorized :: The client lacks sufficient authorization :: Error finalizing order :: OCSP must-staple extension is no longer available";
        let log = failed("2026-11-22 00:30:00", why);
        let staple = |text: String| {
            text.replace("acme-v02.api.letsencrypt.org", "ca.corp").replace("key_type", "must_staple = True\nkey_type")
        };
        World::renewing(|tree| {
            edit(tree, CONF, staple);
            tree.file(LOG, log.clone());
        })
        .one(&CHECK);
        let mended = || World::renewing(|tree| tree.file(LOG, log.clone()));
        mended().renewal(written).silent(&CHECK);
        // It comes from elsewhere.
        let finding = mended().one(&CHECK);
        assert!(finding.remedies[0].command.as_deref().is_some_and(|c| c.contains("cli.ini")), "{:?}", finding.remedies);
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
