//! CD306.

use crate::{
    finding::{Finding, Severity},
    x509::{Certificate, Hash, KeyAlgorithm},
};

use super::{Case, support};

rule! {
    /// **What it means.** An anchor's key is shorter than clients of today demand (RSA or DSA below 2048 bits), so that OpenSSL
    /// at security level 2, Mbed TLS, rustls and pyca refuse every path to it; or it was signed with MD2 or MD5, which only tells
    /// its age: nobody checks the signature of an anchor. A SHA-1 self-signature is no weakness and is not reported.
    ///
    /// **How it is found.** Algorithm and size of the key; digest of the signature.
    ///
    /// **What to do.** Take it out; ask its owner for the successor.
    ///
    /// **Sources.** NIST SP 800-57 part 1, table 2; CA/Browser Forum Baseline Requirements, section 6.1.5;
    /// SSL_CTX_set_security_level(3); measured with 80 clients on a 1024-bit root.
    "CD306" "weak-anchor" Warning "an anchor has a weak key or an ancient signature"
}

/// The smallest RSA and DSA keys of OpenSSL's security level 2.
const WANTED_BITS: u32 = 2048;

/// Why a certificate's key is weak.
pub(super) fn weak_key(certificate: &Certificate) -> Option<String> {
    let key = certificate.public_key();
    let short = matches!(key.algorithm, KeyAlgorithm::Rsa | KeyAlgorithm::Dsa) && key.bits != 0 && key.bits < WANTED_BITS;
    let small_curve = matches!(key.algorithm, KeyAlgorithm::Ec(_)) && key.bits != 0 && key.bits < 224;
    (short || small_curve).then(|| key.to_string())
}

/// Whether a certificate was signed with MD2 or MD5.
fn is_ancient(certificate: &Certificate) -> bool {
    matches!(certificate.signature_algorithm().hash, Some(Hash::Md2 | Hash::Md5))
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for place in support::places(case, |c| weak_key(c).is_some() || is_ancient(c)) {
        for anchor in &place.anchors {
            let certificate = &anchor.certificate;
            let label = certificate.label();
            let (message, severity) = match weak_key(certificate) {
                Some(key) => (format!("{label} has a weak key ({key})"), Severity::Warning),
                None if is_ancient(certificate) => {
                    (format!("{label} was signed with {}", certificate.signature_algorithm()), Severity::Note)
                }
                None => continue,
            };
            let mut finding = Finding::new(&CHECK, &label, message);
            finding.severity = severity;
            finding.facts = vec![("sha256", certificate.fingerprint().to_string()), ("store", place.title.clone())];
            finding.evidence = support::evidence(anchor);
            finding.remedies.push(support::distrust(place.store, certificate, &finding.evidence));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    const K: &str = include_str!("../../fixtures/clients/stores/K.pem");

    /// The same root, as if it had been signed with MD5: the last octet of the algorithm's OID says which digest.
    fn with_md5(pem_text: &str) -> String {
        let mut der = certificate(pem_text).der().to_vec();
        let sha1_rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05];
        for at in 0..der.len() - sha1_rsa.len() {
            if der[at..].starts_with(&sha1_rsa) {
                der[at + 8] = 0x04;
            }
        }
        pem(&Certificate::parse(&der).expect("a certificate"))
    }

    #[test]
    fn catches() {
        let finding = World::at(LAB).store(debian(&[("mozilla/K.crt", K)])).one(&CHECK);
        assert_eq!(finding.message, "Lab 1024 Root has a weak key (RSA 1024)");
        let finding = World::at(LAB).store(debian(&[("mozilla/A.crt", &with_md5(ADDTRUST))])).one(&CHECK);
        assert_eq!(finding.message, "AddTrust External CA Root was signed with RSA-MD5");
        assert_eq!(finding.severity, Severity::Note);
    }

    #[test]
    fn is_silent_about_sha1() {
        World::at(LAB).store(debian(&[("mozilla/A.crt", ADDTRUST), ("mozilla/U.crt", USERTRUST)])).silent(&CHECK);
    }
}
