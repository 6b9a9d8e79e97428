//! CD506.

use std::collections::BTreeMap;

use crate::{
    finding::Finding,
    path::{Rejection, Verdict},
    x509::Certificate,
};

use super::{Case, self_signed_leaf, support};

rule! {
    /// **What it means.** Clients refuse the chain for a fault of the chain itself that no key, date, name or store on this host can
    /// mend: a signature that its issuer did not make, an issuer that is no CA, a purpose or a name that a CA above does not allow, a
    /// path that is too long, a key or a digest that is too weak.
    ///
    /// **How it is found.** Each client's model judges the chain with the anchors that the client reads; the finding tells the error in
    /// the client's own words, with the certificate that it is about. Refusals for dates, names and missing issuers have findings of
    /// their own.
    ///
    /// **What to do.** Let the CA that issued the certificate named here issue a correct one, and serve that. Where only some clients
    /// refuse, the others are more lenient: that is no proof that the chain is right.
    ///
    /// **Sources.** RFC 5280, sections 4.2.1 and 6.1; `docs/clients.md` for each client's rules.
    "CD506" "chain-refused" Error "clients refuse the chain for a fault of its own"
}

/// A client, its words, and the certificate that they are about.
type Seen = (String, String, Option<Certificate>);

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (index, endpoint, presented) in support::presented(case) {
        // CD209 says what matters; what else a client finds wanting in such a certificate does not.
        if self_signed_leaf::alone(&presented.certificates, support::trusted(case)).is_some() {
            continue;
        }
        // One finding for each certificate and each way of being wrong, whatever words a client has for it.
        let mut faults: BTreeMap<(usize, Rejection), Vec<Seen>> = BTreeMap::new();
        for verdict in support::verdicts(case, index) {
            let Verdict::Untrusted { path, errors } = &verdict.verdict else { continue };
            let Some(error) = errors.first().filter(|e| is_fault_of_the_chain(&e.rejection)) else { continue };
            let depth = error.depth.unwrap_or(0);
            // CD211 tells of weak keys that were presented; the root's is left.
            let is_presented = path.get(depth).is_some_and(|c| presented.certificates.contains(c));
            if is_presented && matches!(error.rejection, Rejection::WeakKey { .. }) {
                continue;
            }
            let seen = (verdict.client.clone(), error.text.clone(), path.get(depth).cloned());
            faults.entry((depth, error.rejection.clone())).or_default().push(seen);
        }
        for ((depth, _), seen) in faults {
            let Some((_, words, certificate)) = seen.first() else { continue };
            let clients: Vec<&str> = seen.iter().map(|(client, ..)| client.as_str()).collect();
            let verb = if clients.len() == 1 { "refuses" } else { "refuse" };
            let label = certificate.as_ref().map(Certificate::label);
            let about = label.map_or_else(String::new, |l| format!(", at {l}"));
            let message = format!("{} {verb} {}: {words}{about}", support::list(&clients, 3), endpoint.target);
            let mut finding = support::about(&CHECK, &endpoint.target, message);
            finding.facts.push(("depth", depth.to_string()));
            for (client, words, _) in &seen {
                finding.facts.push(("in its words", format!("{client}: {words}")));
            }
            let place = certificate.as_ref().and_then(|c| presented.certificates.iter().position(|p| p == c));
            finding.evidence.extend(place.map(|at| support::sent(endpoint, presented, at)));
            finding.remedies.push(support::by_hand("have the certificate issued anew without this fault, and serve that", None));
            out.push(finding);
        }
    }
}

/// Whether no other finding tells of it.
fn is_fault_of_the_chain(rejection: &Rejection) -> bool {
    match rejection {
        Rejection::BudgetExceeded(..)
        | Rejection::DateUnreadable
        | Rejection::InvalidSignature
        | Rejection::KeyUsageLacksCertSign
        | Rejection::NameConstraintViolated(_)
        | Rejection::NotCa
        | Rejection::Other(_)
        | Rejection::PathTooLong { .. }
        | Rejection::PurposeMismatch(_)
        | Rejection::WeakKey { .. } => true,
        // CD213 tells which extension.
        Rejection::ExtensionUnreadable(_)
        | Rejection::Expired { .. }
        | Rejection::HostMismatch { .. }
        | Rejection::IssuerMissing(_)
        | Rejection::NotYetValid { .. }
        | Rejection::SelfSignedLeaf
        | Rejection::SelfSignedRootUntrusted
        // CD211 tells of weak signatures, and a root's own is never checked.
        | Rejection::UnsupportedSignature(_)
        | Rejection::WeakSignature(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    const CHAIN: &str = include_str!("../../fixtures/clients/chains/bad-sig.pem");

    #[test]
    fn catches() {
        let path = certificates(CHAIN);
        let finding =
            World::at(LAB).presenting("localhost", CHAIN).refused(&OPENSSL, path, 0, Rejection::InvalidSignature).one(&CHECK);
        assert!(finding.message.starts_with("openssl-3 refuses localhost: "), "{}", finding.message);
        assert_eq!(finding.evidence[0].what, "certificate 1 of 2 from localhost");
    }

    #[test]
    fn is_silent_about_dates() {
        let path = certificates(CHAIN_ADDTRUST);
        World::at(LAB).presenting("localhost", CHAIN_ADDTRUST).expired(&OPENSSL, path, 2).silent(&CHECK);
    }
}
