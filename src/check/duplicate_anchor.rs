//! CD307.

use std::collections::BTreeMap;

use crate::{
    finding::{Evidence, Finding},
    x509::Certificate,
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
        let mut seen: BTreeMap<&Certificate, Vec<Evidence>> = BTreeMap::new();
        let mut labels: Vec<String> = Vec::new();
        for (entry, certificate) in bundle.certificates() {
            let places = seen.entry(certificate).or_default();
            if places.len() == 1 {
                labels.push(certificate.label());
            }
            places
                .push(Evidence { span: Some(entry.section.clone()), ..Evidence::file(&bundle.path, Some(entry.line), "bundle") });
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
        let mut again: Vec<_> = seen.into_iter().filter(|(_, places)| places.len() > 1).collect();
        again.sort_by_key(|(certificate, _)| certificate.fingerprint());
        finding.evidence = again
            .into_iter()
            .flat_map(|(certificate, places)| {
                places.into_iter().map(|place| Evidence { fingerprint: Some(certificate.fingerprint()), ..place })
            })
            .collect();
        finding.evidence.sort_by_key(|e| e.line);
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
