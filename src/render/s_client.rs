//! The words of `openssl s_client -connect … </dev/null`, version 3.0, because that is what people know and paste.
//!
//! The sections are those of `print_stuff` (apps/s_client.c), the lines about verification those of `verify_callback`
//! (apps/lib/s_cb.c) in the order in which `X509_verify_cert` calls it (crypto/x509/x509_vfy.c, `verify_chain` and
//! `internal_verify`). Standard error and standard output are one text here, in the order of a terminal.
//!
//! Absent on purpose: what a look doesn't learn (signature type, temporary key, session, tickets) and what s_client makes up.

use crate::{
    check::of_endpoint,
    facts::{Presented, Protocol},
    path::{Verdict, host_name, openssl},
    report::Report,
    x509::{Certificate, KeyAlgorithm, Name},
};

/// What there is to show.
#[derive(Clone, Copy, Debug)]
pub struct SClient<'a> {
    /// What the server presented; when [`Presented::protocol`] is `None` (a file), the sections about the connection are left out.
    pub presented: &'a Presented,
    /// The path that OpenSSL builds from it, leaf first, as far as it comes.
    pub path: &'a [Certificate],
    /// The errors that it reports with a callback that lets it go on, in its order.
    pub errors: &'a [VerifyError<'a>],
    /// The name in the certificate that matches the one asked for by `-verify_hostname`, if it was told that.
    pub peername: Option<&'a str>,
    /// Whether it was told `-partial_chain`.
    pub partial_chain: bool,
    /// Whether it was told `-showcerts`.
    pub showcerts: bool,
}

/// One error of `X509_verify_cert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyError<'a> {
    /// `X509_V_ERR_…`.
    pub number: u32,
    /// Where in the path: 0 is the leaf.
    pub depth: usize,
    /// The text of `X509_verify_cert_error_string`.
    pub text: &'a str,
}

/// The text for every target of a report, one after the other, as the first OpenSSL client among the verdicts sees it.
#[must_use]
pub fn report(report: &Report, showcerts: bool) -> String {
    let mut out = String::new();
    for (index, endpoint) in report.facts.endpoints.iter().enumerate() {
        let presented = match &endpoint.outcome {
            Ok(presented) => presented,
            Err(failure) => {
                out.push_str(&format!("{}: {}\n", endpoint.target, failure));
                continue;
            }
        };
        let verdict = of_endpoint(&report.verdicts, index).iter().find(|v| matches!(v.profile.family, "s_client" | "openssl"));
        let (path, errors) = match verdict.map(|v| &v.verdict) {
            Some(Verdict::Trusted { path }) => (path.as_slice(), &[][..]),
            Some(Verdict::Untrusted { path, errors }) => (path.as_slice(), errors.as_slice()),
            Some(Verdict::Unknown(_)) | None => (&[][..], &[][..]),
        };
        let errors: Vec<VerifyError<'_>> = errors
            .iter()
            .filter_map(|e| Some(VerifyError { number: e.code.parse().ok()?, depth: e.depth.unwrap_or(0), text: &e.text }))
            .collect();
        let partial_chain = report.request.iter().any(|(name, _)| *name == "partial_chain");
        let peername =
            endpoint.target.host.as_deref().zip(presented.certificates.first()).and_then(|(host, leaf)| peername(leaf, host));
        let input = SClient { presented, path, errors: &errors, peername: peername.as_deref(), partial_chain, showcerts };
        out.push_str(&render(&input));
    }
    out
}

/// The name in the certificate that covers `host` (`X509_VERIFY_PARAM_get0_peername`).
#[must_use]
pub fn peername(leaf: &Certificate, host: &str) -> Option<String> {
    host_name::shown(leaf).into_iter().find(|name| name == host || host_name::matches(name, host, host_name::Rules::OPENSSL))
}

/// The whole text.
#[must_use]
pub fn render(input: &SClient<'_>) -> String {
    let mut out = String::new();
    let presented = input.presented;
    if presented.protocol.is_some() {
        out.push_str("CONNECTED(00000003)\n");
    }
    out.push_str(&verification(input));
    chain(&mut out, input);
    if presented.protocol.is_some() {
        client_ca_names(&mut out, presented);
        let (read, written) = presented.bytes;
        out.push_str(&format!("---\nSSL handshake has read {read} bytes and written {written} bytes\n"));
    } else {
        out.push_str("---\n");
    }
    let (number, text) = input.errors.last().map_or((0, "ok"), |e| (e.number, e.text));
    match number {
        0 => {
            out.push_str("Verification: OK\n");
            if let Some(name) = input.peername {
                out.push_str(&format!("Verified peername: {name}\n"));
            }
        }
        _ => out.push_str(&format!("Verification error: {text}\n")),
    }
    match presented.protocol {
        Some(protocol) => connection(&mut out, input, protocol, &format!("Verify return code: {number} ({text})\n")),
        None => out.push_str(&format!("---\nVerify return code: {number} ({text})\n---\n")),
    }
    out
}

/// What the verify callback prints: errors found while building and checking the path, then each depth from the top down with its
/// errors, then what is checked last (name constraints, policies).
#[must_use]
pub fn verification(input: &SClient<'_>) -> String {
    let mut callback = Callback { path: input.path, sticky: None, out: String::new() };
    let mut errors = input.errors.iter().copied().peekable();
    while let Some(error) = errors.next_if(|e| phase(e, input.path) == Phase::Building) {
        callback.error(error);
    }
    // The top of a path that does not end at a self-issued certificate has nobody to check it by; alone, it is reported as 21.
    let mut top = input.path.len();
    if top > 1 && !input.partial_chain && input.path.last().is_some_and(|c| !openssl::Policy::V3.dialect.is_self_signed(c)) {
        top -= 1;
    }
    for depth in (0..top).rev() {
        while let Some(error) = errors.next_if(|e| phase(e, input.path) == Phase::At(depth)) {
            callback.error(error);
        }
        callback.fine(depth);
    }
    errors.for_each(|error| callback.error(error));
    callback.out
}

/// When `X509_verify_cert` finds an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// While it builds the path and looks at extensions, strength and name.
    Building,
    /// In `internal_verify`, when it comes to this depth on its way down.
    At(usize),
    /// Afterwards: name constraints and policies.
    Late,
}

fn phase(error: &VerifyError<'_>, path: &[Certificate]) -> Phase {
    let has_readable_key = path.get(error.depth).is_some_and(|c| public_key(c).is_some());
    match error.number {
        // Too many names and constraints; elsewhere a key that can't be read.
        1 if has_readable_key => Phase::Late,
        // Signature, dates, and a leaf alone.
        7 | 9 | 10 | 13 | 14 | 21 => Phase::At(error.depth),
        // The issuer's key can't be read or may not sign: found when it comes to the subject below.
        6 | 32 => Phase::At(error.depth.saturating_sub(1)),
        42 | 43 | 47..=53 => Phase::Late,
        _ => Phase::Building,
    }
}

/// `verify_callback` and what it remembers: the last error stays in the context, so that its explanation is printed again for each
/// certificate that is fine.
struct Callback<'a> {
    path: &'a [Certificate],
    sticky: Option<u32>,
    out: String,
}

impl Callback<'_> {
    fn error(&mut self, error: VerifyError<'_>) {
        self.sticky = Some(error.number);
        self.depth(error.depth);
        self.out.push_str(&format!("verify error:num={}:{}\n", error.number, error.text));
        self.explain(error.depth);
    }

    fn fine(&mut self, depth: usize) {
        self.depth(depth);
        self.explain(depth);
    }

    fn depth(&mut self, depth: usize) {
        let subject = self.path.get(depth).map_or_else(|| "<no cert>".to_owned(), |c| c.subject().openssl_oneline());
        self.out.push_str(&format!("depth={depth} {subject}\n"));
    }

    fn explain(&mut self, depth: usize) {
        if let Some(certificate) = self.path.get(depth) {
            let validity = certificate.validity();
            match self.sticky {
                Some(2) => self.out.push_str(&format!("issuer= {}\n", certificate.issuer().openssl_oneline())),
                Some(9 | 13) => self.out.push_str(&format!("notBefore={}\n", date(validity.not_before))),
                Some(10 | 14) => self.out.push_str(&format!("notAfter={}\n", date(validity.not_after))),
                _ => {}
            }
        }
        // s_client lets OpenSSL go on after every error.
        self.out.push_str("verify return:1\n");
    }
}

/// `Certificate chain` and `Server certificate`.
fn chain(out: &mut String, input: &SClient<'_>) {
    let presented = input.presented;
    let sent = presented.certificates.len() + presented.opaque.len();
    if sent > 0 {
        out.push_str("---\nCertificate chain\n");
    }
    let mut certificates = presented.certificates.iter();
    for index in 0..sent {
        if let Some((_, why)) = presented.opaque.iter().find(|(at, _)| *at == index) {
            out.push_str(&format!("{index:2} s:<{why}>\n"));
            continue;
        }
        let Some(certificate) = certificates.next() else { break };
        out.push_str(&format!("{index:2} s:{}\n", certificate.subject().openssl_oneline()));
        out.push_str(&format!("   i:{}\n", certificate.issuer().openssl_oneline()));
        if let Some((name, bits)) = public_key(certificate) {
            out.push_str(&format!("   a:PKEY: {name}, {bits} (bit); sigalg: {}\n", certificate.signature_algorithm()));
        }
        let validity = certificate.validity();
        out.push_str(&format!("   v:NotBefore: {}; NotAfter: {}\n", date(validity.not_before), date(validity.not_after)));
        if input.showcerts {
            out.push_str(&pem(certificate.der()));
        }
    }
    out.push_str("---\n");
    match leaf(presented) {
        Some(leaf) => {
            out.push_str("Server certificate\n");
            if !input.showcerts {
                out.push_str(&pem(leaf.der()));
            }
            out.push_str(&format!("subject={}\n", leaf.subject().openssl_oneline()));
            out.push_str(&format!("issuer={}\n", leaf.issuer().openssl_oneline()));
        }
        None => out.push_str("no peer certificate available\n"),
    }
}

/// The first that was sent, if it is one.
fn leaf(presented: &Presented) -> Option<&Certificate> {
    presented.certificates.first().filter(|_| presented.opaque.first().is_none_or(|(index, _)| *index != 0))
}

fn client_ca_names(out: &mut String, presented: &Presented) {
    if presented.client_ca_names.is_empty() {
        out.push_str("---\nNo client certificate CA names sent\n");
        return;
    }
    out.push_str("---\nAcceptable client certificate CA names\n");
    for name in &presented.client_ca_names {
        out.push_str(&Name::new(name).openssl_oneline());
        out.push('\n');
    }
}

/// From `New, …` to the end.
fn connection(out: &mut String, input: &SClient<'_>, protocol: Protocol, verdict: &str) {
    let presented = input.presented;
    let cipher = presented.cipher.as_deref().unwrap_or("(NONE)");
    out.push_str(&format!("---\nNew, {}, Cipher is {cipher}\n", cipher_version(cipher)));
    if let Some((_, bits)) = leaf(presented).and_then(public_key) {
        out.push_str(&format!("Server public key is {bits} bit\n"));
    }
    if protocol == Protocol::Tls13 {
        // TLS 1.3 has no renegotiation, and s_client says so this way.
        out.push_str("Secure Renegotiation IS NOT supported\n");
    }
    // Neither hello offers compression.
    out.push_str("Compression: NONE\nExpansion: NONE\n");
    match &presented.alpn {
        Some(name) => out.push_str(&format!("ALPN protocol: {name}\n")),
        None => out.push_str("No ALPN negotiated\n"),
    }
    if protocol == Protocol::Tls13 {
        out.push_str(&format!("Early data was not sent\n{verdict}"));
    } else {
        out.push_str(&format!("SSL-Session:\n    Protocol  : {}\n    Cipher    : {cipher}\n    {verdict}", protocol.name()));
    }
    out.push_str("---\n");
    if let Some((number, name)) = presented.alert {
        out.push_str(&format!("{}:SSL alert number {number}\n", name.replace('_', " ")));
    }
    if presented.handshake_completed {
        out.push_str("DONE\n");
    }
}

/// `SSL_CIPHER_get_version`: not the version negotiated but the oldest that has the suite.
fn cipher_version(cipher: &str) -> &'static str {
    let newer = ["GCM", "CCM", "CHACHA20", "SHA256", "SHA384"];
    match cipher {
        "(NONE)" => "(NONE)",
        c if c.starts_with("TLS_") => "TLSv1.3",
        c if newer.iter().any(|part| c.contains(part)) => "TLSv1.2",
        c if c.starts_with("ECDH") || c.starts_with("AECDH") => "TLSv1.0",
        _ => "SSLv3",
    }
}

/// `OBJ_nid2sn` of the key's type, and its bits; `None` for a key that OpenSSL can't read.
fn public_key(certificate: &Certificate) -> Option<(&'static str, u32)> {
    let key = certificate.public_key();
    let name = match &key.algorithm {
        KeyAlgorithm::Rsa if key.only_pss => "RSASSA-PSS",
        KeyAlgorithm::Rsa => "rsaEncryption",
        KeyAlgorithm::Dsa => "dsaEncryption",
        KeyAlgorithm::Ec(_) => "id-ecPublicKey",
        KeyAlgorithm::Ed25519 => "ED25519",
        KeyAlgorithm::Ed448 => "ED448",
        KeyAlgorithm::Other(_) => return None,
    };
    Some((name, key.bits))
}

/// `ASN1_TIME_print`.
fn date(at: Option<crate::base::At>) -> String {
    at.map_or_else(|| "Bad time value".to_owned(), crate::base::At::openssl)
}

/// `PEM_write_bio_X509`.
fn pem(der: &[u8]) -> String {
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    let text = base64_simd::STANDARD.encode_to_string(der);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_that_nothing_came() {
        let presented = Presented { protocol: Some(Protocol::Tls12), bytes: (7, 200), ..Presented::default() };
        let text = render(&SClient {
            presented: &presented,
            path: &[],
            errors: &[],
            peername: None,
            partial_chain: false,
            showcerts: false,
        });
        assert!(
            text.starts_with(
                "CONNECTED(00000003)\n---\nno peer certificate available\n---\nNo client certificate CA names sent\n"
            )
        );
        assert!(text.contains("---\nSSL handshake has read 7 bytes and written 200 bytes\nVerification: OK\n"));
    }

    #[test]
    fn knows_the_oldest_version_of_a_suite() {
        assert_eq!(cipher_version("TLS_AES_128_GCM_SHA256"), "TLSv1.3");
        assert_eq!(cipher_version("ECDHE-RSA-AES128-GCM-SHA256"), "TLSv1.2");
        assert_eq!(cipher_version("ECDHE-ECDSA-AES256-SHA"), "TLSv1.0");
        assert_eq!(cipher_version("AES256-SHA"), "SSLv3");
    }
}
