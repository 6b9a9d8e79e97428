//! CD735.

use crate::{
    check::Case,
    edit::Applicability,
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::support::public;

rule! {
    /// **What it means.** An address that the name resolves to (A or AAAA) is not this host's, and presents another certificate than this
    /// host does for the name. A CA that validates by HTTP or TLS-ALPN may go there (to AAAA first), and clients do.
    ///
    /// **How it is found.** With `--public`: the name is resolved, and port 443 of each address and of loopback is asked. Several addresses
    /// alone are no finding: behind a balancer or NAT none of them is this host's own.
    ///
    /// **What to do.** If the address is an old one, change the record. If it is a balancer, it needs the certificate.
    ///
    /// **Sources.** RFC 8555, section 8.3; letsencrypt.org/docs/ipv6-support.
    "CD735" "address-elsewhere" Warning "a public address of the name leads to another server"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    for seen in public::seen(renewal).filter(|seen| !seen.is_here) {
        let there = seen.presented.and_then(|p| p.certificates.first());
        let here = public::on_loopback(renewal, seen.name);
        let (Some(there), Some(here)) = (there, here) else { continue };
        if there == here || seen.is_kept(renewal) || there.issuer().to_string().contains("Amazon") {
            continue;
        }
        let kind = if seen.address.is_ipv6() { "AAAA" } else { "A" };
        let message = format!("{} ({kind} {}) presents another certificate than this host", seen.name, seen.address);
        let mut finding = Finding::new(&CHECK, format!("{} {}", seen.name, seen.address), message);
        finding.facts = vec![
            ("there", format!("{}, issued by {}", there.label(), there.issuer())),
            ("here", format!("{}, issued by {}", here.label(), here.issuer())),
        ];
        finding.evidence.push(Evidence { what: format!("certificate from {}", seen.address), ..Evidence::default() });
        finding.lineages = seen.lineages(renewal);
        let text = format!("if {} is not meant to answer for {}, change the {kind} record", seen.address, seen.name);
        finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, None));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::support::public::testing::*, *};
    use crate::check::testing::*;

    fn other() -> String {
        issued_by("Other CA", "a.test", (2026, 10, 2), None)
    }

    #[test]
    fn another_certificate_there_is_another_server() {
        let found = seen_at([203, 0, 113, 7], Ok(presented(&other())), false).one(&CHECK);
        assert_eq!(found.message, "a.test (A 203.0.113.7) presents another certificate than this host");
    }

    #[test]
    fn this_host_and_a_balancer_of_aws_are_not_elsewhere() {
        seen_at([203, 0, 113, 7], Ok(presented(&other())), true).silent(&CHECK);
        seen_at([203, 0, 113, 7], Ok(presented(&amazon("a.test"))), false).silent(&CHECK);
        seen_at([203, 0, 113, 7], Err(crate::facts::ConnectFailure::Reset), false).silent(&CHECK);
    }
}
