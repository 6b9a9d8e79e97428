//! CD203.

use crate::{
    edit::Applicability,
    facts::TargetSource,
    finding::{Finding, Intent, Remedy},
    path::host_name,
};

use super::{Case, support};

rule! {
    /// **What it means.** The certificate is not made out to the name that was asked for. The server has no certificate for it
    /// and sent its default, the name leads to another server, or the certificate lacks a name (an alias, the bare domain, an
    /// address).
    ///
    /// **How it is found.** subjectAltName against the name asked for, with wildcards for one whole label; the common name only
    /// where there is no DNS name (Go, rustls and browsers don't look at it even then: that is told).
    ///
    /// **What to do.** Ask by a name that is in the certificate, or have it issued with this name; check which server answers
    /// without and with SNI.
    ///
    /// **Sources.** RFC 9525; RFC 2818, section 3.1; X509_V_ERR_HOSTNAME_MISMATCH (62); Go 1.15 release notes (common name).
    "CD203" "wrong-name" Error "the certificate is not made out to the name asked for"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (_, endpoint, presented) in support::presented(case) {
        let target = &endpoint.target;
        let (Some(host), Some(leaf)) = (&target.host, presented.certificates.first()) else { continue };
        let by_common_name = host_name::check(leaf, host, host_name::Rules::WHOLE_LABEL).is_ok();
        if host_name::check(leaf, host, host_name::Rules::ALT_NAME_ONLY).is_ok() {
            continue;
        }
        let names = host_name::shown(leaf);
        let message = if by_common_name {
            format!("the certificate names {host} only as common name, which Go, rustls and browsers don't read")
        } else {
            let names = if names.is_empty() { "nobody".to_owned() } else { support::list(&names, 4) };
            format!("the certificate is made out to {names}, not to {host}")
        };
        let mut finding = support::about(&CHECK, target, message);
        finding.facts = vec![("asked for", host.clone()), ("names", support::list(&names, 12))];
        if let Some(sni) = &presented.sni {
            finding.facts.push(("sent in SNI", sni.clone()));
        }
        finding.evidence = vec![support::sent(endpoint, presented, 0)];
        let text = format!("have the certificate issued with {host} in subjectAltName");
        finding.remedies.push(Remedy::new(Intent::Renew, Applicability::Manual, text, None));
        if let Some(name) = names.iter().find(|n| !n.contains('*')).filter(|_| !by_common_name) {
            let option = if matches!(target.source, TargetSource::Server { .. }) { "--servername" } else { "--verify-hostname" };
            let command = format!("certdoctor inspect {option} {} {}", support::shell(name), support::shell(&target.text));
            finding.remedies.push(support::by_hand("or ask by a name that it has", Some(command)));
        }
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let chain = include_str!("../../fixtures/clients/chains/wrong-host.pem");
        let finding = World::at(LAB).presenting("localhost", chain).one(&CHECK);
        assert_eq!(finding.message, "the certificate is made out to other.example, not to localhost");
        let chain = include_str!("../../fixtures/clients/chains/cn-only.pem");
        let finding = World::at(LAB).presenting("localhost", chain).one(&CHECK);
        assert!(finding.message.starts_with("the certificate names localhost only as common name"));
    }

    #[test]
    fn is_silent_about_the_right_name_and_about_none() {
        World::at(LAB).presenting("localhost", CHAIN_PLAIN).silent(&CHECK);
        let mut world = World::at(LAB).presenting("example.com", CHAIN_PLAIN);
        world.facts.endpoints[0].target.host = None;
        world.silent(&CHECK);
    }
}
