//! nameConstraints (RFC 5280, section 4.2.1.10), as the clients read it.

use crate::x509::{Certificate, GeneralName, Name, elements, oid_text, read_tlv};

/// What a name breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It lies in an excluded subtree: the name.
    Excluded(String),
    /// A subtree says minimum or maximum, which nobody supports.
    MinMax,
    /// It lies outside every permitted subtree of its kind: the name.
    NotPermitted(String),
    /// A constraint, or a name that it applies to, can't be read.
    Syntax,
    /// More names and constraints than a client compares.
    TooMany,
    /// A constraint of a kind that the client doesn't know, on a name of that kind.
    UnsupportedKind,
}

/// Which names a client looks at, besides the alternative names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The common name, as a DNS name.
    pub common_name: bool,
    /// Directory names: the subject, and those among the alternative names.
    pub directory: bool,
    /// The e-mail addresses in the subject, as OpenSSL does; a name of a kind that is constrained and not understood is an error then.
    pub subject_email: bool,
}

/// One subtree.
struct Subtree<'a> {
    tag: u8,
    base: &'a [u8],
    min_max: bool,
}

/// The constraints of one CA.
pub struct NameConstraints<'a> {
    permitted: Vec<Subtree<'a>>,
    excluded: Vec<Subtree<'a>>,
}

const OID: &str = "2.5.29.30";
/// emailAddress (PKCS #9).
const EMAIL_ADDRESS: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];
/// id-on-SmtpUTF8Mailbox.
const SMTP_UTF8_MAILBOX: &str = "1.3.6.1.5.5.7.8.9";
/// Comparisons of one certificate's names with one CA's subtrees before a client gives up; OpenSSL's `NAME_CHECK_MAX` is 2^20.
const COMPARISONS: usize = 1 << 20;

/// The constraints of `ca`, if it has any.
#[must_use]
pub fn of(ca: &Certificate) -> Option<NameConstraints<'_>> {
    let (_, value) = ca.extension(OID)?;
    let mut found = NameConstraints { permitted: Vec::new(), excluded: Vec::new() };
    let (outer, _) = read_tlv(value)?;
    for list in elements(outer.value) {
        let into = if list.tag == 0xa0 { &mut found.permitted } else { &mut found.excluded };
        for subtree in elements(list.value) {
            let mut parts = elements(subtree.value);
            if let Some(base) = parts.next() {
                // A minimum of 0 is the default written out.
                let min_max = parts.any(|t| t.tag != 0x80 || t.value.iter().any(|b| *b != 0));
                into.push(Subtree { tag: base.tag, base: base.value, min_max });
            }
        }
    }
    Some(found)
}

impl<'a> NameConstraints<'a> {
    /// Checks every name of `certificate` that `scope` includes.
    ///
    /// # Errors
    /// The first [`Violation`], in the order of the names in the certificate, the subject first and the common name last.
    pub fn check(&'a self, certificate: &Certificate, scope: Scope) -> Result<(), Violation> {
        let names = certificate.subject_alt_name().unwrap_or_default();
        let count = names.len() + certificate.subject().attributes().count();
        if count.saturating_mul(self.permitted.len() + self.excluded.len()) > COMPARISONS {
            return Err(Violation::TooMany);
        }
        if scope.directory && !certificate.subject().is_empty() {
            self.check_name(0xa4, &Subject::Directory(certificate.subject()))?;
        }
        if scope.subject_email {
            for (_, oid, value) in certificate.subject().attributes() {
                if *oid == EMAIL_ADDRESS {
                    let text = std::str::from_utf8(value.value).ok().filter(|_| value.tag == 0x16).ok_or(Violation::Syntax)?;
                    self.check_name(0x81, &Subject::Email(text))?;
                }
            }
        }
        for name in names {
            match name {
                GeneralName::Directory(name) if scope.directory => self.check_name(0xa4, &Subject::Directory(name))?,
                GeneralName::Dns(text) => self.check_name(0x82, &Subject::Dns(text))?,
                GeneralName::Email(text) => self.check_name(0x81, &Subject::Email(text))?,
                GeneralName::Ip(octets) => self.check_name(0x87, &Subject::Ip(octets))?,
                GeneralName::Uri(text) => self.check_name(0x86, &Subject::Uri(text))?,
                GeneralName::OtherName(kind, value) if scope.subject_email => self.check_other_name(kind, value)?,
                GeneralName::Other(tag) if scope.subject_email => self.check_name(*tag, &Subject::NotUnderstood)?,
                GeneralName::Directory(_) | GeneralName::Other(_) | GeneralName::OtherName(..) => {}
            }
        }
        if scope.common_name {
            for (_, oid, value) in certificate.subject().attributes() {
                if *oid == [0x55, 0x04, 0x03] {
                    let name = crate::x509::directory_string(&value);
                    let name = name.trim_end_matches('\0');
                    if name.contains('\0') {
                        return Err(Violation::Syntax);
                    }
                    if looks_like_dns(name) {
                        self.check_name(0x82, &Subject::Dns(name))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The subtrees of a kind (the tag of its GeneralName): permitted, then excluded.
    #[must_use]
    pub fn of_kind(&self, tag: u8) -> (Vec<&'a [u8]>, Vec<&'a [u8]>) {
        let bases = |list: &[Subtree<'a>]| list.iter().filter(|s| s.tag == tag).map(|s| s.base).collect();
        (bases(&self.permitted), bases(&self.excluded))
    }

    /// The kinds (the tags of their GeneralNames) that are constrained at all.
    pub fn kinds(&self) -> impl Iterator<Item = u8> {
        self.permitted.iter().chain(&self.excluded).map(|s| s.tag)
    }

    /// Checks one name of a kind that [`Self::check`] knows.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn check_one(&'a self, name: &GeneralName) -> Result<(), Violation> {
        match name {
            GeneralName::Directory(name) => self.check_name(0xa4, &Subject::Directory(name)),
            GeneralName::Dns(text) => self.check_name(0x82, &Subject::Dns(text)),
            GeneralName::Email(text) => self.check_name(0x81, &Subject::Email(text)),
            GeneralName::Ip(octets) => self.check_name(0x87, &Subject::Ip(octets)),
            GeneralName::Uri(text) => self.check_name(0x86, &Subject::Uri(text)),
            GeneralName::Other(_) | GeneralName::OtherName(..) => Ok(()),
        }
    }

    fn check_name(&'a self, tag: u8, name: &Subject<'_>) -> Result<(), Violation> {
        self.check_those(|subtree| subtree.tag == tag, name)
    }

    /// Constraints on otherName apply to names of the same type; one type is an e-mail address (RFC 9598) and is under e-mail's.
    fn check_other_name(&'a self, kind: &str, value: &[u8]) -> Result<(), Violation> {
        if kind == SMTP_UTF8_MAILBOX {
            let (text, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x0c).ok_or(Violation::Syntax)?;
            let text = std::str::from_utf8(text.value).map_err(|_| Violation::Syntax)?;
            return self.check_name(0x81, &Subject::Mailbox(text));
        }
        let same_type = |subtree: &Subtree<'_>| {
            let of = read_tlv(subtree.base).filter(|(t, _)| t.tag == 0x06).map(|(t, _)| oid_text(t.value));
            subtree.tag == 0xa0 && of.as_deref() == Some(kind)
        };
        self.check_those(same_type, &Subject::NotUnderstood)
    }

    fn check_those(&'a self, meant: impl Fn(&Subtree<'_>) -> bool, name: &Subject<'_>) -> Result<(), Violation> {
        let mut inside = None;
        for subtree in self.permitted.iter().filter(|s| meant(s)) {
            if subtree.min_max {
                return Err(Violation::MinMax);
            }
            if inside != Some(true) {
                inside = Some(name.lies_in(subtree.base)?);
            }
        }
        if inside == Some(false) {
            return Err(Violation::NotPermitted(name.shown()));
        }
        for subtree in self.excluded.iter().filter(|s| meant(s)) {
            if subtree.min_max {
                return Err(Violation::MinMax);
            }
            if name.lies_in(subtree.base)? {
                return Err(Violation::Excluded(name.shown()));
            }
        }
        Ok(())
    }
}

/// A name under test.
enum Subject<'a> {
    Directory(&'a Name),
    Dns(&'a str),
    Email(&'a str),
    Ip(&'a [u8]),
    /// An e-mail address whose domain is in UTF-8.
    Mailbox(&'a str),
    NotUnderstood,
    Uri(&'a str),
}

impl Subject<'_> {
    fn lies_in(&self, base: &[u8]) -> Result<bool, Violation> {
        let text = || std::str::from_utf8(base).map_err(|_| Violation::Syntax);
        Ok(match self {
            // The subtree's RDNs must be the first of the name's; canonical forms are compared, as OpenSSL's `nc_dn` does.
            Subject::Directory(name) => name.canonical().starts_with(&Name::new(base).canonical()),
            Subject::Dns(name) => in_domain(name, text()?),
            // `nc_email` and `nc_email_eai`: the local part counts its case.
            Subject::Email(name) | Subject::Mailbox(name) => {
                let base = text()?;
                let Some((local, host)) = name.rsplit_once('@') else { return Err(Violation::Syntax) };
                match base.rsplit_once('@') {
                    Some(("", base)) => host.eq_ignore_ascii_case(base),
                    Some((base_local, base)) => local == base_local && host.eq_ignore_ascii_case(base),
                    None if base.starts_with('.') => ends_with(name, base),
                    None => host.eq_ignore_ascii_case(base),
                }
            }
            Subject::Ip(octets) => in_network(octets, base).ok_or(Violation::Syntax)?,
            Subject::NotUnderstood => return Err(Violation::UnsupportedKind),
            Subject::Uri(uri) => {
                let base = text()?;
                let Some(host) = uri_host(uri) else { return Err(Violation::Syntax) };
                if base.starts_with('.') { ends_with(host, base) } else { host.eq_ignore_ascii_case(base) }
            }
        })
    }

    fn shown(&self) -> String {
        match self {
            Subject::Directory(name) => name.to_string(),
            Subject::Dns(text) | Subject::Email(text) | Subject::Mailbox(text) | Subject::Uri(text) => (*text).to_owned(),
            Subject::NotUnderstood => "a name of another kind".to_owned(),
            Subject::Ip(octets) => octets.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        }
    }
}

/// Whether an address lies in a network: `None` if the constraint is of neither family's length.
#[must_use]
pub fn in_network(octets: &[u8], base: &[u8]) -> Option<bool> {
    if !matches!(octets.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return None;
    }
    let (network, mask) = base.split_at(base.len() / 2);
    Some(network.len() == octets.len() && octets.iter().zip(network).zip(mask).all(|((o, n), m)| o & m == n & m))
}

/// The base itself and everything below it; an empty base is everything.
#[must_use]
pub fn in_domain(name: &str, base: &str) -> bool {
    base.is_empty()
        || name.eq_ignore_ascii_case(base)
        || (ends_with(name, base) && (base.starts_with('.') || name.as_bytes().get(name.len() - base.len() - 1) == Some(&b'.')))
}

fn ends_with(name: &str, end: &str) -> bool {
    name.len() > end.len() && name.as_bytes()[name.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

/// The host of a URI with an authority.
#[must_use]
pub fn uri_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(host.split(':').next().unwrap_or(host)).filter(|h| !h.is_empty())
}

/// OpenSSL checks a common name only if it could be a DNS name (`cn2dnsid`, crypto/x509/v3_ncons.c): letters, digits, `-`, `_`, with a
/// dot between.
fn looks_like_dns(name: &str) -> bool {
    name.contains('.')
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_hold_themselves_and_what_is_below() {
        assert!(in_domain("example.com", "example.com"));
        assert!(in_domain("a.EXAMPLE.com", "example.com"));
        assert!(!in_domain("badexample.com", "example.com"));
        assert!(in_domain("a.example.com", ".example.com"));
        assert!(!in_domain("example.com", ".example.com"));
        assert!(in_domain("anything", ""));
    }

    #[test]
    fn reads_hosts_of_uris() {
        assert_eq!(uri_host("https://u:p@host.example:8443/x"), Some("host.example"));
        assert_eq!(uri_host("urn:x"), None);
    }

    #[test]
    fn addresses_lie_in_networks() {
        let network = [10, 0, 0, 0, 255, 0, 0, 0];
        assert_eq!(Subject::Ip(&[10, 1, 2, 3]).lies_in(&network), Ok(true));
        assert_eq!(Subject::Ip(&[11, 1, 2, 3]).lies_in(&network), Ok(false));
        assert_eq!(Subject::Ip(&[0; 16]).lies_in(&network), Ok(false));
        assert_eq!(Subject::Ip(&[10, 1, 2, 3]).lies_in(&[10, 0]), Err(Violation::Syntax));
    }
}
