//! CD210.

use crate::{
    edit::Applicability,
    finding::{Finding, Intent, Remedy, Severity},
};

use super::{Case, expired_cross_sign_presented::CrossSigns, support};

rule! {
    /// **What it means.** An intermediate that the server sends has expired. If no other certificate of the same name and key is
    /// there, every client refuses. If one is (sent too, or in a store), it depends on the client: OpenSSL up to 1.0.2 and
    /// BoringSSL's X509 verifier take the first; then this is a warning.
    ///
    /// **How it is found.** notAfter of each presented CA certificate; expired cross-certificates of a trusted root are CD208.
    ///
    /// **What to do.** Put the CA's current intermediate into the server's chain file in its place.
    ///
    /// **Sources.** RFC 5280, section 6.1.3; X509_V_ERR_CERT_HAS_EXPIRED (10); measured (`two-int-old-first`).
    "CD210" "intermediate-expired" Error "an intermediate that the server sends has expired"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let trusted = support::trusted(case);
    let cross_signs = CrossSigns::new(case);
    for (index, endpoint, presented) in support::presented(case) {
        let certificates = &presented.certificates;
        for (at, dead) in certificates.iter().enumerate().skip(1) {
            let is_root = support::is_self_signed(dead);
            if is_root || !dead.is_expired(case.at) || cross_signs.dead(dead, certificates).is_some() {
                continue;
            }
            let Some(end) = dead.validity().not_after else { continue };
            let target = &endpoint.target;
            let label = dead.label();
            let message = format!("{target} sends the intermediate {label}, which expired {}", case.at.relative(end));
            let mut finding = support::about(&CHECK, target, message);
            let other = certificates.iter().chain(trusted).find(|c| !c.is_expired(case.at) && c.is_same_entity(dead));
            let unused = !certificates.iter().any(|c| c != dead && support::issued(dead, c));
            if unused
                || other.is_some() && !support::refusing_and_accepting(case, index).1.is_empty()
                || other.is_some() && case.verdicts.is_empty()
            {
                finding.severity = Severity::Warning;
            }
            finding.facts = vec![("expired", end.to_string()), ("sha256", dead.fingerprint().to_string())];
            finding.facts.extend(other.map(|c| ("valid one", format!("{} is known too", c.fingerprint().short()))));
            finding.evidence = vec![support::sent(endpoint, presented, at)];
            let text = format!("replace {label} in the server's chain file by the CA's current one");
            let intent = if other.is_some() { Intent::StopServing(dead.clone()) } else { Intent::Serve(None) };
            let command = format!("certdoctor inspect --showcerts {}", support::shell(&target.text));
            finding.remedies.push(Remedy::new(intent, Applicability::Manual, text, Some(command)));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let chain = include_str!("../../fixtures/clients/chains/expired-int.pem");
        let finding = World::at(LAB).store(cert_pem(STORE_U)).presenting("localhost", chain).one(&CHECK);
        assert_eq!(finding.message, "localhost sends the intermediate Lab Sectigo RSA DV, which expired 2 years ago");
        assert_eq!(finding.severity, Severity::Error);
    }

    #[test]
    fn warns_when_a_valid_one_is_sent_too() {
        let chain = include_str!("../../fixtures/clients/chains/two-int-old-first.pem");
        let finding = World::at(LAB).store(cert_pem(STORE_U)).presenting("localhost", chain).one(&CHECK);
        assert_eq!(finding.severity, Severity::Warning);
        assert!(matches!(finding.remedies[0].intent, Intent::StopServing(_)));
    }

    #[test]
    fn leaves_cross_certificates_alone() {
        World::at(LAB).store(cert_pem(STORE_U)).presenting("localhost", CHAIN_ADDTRUST).silent(&CHECK);
    }
}
