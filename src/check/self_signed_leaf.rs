//! CD209.

use crate::{
    edit::Applicability,
    finding::{Finding, Intent, Remedy},
    x509::Certificate,
};

use super::{Case, support};

rule! {
    /// **What it means.** The server's certificate is signed by itself and is not in the store: nobody vouches for it. Usual on
    /// appliances, on fresh installations and for the default virtual host.
    ///
    /// **How it is found.** Subject and issuer of the first certificate are one name, its key identifiers agree, and no store
    /// holds it.
    ///
    /// **What to do.** Have it replaced by one from a CA. To trust just this one, compare its SHA-256 by another way first, then
    /// add it; rustls refuses a CA certificate as a server's own even then.
    ///
    /// **Sources.** X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT (18); RFC 9525.
    "CD209" "self-signed-leaf" Error "the server's certificate is signed by itself"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let trusted = support::trusted(case);
    for (_, endpoint, presented) in support::presented(case) {
        let Some(leaf) = alone(&presented.certificates, trusted) else { continue };
        let target = &endpoint.target;
        let mut finding =
            support::about(&CHECK, target, format!("the certificate of {target} is signed by itself, and not trusted here"));
        finding.facts = vec![("subject", leaf.subject().to_string()), ("sha256", leaf.fingerprint().to_string())];
        finding.evidence = vec![support::sent(endpoint, presented, 0)];
        let text = "have it replaced by a certificate from a CA that the clients trust";
        finding.remedies.push(Remedy::new(Intent::Renew, Applicability::Manual, text, None));
        let text =
            format!("or, if its owner tells you by another way that its SHA-256 is {}, trust this one", leaf.fingerprint());
        finding.remedies.push(Remedy::new(Intent::Trust(Some(leaf.clone())), Applicability::Manual, text, None));
        out.push(finding);
    }
}

/// The leaf, if it signed itself and nobody trusts it.
pub(super) fn alone<'c>(presented: &'c [Certificate], trusted: &[Certificate]) -> Option<&'c Certificate> {
    presented.first().filter(|c| support::is_self_signed(c) && !trusted.contains(c))
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    const CHAIN: &str = include_str!("../../fixtures/clients/chains/self-signed.pem");

    #[test]
    fn catches() {
        let finding = World::at(LAB).store(cert_pem(STORE_U)).presenting("localhost", CHAIN).one(&CHECK);
        assert_eq!(finding.message, "the certificate of localhost is signed by itself, and not trusted here");
    }

    #[test]
    fn is_silent_when_it_is_trusted_or_issued() {
        World::at(LAB).store(cert_pem(CHAIN)).presenting("localhost", CHAIN).silent(&CHECK);
        World::at(LAB).presenting("localhost", CHAIN_PLAIN).silent(&CHECK);
    }
}
