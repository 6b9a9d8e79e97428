//! CD207.

use crate::finding::Finding;

use super::{Case, support};

rule! {
    /// **What it means.** The server sends the self-signed root too. Clients trust only their own copy, so it is about a kilobyte
    /// too much in each handshake and harms nobody else.
    ///
    /// **How it is found.** A presented certificate after the leaf is self-signed.
    ///
    /// **What to do.** Leave it out of the server's chain file.
    ///
    /// **Sources.** RFC 8446, section 4.4.2 (the root may be omitted).
    "CD207" "root-included" Note "the server sends the root too"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (_, endpoint, presented) in support::presented(case) {
        let root = presented.certificates.iter().enumerate().skip(1).find(|(_, c)| support::is_self_signed(c));
        let Some((index, root)) = root else { continue };
        let target = &endpoint.target;
        let mut finding = support::about(&CHECK, target, format!("{target} sends the root {} too", root.label()));
        finding.facts.push(("bytes", root.der().len().to_string()));
        finding.evidence = vec![support::sent(endpoint, presented, index)];
        finding.remedies.push(support::by_hand("leave the root out of the server's chain file", None));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let chain = include_str!("../../fixtures/clients/chains/root-included.pem");
        let finding = World::at(LAB).presenting("localhost", chain).one(&CHECK);
        assert_eq!(finding.message, "localhost sends the root Lab USERTrust RSA CA too");
    }

    #[test]
    fn is_silent_about_cross_certificates_and_self_signed_leaves() {
        World::at(LAB).presenting("localhost", CHAIN_ADDTRUST).silent(&CHECK);
        World::at(LAB).presenting("localhost", include_str!("../../fixtures/clients/chains/self-signed.pem")).silent(&CHECK);
    }
}
