//! One file is one output format; each is a function from the report to text.
//!
//! Absent on purpose: writing. What is rendered is handed back, and `main` writes it.

pub mod human;
pub mod json;
pub mod s_client;
pub(crate) mod words;

/// An output format.
pub struct FormatEntry {
    /// The name for `--format`.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
}

/// Every format, sorted by name.
pub const ALL: &[FormatEntry] = &[
    FormatEntry { name: "human", about: "for people: areas, findings, clients, and the verdict in the last line" },
    FormatEntry { name: "json", about: "one JSON document; its schema: certdoctor generate schema" },
    FormatEntry { name: "s_client", about: "inspect only: the words and sections of openssl s_client" },
];

/// A certificate in PEM, 64 columns wide.
#[must_use]
pub fn pem(certificate: &crate::x509::Certificate) -> String {
    let body = base64_simd::STANDARD.encode_to_string(certificate.der());
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|i| &body[i..(i + 64).min(body.len())]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
