//! CD111.

use crate::{facts::ConnectFailure, finding::Finding};

use super::{Case, support};

rule! {
    /// **What it means.** The operating system could not send anything: there is no route, the interface is down, the address
    /// family is missing (IPv6 without IPv6), or a local rule forbids it.
    ///
    /// **How it is found.** connect(2) failed with ENETUNREACH, EHOSTUNREACH, EACCES or another error of its own; its words are
    /// shown.
    ///
    /// **What to do.** Look at the route; in a container, at its network.
    ///
    /// **Sources.** connect(2); ip-route(8).
    "CD111" "no-route" Error "the network does not lead there"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (target, failure) in support::failures(case) {
        let (message, said) = match failure {
            ConnectFailure::NoRoute(said) => (format!("there is no route to {target}"), said),
            ConnectFailure::Io(said) => (format!("the connection to {target} failed"), said),
            _ => continue,
        };
        let mut finding = support::about(&CHECK, target, message);
        finding.facts.push(("said", said.clone()));
        let (host, _) = support::host_port(target);
        let text = "see which way packets to it would take";
        finding
            .remedies
            .push(support::by_hand(text, Some(format!("ip route get \"$(getent hosts {host} | awk '{{print $1; exit}}')\""))));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).failing(ConnectFailure::NoRoute("Network is unreachable".into())).one(&CHECK);
        assert_eq!(finding.message, "there is no route to example.com");
        assert_eq!(finding.facts, [("said", "Network is unreachable".to_owned())]);
    }

    #[test]
    fn leaves_other_failures_alone() {
        World::at(LAB).failing(ConnectFailure::Reset).silent(&CHECK);
    }
}
