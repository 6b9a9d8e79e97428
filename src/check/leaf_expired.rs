//! CD201.

use crate::{
    base::shell,
    edit::Applicability,
    finding::{Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** The server's own certificate is past its notAfter. Every client refuses it; no change of a trust store
    /// helps. (The very second of notAfter is expired for OpenSSL and valid for most others.)
    ///
    /// **How it is found.** notAfter of the first presented certificate against the instant of judgement.
    ///
    /// **What to do.** Renew it; if it was renewed, the server still has the old one in memory: reload it.
    ///
    /// **Sources.** RFC 5280, section 4.1.2.5; X509_V_ERR_CERT_HAS_EXPIRED (10).
    "CD201" "leaf-expired" Error "the server's certificate has expired"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (_, endpoint, presented) in support::presented(case) {
        let Some(leaf) = presented.certificates.first().filter(|c| c.is_expired(case.at)) else { continue };
        let Some(end) = leaf.validity().not_after else { continue };
        let target = &endpoint.target;
        let message = format!("the certificate of {target} expired {}", case.at.relative(end));
        let mut finding = support::about(&CHECK, target, message);
        finding.facts = vec![("subject", leaf.subject().to_string()), ("expired", end.to_string())];
        finding.evidence = vec![support::sent(endpoint, presented, 0)];
        let text = "renew the certificate on the server (certbot renew, or your CA's way), and reload what serves it";
        finding.remedies.push(Remedy::new(Intent::Renew, Applicability::Manual, text, None));
        if presented.is_here {
            let name = target.host.as_deref().map(|host| format!(" {}", shell(host))).unwrap_or_default();
            let text = "this host is the server: find out why it was not renewed, or is not the one that is served";
            finding
                .remedies
                .insert(0, Remedy::new(Intent::Renew, Applicability::Manual, text, Some(format!("certdoctor renewal{name}"))));
        }
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let chain = include_str!("../../fixtures/clients/chains/expired-leaf.pem");
        let finding = World::at(LAB).presenting("localhost", chain).one(&CHECK);
        assert_eq!(finding.message, "the certificate of localhost expired 2 days ago");
        assert_eq!(finding.evidence[0].what, "certificate 1 of 2 from localhost");
    }

    #[test]
    fn hands_over_where_the_server_is_this_host() {
        let chain = include_str!("../../fixtures/clients/chains/expired-leaf.pem");
        let elsewhere = World::at(LAB).presenting("localhost", chain).one(&CHECK);
        assert_eq!(elsewhere.remedies.len(), 1);
        let here = crate::facts::Presented { is_here: true, ..presented(chain) };
        let found = World::at(LAB).presented("localhost", here).one(&CHECK);
        assert_eq!(found.remedies[0].command.as_deref(), Some("certdoctor renewal localhost"));
    }

    #[test]
    fn is_silent_about_a_dead_certificate_above() {
        World::at(LAB).presenting("localhost", CHAIN_ADDTRUST).silent(&CHECK);
    }
}
