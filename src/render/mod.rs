//! One file is one output format; each is a function from the report to text.
//!
//! Absent on purpose: writing. What is rendered is handed back, and `main` writes it.

mod comparison;
mod conclusion;
pub mod configuration;
pub mod github;
pub mod human;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod nagios;
pub mod prometheus;
pub mod s_client;
pub mod sarif;
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
    FormatEntry { name: "ansible", about: "the result of an Ansible module: changed, failed, msg, diff, findings" },
    FormatEntry { name: "github", about: "annotations of GitHub Actions" },
    FormatEntry { name: "human", about: "for people: areas, findings, clients, and the verdict in the last line" },
    FormatEntry { name: "json", about: "one JSON document; its schema: certdoctor generate schema" },
    FormatEntry { name: "junit", about: "JUnit's XML, for the test panes of CI systems" },
    FormatEntry { name: "markdown", about: "for a comment under a pull request or a ticket" },
    FormatEntry { name: "nagios", about: "a monitoring plugin's line with performance data; exit status 0, 1, 2 or 3" },
    FormatEntry { name: "prometheus", about: "metrics for the textfile collector of node_exporter" },
    FormatEntry { name: "s_client", about: "inspect only: the words and sections of openssl s_client" },
    FormatEntry { name: "salt", about: "the return of a Salt state: name, changes, result, comment" },
    FormatEntry { name: "sarif", about: "SARIF 2.1.0, for code scanning" },
];

/// A certificate in PEM, 64 columns wide.
#[must_use]
pub fn pem(certificate: &crate::x509::Certificate) -> String {
    let body = base64_simd::STANDARD.encode_to_string(certificate.der());
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|i| &body[i..(i + 64).min(body.len())]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
