//! CD213.

use crate::{
    edit::Applicability,
    facts::ConnectFailure,
    finding::{Evidence, Finding, Intent, Remedy, Severity},
    x509::{Certificate, Defect, extension_name},
};

use super::{Case, support};

rule! {
    /// **What it means.** What was presented is not a certificate, or one that strict parsers refuse. A block that is none at
    /// all, or a file that can't be read, is an error. A defect inside (a damaged extension, two extensions of one kind, a date
    /// in the wrong form, two signature algorithms that differ, bytes behind the end) is a warning: rustls, Go and Java refuse
    /// many of them, OpenSSL fewer.
    ///
    /// **How it is found.** Read leniently; each place where a strict reader stops is a defect and is named.
    ///
    /// **What to do.** Have the certificate issued again by software that follows the profile; for a file, check that it is the
    /// right one.
    ///
    /// **Sources.** RFC 5280, sections 4.1 and 4.2; X.690 (DER).
    "CD213" "certificate-unreadable" Warning "a presented certificate can't be read, or only leniently"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (target, failure) in support::failures(case) {
        let ConnectFailure::Unreadable(why) = failure else { continue };
        let mut finding = support::about(&CHECK, target, format!("no certificate could be read from {target}: {why}"));
        finding.severity = Severity::Error;
        let text = "name a file in PEM, DER or PKCS #7";
        finding.remedies.push(support::by_hand(text, Some(format!("file {}", support::shell(&target.text)))));
        out.push(finding);
    }
    for (_, endpoint, presented) in support::presented(case) {
        let target = &endpoint.target;
        for (at, why) in &presented.opaque {
            let message = format!("what {target} presents as certificate {} can't be read: {why}", at + 1);
            let mut finding = support::about(&CHECK, target, message);
            finding.severity = Severity::Error;
            finding.evidence = vec![Evidence { what: format!("block {} from {target}", at + 1), ..Evidence::default() }];
            let command = format!("certdoctor inspect --showcerts {}", support::shell(&target.text));
            finding.remedies.push(support::by_hand("put a whole certificate there", Some(command)));
            out.push(finding);
        }
        for (at, certificate) in presented.certificates.iter().enumerate().filter(|(_, c)| !c.defects().is_empty()) {
            let label = certificate.label();
            let defects: Vec<String> = certificate.defects().iter().map(|d| words(certificate, d)).collect();
            let mut finding =
                support::about(&CHECK, target, format!("{label}, which {target} sends, is malformed: {}", defects.join("; ")));
            finding.facts = vec![("sha256", certificate.fingerprint().to_string())];
            finding.evidence = vec![support::sent(endpoint, presented, at)];
            let text = format!("have {label} issued again by software that follows RFC 5280");
            finding.remedies.push(Remedy::new(Intent::Renew, Applicability::Manual, text, None));
            out.push(finding);
        }
    }
}

/// A defect in words.
fn words(certificate: &Certificate, defect: &Defect) -> String {
    match defect {
        Defect::BadDate(text) => format!("the date \"{}\" is in no form of RFC 5280", support::text(text.as_bytes())),
        Defect::BadExtension(oid, why) => format!("its {} {why}", extension_name(oid)),
        Defect::BadPublicKey => "its public key can't be read".into(),
        Defect::DuplicateExtension(oid) => format!("it has two of {}", extension_name(oid)),
        Defect::LooseBoolean(oid) => format!("a BOOLEAN of its {} is written as DER does not allow", extension_name(oid)),
        Defect::SignatureAlgorithmMismatch => "its two signature algorithms differ".into(),
        Defect::TrailingData(n) => format!("{} follow its end", support::count(*n, "byte")),
        Defect::Version(version) if (1..3).contains(version) && !certificate.extensions().is_empty() => {
            format!("it has extensions, but is of version {version}")
        }
        Defect::Version(version) => format!("there is no version {version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    /// The leaf, as if its subjectAltName were no SEQUENCE.
    fn with_bad_alt_name() -> String {
        let leaf = certificate(LEAF);
        let (extension, _) = leaf.extension("2.5.29.17").expect("a subjectAltName");
        let mut der = leaf.der().to_vec();
        der[extension.value.start] = 0x04;
        pem(&Certificate::parse(&der).expect("a certificate"))
    }

    #[test]
    fn catches_a_defect_by_name() {
        let finding = World::at(LAB).presenting("localhost", &with_bad_alt_name()).one(&CHECK);
        assert_eq!(finding.message, "localhost, which localhost sends, is malformed: its subjectAltName can't be read");
        assert_eq!(finding.severity, Severity::Warning);
    }

    #[test]
    fn catches_what_is_no_certificate() {
        let mut opaque = presented(CHAIN_PLAIN);
        opaque.opaque.push((2, "not a certificate: no validity".into()));
        assert_eq!(World::at(LAB).presented("localhost", opaque).one(&CHECK).severity, Severity::Error);
        assert_eq!(
            World::at(LAB).failing(ConnectFailure::Unreadable("no PEM block".into())).one(&CHECK).severity,
            Severity::Error
        );
    }

    #[test]
    fn is_silent_about_sound_ones() {
        World::at(LAB).presenting("localhost", CHAIN_ADDTRUST).silent(&CHECK);
    }
}
