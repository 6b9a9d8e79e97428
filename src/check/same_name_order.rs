//! CD304.

use crate::{
    facts::{Origin, Role, Store},
    finding::{Evidence, Finding},
    x509::Certificate,
};

use super::{Case, support};

rule! {
    /// **What it means.** Two anchors of a store have the same name, one has expired, and a client that takes the first match
    /// takes the dead one. OpenSSL up to 1.0.2 and BoringSSL's X509 verifier (gRPC, curl_cffi) have no preference for valid
    /// certificates. And because a file (CAfile) shadows the directory (CApath) for every OpenSSL, an expired root in the bundle
    /// hides the renewed one that only the directory holds, even from OpenSSL 1.1.1 and 3.
    ///
    /// **How it is found.** Subjects are compared in OpenSSL's canonical form; the order is that of the bundle, and `.0` before
    /// `.1` in the hash directory.
    ///
    /// **What to do.** Take the expired one out.
    ///
    /// **Sources.** `X509_STORE_get1_issuer` and `lookup_certs_sk` in OpenSSL's crypto/x509; openssl/openssl issues 2495 and
    /// 16304; measured with 1.0.2n, 1.1.1w, 3.0 and BoringSSL.
    "CD304" "same-name-order" Warning "two anchors have one name, and the expired one is found first"
}

/// One of two anchors: the certificate, and where a client meets it.
struct Seen<'a> {
    certificate: &'a Certificate,
    evidence: Evidence,
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let bundle: Vec<Seen<'_>> = bundle(store);
        let directory: Vec<Seen<'_>> = directory(store);
        let mut told: Vec<&Certificate> = Vec::new();
        let all_openssl = "every OpenSSL that is given both file and directory (the file shadows the directory)";
        let first_match = "OpenSSL up to 1.0.2 and BoringSSL's X509 verifier (gRPC, curl_cffi)";
        for (first, second, whom) in
            [(&bundle, &bundle, first_match), (&directory, &directory, first_match), (&bundle, &directory, all_openssl)]
        {
            for (i, dead) in first.iter().enumerate().filter(|(_, s)| s.certificate.is_expired(case.at)) {
                let name = dead.certificate.subject().canonical();
                let same = |s: &&Seen<'_>| s.certificate != dead.certificate && s.certificate.subject().canonical() == name;
                let valid = |s: &&Seen<'_>| !s.certificate.is_expired(case.at) && !s.certificate.is_not_yet_valid(case.at);
                let shadows = !std::ptr::eq(first, second);
                // A valid one before it, or (for the shadow) anywhere in the file, and the dead one is never taken.
                if first.iter().take(if shadows { first.len() } else { i }).filter(same).any(|s| valid(&s)) {
                    continue;
                }
                let after = if shadows { second.iter() } else { second[i + 1..].iter() };
                let Some(alive) = after.filter(same).find(valid) else { continue };
                if told.contains(&dead.certificate) {
                    continue;
                }
                told.push(dead.certificate);
                out.push(finding(store, dead, alive, whom));
            }
        }
    }
}

fn finding(store: &Store, dead: &Seen<'_>, alive: &Seen<'_>, whom: &str) -> Finding {
    let label = dead.certificate.label();
    let end = dead.certificate.validity().not_after.map_or_else(String::new, |end| format!(" (expired {end})"));
    let message = format!("{label}{end} is found before the valid certificate of the same name");
    let mut finding = Finding::new(&CHECK, &label, message);
    let key = if dead.certificate.spki() == alive.certificate.spki() { "the same key" } else { "another key" };
    finding.facts = vec![
        ("valid one", format!("{}, with {key}", alive.certificate.fingerprint().short())),
        ("chosen wrongly by", whom.to_owned()),
        ("store", store.title.clone()),
    ];
    finding.evidence = vec![dead.evidence.clone(), alive.evidence.clone()];
    finding.remedies.push(support::distrust(Some(store), dead.certificate, &finding.evidence));
    finding
}

fn bundle(store: &Store) -> Vec<Seen<'_>> {
    let bundle = store.bundle.iter();
    let places = bundle.flat_map(|file| {
        file.certificates().map(move |(entry, certificate)| {
            let origin = Origin {
                store: store.kind,
                role: Role::Bundle,
                path: file.path.clone(),
                line: Some(entry.line),
                span: Some(entry.section.clone()),
                real: file.real.clone(),
            };
            Seen { certificate, evidence: Evidence::at(&origin, certificate) }
        })
    });
    places.collect()
}

fn directory(store: &Store) -> Vec<Seen<'_>> {
    let reachable = store.directory.iter().flat_map(|d| d.reachable());
    let places = reachable.map(|(entry, certificate)| {
        let fingerprint = Some(certificate.fingerprint());
        Seen { certificate, evidence: Evidence { fingerprint, ..Evidence::file(&entry.file.path, None, "hash link") } }
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    const W0: &str = include_str!("../../fixtures/clients/stores/W0.pem");
    const W1: &str = include_str!("../../fixtures/clients/stores/W1.pem");

    #[test]
    fn catches_the_expired_one_first() {
        let finding = World::at(LAB).store(cert_pem(&format!("{W0}{W1}"))).one(&CHECK);
        assert!(finding.message.starts_with("Lab Renewed Root (expired 2021-01-01T00:00:00Z) is found before"), "{}", finding.message);
        assert_eq!(finding.evidence[0].line, Some(1));
        let store = debian(&[("mozilla/W0.crt", W0), ("mozilla/W1.crt", W1)]);
        assert!(World::at(LAB).store(store).one(&CHECK).facts[1].1.starts_with("OpenSSL up to 1.0.2"));
    }

    #[test]
    fn catches_the_file_that_shadows_the_directory() {
        let mut store = debian(&[("mozilla/W1.crt", W1)]);
        store.bundle = Some(cert_file("/etc/ssl/certs/ca-certificates.crt", W0));
        assert!(World::at(LAB).store(store).one(&CHECK).facts[1].1.starts_with("every OpenSSL"));
    }

    #[test]
    fn is_silent_when_the_valid_one_comes_first_or_both_are_dead() {
        World::at(LAB).store(cert_pem(&format!("{W1}{W0}"))).silent(&CHECK);
        World::at(LAB).store(cert_pem(W0)).silent(&CHECK);
        World::at("2020-06-01").store(cert_pem(&format!("{W0}{W1}"))).silent(&CHECK);
    }
}
