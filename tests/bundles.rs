//! Real bundles at the two nights: what has expired in them, found by DER.

use certdoctor::{
    base::At,
    facts::Content,
    format::{Interner, Scan, jks, sniff},
    x509::Certificate,
};

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/bundles/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn certificates(scan: &Scan) -> Vec<Certificate> {
    scan.entries
        .iter()
        .filter_map(|e| match &e.content {
            Content::Certificate(c) => Some(c.clone()),
            _ => None,
        })
        .collect()
}

fn expired(name: &str, at: &str) -> Vec<String> {
    let at = At::parse(at).expect("a date");
    let scan = sniff::scan(&fixture(name), &Interner::default());
    let expired = certificates(&scan).into_iter().filter(|c| c.validity().not_after.expect("a date") < at);
    expired.map(|c| c.fingerprint().to_string()).collect()
}

const ADDTRUST: &str = "687fa451382278fff0c8b11f8d43d576671c6eb2bceab413fb83d965d06d2ff2";
const DST_X3: &str = "0687260331a72403d909f105e69bcf0d32e1bd2493ffc6d9206d11bcd6770739";

#[test]
fn certifi_of_november_2019_at_both_nights() {
    let name = "certifi/cacert-2019.11.28.pem";
    let scan = sniff::scan(&fixture(name), &Interner::default());
    assert_eq!(certificates(&scan).len(), 137);
    let first = expired(name, "2020-06-01");
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first.iter().any(|f| f == ADDTRUST));
    let second = expired(name, "2021-10-01");
    assert_eq!(second.len(), 5, "{second:?}");
    assert!(second.iter().any(|f| f == DST_X3));
    assert_eq!(expired(name, "2026-11-22").len(), 14);
}

/// Counts of certificates, and of those expired on the day of the first outage, of the second, and when the data was taken.
#[test]
fn the_other_bundles() {
    let days = ["2020-06-01", "2021-10-01", "2026-11-22"];
    for (name, count, gone) in [
        ("certifi/cacert-2021.5.30.pem", 128, [0, 1, 8]),
        ("libressl/cert-678710fe8b.pem", 135, [1, 4, 13]),
        ("libressl/cert-09a2b91baf.pem", 134, [0, 3, 12]),
        ("libressl/cert-71e70856d8.pem", 124, [0, 1, 9]),
        ("libressl/cert-ba24ec6303.pem", 123, [0, 0, 8]),
        ("java/debian12-cacerts.jks", 142, [0, 0, 4]),
    ] {
        let scan = sniff::scan(&fixture(name), &Interner::default());
        assert_eq!(certificates(&scan).len(), count, "{name}");
        assert_eq!(days.map(|day| expired(name, day).len()), gone, "{name}");
        assert!(scan.quirks.is_empty() && scan.entries.len() == count, "{name}: {:?}", scan.quirks);
    }
}

#[test]
fn forms_of_targets_are_told_apart() {
    let pem = fixture("single/ISRG_Root_X1.crt");
    let one = sniff::certificates(&pem);
    assert_eq!((one.form, one.certificates.len()), (sniff::Form::Pem, 1));
    let der = one.certificates[0].der();
    let again = sniff::certificates(der);
    assert_eq!((again.form, &again.certificates), (sniff::Form::Der, &one.certificates));
    // A certs-only SignedData (RFC 2315, section 9.1) as `openssl crl2pkcs7` makes it.
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), fixture("mini/debian-bundle.crt")).expect("written");
    for outform in ["DER", "PEM"] {
        let mut command = std::process::Command::new("openssl");
        command.args(["crl2pkcs7", "-nocrl", "-outform", outform, "-certfile"]).arg(file.path());
        let Some(output) = run(&mut command) else { return };
        let found = sniff::certificates(&output);
        let expected = certificates(&sniff::scan(&fixture("mini/debian-bundle.crt"), &Interner::default()));
        assert_eq!(found.certificates, expected, "{outform}");
        assert!(found.opaque.is_empty());
    }
    assert_eq!(sniff::certificates(b"hello").form, sniff::Form::Unknown);
}

#[test]
fn keytool_reads_what_is_left_of_a_keystore() {
    let bytes = fixture("java/debian12-cacerts.jks");
    let left = jks::remove(&bytes, &["debian:baltimore_cybertrust_root.pem"]).expect("removed");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &left).expect("written");
    let mut command = std::process::Command::new("keytool");
    command.args(["-list", "-storepass", "changeit", "-keystore"]).arg(file.path());
    let Some(output) = run(&mut command) else { return };
    let text = String::from_utf8_lossy(&output);
    assert_eq!(text.lines().filter(|l| l.contains("trustedCertEntry")).count(), 141);
    assert!(!text.contains("baltimore"));
}

/// The output of a tool that succeeds; `None`, said aloud, when it is not here.
fn run(command: &mut std::process::Command) -> Option<Vec<u8>> {
    for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR", "JAVA_TOOL_OPTIONS"] {
        command.env_remove(variable);
    }
    match command.stdin(std::process::Stdio::null()).output() {
        Ok(output) => {
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            Some(output.stdout)
        }
        Err(e) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{command:?}: {e}");
            eprintln!("skipped: no {:?}", command.get_program());
            None
        }
    }
}
