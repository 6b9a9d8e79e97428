//! `--public`: where the names of the certificates lead, and what answers there.

use std::net::{IpAddr, Ipv4Addr};

use super::Host;
use crate::facts::{
    Renewal,
    renewal::{ACME_TLS, Ask, PublicName},
};

/// The most names that are asked for.
const NAMES: usize = 20;

/// The most addresses of one name.
const ADDRESSES: usize = 4;

/// The names of every lineage, each once, and their addresses.
pub(super) fn names(host: &Host<'_>, renewal: &Renewal) -> Vec<PublicName> {
    let mut names: Vec<String> = renewal.lineages.iter().flat_map(|l| l.names()).map(|name| name.to_ascii_lowercase()).collect();
    names.retain(|name| !name.starts_with('*') && name.parse::<IpAddr>().is_err());
    names.sort_unstable();
    names.dedup();
    let found = names.into_iter().take(NAMES).map(|name| {
        let addresses = host.dial.addresses(&name, host.timeout).map(|mut addresses| {
            addresses.truncate(ADDRESSES);
            addresses
        });
        PublicName { name, addresses }
    });
    found.collect()
}

/// Port 443 at every such address, and on loopback to compare. Names that are validated by TLS-ALPN are asked with `acme-tls/1` alone too.
pub(super) fn asks(renewal: &Renewal) -> Vec<Ask> {
    let mut asks = Vec::new();
    let listens = renewal.processes.on_port(443).next().is_some();
    for public in &renewal.public {
        let ask = |address, alpn| Ask::Handshake { address, port: 443, sni: Some(public.name.clone()), alpn };
        let addresses: Vec<(IpAddr, bool)> = public.addresses.iter().flatten().copied().collect();
        let loopback = listens.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        asks.extend(addresses.iter().map(|(address, _)| *address).chain(loopback).map(|address| ask(address, Vec::new())));
        let elsewhere = addresses.iter().filter(|(_, is_here)| !is_here).map(|(address, _)| *address);
        if renewal.by_tls_alpn().any(|l| l.names().iter().any(|n| n.eq_ignore_ascii_case(&public.name))) {
            asks.extend(elsewhere.map(|address| ask(address, vec![ACME_TLS.to_owned()])));
        }
    }
    asks
}
