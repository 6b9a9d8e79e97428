//! CD204.

use crate::{
    edit::Applicability,
    finding::{Finding, Intent, Remedy, Severity},
    x509::Certificate,
};

use super::{Case, interception, support};

rule! {
    /// **What it means.** The server sends its own certificate without the intermediate that issued it, and no store here has it
    /// either. Browsers hide the mistake (they remember intermediates, or fetch them); curl, Python, Java, Go and Node fail.
    ///
    /// **How it is found.** No presented certificate and no anchor has the name (and key identifier) of the leaf's issuer, and
    /// the leaf says by caIssuers where its issuer can be had: a private CA that is only unknown here seldom does (that is
    /// CD502).
    ///
    /// **What to do.** Have the server send the whole chain (`fullchain.pem`, not `cert.pem`). Don't add the intermediate to the
    /// trust store: OpenSSL doesn't take it as an anchor, and it will be replaced.
    ///
    /// **Sources.** RFC 8446, section 4.4.2; RFC 5280, section 4.2.2.1 (caIssuers); X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    /// (20).
    "CD204" "missing-intermediate" Error "the server does not send the intermediate certificate"
}

/// Authority information access.
const AIA: &str = "1.3.6.1.5.5.7.1.1";

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (index, endpoint, presented) in support::presented(case) {
        let trusted = support::trusted(case);
        if !missing(&presented.certificates, trusted) || interception::product(&presented.certificates).is_some() {
            continue;
        }
        let target = &endpoint.target;
        let leaf = &presented.certificates[0];
        let issuer = leaf.issuer().label();
        let message = format!("{target} does not send {issuer}, which issued its certificate");
        let mut finding = support::about(&CHECK, target, message);
        if !support::refused_or_unjudged(case, index) {
            finding.severity = Severity::Warning;
        }
        let issuer_url = ca_issuers(leaf);
        finding.facts = vec![("issuer", leaf.issuer().to_string())];
        finding.facts.extend(issuer_url.clone().map(|url| ("to be had at", url)));
        finding.evidence = vec![support::sent(endpoint, presented, 0)];
        let text = format!("have the server send {issuer} after its own certificate (fullchain.pem)");
        // The URL is the certificate's own text: it must not reach a shell unquoted.
        let command = match &issuer_url {
            Some(url) => format!("curl -s {} | openssl x509 -inform DER", support::shell(url)),
            None => format!("certdoctor inspect {}", support::shell(&target.text)),
        };
        finding.remedies.push(Remedy::new(Intent::Serve(None), Applicability::Manual, text, Some(command)));
        if issuer_url.is_none() {
            let text = format!("or, if {issuer} is a private root that signs servers itself: install it on this host");
            finding.remedies.push(Remedy::new(Intent::Trust(None), Applicability::Manual, text, None));
        }
        out.push(finding);
    }
}

/// Whether the leaf came alone, as far as its issuers go: none is presented, and none trusted. A public CA hardly ever signs servers
/// with its root, so what is missing is an intermediate.
pub(super) fn missing(presented: &[Certificate], trusted: &[Certificate]) -> bool {
    let Some(leaf) = presented.first().filter(|l| !l.is_ca()) else { return false };
    let known = support::is_self_signed(leaf) || presented[1..].iter().chain(trusted).any(|c| support::issued(c, leaf));
    // Without any anchor, that is the finding.
    !known && !trusted.contains(leaf) && !trusted.is_empty()
}

/// The first URL of caIssuers (RFC 5280, section 4.2.2.1).
pub(super) fn ca_issuers(certificate: &Certificate) -> Option<String> {
    /// 1.3.6.1.5.5.7.48.2, caIssuers.
    const CA_ISSUERS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
    let (_, value) = certificate.extension(AIA)?;
    let (list, _) = crate::x509::read_tlv(value)?;
    let mut rest = list.value;
    while let Some((description, after)) = crate::x509::read_tlv(rest) {
        rest = after;
        let (method, place) = crate::x509::read_tlv(description.value)?;
        // [6] IA5String: a URI.
        let location = crate::x509::read_tlv(place).filter(|(t, _)| t.tag == 0x86);
        if let Some((uri, _)) = location.filter(|_| method.value == CA_ISSUERS) {
            return std::str::from_utf8(uri.value).ok().map(str::to_owned);
        }
        if after.is_empty() {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding =
            World::at(LAB).presenting("localhost", &leaf_with_aia()).store(debian(&[("mozilla/U.crt", STORE_U)])).one(&CHECK);
        assert_eq!(finding.message, "localhost does not send Test Issuing CA, which issued its certificate");
        assert_eq!(finding.facts[1].1, "http://ca.example/issuing.der");
        let alone = World::at(LAB).presenting("localhost", LEAF).store(debian(&[("mozilla/U.crt", STORE_U)])).one(&CHECK);
        assert_eq!(alone.message, "localhost does not send Lab Sectigo RSA DV, which issued its certificate");
        assert_eq!(alone.remedies.len(), 2);
    }

    #[test]
    fn is_silent_about_whole_chains_and_hosts_without_anchors() {
        World::at(LAB).presenting("localhost", CHAIN_PLAIN).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
        World::at(LAB).presenting("localhost", LEAF).silent(&CHECK);
    }
}
