//! CD504.

use crate::{
    edit::Applicability,
    facts::{Presented, Target},
    finding::{Finding, Intent, Remedy, Severity},
    x509::Certificate,
};

use super::{Case, support, unknown_root};

rule! {
    /// **What it means.** The certificate does not come from the server but from something on the way that opens TLS: a company's
    /// inspecting proxy, a virus scanner, a debugging proxy. Its CA is installed in browsers by the company, and not in this
    /// store. An error when a known product signed the chain; a warning when only signs speak for it (a new certificate for a
    /// public name, no certificate-transparency stamp, an unknown root).
    ///
    /// **How it is found.** Names of issuers; the SCT list extension, which public CAs have put into every server certificate
    /// since 2018; the age of the certificate.
    ///
    /// **What to do.** Ask IT: "is TLS to this host inspected here, and where is the root certificate of the proxy for Linux
    /// hosts?" Install that root, or have the host exempted. From another network, compare the certificate's SHA-256.
    ///
    /// **Sources.** RFC 6962, section 3.3 (1.3.6.1.4.1.11129.2.4.2); Chrome's and Apple's certificate transparency policies of
    /// 2018.
    "CD504" "interception" Error "something on the way opens TLS, and its CA is not installed"
}

/// The SCT list (RFC 6962, section 3.3).
const SCT_LIST: &str = "1.3.6.1.4.1.11129.2.4.2";

/// Words in the names of inspecting products' CAs, in lower case.
const PRODUCTS: &[&str] = &[
    "avast",
    "avg technologies",
    "barracuda",
    "bitdefender",
    "blue coat",
    "bluecoat",
    "burp suite",
    "cato networks",
    "charles proxy",
    "check point",
    "cisco umbrella",
    "contentkeeper",
    "do_not_trust_fiddlerroot",
    "eset ssl filter",
    "forcepoint",
    "fortigate",
    "fortinet",
    "iboss",
    "kaspersky",
    "lightspeed systems",
    "mcafee web gateway",
    "mitmproxy",
    "netskope",
    "palo alto networks",
    "portswigger",
    "securly",
    "skyhigh security",
    "smoothwall",
    "sonicwall",
    "sophos",
    "squid",
    "trend micro",
    "untangle",
    "watchguard",
    "websense",
    "zscaler",
];

/// Top-level names that are used inside a network only (RFC 6761, RFC 6762, RFC 8375 and custom).
const INSIDE: &[&str] =
    &["arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local", "localhost", "private", "test"];

/// How many days ago a certificate was issued that was made on the spot.
const RECENT_DAYS: i64 = 30;

/// The inspecting product that a chain names.
pub(super) fn product(presented: &[Certificate]) -> Option<String> {
    // The leaf's own subject may be the vendor's public site.
    let subjects = presented.iter().skip(1).map(Certificate::subject);
    let names = presented.iter().map(Certificate::issuer).chain(subjects);
    names.into_iter().find_map(|name| {
        let lower = name.to_string().to_lowercase();
        PRODUCTS.iter().any(|p| lower.contains(p)).then(|| name.label())
    })
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let trusted = support::trusted(case);
    for (index, endpoint, presented) in support::presented(case) {
        let Some(end) = unknown_root::end(&presented.certificates, trusted) else { continue };
        let product = product(&presented.certificates);
        let signs = signs(case, &endpoint.target, presented);
        if !support::refused_or_unjudged(case, index) || product.is_none() && signs.len() < 2 {
            continue;
        }
        let target = &endpoint.target;
        let message = match &product {
            Some(name) => format!("TLS to {target} is opened on the way by {name}, whose CA is not installed here"),
            None => format!("TLS to {target} may be opened on the way: {}", signs.join(", ")),
        };
        let mut finding = support::about(&CHECK, target, message);
        if product.is_none() {
            finding.severity = Severity::Warning;
        }
        finding.facts = vec![("root", end.top.1.issuer().to_string())];
        finding.facts.extend((!signs.is_empty()).then(|| ("signs", signs.join(", "))));
        finding.evidence = vec![support::sent(endpoint, presented, end.top.0)];
        let text = format!("ask IT whether TLS to {target} is inspected, and for the proxy's root certificate; then install it");
        let command = case.facts.stores.iter().find_map(|s| support::refresh(s, false));
        let command = command.map(|refresh| format!("cp proxy-root.crt /usr/local/share/ca-certificates/ && {refresh}"));
        finding.remedies.push(Remedy::new(Intent::Trust(end.root.cloned()), Applicability::Manual, text, command));
        out.push(finding);
    }
}

/// What speaks for a certificate made on the spot, for a name that public CAs serve.
fn signs(case: &Case<'_>, target: &Target, presented: &Presented) -> Vec<String> {
    let mut signs = Vec::new();
    let (Some(leaf), Some(host)) = (presented.certificates.first(), &target.host) else { return signs };
    let top = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_lowercase();
    let public = host.contains('.') && host.parse::<std::net::IpAddr>().is_err() && !INSIDE.contains(&top.as_str());
    if !public {
        return signs;
    }
    if leaf.extension(SCT_LIST).is_none() {
        signs.push("no certificate-transparency stamp".to_owned());
    }
    if let Some(start) = leaf.validity().not_before.filter(|start| (0..RECENT_DAYS).contains(&start.days_until(case.at))) {
        signs.push(format!("issued {}", case.at.relative(start)));
    }
    signs
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    fn through(issuer: &str, host: &str, day: (i32, u8, u8), extension: Option<(&[u64], &[u8])>) -> World {
        World::at(LAB).store(cert_pem(STORE_U)).presenting(host, &issued_by(issuer, host, day, extension))
    }

    #[test]
    fn catches_a_known_product() {
        let finding = through("Zscaler Intermediate Root CA (zscaler.net)", "www.debian.org", (2026, 1, 1), None).one(&CHECK);
        assert_eq!(finding.severity, Severity::Error);
        assert!(finding.message.starts_with("TLS to www.debian.org is opened on the way by Zscaler"), "{}", finding.message);
    }

    #[test]
    fn warns_of_signs() {
        let finding = through("ACME Web Security", "www.debian.org", (2026, 11, 12), None).one(&CHECK);
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.message.ends_with("no certificate-transparency stamp, issued 10 days ago"), "{}", finding.message);
    }

    #[test]
    fn is_silent_about_private_names_stamps_and_age() {
        through("ACME CA", "git.acme.internal", (2026, 11, 12), None).silent(&CHECK);
        through("ACME CA", "www.debian.org", (2026, 1, 12), None).silent(&CHECK);
        let stamp: (&[u64], &[u8]) = (&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], &[0x04, 0x00]);
        through("ACME CA", "www.debian.org", (2026, 11, 12), Some(stamp)).silent(&CHECK);
    }
}
