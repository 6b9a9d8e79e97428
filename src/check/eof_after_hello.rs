//! CD107.

use crate::{facts::ConnectFailure, finding::Finding};

use super::{Case, support};

rule! {
    /// **What it means.** The connection was opened and, after the ClientHello, closed without a word. TLS is not spoken there,
    /// the server has no certificate for the name and says so by hanging up, or a middlebox ended it. Clients call it "unexpected
    /// eof" or `SSL_ERROR_SYSCALL`.
    ///
    /// **How it is found.** End of file after the ClientHello, before any byte.
    ///
    /// **What to do.** Compare with a hello without a server name and with TLS 1.2 only; look whether the port belongs to a
    /// plain-text service or wants the PROXY protocol.
    ///
    /// **Sources.** RFC 8446, section 6.1 (a peer should send close_notify); openssl-s_client(1).
    "CD107" "eof-after-hello" Error "the server hung up after the hello"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (target, failure) in support::failures(case) {
        if *failure != ConnectFailure::EofAfterHello {
            continue;
        }
        let mut finding =
            support::about(&CHECK, target, format!("{target} closed the connection after the hello, without an answer"));
        finding.facts.push(("usually", "TLS is not spoken there, no certificate for that name, or a middlebox".into()));
        let command = format!("certdoctor inspect --servername none --tls1_2 {}", support::shell(&target.text));
        finding.remedies.push(support::by_hand("ask again with TLS 1.2 and without a server name, and compare", Some(command)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).failing(ConnectFailure::EofAfterHello).one(&CHECK);
        assert_eq!(finding.message, "example.com closed the connection after the hello, without an answer");
    }

    #[test]
    fn leaves_other_failures_alone() {
        World::at(LAB).failing(ConnectFailure::Reset).silent(&CHECK);
    }
}
