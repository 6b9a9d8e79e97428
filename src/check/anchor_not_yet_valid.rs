//! CD303.

use crate::{
    edit::Applicability,
    finding::{Finding, Intent, Remedy, Severity},
};

use super::{Case, support};

rule! {
    /// **What it means.** A trust anchor begins to be valid only later. Either it was made with a wrong clock, or this host's
    /// clock is behind (then CD601 says so when many anchors are concerned).
    ///
    /// **How it is found.** notBefore of every anchor against the instant of judgement.
    ///
    /// **What to do.** Check the clock first. A CA of one's own that was issued with a date in the future must be issued again,
    /// or waited for.
    ///
    /// **Sources.** RFC 5280, section 4.1.2.5; OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID (9).
    "CD303" "anchor-not-yet-valid" Note "a trust anchor is not valid yet"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for place in support::places(case, |c| c.is_not_yet_valid(case.at)) {
        for anchor in &place.anchors {
            let certificate = &anchor.certificate;
            let Some(start) = certificate.validity().not_before else { continue };
            let label = certificate.label();
            let message = format!("{label} becomes valid {} ({start})", case.at.relative(start));
            let mut finding = Finding::new(&CHECK, &label, message);
            if place.store.is_none_or(|s| support::is_local(s, certificate)) {
                finding.severity = Severity::Warning;
            }
            finding.facts = vec![("sha256", certificate.fingerprint().to_string()), ("store", place.title.clone())];
            finding.evidence = support::evidence(anchor);
            let (text, command) = ("check this host's clock before anything else", Some("timedatectl".to_owned()));
            finding.remedies.push(Remedy::new(Intent::FixClock, Applicability::Manual, text, command));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at("2015-06-01").store(debian(&[("mozilla/X1.crt", ISRG_X1)])).one(&CHECK);
        assert_eq!(finding.message, "ISRG Root X1 becomes valid in 3 days (2015-06-04T11:04:38Z)");
    }

    #[test]
    fn is_silent_at_the_first_second() {
        World::at("2015-06-04T11:04:38Z").store(debian(&[("mozilla/X1.crt", ISRG_X1)])).silent(&CHECK);
    }
}
