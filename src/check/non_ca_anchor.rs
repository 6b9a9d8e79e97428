//! CD305.

use crate::{
    finding::{Finding, Severity},
    x509::Certificate,
};

use super::{Case, support};

rule! {
    /// **What it means.** A certificate that is no CA lies among the anchors. If a CA issued it, most clients ignore it there:
    /// OpenSSL without partial chains takes only self-signed anchors, Mbed TLS only CAs; curl from 7.68, Python from 3.13, Go,
    /// Java and GnuTLS accept exactly this server certificate, until it is renewed. A self-signed server certificate in the store
    /// is a deliberate pin, and only a note.
    ///
    /// **How it is found.** basicConstraints is absent from a version 3 certificate, or does not say CA.
    ///
    /// **What to do.** Put the CA that issued it into the store instead.
    ///
    /// **Sources.** RFC 5280, section 4.2.1.9; X509_V_FLAG_PARTIAL_CHAIN in openssl-verification-options(1); curl 7.68.0's and
    /// Python 3.13's release notes.
    "CD305" "non-ca-anchor" Warning "a certificate that is no CA lies among the anchors"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for place in support::places(case, is_no_ca) {
        for anchor in &place.anchors {
            let certificate = &anchor.certificate;
            let label = certificate.label();
            let pinned = support::is_self_signed(certificate);
            let message = if pinned {
                format!("{label} is a self-signed server certificate among the anchors")
            } else {
                format!("{label} is no CA: most clients ignore it as an anchor")
            };
            let mut finding = Finding::new(&CHECK, &label, message);
            if pinned {
                finding.severity = Severity::Note;
            }
            finding.facts = vec![
                ("issuer", certificate.issuer().to_string()),
                ("sha256", certificate.fingerprint().to_string()),
                ("store", place.title.clone()),
            ];
            finding.evidence = support::evidence(anchor);
            let text = if pinned {
                "leave it if the pin is meant; renew it together with the server's certificate".to_owned()
            } else {
                format!("put the CA that issued it ({}) into the store instead", certificate.issuer().label())
            };
            finding.remedies.push(support::by_hand(text, None));
            out.push(finding);
        }
    }
}

/// A version 1 root has no extensions; OpenSSL and others take it as a CA when it is self-signed.
fn is_no_ca(certificate: &Certificate) -> bool {
    !certificate.is_ca() && (certificate.version() >= 3 || !certificate.is_self_issued())
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).store(debian(&[("server.crt", LEAF)])).one(&CHECK);
        assert_eq!(finding.message, "localhost is no CA: most clients ignore it as an anchor");
        assert_eq!(finding.severity, Severity::Warning);
        let pin = include_str!("../../fixtures/clients/stores/SS.pem");
        assert_eq!(World::at(LAB).store(debian(&[("pin.crt", pin)])).one(&CHECK).severity, Severity::Note);
    }

    #[test]
    fn is_silent_about_roots() {
        World::at(LAB)
            .store(debian(&[("mozilla/A.crt", ADDTRUST), ("mozilla/B.crt", DST_X3), ("mozilla/C.crt", GLOBALSIGN)]))
            .silent(&CHECK);
    }
}
