//! CD205.

use crate::{
    edit::Applicability,
    finding::{Finding, Intent, Remedy},
    x509::Certificate,
};

use super::{Case, support};

rule! {
    /// **What it means.** The certificates are not sent in the order of issuance: each should be issued by the next. TLS 1.3
    /// allows any order after the leaf and most clients sort; Mbed TLS looks for an issuer only later in the list, and older Java
    /// and appliances refuse.
    ///
    /// **How it is found.** The way up from the leaf, by names and key identifiers, against the order sent.
    ///
    /// **What to do.** Put the file in order: leaf, its issuer, the issuer's issuer.
    ///
    /// **Sources.** RFC 5246, section 7.4.2; RFC 8446, section 4.4.2; measured with Mbed TLS 2.16 to 3.6 and wolfSSL.
    "CD205" "wrong-order" Warning "the certificates are sent in the wrong order"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (_, endpoint, presented) in support::presented(case) {
        let climb = support::climb(&presented.certificates);
        if climb.windows(2).all(|pair| pair[0] < pair[1]) {
            continue;
        }
        let target = &endpoint.target;
        let sent: Vec<String> = presented.certificates.iter().map(|c| c.label()).collect();
        let right: Vec<String> = climb.iter().map(|i| presented.certificates[*i].label()).collect();
        let mut finding = support::about(&CHECK, target, format!("{target} sends its certificates in the wrong order"));
        finding.facts = vec![
            ("sent", sent.join(" / ")),
            ("right", right.join(" / ")),
            ("refused by", "Mbed TLS and other clients that look for an issuer only later in the list".into()),
        ];
        finding.evidence = climb.iter().map(|i| support::sent(endpoint, presented, *i)).collect();
        let mut ordered: Vec<Certificate> = climb.iter().map(|i| presented.certificates[*i].clone()).collect();
        ordered.extend(presented.certificates.iter().enumerate().filter(|(i, _)| !climb.contains(i)).map(|(_, c)| c.clone()));
        let text = "put the server's chain file in order: leaf first, each followed by its issuer";
        let command = format!("certdoctor inspect --showcerts {}", support::shell(&target.text));
        finding.remedies.push(Remedy::new(Intent::Order(ordered), Applicability::Manual, text, Some(command)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let chain = include_str!("../../fixtures/clients/chains/wrong-order.pem");
        let finding = World::at(LAB).presenting("localhost", chain).one(&CHECK);
        assert_eq!(finding.facts[1].1, "localhost / Lab Issuing CA 2 / Lab Policy CA");
    }

    #[test]
    fn is_silent_about_the_right_order() {
        World::at(LAB).presenting("localhost", include_str!("../../fixtures/clients/chains/right-order2.pem")).silent(&CHECK);
        World::at(LAB).presenting("localhost", CHAIN_ADDTRUST).silent(&CHECK);
    }
}
