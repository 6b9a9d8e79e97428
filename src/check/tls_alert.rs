//! CD105.

use crate::{
    facts::ConnectFailure,
    finding::{Finding, Severity},
};

use super::{Case, protocol_mismatch, support};

rule! {
    /// **What it means.** The server speaks TLS and refused this conversation by an alert. The number says why: 112 knows no such
    /// name, 40 found nothing in common (cipher suites, groups, or no certificate for the name), 116 wants a client certificate,
    /// 48 and 42 to 46 dislike the client's certificate, 80 is the server's own trouble, 120 knows none of the application
    /// protocols.
    ///
    /// **How it is found.** An alert record came instead of a certificate, or after it (then the chain is still judged, and the
    /// finding is a warning). Alerts 70, 71 and 86 are CD505.
    ///
    /// **What to do.** For 112 and 40, check the name in SNI (`--servername`); for 116 and 42 to 46, give `--cert` and `--key`.
    ///
    /// **Sources.** RFC 8446, section 6.2; RFC 6066, section 3; RFC 7301, section 3.2.
    "CD105" "tls-alert" Error "the server answered with a TLS alert"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for endpoint in &case.facts.endpoints {
        let target = &endpoint.target;
        let (number, name, severity) = match &endpoint.outcome {
            Err(ConnectFailure::Alert { number, name }) if !protocol_mismatch::is_mismatch(*number) => {
                (*number, *name, Severity::Error)
            }
            // 0 is close_notify: the usual goodbye.
            Ok(presented) => match presented.alert {
                Some((number, name)) if number != 0 && !protocol_mismatch::is_mismatch(number) => {
                    (number, name, Severity::Warning)
                }
                _ => continue,
            },
            Err(_) => continue,
        };
        let mut finding =
            support::about(&CHECK, target, format!("{target} answered with alert {number} ({name}): {}", meaning(number)));
        finding.severity = severity;
        let shown = support::shell(&target.text);
        finding.remedies.push(match number {
            116 | 42..=46 | 48 => support::by_hand(
                "show the client certificate that the server asks for",
                Some(format!("certdoctor inspect --cert client.pem --key client.key {shown}")),
            ),
            120 => support::by_hand(
                "offer an application protocol that the server knows",
                Some(format!("certdoctor inspect --alpn http/1.1 {shown}")),
            ),
            80 => support::by_hand("read the server's log at this second", None),
            _ => support::by_hand(
                "check the name that is sent in SNI",
                Some(format!("certdoctor inspect --servername none {shown}")),
            ),
        });
        out.push(finding);
    }
}

fn meaning(number: u8) -> &'static str {
    match number {
        10 | 47 | 50 => "it takes the hello for malformed",
        40 => "nothing in common, or no certificate for the name asked for",
        42..=46 | 48 => "it does not accept the client's certificate",
        49 => "access denied",
        80 => "its own internal error",
        112 => "it knows no such server name",
        116 => "it wants a client certificate",
        120 => "it knows none of the application protocols offered",
        _ => "it ends the conversation",
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches_an_alert_instead_of_certificates() {
        let finding = World::at(LAB).failing(ConnectFailure::Alert { number: 112, name: "unrecognized_name" }).one(&CHECK);
        assert_eq!(finding.message, "example.com answered with alert 112 (unrecognized_name): it knows no such server name");
        assert_eq!(finding.severity, Severity::Error);
    }

    #[test]
    fn warns_of_an_alert_after_the_certificates() {
        let mut presented = presented(CHAIN_PLAIN);
        presented.alert = Some((116, "certificate_required"));
        let finding = World::at(LAB).presented("localhost", presented).one(&CHECK);
        assert_eq!(finding.severity, Severity::Warning);
    }

    #[test]
    fn leaves_goodbyes_and_version_alerts_alone() {
        let mut presented = presented(CHAIN_PLAIN);
        presented.alert = Some((0, "close_notify"));
        World::at(LAB).presented("localhost", presented).silent(&CHECK);
        World::at(LAB).failing(ConnectFailure::Alert { number: 70, name: "protocol_version" }).silent(&CHECK);
    }
}
