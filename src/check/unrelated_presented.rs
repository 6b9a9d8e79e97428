//! CD212.

use crate::{
    edit::Applicability,
    finding::{Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** The server sends a certificate that has nothing to do with its own: a leftover of the previous CA, or
    /// the chain file of another site. Most clients pass over it; wolfSSL in its default build checks every certificate that is
    /// sent, and refuses.
    ///
    /// **How it is found.** No way leads from the leaf, over issuers, to it.
    ///
    /// **What to do.** Take it out of the server's chain file.
    ///
    /// **Sources.** RFC 8446, section 4.4.2; measured with wolfSSL 4.6 (ASN_NO_SIGNER_E, -188).
    "CD212" "unrelated-presented" Warning "the server sends an unrelated certificate"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (_, endpoint, presented) in support::presented(case) {
        let certificates = &presented.certificates;
        let mut related: Vec<usize> = (!certificates.is_empty()).then_some(0).into_iter().collect();
        let mut next = 0;
        while let Some(child) = related.get(next).map(|i| &certificates[*i]) {
            for (at, other) in certificates.iter().enumerate() {
                if !related.contains(&at) && (other == child || support::issued(other, child)) {
                    related.push(at);
                }
            }
            next += 1;
        }
        for at in (0..certificates.len()).filter(|at| !related.contains(at)) {
            let target = &endpoint.target;
            let label = certificates[at].label();
            let mut finding =
                support::about(&CHECK, target, format!("{target} sends {label}, which has nothing to do with its certificate"));
            finding.facts = vec![("sha256", certificates[at].fingerprint().to_string())];
            finding.evidence = vec![support::sent(endpoint, presented, at)];
            let text = format!("take {label} out of the server's chain file");
            let intent = Intent::StopServing(certificates[at].clone());
            finding.remedies.push(Remedy::new(intent, Applicability::Manual, text, None));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let chain = include_str!("../../fixtures/clients/chains/extra-unrelated.pem");
        let finding = World::at(LAB).presenting("localhost", chain).one(&CHECK);
        assert!(finding.message.contains("sends Lab Unrelated Intermediate, which has nothing to do"), "{}", finding.message);
    }

    #[test]
    fn is_silent_about_whole_chains() {
        for chain in [CHAIN_PLAIN, CHAIN_ADDTRUST, include_str!("../../fixtures/clients/chains/wrong-order.pem")] {
            World::at(LAB).presenting("localhost", chain).silent(&CHECK);
        }
        let two = include_str!("../../fixtures/clients/chains/two-int-old-first.pem");
        World::at(LAB).presenting("localhost", two).silent(&CHECK);
    }
}
