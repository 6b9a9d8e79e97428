//! What is looked up for every request, made once: a host with thousands of servers is asked about thousands of names.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    challenge::fallback_pages,
    server::{Chosen, Listen, Rank, Selection, Server, canonical},
};
use crate::facts::renewal::nginx::{Directive, Instance, named};

/// Sockets of all servers that are kept; a range of ports is one for each.
const SOCKETS: usize = 500_000;

/// The servers of an instance by where they listen and by their names, and what they inherit.
pub struct Model<'a> {
    pub(super) instance: &'a Instance,
    /// Every server with each of its sockets, in the order of the configuration.
    all: Vec<(Server<'a>, Listen<'a>)>,
    /// What listens on a port of an address.
    places: BTreeMap<(u16, IpAddr), Place>,
    /// Those of [`Self::all`] that have this very name.
    exact: BTreeMap<String, Vec<usize>>,
    /// The directives of each `http` block by its place and their name, but for its servers.
    http: BTreeMap<*const Directive, BTreeMap<&'a str, Vec<&'a Directive>>>,
    /// The pages that `try_files` directives end with.
    pub(super) fallbacks: Vec<&'a str>,
}

/// One port of one address.
#[derive(Default)]
struct Place {
    /// Indices into [`Model::all`].
    sockets: Vec<usize>,
    /// Those of them with names that are patterns or have a wildcard.
    inexact: Vec<usize>,
    /// The one that is marked as the default.
    default: Option<usize>,
    tls: bool,
    both_families: bool,
}

impl<'a> Model<'a> {
    /// Looks through the configuration.
    #[must_use]
    pub fn new(instance: &'a Instance) -> Self {
        let mut model = Model {
            instance,
            all: Vec::new(),
            places: BTreeMap::new(),
            exact: BTreeMap::new(),
            http: BTreeMap::new(),
            fallbacks: Vec::new(),
        };
        for http in named(&instance.directives, "http") {
            let by_name = model.http.entry(std::ptr::from_ref(http)).or_default();
            for directive in http.children().iter().filter(|d| d.name() != "server") {
                by_name.entry(directive.name()).or_default().push(directive);
            }
        }
        for server in instance.servers() {
            fallback_pages(server.directive, &mut model.fallbacks);
            for listen in server.listens() {
                if model.all.len() < SOCKETS {
                    model.add(server, listen);
                }
            }
        }
        model.fallbacks.sort_unstable();
        model.fallbacks.dedup();
        model
    }

    fn add(&mut self, server: Server<'a>, listen: Listen<'a>) {
        let n = self.all.len();
        let place = self.places.entry((listen.port, listen.address)).or_default();
        place.sockets.push(n);
        place.tls |= listen.tls;
        place.both_families |= listen.both_families;
        if listen.default && place.default.is_none() {
            place.default = Some(n);
        }
        let names = server.names();
        if names.iter().any(|name| name.starts_with(['~', '.']) || name.contains('*')) {
            place.inexact.push(n);
        }
        // A server without a name has the empty one.
        let none = names.is_empty().then_some("");
        for name in names.into_iter().chain(none).filter(|name| !name.starts_with('~') && !name.contains('*')) {
            let known = self.exact.entry(name.trim_start_matches('.').to_ascii_lowercase()).or_default();
            if known.last() != Some(&n) {
                known.push(n);
            }
        }
        self.all.push((server, listen));
    }

    /// The directives that `http` hands down to its servers.
    pub(super) fn of_http(&self, http: &'a Directive, name: &str) -> &[&'a Directive] {
        self.http.get(&std::ptr::from_ref(http)).and_then(|by_name| by_name.get(name)).map_or(&[], Vec::as_slice)
    }

    /// [`Server::inherited`], for many servers.
    #[must_use]
    pub fn inherited(&self, server: Server<'a>, name: &str) -> Vec<&'a Directive> {
        let own: Vec<&Directive> = server.directive.children().iter().filter(|d| d.name() == name).collect();
        match server.http.name() {
            _ if !own.is_empty() => own,
            "http" => self.of_http(server.http, name).to_vec(),
            // Of `stream` and `mail` there are few.
            _ => server.inherited(name),
        }
    }

    /// The addresses on which a request from outside may arrive at this port: one for each set of servers.
    #[must_use]
    pub fn addresses(&self, port: u16) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = self.places.keys().filter(|(p, _)| *p == port).map(|(_, address)| *address).collect();
        // What listens on loopback too is for this host.
        if all.iter().any(|a| !a.is_loopback()) {
            all.retain(|a| !a.is_loopback());
        }
        all
    }

    /// Which server takes a request to this local address and port for this name; `None` when none listens there.
    #[must_use]
    pub fn select(&self, address: IpAddr, port: u16, host: &str) -> Option<Selection<'a>> {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let both = || self.places.get(&(port, Ipv6Addr::UNSPECIFIED.into())).filter(|p| address.is_ipv4() && p.both_families);
        let place = self.places.get(&(port, address)).or_else(|| self.places.get(&(port, any))).or_else(both)?;
        let at = |n: usize| self.all[n].clone();
        let host = canonical(host);
        let is_here = |n: &&usize| place.sockets.binary_search(n).is_ok();
        let exact: Vec<usize> = self.exact.get(&host).into_iter().flatten().filter(is_here).copied().collect();
        if let Some(first) = exact.first() {
            let (server, listen) = at(*first);
            let mut ignored: Vec<Server<'a>> = exact.iter().map(|n| self.all[*n].0).collect();
            ignored.retain(|s| !std::ptr::eq(s.directive, server.directive));
            ignored.dedup_by(|a, b| std::ptr::eq(a.directive, b.directive));
            return Some(Selection { server, listen, chosen: Chosen::ByName, ignored, tls: place.tls });
        }
        // The best kind of match; of equals the first.
        let rank = |n: &usize| -> Option<(Rank, usize)> { Some((self.all[*n].0.fits(&host)?, *n)) };
        let best = place.inexact.iter().filter_map(rank).min();
        let default = place.default.or_else(|| place.sockets.first().copied())?;
        let (chosen, n) = best.map_or((Chosen::ByDefault, default), |(_, n)| (Chosen::ByName, n));
        let (server, listen) = at(n);
        Some(Selection { server, listen, chosen, ignored: Vec::new(), tls: place.tls })
    }
}
