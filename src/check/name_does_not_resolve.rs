//! CD106.

use crate::{facts::ConnectFailure, finding::Finding};

use super::{Case, support};

rule! {
    /// **What it means.** The name has no address here: a typing error, a resolver that can't be reached, a search domain that is
    /// missing, or (in a container) no resolver configuration at all. No connection was tried.
    ///
    /// **How it is found.** The system's resolver returned no address. `localhost` is never asked of it.
    ///
    /// **What to do.** Ask the resolver (`getent hosts`), read `/etc/resolv.conf`; to go on without it, give the address by
    /// `--connect` and keep the name.
    ///
    /// **Sources.** getaddrinfo(3), EAI_NONAME and EAI_AGAIN; RFC 6761, section 6.3 (localhost).
    "CD106" "name-does-not-resolve" Error "the host name has no address"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (target, failure) in support::failures(case) {
        let ConnectFailure::NameDoesNotResolve(said) = failure else { continue };
        let (host, _) = support::host_port(target);
        let mut finding = support::about(&CHECK, target, format!("the name of {target} does not resolve here"));
        finding.facts.push(("said", said.clone()));
        finding.remedies.push(support::by_hand(
            "ask the resolver, and correct the name or the resolver",
            Some(format!("getent hosts {host}")),
        ));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).failing(ConnectFailure::NameDoesNotResolve("Name or service not known".into())).one(&CHECK);
        assert_eq!(finding.message, "the name of example.com does not resolve here");
        assert_eq!(finding.remedies[0].command.as_deref(), Some("getent hosts example.com"));
    }

    #[test]
    fn leaves_other_failures_alone() {
        World::at(LAB).failing(ConnectFailure::NoRoute(String::new())).silent(&CHECK);
    }
}
