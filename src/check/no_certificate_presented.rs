//! CD112.

use crate::finding::Finding;

use super::{Case, support};

rule! {
    /// **What it means.** The handshake went on without a certificate, or the file holds none. A server that does that uses an
    /// anonymous suite, a pre-shared key or a raw public key; certificate clients refuse it.
    ///
    /// **How it is found.** The Certificate message (or the file) held no certificate and nothing that looks like one.
    ///
    /// **What to do.** Configure a certificate for the name on the server; for a file, name the one that holds the chain.
    ///
    /// **Sources.** RFC 8446, section 4.4.2; RFC 7250 (raw public keys); RFC 4279 (pre-shared keys).
    "CD112" "no-certificate-presented" Error "no certificate was presented"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (_, endpoint, presented) in support::presented(case) {
        if !presented.certificates.is_empty() || !presented.opaque.is_empty() {
            continue;
        }
        let target = &endpoint.target;
        let mut finding = support::about(&CHECK, target, format!("{target} presented no certificate"));
        if let Some(cipher) = &presented.cipher {
            finding.facts.push(("cipher", cipher.clone()));
        }
        let command = format!("certdoctor inspect --showcerts {}", support::shell(&target.text));
        finding.remedies.push(support::by_hand("configure a certificate chain for this name", Some(command)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).presenting("localhost", "").one(&CHECK);
        assert_eq!(finding.message, "localhost presented no certificate");
    }

    #[test]
    fn leaves_what_can_not_be_read_to_another() {
        let mut opaque = presented("");
        opaque.opaque.push((0, "no complete SEQUENCE".into()));
        World::at(LAB).presented("localhost", opaque).silent(&CHECK);
        World::at(LAB).presenting("localhost", CHAIN_PLAIN).silent(&CHECK);
    }
}
