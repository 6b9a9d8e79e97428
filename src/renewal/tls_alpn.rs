//! Who would answer a validation by TLS-ALPN on this host: one handshake a lineage (see [`crate::facts::renewal::AlpnEnd`]).

use std::net::IpAddr;

use crate::facts::{
    Renewal,
    renewal::{ACME_TLS, Ask},
};

/// Names that are asked for, so that a host with thousands of sites is not questioned for minutes.
const NAMES: usize = 20;

/// On loopback, port 443: who answers a validation by TLS-ALPN there. The CA comes to no other port (RFC 8737, section 3).
pub(super) fn asks(renewal: &Renewal) -> Vec<Ask> {
    let Some(listener) = renewal.processes.on_port(443).next() else { return Vec::new() };
    let address = listener.reachable();
    let names = renewal
        .by_tls_alpn()
        .filter_map(|l| l.names().into_iter().find(|name| !name.contains('*') && name.parse::<IpAddr>().is_err()));
    let ask = |name| Ask::Handshake { address, port: 443, sni: Some(name), alpn: vec![ACME_TLS.to_owned()] };
    names.take(NAMES).map(ask).collect()
}
