//! Certificates and PEM files that are odd, and what OpenSSL makes of them: nothing panics, and what OpenSSL reads is read.

use std::collections::BTreeMap;

use certdoctor::{
    facts::Content,
    format::{Interner, Scan, pem},
    path::openssl_rules::is_unreadable,
    x509::Certificate,
};
use serde_json::Value;

use crate::cases::read;

fn files(name: &str) -> Vec<(Value, Vec<u8>)> {
    let line = |line: &str| {
        let json: Value = serde_json::from_str(line).expect("a file");
        let bytes = base64_simd::STANDARD.decode_to_vec(json["b64"].as_str().expect("base64")).expect("base64");
        (json, bytes)
    };
    read(name).lines().map(line).collect()
}

fn scan(bytes: &[u8]) -> Scan {
    pem::scan(bytes, &Interner::default())
}

fn certificates(scan: &Scan) -> i64 {
    let of_kind = scan.entries.iter().filter(|e| matches!(e.content, Content::Certificate(_)));
    i64::try_from(of_kind.count()).expect("a small number")
}

/// How many blocks stand there as certificates, read or not; an unread one says why.
fn blocks(scan: &Scan) -> i64 {
    let unread = scan.entries.iter().filter(|e| matches!(e.content, Content::Opaque(_))).count();
    certificates(scan) + i64::try_from(unread).expect("a small number")
}

/// How many certificates OpenSSL takes from the file as a CAfile.
fn as_ca_file(scan: &Scan) -> i64 {
    if pem::refused_by_openssl(scan) { 0 } else { certificates(scan) }
}

/// A file in which we and OpenSSL differ, and why.
pub struct Odd {
    pub file: &'static str,
    pub reason: &'static str,
}

const KEY: &str =
    "OpenSSL decodes private keys too when it loads a CAfile, and refuses the file for a bad one; here a key is only named.";
const NAME: &str =
    "OpenSSL refuses a certificate whose name holds a string that is not what its tag says; it is read here, as others do.";
const NUL: &str = "A line that begins with NUL ends the file for OpenSSL (`BIO_gets` gives a line of no length); we read on.";

/// The files that differ; a test fails when one of them agrees.
pub const ODD: &[Odd] = &[
    Odd { file: "binary-between", reason: NUL },
    Odd { file: "nul-between", reason: NUL },
    Odd {
        file: "openpgp",
        reason: "OpenSSL refuses a file with a PGP block, whose checksum line is none of base64; blocks of other kinds are not decoded here.",
    },
    Odd { file: "pyca-vectors/cryptography.io.chain_with_garbage.pem", reason: KEY },
    Odd { file: "pyca-vectors/cryptography.io.with_garbage.pem", reason: KEY },
    Odd { file: "pyca-vectors/custom/invalid_utf8_common_name.pem", reason: NAME },
    Odd { file: "pyca-vectors/custom/long-form-name-attribute.pem", reason: NAME },
];

/// The files that differ, and in what.
#[derive(Default)]
struct Differences(BTreeMap<String, Vec<String>>);

impl Differences {
    fn push(&mut self, file: &str, text: String) {
        self.0.entry(file.to_owned()).or_default().push(text);
    }

    /// Nothing differs but what is listed for this corpus, and all of that does.
    fn are_known(&self, listed: impl Fn(&str) -> bool) {
        let known: Vec<&str> = ODD.iter().map(|odd| odd.file).filter(|file| listed(file)).collect();
        let new: Vec<_> = self.0.iter().filter(|(file, _)| !known.contains(&file.as_str())).collect();
        assert!(new.is_empty(), "{} files differ: {new:#?}", new.len());
        let stale: Vec<_> = known.into_iter().filter(|file| !self.0.contains_key(*file)).collect();
        assert!(stale.is_empty(), "files that agree by now: {stale:?}");
    }
}

#[test]
fn certificates_are_read_as_openssl_reads_them() {
    let mut differences = Differences::default();
    for (file, bytes) in files("parse.jsonl.zst") {
        let path = format!("{}/{}", file["src"].as_str().unwrap_or_default(), file["path"].as_str().unwrap_or_default());
        if file["kind"] == "pem" {
            let scan = scan(&bytes);
            let readers = &file["file_readers"];
            let (is, should) = (blocks(&scan), readers["openssl_pem_certs"].as_i64().unwrap_or(0));
            if is < should {
                differences.push(&path, format!("{is} blocks, OpenSSL {should}"));
            }
            if let Some(should) = readers["openssl_CAfile_certs"].as_i64() {
                let is = as_ca_file(&scan);
                if is != should.max(0) {
                    let why = &readers["openssl_CAfile_err"];
                    differences.push(&path, format!("as a CAfile {is} certificates, OpenSSL {should} {why}"));
                }
            }
            continue;
        }
        let read = Certificate::parse(&bytes);
        for certificate in file["certs"].as_array().into_iter().flatten() {
            let said = certificate["openssl"] == true;
            match &read {
                Err(why) if said => differences.push(&path, format!("{why}, OpenSSL reads it")),
                Ok(read) if said && is_unreadable(read) != (certificate["openssl_ext_invalid"] == true) => {
                    let said = format!("unreadable: {}, OpenSSL the other way: {:?}", is_unreadable(read), read.defects());
                    differences.push(&path, said);
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
    differences.are_known(|file| file.contains('/'));
}

#[test]
fn odd_bundles_are_read_as_openssl_reads_them() {
    let mut differences = Differences::default();
    for (file, bytes) in files("oddpem.jsonl.zst") {
        let id = file["id"].as_str().unwrap_or_default();
        let scan = scan(&bytes);
        let readers = &file["readers"];
        let should = readers["openssl_CAfile_certs"].as_i64().unwrap_or(0).max(0);
        let is = as_ca_file(&scan);
        if is != should {
            let text = format!("as a CAfile {is} certificates, OpenSSL {should} {}", readers["openssl_CAfile_err"]);
            differences.push(id, text);
        }
        let (is, should) = (blocks(&scan), readers["openssl_raw_pem_certs"].as_i64().unwrap_or(0));
        if is < should {
            differences.push(id, format!("{is} blocks, OpenSSL {should}"));
        }
    }
    differences.are_known(|file| !file.contains('/'));
}

#[test]
fn no_private_key_is_among_them() {
    let mut found = Vec::new();
    for (file, bytes) in ["parse.jsonl.zst", "oddpem.jsonl.zst"].into_iter().flat_map(files) {
        let is_key = |block: pem::Block<'_>| {
            let mut der = Vec::new();
            // What is no SEQUENCE is no key but a joke of the test's author.
            let decoded = block.body.is_ok_and(|body| pem::decode(body, &mut der).is_ok());
            block.label.ends_with(b"PRIVATE KEY") && (!decoded || der.first() == Some(&0x30))
        };
        if pem::blocks(&bytes).any(is_key) {
            found.push(file["id"].to_string());
        }
    }
    assert!(found.is_empty(), "private keys in {found:?}");
}
