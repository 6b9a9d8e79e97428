//! CD763.

use crate::{
    check::Case,
    edit::Applicability,
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

use super::support::public;

rule! {
    /// **What it means.** Clients that come by the public name meet a balancer of AWS (ALB, CloudFront, an NLB with a TLS listener) with a certificate from AWS Certificate
    /// Manager. What lies on this host reaches no client, and renewing it changes nothing for them.
    ///
    /// **How it is found.** With `--public`: the certificate that the public address presents was issued by `O=Amazon`, by one of the CAs of
    /// ACM (`Amazon RSA 2048 M0x`), and is not the one on this host.
    ///
    /// **What to do.** Look at ACM: it renews a certificate that is in use and whose DNS validation record (`_x.NAME CNAME _y.acm-validations.aws`)
    /// is still there.
    ///
    /// Where the balancer comes to this host by plain HTTP, a server here that answers every plain request with `return 301 https://…` sends
    /// clients round in a circle: what is forwarded is always plain. CD761 finds it in nginx and redirects by `X-Forwarded-Proto` instead; a
    /// redirect by the balancer's own listener on port 80 makes this host's needless.
    ///
    /// **Sources.** docs.aws.amazon.com/acm: managed renewal; amazontrust.com/repository.
    "CD763" "behind-amazon" Note "clients meet a balancer of AWS, not this host's certificate"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    for seen in public::seen(renewal) {
        let Some(leaf) = seen.presented.and_then(|p| p.certificates.first()) else { continue };
        let issuer = leaf.issuer().to_string();
        if !issuer.contains("O=Amazon") && !issuer.contains("O = Amazon") || seen.is_kept(renewal) {
            continue;
        }
        let message = format!("who asks for {} meets a balancer of AWS, whatever certificate lies here", seen.name);
        let mut finding = Finding::new(&CHECK, seen.name, message);
        if leaf.is_expired(case.at) {
            finding.severity = Severity::Error;
        }
        finding.facts = vec![("address", seen.address.to_string()), ("issuer", issuer)];
        finding.facts.extend(leaf.validity().not_after.map(|end| ("expires", format!("{end}, {}", case.at.relative(end)))));
        finding.evidence.push(Evidence { what: format!("certificate from {}", seen.address), ..Evidence::default() });
        finding.lineages = seen.lineages(renewal);
        let text = format!(
            "in ACM, see that the certificate of {} is in use and its DNS validation record still there: it is renewed by that alone",
            seen.name
        );
        let command = "aws acm list-certificates --includes keyTypes=RSA_2048,EC_prime256v1".to_owned();
        finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, Some(command)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::support::public::testing::*, *};
    use crate::check::testing::*;

    #[test]
    fn acm_is_known_by_its_issuer() {
        let leaf = amazon("a.test");
        let found = seen_at([203, 0, 113, 7], Ok(presented(&leaf)), false).one(&CHECK);
        assert_eq!(found.lineages, [("certmagic", "a.test".to_owned())]);
    }

    #[test]
    fn other_issuers_are_no_matter_of_aws() {
        let leaf = issued_by("Test CA", "a.test", (2026, 10, 2), None);
        seen_at([203, 0, 113, 7], Ok(presented(&leaf)), false).silent(&CHECK);
        seen_at([203, 0, 113, 7], Err(crate::facts::ConnectFailure::Reset), false).silent(&CHECK);
    }
}
