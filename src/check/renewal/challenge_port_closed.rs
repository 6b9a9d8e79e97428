//! CD736.

use super::{super::Case, support};
use crate::{
    finding::{Evidence, Finding},
    nginx::Model,
};

rule! {
    /// **What it means.** A certificate is validated by a file that a web server of this host must serve, and nothing listens on the port that
    /// the certificate authority asks (80), or only on loopback. Every validation fails with a refused connection.
    ///
    /// **How it is found.** The listening sockets in /proc/net/tcp and tcp6. A packet filter or a load balancer in front can't be seen from here.
    ///
    /// **What to do.** Start the web server, or let it listen on all addresses. Where something listens and the authority still gets no answer, look
    /// at the packet filter: `nft list ruleset`.
    ///
    /// **Sources.** RFC 8555, section 8.3; proc(5); measured (refused at once: no listener; silence: a packet filter).
    "CD736" "challenge-port-closed" Warning "nothing listens on the port that challenges come to"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    // In an unpacked root nothing runs.
    if renewal.processes.all.is_empty() {
        return;
    }
    let mut told: Vec<&(&'static str, String)> = Vec::new();
    for challenge in &renewal.challenges {
        let listeners: Vec<_> = renewal.processes.on_port(challenge.port).collect();
        if listeners.iter().any(|l| !l.address.is_loopback()) || told.contains(&&challenge.lineage) {
            continue;
        }
        told.push(&challenge.lineage);
        let port = challenge.port;
        let message = match listeners.first() {
            None => format!("nothing listens on port {port}, to which the challenges of {} come", challenge.name),
            Some(l) => {
                format!("port {port}, to which the challenges of {} come, is served on {} only", challenge.name, l.address)
            }
        };
        let mut finding = Finding::new(&CHECK, &challenge.lineage.1, message);
        finding.lineages = vec![challenge.lineage.clone()];
        finding.evidence.push(Evidence::file(&challenge.said.0, challenge.said.1, "the manager's webroot"));
        let text = "start the web server that is to serve the challenges";
        let idle = renewal.nginx.instances.iter().find(|i| i.master.is_none() && !Model::new(i).addresses(port).is_empty());
        let start = idle.filter(|_| listeners.is_empty()).map(|i| support::start(renewal, i));
        finding.remedies.push(support::by_hand(text, start));
        let text = "or see what is there instead, and on which addresses";
        finding.remedies.push(support::by_hand(text, Some(format!("ss -ltnp 'sport = :{port}'"))));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::{
        base::At,
        facts::renewal::{Listener, Process},
    };

    fn world(addresses: &[[u8; 4]]) -> World {
        World::at(LAB).webroot("a.test", "/le").renewal(|r| {
            r.processes.all.push(Process {
                pid: 1,
                parent: 0,
                comm: "init".into(),
                exe: None,
                arguments: Vec::new(),
                started: At(0),
                unit: None,
            });
            r.processes.listeners =
                addresses.iter().map(|a| Listener { address: (*a).into(), port: 80, pids: vec![1] }).collect();
        })
    }

    #[test]
    fn catches_no_listener_and_one_on_loopback() {
        assert!(world(&[]).one(&CHECK).message.starts_with("nothing listens on port 80"));
        assert!(world(&[[127, 0, 0, 1]]).one(&CHECK).message.ends_with("is served on 127.0.0.1 only"));
    }

    #[test]
    fn is_silent_where_somebody_listens_or_nothing_runs() {
        world(&[[0, 0, 0, 0]]).silent(&CHECK);
        World::at(LAB).webroot("a.test", "/le").renewal(|_| ()).silent(&CHECK);
    }
}
