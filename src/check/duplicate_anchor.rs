//! CD307.

use crate::{
    finding::{Evidence, Finding},
    x509::CertificateMap,
};

use super::{Case, support};

rule! {
    /// **What it means.** The bundle holds the same certificate more than once. No client minds, but each copy must go when the
    /// anchor has to go, and hundreds of copies (a script that appends at every start) make every connection slower.
    ///
    /// **How it is found.** SHA-256 of each certificate of the bundle.
    ///
    /// **What to do.** Look for what adds it twice: a certificate that is listed twice, a copy in the local folder, a script that
    /// appends.
    ///
    /// **Sources.** rancher-sandbox/rancher-desktop issue 2778; update-ca-certificates(8).
    "CD307" "duplicate-anchor" Note "the bundle holds a certificate more than once"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let Some(bundle) = &store.bundle else { continue };
        let mut times: CertificateMap<'_, usize> = CertificateMap::default();
        let mut labels: Vec<String> = Vec::new();
        for (_, certificate) in bundle.certificates() {
            let times = times.entry(certificate).or_default();
            *times += 1;
            if *times == 2 {
                labels.push(certificate.label());
            }
        }
        if labels.is_empty() {
            continue;
        }
        let message = match &labels[..] {
            [label] => format!("{} holds {label} more than once", bundle.path),
            _ => format!("{} holds {} more than once", bundle.path, support::count(labels.len(), "certificate")),
        };
        let mut finding = Finding::new(&CHECK, bundle.path.to_string(), message);
        finding.facts = vec![("certificates", support::list(&labels, 5)), ("store", store.title.clone())];
        finding.evidence = bundle
            .certificates()
            .filter(|(_, certificate)| times.get(certificate).is_some_and(|times| *times > 1))
            .map(|(entry, certificate)| Evidence {
                span: Some(entry.section.clone()),
                fingerprint: Some(certificate.fingerprint()),
                ..Evidence::file(&bundle.path, Some(entry.line), "bundle")
            })
            .collect();
        let text = "look for a certificate that is listed twice, or is in the local folder too";
        finding.remedies.push(support::by_hand(text, support::refresh(store, true)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).store(cert_pem(&format!("{STORE_A}{STORE_U}{STORE_A}"))).one(&CHECK);
        assert_eq!(finding.message, "/etc/ssl/cert.pem holds Lab AddTrust External CA Root more than once");
        assert_eq!(finding.evidence.len(), 2);
    }

    #[test]
    fn is_silent_about_two_of_one_name() {
        let renewed = include_str!("../../fixtures/clients/stores/W0_W1.pem");
        World::at(LAB).store(cert_pem(renewed)).silent(&CHECK);
    }
}
