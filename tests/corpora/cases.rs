//! The suites, read.

use std::{collections::BTreeMap, fs, io::Read, path::PathBuf};

use certdoctor::{
    base::At,
    x509::{Certificate, Crl, Purpose},
};
use serde_json::Value;

/// The suites, in the order of the document.
pub const SUITES: &[&str] = &["limbo", "bettertls", "openssl", "pkits", "pkits-nocrl", "botan", "mbedtls", "webpki-data"];

/// One file of `fixtures/corpora`, decompressed.
pub fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/corpora").join(name);
    let bytes = fs::read(path).expect("the fixture exists");
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(&bytes[..]).expect("zstd").read_to_string(&mut text).expect("text");
    text
}

/// One suite: its cases and the objects that they name.
pub struct Suite {
    pub cases: Vec<Case>,
}

/// One case with its objects.
pub struct Case {
    pub id: String,
    pub leaf: Certificate,
    pub untrusted: Vec<Certificate>,
    pub trusted: Vec<Certificate>,
    pub crls: Vec<Crl>,
    pub at: At,
    /// Everything else.
    pub json: Value,
}

impl Suite {
    pub fn load(name: &str) -> Suite {
        let objects = pool(&read(&format!("{name}.pool.pem.zst")));
        let cases = read(&format!("{name}.cases.jsonl.zst"));
        let case = |line: &str| {
            let json: Value = serde_json::from_str(line).expect("a case");
            Case::new(json, &objects)
        };
        Suite { cases: cases.lines().map(case).collect() }
    }
}

impl Case {
    fn new(json: Value, objects: &BTreeMap<String, (String, Vec<u8>)>) -> Case {
        let keys = |field: &str| -> Vec<&str> {
            json[field].as_array().expect("keys").iter().map(|k| k.as_str().expect("a key")).collect()
        };
        let certificate = |key: &str| {
            let (label, der) = &objects[key];
            let read = if label == "TRUSTED CERTIFICATE" { Certificate::parse_trusted(der) } else { Certificate::parse(der) };
            read.expect("a certificate")
        };
        let leaf = certificate(json["leaf"].as_str().expect("a key"));
        let untrusted = keys("untrusted").into_iter().map(certificate).collect();
        let trusted = keys("trusted").into_iter().map(certificate).collect();
        let crls = keys("crls").into_iter().map(|key| Crl::parse(&objects[key].1).expect("a list")).collect();
        Case {
            id: json["id"].as_str().expect("an id").to_owned(),
            at: At(json["time"].as_i64().expect("a time")),
            leaf,
            untrusted,
            trusted,
            crls,
            json,
        }
    }

    pub fn text(&self, field: &str) -> Option<&str> {
        self.json[field].as_str()
    }

    /// The name or the address that the leaf must be made out to.
    pub fn host(&self) -> Option<&str> {
        self.text("host").or_else(|| self.text("ip"))
    }

    /// `-purpose`.
    pub fn purpose(&self) -> Option<Purpose> {
        self.text("purpose").map(|name| match name {
            "sslserver" => Purpose::ServerAuth,
            "sslclient" => Purpose::ClientAuth,
            other => panic!("{}: {other}", self.id),
        })
    }

    pub fn options(&self) -> Vec<&str> {
        self.json["opts"].as_array().expect("options").iter().map(|o| o.as_str().expect("an option")).collect()
    }
}

/// Blocks behind lines `# KEY`.
fn pool(text: &str) -> BTreeMap<String, (String, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(key) = line.strip_prefix("# ") else { continue };
        let label = lines.next().and_then(|l| l.strip_prefix("-----BEGIN ")).and_then(|l| l.strip_suffix("-----"));
        let body: String = lines.by_ref().take_while(|l| !l.starts_with("-----END")).collect();
        let der = base64_simd::STANDARD.decode_to_vec(body).expect("base64");
        found.insert(key.to_owned(), (label.expect("BEGIN").to_owned(), der));
    }
    found
}

/// The key of a certificate in a pool.
pub fn key(certificate: &Certificate) -> String {
    certificate.fingerprint().to_string().replace(':', "").to_ascii_lowercase()[..20].to_owned()
}
