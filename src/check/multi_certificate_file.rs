//! CD403.

use crate::finding::{Evidence, Finding};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** A source holds several certificates. The bundle gets all of them, the hash directory none: `openssl
    /// rehash` skips the file ("does not contain exactly one certificate or CRL"). So a client that looks up by hash does not
    /// know them.
    ///
    /// **How it is found.** More than one certificate in a file that the refresh tool takes.
    ///
    /// **What to do.** Split it, one certificate a file, and refresh.
    ///
    /// **Sources.** openssl-rehash(1); recorded runs `fixtures/roots/debian` 13 and `fixtures/roots/alpine` 13;
    /// gliderlabs/docker-alpine issue 30.
    "CD403" "multi-certificate-file" Warning "a source holds several certificates, so that the hash directory gets none"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in case.facts.stores.iter().filter(|s| s.directory.is_some()) {
        for source in support::enabled(store) {
            let file = &source.file;
            let n = file.certificates().count();
            if n < 2 {
                continue;
            }
            let message = format!("{} holds {n} certificates: the bundle gets them, the hash directory does not", file.path);
            let mut finding = Finding::new(&CHECK, file.path.to_string(), message);
            let place = |(entry, certificate): (&crate::facts::Entry, &crate::x509::Certificate)| Evidence {
                span: Some(entry.section.clone()),
                fingerprint: Some(certificate.fingerprint()),
                ..Evidence::file(&file.path, Some(entry.line), certificate.label())
            };
            finding.evidence = file.certificates().map(place).collect();
            let path = file.path.to_string();
            let stem = path.strip_suffix(".crt").unwrap_or(&path).to_owned();
            let (from, prefix) = (support::shell(&path), support::shell(&format!("{stem}-")));
            // awk, since Alpine's busybox has no csplit; what stands before the first certificate is dropped.
            let program = "/-----BEGIN CERTIFICATE-----/ {n++} n {print > (p n \".crt\")}";
            let split = format!("awk -v p={prefix} '{program}' {from} && rm {from}");
            // Whatever stands between the certificates goes along: a key must not.
            let split = Some(split).filter(|_| !support::has_key(file));
            let text = "split it into one certificate a file";
            finding.remedies.push(support::repair(store, &file.path, text, split, false, &Mended::default()));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let two = include_str!("../../fixtures/roots/inputs/two.crt");
        let finding = World::at(LAB).store(debian(&[("two.crt", two)])).one(&CHECK);
        assert_eq!(
            finding.message,
            "/usr/local/share/ca-certificates/two.crt holds 2 certificates: the bundle gets them, the hash directory does not"
        );
        assert_eq!(finding.evidence.len(), 2);
        let command = finding.remedies[0].command.as_deref().expect("a command");
        assert!(command.starts_with("awk -v p=/usr/local/share/ca-certificates/two- '/-----BEGIN"), "{command}");
    }

    #[test]
    fn is_silent_about_one() {
        World::at(LAB).store(debian(&[("a.crt", include_str!("../../fixtures/roots/inputs/a.crt"))])).silent(&CHECK);
    }
}
