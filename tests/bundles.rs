//! Real bundles at the two nights: what has expired in them, found by DER.

use certdoctor::{
    base::At,
    facts::Content,
    format::{Interner, Scan, sniff},
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
    let scan = sniff::scan(&fixture(name), &mut Interner::default());
    let expired = certificates(&scan).into_iter().filter(|c| c.validity().not_after.expect("a date") < at);
    expired.map(|c| c.fingerprint().to_string()).collect()
}

const ADDTRUST: &str = "687fa451382278fff0c8b11f8d43d576671c6eb2bceab413fb83d965d06d2ff2";
const DST_X3: &str = "0687260331a72403d909f105e69bcf0d32e1bd2493ffc6d9206d11bcd6770739";

#[test]
fn certifi_of_november_2019_at_both_nights() {
    let name = "certifi/cacert-2019.11.28.pem";
    let scan = sniff::scan(&fixture(name), &mut Interner::default());
    assert_eq!(certificates(&scan).len(), 137);
    let first = expired(name, "2020-06-01");
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first.iter().any(|f| f == ADDTRUST));
    let second = expired(name, "2021-10-01");
    assert_eq!(second.len(), 5, "{second:?}");
    assert!(second.iter().any(|f| f == DST_X3));
    assert_eq!(expired(name, "2026-11-22").len(), 14);
}
