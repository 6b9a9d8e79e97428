//! What is asked of the servers of this host: the certificate of each name on each TLS socket, without a name too; and on port 80 what a
//! challenge would get.

use std::net::IpAddr;

use crate::facts::{
    Renewal,
    renewal::{Ask, reachable},
};

/// Ports on which TLS begins at once, where a lineage's certificate may be served by anybody.
const TLS_PORTS: &[u16] = &[443, 465, 636, 853, 993, 995, 5061, 5671, 8443];

/// Questions in all.
const MOST: usize = 2000;

/// The path of a challenge that nobody waits for. It can't be there, so what answers it tells who would answer.
pub(in crate::renewal) const PATH: &str = "/.well-known/acme-challenge/certdoctor-asks";

pub(super) fn asks(renewal: &Renewal) -> Vec<Ask> {
    let mut asks = Vec::new();
    let handshake = |address, port, sni: Option<String>| Ask::Handshake { address, port, sni, alpn: Vec::new() };
    for instance in renewal.nginx.instances.iter().filter(|i| i.master.is_some()) {
        for server in instance.servers() {
            // Each name on each port of a range is more than anybody asks.
            if asks.len() > 10 * MOST {
                break;
            }
            for listen in server.listens().iter().filter(|l| l.tls && !l.proxy_protocol) {
                let address = reachable(listen.address);
                asks.push(handshake(address, listen.port, None));
                asks.extend(server.plain_names().into_iter().map(|name| handshake(address, listen.port, Some(name))));
            }
        }
    }
    for lineage in &renewal.lineages {
        for listener in renewal.processes.listeners.iter().filter(|l| TLS_PORTS.contains(&l.port)) {
            let names = lineage.names().into_iter().filter(|n| !n.contains('*') && n.parse::<IpAddr>().is_err());
            asks.extend(names.map(|name| handshake(listener.reachable(), listener.port, Some(name))));
        }
    }
    for challenge in &renewal.challenges {
        for listener in renewal.processes.on_port(80) {
            let address = listener.reachable();
            asks.push(Ask::Fetch { address, port: 80, host: challenge.name.clone(), path: PATH.to_owned() });
        }
    }
    asks.sort();
    asks.dedup();
    asks.truncate(MOST);
    asks
}
