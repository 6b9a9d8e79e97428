//! CD202.

use crate::{
    edit::Applicability,
    finding::{Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** The server's certificate begins to be valid only later. Far more often than a certificate that was put
    /// in service too early, this host's clock is behind (CD601).
    ///
    /// **How it is found.** notBefore of the first presented certificate against the instant of judgement.
    ///
    /// **What to do.** Check the clock; else wait, or put the previous certificate back.
    ///
    /// **Sources.** RFC 5280, section 4.1.2.5; X509_V_ERR_CERT_NOT_YET_VALID (9).
    "CD202" "leaf-not-yet-valid" Error "the server's certificate is not valid yet"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (_, endpoint, presented) in support::presented(case) {
        let Some(leaf) = presented.certificates.first().filter(|c| c.is_not_yet_valid(case.at)) else { continue };
        let Some(start) = leaf.validity().not_before else { continue };
        let target = &endpoint.target;
        let message = format!("the certificate of {target} becomes valid {}", case.at.relative(start));
        let mut finding = support::about(&CHECK, target, message);
        finding.facts =
            vec![("subject", leaf.subject().to_string()), ("valid from", start.to_string()), ("judged at", case.at.to_string())];
        finding.evidence = vec![support::sent(endpoint, presented, 0)];
        let text = "check this host's clock before anything else";
        finding.remedies.push(Remedy::new(Intent::FixClock, Applicability::Manual, text, Some("timedatectl".into())));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let chain = include_str!("../../fixtures/clients/chains/nyv-leaf.pem");
        let finding = World::at(LAB).presenting("localhost", chain).one(&CHECK);
        assert_eq!(finding.message, "the certificate of localhost becomes valid in 4 days");
    }

    #[test]
    fn is_silent_about_a_valid_one() {
        World::at(LAB).presenting("localhost", CHAIN_PLAIN).silent(&CHECK);
    }
}
