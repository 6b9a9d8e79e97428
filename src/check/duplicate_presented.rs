//! CD206.

use crate::finding::Finding;

use super::{Case, support};

rule! {
    /// **What it means.** The server sends a certificate more than once. Clients accept it; it costs a round trip when the flight
    /// grows beyond the first window, and tells of a chain file that was glued together twice.
    ///
    /// **How it is found.** SHA-256 of the presented certificates.
    ///
    /// **What to do.** Take the copy out of the server's chain file.
    ///
    /// **Sources.** RFC 8446, section 4.4.2; RFC 6928 (initial window).
    "CD206" "duplicate-presented" Note "the server sends a certificate twice"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (_, endpoint, presented) in support::presented(case) {
        let certificates = &presented.certificates;
        let copies: Vec<usize> = (0..certificates.len()).filter(|i| certificates[..*i].contains(&certificates[*i])).collect();
        let Some(first) = copies.first() else { continue };
        let target = &endpoint.target;
        let label = certificates[*first].label();
        let mut finding = support::about(&CHECK, target, format!("{target} sends {label} more than once"));
        finding.evidence = copies.iter().map(|i| support::sent(endpoint, presented, *i)).collect();
        let command = format!("certdoctor inspect --showcerts {}", support::shell(&target.text));
        finding.remedies.push(support::by_hand("take the copy out of the server's chain file", Some(command)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).presenting("localhost", &format!("{CHAIN_PLAIN}{LEAF}")).one(&CHECK);
        assert_eq!(finding.message, "localhost sends localhost more than once");
        assert_eq!(finding.evidence[0].what, "certificate 3 of 3 from localhost");
    }

    #[test]
    fn is_silent_about_two_of_one_name() {
        World::at(LAB)
            .presenting("localhost", include_str!("../../fixtures/clients/chains/two-int-old-first.pem"))
            .silent(&CHECK);
    }
}
