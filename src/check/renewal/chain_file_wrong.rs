//! CD758.

use super::{
    super::Case,
    support::{self, certbot},
};
use crate::{
    finding::{Evidence, Finding, Severity},
    x509::Certificate,
};

rule! {
    /// **What it means.** The file that the server presents has more, or other, certificates behind the leaf than its path needs: one that has
    /// expired (AddTrust, DST Root CA X3), one that issued nothing of it, a wrong order. Old clients choose the path over the expired one and refuse.
    ///
    /// **How it is found.** The path from the leaf upwards, by names and key identifiers, and the dates of each certificate of the file. A root at
    /// its end costs some bytes and is not told.
    ///
    /// **What to do.** Make the file from the leaf and what the authority gives for it; with certbot, renew once (`--preferred-chain` if an old
    /// cross-sign comes back).
    ///
    /// **Sources.** RFC 5246, section 7.4.2 (the order); RFC 8446, section 4.4.2; the outages of 30 May 2020 and 30 September 2021, which `certdoctor demo`
    /// replays.
    "CD758" "chain-file-wrong" Warning "a certificate file has the wrong certificates behind its leaf"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for (instance, _, pair, directive, _) in support::all_pairs(renewal) {
        let Some(leaves) = pair.certificate.leaves() else { continue };
        let rest = leaves.chain.get(1..).unwrap_or_default();
        let expired: Vec<&Certificate> = rest.iter().filter(|c| c.is_expired(case.at)).collect();
        let strange: Vec<&Certificate> =
            rest.iter().filter(|c| !leaves.chain.iter().any(|child| child != *c && support::issued(c, child))).collect();
        let ordered = leaves.chain.windows(2).all(|pair| support::issued(&pair[1], &pair[0]));
        let path = &pair.certificate.path;
        let (severity, what) = match (expired.first(), strange.first()) {
            (Some(dead), _) => (Severity::Error, format!("{} in {path} has expired", dead.label())),
            (None, Some(other)) => (Severity::Warning, format!("{} in {path} issued nothing of it", other.label())),
            (None, None) if !ordered => (Severity::Warning, format!("the certificates of {path} are in the wrong order")),
            _ => continue,
        };
        let lineage = support::lineage_of(renewal, pair);
        let mut finding = Finding::new(&CHECK, path.to_string(), what);
        finding.severity = severity;
        finding.lineages = lineage.map(support::key).into_iter().collect();
        finding.facts.push(("in the file", leaves.chain.iter().map(Certificate::label).collect::<Vec<_>>().join(" ← ")));
        finding.evidence = vec![Evidence::file(path, None, "what is presented"), support::place(instance, directive)];
        if let Some(lineage) = lineage.filter(|l| l.manager == "certbot" && l.path == *path) {
            let text = "renew it once: certbot makes the file anew of what the CA gives (`--preferred-chain` where an old cross-sign comes back)";
            finding.remedies.push(certbot::by_hand(text, certbot::renew_at_once(&lineage.name)));
        }
        let inspect = format!("certdoctor inspect {}", support::shell(&path.to_string()));
        finding
            .remedies
            .push(support::by_hand("or make the file anew: the leaf, then each one's issuer, without the root", Some(inspect)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::testing::*, support::testing::*},
        *,
    };

    const CONF: &str = "server { listen 443 ssl; server_name a.test; ssl_certificate /c.pem; }";

    fn world(chain: &[Certificate]) -> World {
        let instance = with_pairs(nginx(CONF), &[chain]);
        World::at(LAB).renewal(|r| r.nginx.instances.push(instance))
    }

    #[test]
    fn catches_an_expired_cross_sign_and_a_stranger() {
        let finding = world(&certificates(CHAIN_ADDTRUST)).one(&CHECK);
        assert_eq!(finding.severity, Severity::Error);
        let mut chain = issue(&["a.test"], "2026-11-01", "2027-01-30");
        chain.push(certificate(ISRG_X1));
        let finding = world(&chain).one(&CHECK);
        assert!(finding.message.ends_with("in /c.pem issued nothing of it"), "{}", finding.message);
    }

    #[test]
    fn is_silent_about_a_chain_in_order() {
        world(&certificates(CHAIN_PLAIN)).silent(&CHECK);
        world(&issue(&["a.test"], "2026-11-01", "2027-01-30")).silent(&CHECK);
    }
}
