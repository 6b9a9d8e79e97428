//! CD102.

use crate::{
    facts::{ConnectFailure, TargetSource},
    finding::Finding,
};

use super::{Case, support};

rule! {
    /// **What it means.** No answer came in time. When connecting, that is nearly always a packet filter that drops silently: a
    /// firewall, a cloud security group, a missing return route. During the handshake it is a server that is overloaded, waits
    /// for another protocol (STARTTLS, the PROXY header), or a path that drops large packets.
    ///
    /// **How it is found.** The deadline of `--timeout` passed; the step that was waiting is told.
    ///
    /// **What to do.** Ask whoever runs the firewall or security group; try from a host in the same network; for a mail or
    /// database port name its protocol by `--starttls`.
    ///
    /// **Sources.** connect(2), ETIMEDOUT; RFC 2923, section 2.1 (path MTU black holes).
    "CD102" "connection-timed-out" Error "no answer came in time"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (target, failure) in support::failures(case) {
        let ConnectFailure::TimedOut(step) = failure else { continue };
        let message = format!("{target} does not answer in time ({step})");
        let mut finding = support::about(&CHECK, target, message);
        finding
            .facts
            .push(("usually", "a firewall or security group drops the packets, or the server waits for another protocol".into()));
        let (host, port) = support::host_port(target);
        if let TargetSource::Server { starttls: Some(protocol), .. } = &target.source
            && *step == ConnectFailure::SILENT
        {
            let name = protocol.name();
            finding.facts[0].1 = format!(
                "the port speaks TLS from the first byte (465, 993, 995 …) and waits for us, or no {name} server is behind it"
            );
            let text = format!("ask again without {name}, with TLS from the first byte");
            finding.remedies.push(support::by_hand(text, Some(format!("certdoctor inspect {host}:{port}"))));
            out.push(finding);
            continue;
        }
        let text = "see how far packets come, and ask for the port to be opened";
        finding.remedies.push(support::by_hand(text, Some(format!("traceroute -T -p {port} {host}"))));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).failing(ConnectFailure::TimedOut("connecting")).one(&CHECK);
        assert_eq!(finding.message, "example.com does not answer in time (connecting)");
    }

    #[test]
    fn knows_a_port_without_a_greeting() {
        let mut world = World::at(LAB).failing(ConnectFailure::TimedOut(ConnectFailure::SILENT));
        world.facts.endpoints[0].target.source =
            TargetSource::Server { host: "mail.example".into(), port: 465, starttls: Some(crate::facts::StartTls::Smtp) };
        let finding = world.one(&CHECK);
        assert_eq!(finding.remedies[0].command.as_deref(), Some("certdoctor inspect mail.example:465"));
        assert!(finding.facts[0].1.starts_with("the port speaks TLS from the first byte"), "{finding:?}");
    }

    #[test]
    fn leaves_other_failures_alone() {
        World::at(LAB).failing(ConnectFailure::Refused(String::new())).silent(&CHECK);
    }
}
