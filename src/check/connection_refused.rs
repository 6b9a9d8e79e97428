//! CD101.

use crate::{facts::ConnectFailure, finding::Finding};

use super::{Case, support};

rule! {
    /// **What it means.** The host answered at once that nothing listens on that port. The network path is fine; the service is
    /// stopped, listens on another port, or only on another address (`127.0.0.1`).
    ///
    /// **How it is found.** The operating system reports ECONNREFUSED for every address of the name.
    ///
    /// **What to do.** On the server, look for the listener (`ss -ltn`), start the service or correct the port.
    ///
    /// **Sources.** RFC 9293, section 3.10.7.1 (a reset answers a segment to a closed port); connect(2).
    "CD101" "connection-refused" Error "nothing listens on the port"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (target, failure) in support::failures(case) {
        let ConnectFailure::Refused(said) = failure else { continue };
        let (_, port) = support::host_port(target);
        let mut finding =
            support::about(&CHECK, target, format!("{target} refuses the connection: nothing listens on port {port}"));
        finding.facts.push(("said", said.clone()));
        finding.facts.push(("usually", "the service is stopped, or listens on another port or only on 127.0.0.1".into()));
        let text = "on the server, look for the listener and start the service";
        finding.remedies.push(support::by_hand(text, Some(format!("ss -ltnp 'sport = :{port}'"))));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).failing(ConnectFailure::Refused("Connection refused".into())).one(&CHECK);
        assert_eq!(finding.message, "example.com refuses the connection: nothing listens on port 443");
        assert_eq!(finding.targets, ["example.com"]);
    }

    #[test]
    fn leaves_other_failures_alone() {
        World::at(LAB).failing(ConnectFailure::Reset).silent(&CHECK);
    }
}
