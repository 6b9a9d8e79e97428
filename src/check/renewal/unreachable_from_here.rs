//! CD764.

use crate::{
    check::Case,
    edit::Applicability,
    facts::ConnectFailure,
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::support::public;

rule! {
    /// **What it means.** Port 443 of a public address of the name can't be used, and the way in which it fails tells where: nothing
    /// listens, a packet filter drops or rejects, a proxy has no server behind it.
    ///
    /// **How it is found.** With `--public`: the address is asked once. Refused means no listener or a filter that resets; for an address of this
    /// host the table of listening sockets (`/proc/net/tcp`) settles which. No answer is a filter that drops (a security group of AWS does); no route is
    /// one that rejects (firewalld) or no network; a reset or an end after the hello is a proxy without a server, or a filter for content.
    ///
    /// **What to do.** As the class says. From inside a network its own public address can't always be reached (no hairpin NAT): ask from outside before
    /// you change anything.
    ///
    /// **Sources.** Each class was made with nftables and stub servers, and its error recorded.
    "CD764" "unreachable-from-here" Warning "port 443 of a public address can't be used"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    for seen in public::seen(renewal) {
        let Some(failure) = seen.failure else { continue };
        let listens = renewal.processes.on_port(443).any(|l| l.address.is_unspecified() || l.address == seen.address);
        let Some((class, what)) = class(failure, seen.is_here.then_some(listens)) else { continue };
        let message = format!("port 443 of {} ({}) can't be used: {class}", seen.name, seen.address);
        let mut finding = Finding::new(&CHECK, format!("{} {}", seen.name, seen.address), message);
        finding.facts = vec![("this host's own", if seen.is_here { "yes" } else { "no" }.to_owned())];
        finding.evidence.push(Evidence { what: format!("connection to {}", seen.address), ..Evidence::default() });
        finding.lineages = seen.lineages(renewal);
        finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, what, None));
        out.push(finding);
    }
}

/// The class, and what to do; with `listens` for an address of this host.
fn class(failure: &ConnectFailure, listens: Option<bool>) -> Option<(&'static str, &'static str)> {
    Some(match (failure, listens) {
        (ConnectFailure::Refused(_), Some(false)) => {
            ("refused, and nothing listens here", "start the server, or let it listen on this address")
        }
        (ConnectFailure::Refused(_), Some(true)) => {
            ("refused, although something listens here", "a packet filter resets: look at `nft list ruleset` and `iptables-save`")
        }
        (ConnectFailure::Refused(_), None) => {
            ("refused: no listener there, or a filter that resets", "see that the balancer or host there listens on 443")
        }
        (ConnectFailure::TimedOut(_), _) => {
            ("no answer: a filter drops what comes", "allow 443 in the security group, network ACL or firewall before it")
        }
        (ConnectFailure::NoRoute(_), _) => (
            "no route: a filter rejects, or there is no network",
            "look at the firewall (firewalld rejects so) and at the routes",
        ),
        (ConnectFailure::Reset, _) => ("reset after it was accepted", "a proxy or filter accepts and gives up: look at its log"),
        (ConnectFailure::EofAfterHello, _) => {
            ("closed after the hello", "a proxy passes TCP on to nobody: see that the server behind it listens")
        }
        (ConnectFailure::NotTls { .. }, _) => {
            ("what answers is no TLS", "port 443 is passed on to a port without TLS: correct the target port")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::support::public::testing::*, *};

    #[test]
    fn refused_is_settled_by_the_table_of_listeners() {
        let refused = || Err(ConnectFailure::Refused(String::new()));
        let found = seen_at([203, 0, 113, 7], refused(), true).one(&CHECK);
        assert!(found.message.ends_with("refused, although something listens here"), "{}", found.message);
        let found = seen_at([203, 0, 113, 7], refused(), false).one(&CHECK);
        assert!(found.message.contains("no listener there, or a filter"), "{}", found.message);
        assert!(class(&ConnectFailure::Refused(String::new()), Some(false)).is_some_and(|(c, _)| c.contains("nothing listens")));
    }

    /// `connect-classification`: each verdict of a client, by its class.
    #[test]
    fn each_recorded_class_is_told() {
        let text = include_str!("../../../fixtures/renewal/connect-classification.txt");
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let (_, verdict) = line.split_once(" => ").expect("a verdict");
            let failure = match verdict {
                v if v.contains("ECONNREFUSED") => ConnectFailure::Refused(String::new()),
                v if v.contains("ENETUNREACH") || v.contains("EHOSTUNREACH") => ConnectFailure::NoRoute(String::new()),
                v if v.contains("TIMEOUT") || v.contains("timed out") => ConnectFailure::TimedOut("connecting"),
                v if v.contains("104") => ConnectFailure::Reset,
                v if v.contains("EOF") => ConnectFailure::EofAfterHello,
                v if v.contains("WRONG_VERSION") => ConnectFailure::NotTls { first: Vec::new(), looks_like: None },
                other => panic!("{other} has no class"),
            };
            assert!(class(&failure, None).is_some(), "{line}");
        }
    }

    #[test]
    fn what_answers_is_silent() {
        seen_at([203, 0, 113, 7], Ok(crate::facts::Presented::default()), false).silent(&CHECK);
        seen_at([203, 0, 113, 7], Err(ConnectFailure::Alert { number: 80, name: "internal_error" }), false).silent(&CHECK);
    }
}
