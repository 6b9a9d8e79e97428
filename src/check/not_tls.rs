//! CD104.

use crate::{
    facts::{ConnectFailure, StartTls},
    finding::Finding,
};

use super::{Case, support};

rule! {
    /// **What it means.** The server speaks, but not TLS: plain HTTP on the port, or a protocol that must be upgraded first
    /// (SMTP, IMAP, PostgreSQL …). OpenSSL calls it "wrong version number", which has nothing to do with versions.
    ///
    /// **How it is found.** The first bytes of the answer are no TLS record; they are shown, with the protocol that they look
    /// like.
    ///
    /// **What to do.** Correct the port, or name the protocol by `--starttls` (or as `smtp://host`).
    ///
    /// **Sources.** RFC 8446, section 5.1 (record header); the words are those of OpenSSL's `SSL_R_WRONG_VERSION_NUMBER`.
    "CD104" "not-tls" Error "the port does not speak TLS"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (target, failure) in support::failures(case) {
        let ConnectFailure::NotTls { first, looks_like } = failure else { continue };
        let speaks = looks_like.map_or_else(|| "something else".to_owned(), |name| format!("what looks like {name}"));
        let mut finding = support::about(&CHECK, target, format!("{target} does not speak TLS but {speaks}"));
        finding.facts.push(("answer", format!("\"{}\"", first.escape_ascii())));
        let name = looks_like.map(str::to_ascii_lowercase).unwrap_or_default();
        let target = support::shell(&target.text);
        finding.remedies.push(match StartTls::ALL.iter().find(|(known, ..)| name.contains(known)) {
            Some((protocol, ..)) => {
                let text = "upgrade to TLS inside the protocol";
                support::by_hand(text, Some(format!("certdoctor inspect --starttls {protocol} {target}")))
            }
            None => support::by_hand("use the port where the server speaks TLS (443 for HTTPS)", None),
        });
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let failure = ConnectFailure::NotTls { first: b"220 mail ESMTP\r\n".to_vec(), looks_like: Some("SMTP") };
        let finding = World::at(LAB).failing(failure).one(&CHECK);
        assert_eq!(finding.message, "example.com does not speak TLS but what looks like SMTP");
        assert_eq!(finding.facts[0].1, "\"220 mail ESMTP\\r\\n\"");
        assert_eq!(finding.remedies[0].command.as_deref(), Some("certdoctor inspect --starttls smtp example.com"));
    }

    #[test]
    fn leaves_other_failures_alone() {
        World::at(LAB).failing(ConnectFailure::EofAfterHello).silent(&CHECK);
    }
}
