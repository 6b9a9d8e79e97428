//! CD110.

use crate::{facts::ConnectFailure, finding::Finding};

use super::{Case, support};

rule! {
    /// **What it means.** The HTTP proxy on the way did not open the tunnel: 407 wants a password, 403 forbids the host or port,
    /// 502 to 504 could not reach it. The server was not asked.
    ///
    /// **How it is found.** The answer to CONNECT was not 2xx; it is shown.
    ///
    /// **What to do.** Correct `--proxy` (or `HTTPS_PROXY`), add the host to `NO_PROXY`, or ask for the rule.
    ///
    /// **Sources.** RFC 9110, section 9.3.6 (CONNECT) and 15.5.8 (407).
    "CD110" "proxy-refused" Error "the proxy did not open the tunnel"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (target, failure) in support::failures(case) {
        let ConnectFailure::Proxy(said) = failure else { continue };
        let said = support::text(said.as_bytes());
        let mut finding = support::about(&CHECK, target, format!("the proxy did not open a tunnel to {target}: {said}"));
        let (host, _) = support::host_port(target);
        let text = "see which proxy the environment names, and take the host out if it can be reached directly";
        finding.remedies.push(support::by_hand(text, Some(format!("env | grep -i _proxy; export NO_PROXY={host}"))));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).failing(ConnectFailure::Proxy("HTTP/1.1 403 Forbidden".into())).one(&CHECK);
        assert_eq!(finding.message, "the proxy did not open a tunnel to example.com: HTTP/1.1 403 Forbidden");
    }

    #[test]
    fn leaves_other_failures_alone() {
        World::at(LAB).failing(ConnectFailure::EofAfterHello).silent(&CHECK);
    }
}
