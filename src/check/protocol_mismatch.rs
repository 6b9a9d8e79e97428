//! CD505.

use crate::{
    edit::Applicability,
    facts::{ConnectFailure, Protocol, Target},
    finding::{Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** Client and server have no protocol version or security level in common, so no certificate was ever
    /// shown: the server speaks only what was retired (SSL 3, TLS 1.0), or only TLS 1.3 to a client that was limited to 1.2, or
    /// demands a stronger level.
    ///
    /// **How it is found.** Alert 70 (protocol_version), 71 (insufficient_security) or 86 (inappropriate_fallback).
    ///
    /// **What to do.** Enable TLS 1.2 and 1.3 on the server; drop `--tls1_2` or `--tls1_3`.
    ///
    /// **Sources.** RFC 8446, section 6.2; RFC 7507 (86); RFC 8996.
    "CD505" "protocol-mismatch" Error "client and server have no protocol version in common"
}

/// Whether an alert says that versions or levels don't meet.
pub(super) fn is_mismatch(alert: u8) -> bool {
    matches!(alert, 70 | 71 | 86)
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for endpoint in &case.facts.endpoints {
        let (target, Err(ConnectFailure::Alert { number, name })) = (&endpoint.target, &endpoint.outcome) else { continue };
        if !is_mismatch(*number) {
            continue;
        }
        if let Some(only) = endpoint.only {
            out.push(restricted(target, only, *number, name));
            continue;
        }
        let message =
            format!("{target} has no protocol version or level in common with clients of today (alert {number}, {name})");
        let mut finding = support::about(&CHECK, target, message);
        let (host, port) = support::host_port(target);
        let text = "enable TLS 1.2 and 1.3 on the server; see what it speaks now by asking for one version at a time";
        let command = format!("openssl s_client -connect {host}:{port} -tls1 -cipher DEFAULT@SECLEVEL=0");
        finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, Some(command)));
        out.push(finding);
    }
}

/// The user offered one version and no other: that is no fault of the server.
fn restricted(target: &Target, only: Protocol, number: u8, name: &str) -> Finding {
    let message = format!("{target} does not speak {}, and nothing else was offered (alert {number}, {name})", only.name());
    let mut finding = support::about(&CHECK, target, message);
    let command = format!("certdoctor inspect {}", support::shell(&target.text));
    finding.remedies.push(support::by_hand("ask again with every version that this tool speaks", Some(command)));
    finding
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).failing(ConnectFailure::Alert { number: 70, name: "protocol_version" }).one(&CHECK);
        assert!(finding.message.ends_with("(alert 70, protocol_version)"), "{}", finding.message);
    }

    #[test]
    fn does_not_blame_the_server_for_what_was_asked() {
        let mut world = World::at(LAB).failing(ConnectFailure::Alert { number: 70, name: "protocol_version" });
        world.facts.endpoints[0].only = Some(Protocol::Tls12);
        let finding = world.one(&CHECK);
        assert!(finding.message.contains("does not speak TLSv1.2, and nothing else was offered"), "{}", finding.message);
    }

    #[test]
    fn is_silent_about_other_alerts() {
        World::at(LAB).failing(ConnectFailure::Alert { number: 112, name: "unrecognized_name" }).silent(&CHECK);
    }
}
