//! Whether a certificate is made out to a host: DNS names with wildcards (RFC 6125, section 6.4), addresses, and the common name
//! where a client still looks at it.

use std::net::IpAddr;

use super::Rejection;
use crate::x509::{Certificate, GeneralName};

/// When the subject's common name counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommonName {
    /// Never: Go 1.15, webpki.
    Never,
    /// When there is no subjectAltName at all: BoringSSL's `do_x509_check` (crypto/x509/v3_utl.cc), Mbed TLS, wolfSSL.
    WithoutAltName,
    /// When no DNS name is in subjectAltName: OpenSSL's `do_x509_check`, Java's `HostnameChecker`, Node.
    WithoutDnsName,
    /// When neither a DNS name nor an address is, and there is only one: `gnutls_x509_crt_check_hostname2`.
    WithoutDnsNameOrAddress,
}

/// The knobs of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// When the common name counts.
    pub common_name: CommonName,
    /// Whether `w*.example.com` matches `www.example.com` (OpenSSL without `X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS`, Java).
    pub partial_wildcards: bool,
    /// How many labels must follow the one with the wildcard: 2 in OpenSSL, GnuTLS and curl (`*.com` matches nothing), 1 elsewhere.
    pub labels_after_wildcard: usize,
}

impl Rules {
    /// `X509_check_host` without flags (crypto/x509/v3_utl.c).
    pub const OPENSSL: Rules =
        Rules { common_name: CommonName::WithoutDnsName, partial_wildcards: true, labels_after_wildcard: 2 };
    /// Python's `SSLContext.check_hostname`: `X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS` (Modules/_ssl.c); the same for curl's own
    /// `Curl_cert_hostcheck` and Node's `checkServerIdentity`.
    pub const WHOLE_LABEL: Rules =
        Rules { common_name: CommonName::WithoutDnsName, partial_wildcards: false, labels_after_wildcard: 2 };
    /// `gnutls_x509_crt_check_hostname2`.
    pub const GNUTLS: Rules = Rules { common_name: CommonName::WithoutDnsNameOrAddress, ..Rules::WHOLE_LABEL };
    /// `sun.security.util.HostnameChecker`, TYPE_TLS.
    pub const JAVA: Rules = Rules { common_name: CommonName::WithoutDnsName, partial_wildcards: true, labels_after_wildcard: 2 };
    /// Mbed TLS (`x509_crt_verify_name`, library/x509_crt.c): `*.` and the rest of the name.
    pub const MBEDTLS: Rules =
        Rules { common_name: CommonName::WithoutAltName, partial_wildcards: false, labels_after_wildcard: 1 };
    /// wolfSSL (`MatchDomainName`, src/internal.c): a star matches anything within a label.
    pub const WOLFSSL: Rules =
        Rules { common_name: CommonName::WithoutAltName, partial_wildcards: true, labels_after_wildcard: 1 };
    /// subjectAltName only, as browsers do.
    pub const ALT_NAME_ONLY: Rules = Rules { common_name: CommonName::Never, partial_wildcards: false, labels_after_wildcard: 1 };
    /// Go's `VerifyHostname` from 1.15: a lone `*` covers a name of one label.
    pub const GO: Rules = Rules { labels_after_wildcard: 0, ..Rules::ALT_NAME_ONLY };
    /// webpki: `*.com` covers nothing.
    pub const WEBPKI: Rules = Rules { labels_after_wildcard: 2, ..Rules::ALT_NAME_ONLY };
}

/// Checks `certificate` against `host`, a DNS name or an address (in brackets or not).
///
/// # Errors
/// [`Rejection::HostMismatch`] with the names that the client looked at.
pub fn check(certificate: &Certificate, host: &str, rules: Rules) -> Result<(), Rejection> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let names = certificate.subject_alt_name().unwrap_or_default();
    let matched = match bare.parse::<IpAddr>() {
        Ok(address) => names.iter().any(|name| matches!(name, GeneralName::Ip(octets) if is_address(octets, address))),
        Err(_) => {
            let asked = bare.strip_suffix('.').unwrap_or(bare);
            let mut dns =
                names.iter().filter_map(|n| if let GeneralName::Dns(d) = n { Some(d.as_str()) } else { None }).peekable();
            let has_address = names.iter().any(|n| matches!(n, GeneralName::Ip(_)));
            let common_name = match rules.common_name {
                CommonName::Never => false,
                CommonName::WithoutAltName => certificate.subject_alt_name().is_none(),
                CommonName::WithoutDnsName => true,
                CommonName::WithoutDnsNameOrAddress => !has_address && certificate.subject().common_names().len() == 1,
            };
            if dns.peek().is_none() && common_name {
                certificate.subject().common_name().is_some_and(|name| matches(&name, asked, rules))
            } else {
                dns.any(|name| matches(name, asked, rules))
            }
        }
    };
    if matched { Ok(()) } else { Err(Rejection::HostMismatch { asked: host.to_owned(), names: shown(certificate) }) }
}

/// Checks `certificate` against a mailbox, as `X509_check_email` does: the addresses in subjectAltName, and those of the subject only
/// where there is none of them. The domain's case doesn't count.
///
/// # Errors
/// [`Rejection::HostMismatch`] with the names that were looked at.
pub fn check_email(certificate: &Certificate, mailbox: &str) -> Result<(), Rejection> {
    let alternatives = certificate.subject_alt_name().unwrap_or_default();
    let mut names: Vec<String> =
        alternatives.iter().filter_map(|n| if let GeneralName::Email(e) = n { Some(e.clone()) } else { None }).collect();
    if names.is_empty() {
        names = certificate.subject().email_addresses();
    }
    let parts = |name: &str| name.rsplit_once('@').map(|(local, host)| (local.to_owned(), host.to_ascii_lowercase()));
    let asked = parts(mailbox);
    if asked.is_some() && names.iter().any(|name| parts(name) == asked) {
        return Ok(());
    }
    Err(Rejection::HostMismatch { asked: mailbox.to_owned(), names })
}

/// Whether a name in a certificate covers `asked`.
#[must_use]
pub fn matches(pattern: &str, asked: &str, rules: Rules) -> bool {
    if pattern.is_empty() || asked.is_empty() || pattern.contains('\0') {
        return false;
    }
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
    if pattern == "*" && rules.labels_after_wildcard == 0 {
        return !asked.contains('.');
    }
    let Some((label, rest)) = pattern.split_once('.').filter(|(label, _)| label.contains('*')) else {
        return !pattern.contains('*') && pattern.eq_ignore_ascii_case(asked);
    };
    let Some((asked_label, asked_rest)) = asked.split_once('.') else { return false };
    if rest.contains('*') || rest.split('.').count() < rules.labels_after_wildcard || !rest.eq_ignore_ascii_case(asked_rest) {
        return false;
    }
    if label == "*" {
        return !asked_label.is_empty();
    }
    // RFC 6125, section 6.4.3: no wildcard inside an A-label, on either side.
    let is_a_label = |l: &str| l.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("xn--"));
    if !rules.partial_wildcards || is_a_label(label) || is_a_label(asked_label) || label.matches('*').count() != 1 {
        return false;
    }
    let Some((before, after)) = label.split_once('*') else { return false };
    let asked_label = asked_label.to_ascii_lowercase();
    asked_label.len() >= before.len() + after.len()
        && asked_label.starts_with(&before.to_ascii_lowercase())
        && asked_label.ends_with(&after.to_ascii_lowercase())
}

/// The address that an iPAddress of 4 or 16 octets stands for.
fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

fn is_address(octets: &[u8], asked: IpAddr) -> bool {
    address(octets) == Some(asked)
}

/// The names of a certificate, for people.
#[must_use]
pub fn shown(certificate: &Certificate) -> Vec<String> {
    let alternatives = certificate.subject_alt_name().unwrap_or_default().iter().filter_map(|name| match name {
        GeneralName::Dns(dns) => Some(dns.clone()),
        GeneralName::Ip(octets) => address(octets).map(|a| a.to_string()),
        _ => None,
    });
    let names: Vec<String> = alternatives.collect();
    if names.is_empty() { certificate.subject().common_name().into_iter().collect() } else { names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cover_one_label() {
        let rules = Rules::OPENSSL;
        assert!(matches("*.example.com", "www.example.com", rules));
        assert!(matches("*.Example.com", "WWW.example.COM", rules));
        assert!(matches("*.example.com.", "www.example.com", rules));
        assert!(!matches("*.example.com", "example.com", rules));
        assert!(!matches("*.example.com", "a.b.example.com", rules));
        assert!(!matches("*.example.com", ".example.com", rules));
        assert!(!matches("www.*.com", "www.example.com", rules));
        assert!(!matches("*", "localhost", rules));
        assert!(!matches("*.*.com", "a.b.com", rules));
    }

    #[test]
    fn clients_differ_on_partial_and_top_level_wildcards() {
        assert!(matches("w*.example.com", "www.example.com", Rules::OPENSSL));
        assert!(!matches("w*.example.com", "www.example.com", Rules::WHOLE_LABEL));
        assert!(!matches("xn--*.example.com", "xn--abc.example.com", Rules::OPENSSL));
        assert!(!matches("*.com", "example.com", Rules::OPENSSL));
        assert!(matches("*.com", "example.com", Rules::ALT_NAME_ONLY));
    }

    fn certificate(names: &[&str], common_name: &str) -> Certificate {
        let mut params = rcgen::CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        let key = rcgen::KeyPair::generate().expect("a key");
        Certificate::parse(params.self_signed(&key).expect("signs").der()).expect("parses")
    }

    #[test]
    fn the_common_name_counts_only_without_dns_names() {
        let named = certificate(&["a.example"], "b.example");
        assert!(check(&named, "a.example", Rules::OPENSSL).is_ok());
        assert!(check(&named, "b.example", Rules::OPENSSL).is_err());
        let bare = certificate(&[], "b.example");
        assert!(check(&bare, "b.example", Rules::OPENSSL).is_ok());
        assert!(check(&bare, "b.example", Rules::ALT_NAME_ONLY).is_err());
    }

    #[test]
    fn addresses_match_addresses_only() {
        let certificate = certificate(&["127.0.0.1", "::1", "a.example"], "x");
        for host in ["127.0.0.1", "::1", "[::1]", "0:0::1"] {
            assert!(check(&certificate, host, Rules::OPENSSL).is_ok(), "{host}");
        }
        let Err(Rejection::HostMismatch { asked, names }) = check(&certificate, "127.0.0.2", Rules::OPENSSL) else {
            panic!("another address matched")
        };
        assert_eq!((asked.as_str(), names), ("127.0.0.2", vec!["127.0.0.1".into(), "::1".into(), "a.example".into()]));
    }
}
