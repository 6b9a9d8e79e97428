//! CD304.

use crate::{
    base::same,
    facts::{Anchor, CertFile, DirectoryEntry, Entry, Store},
    finding::{Evidence, Finding},
    x509::{Certificate, Ending},
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

/// A certificate, and where a client meets it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    certificate: &'a Certificate,
    place: Place<'a>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Bundle(&'a CertFile, &'a Entry),
    Link(&'a DirectoryEntry),
}

/// Clients that take the first match of a name.
const FIRST_MATCH: &str = "OpenSSL up to 1.0.2 and BoringSSL's X509 verifier (gRPC, curl_cffi)";
/// Clients that don't look into the directory for a name that the file has.
const SHADOWED: &str = "every OpenSSL that is given both file and directory (the file shadows the directory)";

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        // Hardly ever does a dead one have a namesake.
        let twin = |a: &Anchor| {
            let mut others = store.anchors().iter().filter(|o| o.certificate != a.certificate);
            a.certificate.is_expired(case.at) && others.any(|o| same_name(&o.certificate, &a.certificate))
        };
        if !store.anchors().iter().any(twin) {
            continue;
        }
        let (bundle, directory) = (bundle(store), directory(store));
        let mut told: Vec<&Certificate> = Vec::new();
        let pairs = [(&bundle, &bundle, FIRST_MATCH), (&directory, &directory, FIRST_MATCH), (&bundle, &directory, SHADOWED)];
        for (first, second, whom) in pairs {
            for (at, dead) in first.iter().enumerate().filter(|(_, s)| s.certificate.is_expired(case.at)) {
                let alive = |s: &&Seen<'_>| {
                    let valid = |c: &Certificate| !c.is_expired(case.at) && !c.is_not_yet_valid(case.at);
                    same_name(s.certificate, dead.certificate) && valid(s.certificate)
                };
                let shadow = whom == SHADOWED;
                // With a valid one before it (or, for the shadow, anywhere in the file) the dead one is never taken.
                let before = if shadow { &first[..] } else { &first[..at] };
                let after = if shadow { &second[..] } else { &second[at + 1..] };
                if before.iter().any(|s| alive(&s)) || told.contains(&dead.certificate) {
                    continue;
                }
                if let Some(alive) = after.iter().find(alive) {
                    told.push(dead.certificate);
                    out.push(finding(store, dead, alive, whom));
                }
            }
        }
    }
}

/// Whether OpenSSL takes two subjects for one: their canonical forms are equal.
fn same_name(one: &Certificate, other: &Certificate) -> bool {
    same(one.subject().raw(), other.subject().raw())
        || !Ending::of(other.canonical_subject()).differs_from(one.subject())
            && same(one.canonical_subject(), other.canonical_subject())
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
    finding.evidence = vec![evidence(dead), evidence(alive)];
    finding.remedies.push(support::distrust(Some(store), dead.certificate, &finding.evidence));
    finding
}

fn evidence(seen: &Seen<'_>) -> Evidence {
    let fingerprint = Some(seen.certificate.fingerprint());
    match seen.place {
        Place::Bundle(file, entry) => {
            let span = Some(entry.section.clone());
            Evidence { span, fingerprint, ..Evidence::file(&file.path, Some(entry.line), "bundle") }
        }
        Place::Link(entry) => Evidence { fingerprint, ..Evidence::file(&entry.file.path, None, "hash link") },
    }
}

fn bundle(store: &Store) -> Vec<Seen<'_>> {
    let files = store.bundle.iter();
    let seen = files.flat_map(|file| file.certificates().map(move |(entry, c)| (file, entry, c)));
    seen.map(|(file, entry, certificate)| Seen { certificate, place: Place::Bundle(file, entry) }).collect()
}

fn directory(store: &Store) -> Vec<Seen<'_>> {
    let reachable = store.directory.iter().flat_map(|d| d.reachable());
    reachable.map(|(entry, certificate)| Seen { certificate, place: Place::Link(entry) }).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    const W0: &str = include_str!("../../fixtures/clients/stores/W0.pem");
    const W1: &str = include_str!("../../fixtures/clients/stores/W1.pem");

    #[test]
    fn catches_the_expired_one_first() {
        let finding = World::at(LAB).store(cert_pem(&format!("{W0}{W1}"))).one(&CHECK);
        assert!(
            finding.message.starts_with("Lab Renewed Root (expired 2021-01-01T00:00:00Z) is found before"),
            "{}",
            finding.message
        );
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
