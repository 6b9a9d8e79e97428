//! CD302.

use crate::{
    base::At,
    edit::Applicability,
    finding::{Finding, Intent, Remedy, Severity},
    path::Verdict,
};

use super::{Case, support};

rule! {
    /// **What it means.** A trust anchor expires within the days of `--within` (90 by default). When it ends, every path that has
    /// no other way breaks at once, for most clients. A note for a root of the distribution (its successor is usually in the list
    /// already); a warning for an anchor that an administrator added and for one at which the path of a target ends.
    ///
    /// **How it is found.** notAfter of every anchor against the instant of judgement.
    ///
    /// **What to do.** Find out who chains to it, and bring the successor into the store before the day; upgrade
    /// `ca-certificates`.
    ///
    /// **Sources.** RFC 5280, section 4.1.2.5; RFC 4210, section 4.4 (how a CA changes its key).
    "CD302" "anchor-expiring" Note "a trust anchor expires soon"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let horizon = case.at.plus_days(case.within);
    let soon = |end: &At| *end >= case.at && *end <= horizon;
    for place in support::places(case, |c| c.validity().not_after.as_ref().is_some_and(soon)) {
        for anchor in &place.anchors {
            let certificate = &anchor.certificate;
            let Some(end) = certificate.validity().not_after else { continue };
            let used = case
                .verdicts
                .iter()
                .filter(|v| matches!(&v.verdict, Verdict::Trusted { path } if path.last() == Some(certificate)))
                .map(|v| case.facts.endpoints[v.endpoint].target.text.clone());
            let mut targets: Vec<String> = used.collect();
            targets.sort();
            targets.dedup();
            let label = certificate.label();
            let mut finding = Finding::new(&CHECK, &label, format!("{label} expires {} ({end})", case.at.relative(end)));
            if !targets.is_empty() || place.store.is_none_or(|s| support::is_local(s, certificate)) {
                finding.severity = Severity::Warning;
            }
            finding.facts = vec![("sha256", certificate.fingerprint().to_string()), ("store", place.title.clone())];
            finding.evidence = support::evidence(anchor);
            finding.targets = targets;
            finding.due = Some(end);
            finding.remedies.push(match place.store.and_then(support::upgrade) {
                Some((package, command)) if finding.severity == Severity::Note => {
                    let text = format!("upgrade {package} before that day");
                    Remedy::new(Intent::UpgradePackage(package), Applicability::Manual, text, Some(command.to_owned()))
                }
                _ => {
                    let text = format!("bring the successor of {label} into the store before that day");
                    Remedy::new(Intent::Trust(None), Applicability::Manual, text, None)
                }
            });
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let world = World::at("2020-05-18T10:48:38Z").store(debian(&[("mozilla/AddTrust.crt", ADDTRUST)]));
        let finding = world.one(&CHECK);
        assert_eq!(finding.message, "AddTrust External CA Root expires in 12 days (2020-05-30T10:48:38Z)");
        assert_eq!(finding.severity, Severity::Note);
    }

    #[test]
    fn warns_when_a_target_ends_there() {
        let world = World::at("2020-05-18").store(debian(&[("mozilla/A.crt", STORE_A)])).presenting("localhost", CHAIN_ADDTRUST);
        let finding = world.accepted(&OPENSSL, vec![certificate(STORE_A)]).one(&CHECK);
        assert_eq!((finding.severity, finding.targets), (Severity::Warning, vec!["localhost".to_owned()]));
    }

    #[test]
    fn warns_of_a_local_anchor() {
        let world = World::at("2020-05-18").store(debian(&[("corp.crt", STORE_A)]));
        assert_eq!(world.one(&CHECK).severity, Severity::Warning);
    }

    #[test]
    fn is_silent_before_and_after() {
        World::at("2020-01-01").store(debian(&[("mozilla/AddTrust.crt", ADDTRUST)])).silent(&CHECK);
        World::at("2020-06-01").store(debian(&[("mozilla/AddTrust.crt", ADDTRUST)])).silent(&CHECK);
    }
}
