//! CD502.

use crate::{
    edit::Applicability,
    finding::{Finding, Intent, Remedy},
    x509::Certificate,
};

use super::{Case, interception, missing_intermediate, support};

rule! {
    /// **What it means.** The chain is whole as far as it goes, and ends at a CA that no store here holds: a private CA that was
    /// not installed on this host, or a public root that this old store doesn't know yet. (Without a hint where the issuer can be
    /// had, a missing intermediate looks the same.)
    ///
    /// **How it is found.** No presented certificate leads, by name and key identifier, to an anchor of any store; signs of an
    /// intercepting proxy make it CD504 instead.
    ///
    /// **What to do.** Private: get the root from its owner, compare its SHA-256 by another way, put it into
    /// `/usr/local/share/ca-certificates` and refresh. Public: upgrade `ca-certificates`. Never switch verification off.
    ///
    /// **Sources.** X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN (19), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY (20);
    /// update-ca-certificates(8).
    "CD502" "unknown-root" Error "the chain ends at a root that is not in the store"
}

/// Where a chain ends that leads to no anchor.
pub(super) struct End<'c> {
    /// The last certificate of the chain, and its place among those presented.
    pub(super) top: (usize, &'c Certificate),
    /// The root itself, when it was presented.
    pub(super) root: Option<&'c Certificate>,
    /// The root's name for people.
    pub(super) name: String,
}

/// Where the chain ends, if it leads to no anchor.
pub(super) fn end<'c>(presented: &'c [Certificate], trusted: &[Certificate]) -> Option<End<'c>> {
    let climb = support::climb(presented);
    let known = |i: &usize| {
        let certificate = &presented[*i];
        trusted.contains(certificate) || trusted.iter().any(|t| support::issued(t, certificate))
    };
    let top = *climb.last()?;
    // Without any anchor, that is the finding; a self-signed leaf is another.
    if trusted.is_empty() || climb.iter().any(known) || climb.len() == 1 && support::is_self_signed(&presented[top]) {
        return None;
    }
    let certificate = &presented[top];
    let root = support::is_self_signed(certificate).then_some(certificate);
    Some(End { top: (top, certificate), root, name: certificate.issuer().label() })
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let trusted = support::trusted(case);
    for (index, endpoint, presented) in support::presented(case) {
        let Some(end) = end(&presented.certificates, trusted) else { continue };
        if missing_intermediate::missing(&presented.certificates, trusted) {
            continue;
        }
        if !support::refused_or_unjudged(case, index) || interception::product(&presented.certificates).is_some() {
            continue;
        }
        let target = &endpoint.target;
        let message = format!("the chain of {target} ends at {}, which is in no store here", end.name);
        let mut finding = support::about(&CHECK, target, message);
        finding.facts = vec![("root", end.top.1.issuer().to_string())];
        if let Some(root) = end.root {
            finding.facts.push(("sha256", root.fingerprint().to_string()));
        }
        if let Some(url) = missing_intermediate::ca_issuers(end.top.1) {
            finding.facts.push(("to be had at", url));
        }
        finding.evidence = vec![support::sent(endpoint, presented, end.top.0)];
        let text = format!("if {} is a private CA: get it from its owner, compare its SHA-256, and install it", end.name);
        let command = case.facts.stores.iter().find_map(|s| support::refresh(s, false));
        let command = command.map(|refresh| format!("cp root.crt /usr/local/share/ca-certificates/ && {refresh}"));
        finding.remedies.push(Remedy::new(Intent::Trust(end.root.cloned()), Applicability::Manual, text, command));
        if let Some((package, command)) = case.facts.stores.iter().find_map(support::upgrade) {
            let text = format!("if it is a public one: upgrade {package}");
            let command = Some(command.to_owned());
            finding.remedies.push(Remedy::new(Intent::UpgradePackage(package), Applicability::Manual, text, command));
        }
        if end.root.is_none() {
            let text = "if another client accepts it: the server may lack an intermediate; have it send the whole chain";
            finding.remedies.push(Remedy::new(Intent::Serve(None), Applicability::Manual, text, None));
        }
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let world = World::at(LAB).store(debian(&[("mozilla/X1.crt", ISRG_X1)])).presenting("localhost", CHAIN_PLAIN);
        let finding = world.one(&CHECK);
        assert_eq!(finding.message, "the chain of localhost ends at Lab USERTrust RSA CA, which is in no store here");
        let chain = include_str!("../../fixtures/clients/chains/root-included.pem");
        let finding = World::at(LAB).store(cert_pem(ISRG_X1)).presenting("localhost", chain).one(&CHECK);
        assert!(matches!(&finding.remedies[0].intent, Intent::Trust(Some(root)) if root.label() == "Lab USERTrust RSA CA"));
    }

    #[test]
    fn is_silent_when_known_dead_or_another_cause() {
        World::at(LAB).store(cert_pem(STORE_U)).presenting("localhost", CHAIN_PLAIN).silent(&CHECK);
        World::at(LAB).store(cert_pem(STORE_A)).presenting("localhost", CHAIN_ADDTRUST).silent(&CHECK);
        World::at(LAB).store(cert_pem(STORE_U)).presenting("localhost", &leaf_with_aia()).silent(&CHECK);
        World::at(LAB).presenting("localhost", CHAIN_PLAIN).silent(&CHECK);
    }
}
