//! CD103.

use crate::{facts::ConnectFailure, finding::Finding};

use super::{Case, support};

rule! {
    /// **What it means.** Somebody cut the connection hard. Between two hosts that is often not the server but a middlebox that
    /// dislikes the server name or the protocol; on the server it is a crash, a connection limit, or a wrapper that denies the
    /// address.
    ///
    /// **How it is found.** The operating system reports ECONNRESET (or EPIPE) before a certificate came.
    ///
    /// **What to do.** Try another name in SNI and another network; if only one name is cut, a middlebox does it. Else read the
    /// server's log at that second.
    ///
    /// **Sources.** RFC 9293, section 3.5.2; RFC 3360 (middleboxes that send resets).
    "CD103" "connection-reset" Error "the connection was cut"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (target, failure) in support::failures(case) {
        if *failure != ConnectFailure::Reset {
            continue;
        }
        let mut finding =
            support::about(&CHECK, target, format!("the connection to {target} was reset before a certificate came"));
        finding.facts.push(("usually", "a middlebox dislikes the name or the protocol, or the server limits or crashes".into()));
        let text = "ask again without a server name: if that is answered, something on the way filters by name";
        let command = format!("certdoctor inspect --servername none {}", support::shell(&target.text));
        finding.remedies.push(support::by_hand(text, Some(command)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).failing(ConnectFailure::Reset).one(&CHECK);
        let command = finding.remedies[0].command.as_deref();
        assert_eq!(command, Some("certdoctor inspect --servername none example.com"));
    }

    #[test]
    fn leaves_other_failures_alone() {
        World::at(LAB).failing(ConnectFailure::EofAfterHello).silent(&CHECK);
    }
}
