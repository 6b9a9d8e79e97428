//! CD109.

use crate::{facts::ConnectFailure, finding::Finding};

use super::{Case, support};

rule! {
    /// **What it means.** The server speaks the protocol that must be upgraded, but does not offer TLS, refuses it, or speaks
    /// another protocol. Some middleboxes strip the offer from mail sessions.
    ///
    /// **How it is found.** The dialogue of `--starttls` did not end in the server's consent; its words are shown.
    ///
    /// **What to do.** Enable STARTTLS on the server (and give it a certificate), use the port with TLS from the first byte (465,
    /// 993, 995 …), or correct the protocol's name.
    ///
    /// **Sources.** RFC 3207 (SMTP), RFC 2595 (IMAP, POP3), RFC 4511, section 4.14 (LDAP), PostgreSQL's SSLRequest.
    "CD109" "starttls-failed" Error "the server did not upgrade to TLS"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (target, failure) in support::failures(case) {
        let ConnectFailure::StartTls { protocol, said } = failure else { continue };
        let name = protocol.name();
        let mut finding = support::about(&CHECK, target, format!("{target} did not upgrade to TLS over {name}"));
        finding.facts.push(("said", support::text(said.as_bytes())));
        let (host, port) = support::host_port(target);
        let text = format!("see what the server offers, and enable TLS for {name} there");
        let command = format!("openssl s_client -starttls {name} -connect {host}:{port}");
        finding.remedies.push(support::by_hand(text, Some(command)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::facts::StartTls;

    #[test]
    fn catches() {
        let failure = ConnectFailure::StartTls { protocol: StartTls::Smtp, said: "502 no\r\n".into() };
        let finding = World::at(LAB).failing(failure).one(&CHECK);
        assert_eq!(finding.message, "example.com did not upgrade to TLS over smtp");
        assert_eq!(finding.facts, [("said", "502 no\\r\\n".to_owned())]);
    }

    #[test]
    fn leaves_other_failures_alone() {
        World::at(LAB).failing(ConnectFailure::EofAfterHello).silent(&CHECK);
    }
}
