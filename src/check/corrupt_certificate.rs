//! CD413.

use crate::{
    edit::Applicability,
    facts::{CertFile, Content, Quirk},
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** A block of a store file is no certificate, or the file has a form that its readers don't take. In the
    /// bundle a damaged block is serious: OpenSSL (and so curl, Python, Ruby …) refuses the *whole* file. In a source it gets
    /// into the bundle at the next refresh. DER under `.crt` is copied into the bundle as binary rubbish and trusted by nobody;
    /// an empty file is trusted by nobody either.
    ///
    /// **How it is found.** Every PEM block is decoded and read as a certificate; form by byte order mark, NUL bytes, BEGIN
    /// without END.
    ///
    /// **What to do.** Put the right file in its place; convert DER by `openssl x509 -inform DER`; refresh.
    ///
    /// **Sources.** X509_load_cert_crl_file in OpenSSL's crypto/x509/by_file.c; recorded run `fixtures/roots/debian` 16;
    /// rustls/rustls-native-certs issue 48.
    "CD413" "corrupt-certificate" Warning "a store file holds what can't be read as a certificate"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        for (part, file) in support::files(store).filter(|(_, f)| f.is_read()) {
            let Some((what, line, spoils)) = fault(file, part) else { continue };
            // Other files may lie in the hash directory; only what claims to be a certificate counts.
            if part == "file in the hash directory" && line.is_none() {
                continue;
            }
            let in_bundle = part == "bundle" && spoils;
            let message = if in_bundle {
                format!("{} {what}: OpenSSL refuses the whole file", file.path)
            } else {
                format!("{} {what}", file.path)
            };
            let mut finding = Finding::new(&CHECK, file.path.to_string(), message);
            if in_bundle {
                finding.severity = Severity::Error;
            }
            finding.facts.push(("store", store.title.clone()));
            finding.evidence = vec![Evidence::file(&file.path, line, part)];
            let shown = support::shell(&file.path.to_string());
            finding.remedies.push(if file.quirks.contains(&Quirk::Der) {
                let convert = format!("openssl x509 -inform DER -in {shown} -out {shown}.new && mv {shown}.new {shown}");
                let mended = Mended { file: Some(&file.path), ..Mended::default() };
                support::repair(store, &file.path, "convert it to PEM", Some(convert), true, &mended)
            } else if part == "bundle" {
                let text = "make the bundle again from its sources";
                support::repair(store, &file.path, text, None, false, &Mended::default())
            } else {
                let text = "put the right certificate in its place, or take the file away";
                let command = Some(format!("openssl x509 -noout -subject -in {shown}"));
                Remedy::new(Intent::Repair(file.path.clone()), Applicability::Manual, text, command)
            });
            out.push(finding);
        }
    }
}

/// What is wrong, the line, and whether OpenSSL refuses a bundle for it.
fn fault(file: &CertFile, part: &str) -> Option<(String, Option<u32>, bool)> {
    let opaque = file.entries.iter().find_map(|e| match &e.content {
        Content::Opaque(why) => Some((e.line, why)),
        _ => None,
    });
    if let Some((line, why)) = opaque {
        return Some((format!("has a damaged certificate at line {line} ({why})"), Some(line), true));
    }
    let quirk = |q| file.quirks.contains(&q);
    if quirk(Quirk::Unterminated) {
        Some(("has a BEGIN without its END".into(), file.entries.last().map(|e| e.line).or(Some(1)), true))
    } else if quirk(Quirk::NotText) && !quirk(Quirk::Der) && part != "derived store" {
        Some(("is not text but UTF-16 or binary".into(), Some(1), false))
    } else if quirk(Quirk::Der) && part != "derived store" {
        Some(("is DER under a name that promises PEM: the bundle can't use it".into(), Some(1), false))
    } else if part == "source" && (quirk(Quirk::Empty) || file.certificates().next().is_none()) {
        Some(("holds no certificate".into(), None, false))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    const BAD: &str = include_str!("../../fixtures/roots/inputs/bad.crt");

    #[test]
    fn catches() {
        let finding = World::at(LAB).store(debian(&[("bad.crt", BAD)])).one(&CHECK);
        assert_eq!(finding.severity, Severity::Warning);
        let finding = World::at(LAB).store(cert_pem(&format!("{STORE_U}{}", STORE_A.replacen("MII", "AII", 1)))).one(&CHECK);
        assert_eq!(finding.severity, Severity::Error);
        assert!(finding.message.ends_with("OpenSSL refuses the whole file"), "{}", finding.message);
        assert_eq!(
            World::at(LAB).store(debian(&[("empty.crt", "")])).one(&CHECK).message.rsplit(' ').next(),
            Some("certificate")
        );
    }

    #[test]
    fn tells_how_to_convert_der() {
        let mut store = debian(&[("a.crt", STORE_U)]);
        store.sources[0].file.quirks.insert(Quirk::Der);
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert!(finding.remedies[0].command.as_deref().is_some_and(|c| c.starts_with("openssl x509 -inform DER")));
    }

    #[test]
    fn is_silent_about_text_around_blocks() {
        World::at(LAB).store(debian(&[("text.crt", include_str!("../../fixtures/roots/inputs/text.crt"))])).silent(&CHECK);
    }
}
