//! CD211.

use crate::{
    edit::Applicability,
    finding::{Finding, Intent, Remedy},
    x509::Hash,
};

use super::{Case, support, weak_anchor::weak_key};

rule! {
    /// **What it means.** A presented certificate has a key, or was signed with a digest, that clients refuse: RSA below 2048
    /// bits (OpenSSL at security level 2, as in Debian and Ubuntu; rustls, Mbed TLS), SHA-1 (OpenSSL 3 at level 1, Go, rustls,
    /// browsers), MD5 and MD2 (all).
    ///
    /// **How it is found.** Key size of every presented certificate, signature digest of every one that is not self-signed.
    ///
    /// **What to do.** Have it issued again with a key of 2048 bits or an elliptic curve, signed with SHA-256.
    ///
    /// **Sources.** RFC 9325, section 4.1; CA/Browser Forum Baseline Requirements, section 6.1.5 and 7.1.3;
    /// X509_V_ERR_EE_KEY_TOO_SMALL (66), CA_KEY_TOO_SMALL (67), CA_MD_TOO_WEAK (68).
    "CD211" "weak-presented" Warning "a presented certificate has a weak key or signature"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (_, endpoint, presented) in support::presented(case) {
        for (at, certificate) in presented.certificates.iter().enumerate() {
            let signature = certificate.signature_algorithm();
            let weak_hash = matches!(signature.hash, Some(Hash::Md2 | Hash::Md5 | Hash::Sha1)) && !certificate.is_self_issued();
            let what = match (weak_key(certificate), weak_hash) {
                (Some(key), _) => format!("a weak key ({key})"),
                (None, true) => format!("a weak signature ({signature})"),
                (None, false) => continue,
            };
            let target = &endpoint.target;
            let label = certificate.label();
            let mut finding = support::about(&CHECK, target, format!("{label}, which {target} sends, has {what}"));
            finding.facts = vec![("sha256", certificate.fingerprint().to_string())];
            finding.evidence = vec![support::sent(endpoint, presented, at)];
            let text = format!("have {label} issued again with a key of at least 2048 bits and SHA-256");
            finding.remedies.push(Remedy::new(Intent::Renew, Applicability::Manual, text, None));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let chain = include_str!("../../fixtures/clients/chains/leaf-1024.pem");
        let finding = World::at(LAB).presenting("localhost", chain).one(&CHECK);
        assert_eq!(finding.message, "localhost, which localhost sends, has a weak key (RSA 1024)");
        let chain = include_str!("../../fixtures/clients/chains/sha1-int.pem");
        let finding = World::at(LAB).presenting("localhost", chain).one(&CHECK);
        assert_eq!(finding.message, "Lab SHA1 CA, which localhost sends, has a weak signature (RSA-SHA1)");
    }

    #[test]
    fn is_silent_about_sha256_and_about_a_root_of_sha1() {
        World::at(LAB).presenting("localhost", include_str!("../../fixtures/clients/chains/nocross.pem")).silent(&CHECK);
        World::at(LAB).presenting("localhost", &format!("{CHAIN_PLAIN}{STORE_A}")).silent(&CHECK);
    }
}
