//! Servers, what they listen on, and which one takes a request (ngx_http.c and ngx_http_request.c, `ngx_http_find_virtual_server`).

use std::net::{IpAddr, Ipv4Addr};

use super::{model::Model, value::Pattern};
use crate::facts::renewal::nginx::{Directive, Instance, Word, named};

/// A `server` of `http`.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// Its own block.
    pub directive: &'a Directive,
    /// The `http` block around it.
    pub http: &'a Directive,
}

/// One address that a server listens on.
#[derive(Clone, Debug)]
pub struct Listen<'a> {
    /// The directive; `None` for the default of a server without one.
    pub directive: Option<&'a Directive>,
    /// The address: unspecified for all of its family.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// Whether TLS is spoken there.
    pub tls: bool,
    /// Whether it is marked as the default of its address.
    pub default: bool,
    /// Whether a wildcard of IPv6 takes IPv4 too (`ipv6only=off`).
    pub both_families: bool,
    /// Whether the PROXY protocol is expected first.
    pub proxy_protocol: bool,
}

/// Why a server was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// It has the name, or a pattern of it.
    ByName,
    /// Nobody has the name; it is the default of the address.
    ByDefault,
}

/// The server that takes a request.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// Which.
    pub server: Server<'a>,
    /// Where it listens.
    pub listen: Listen<'a>,
    /// Why.
    pub chosen: Chosen,
    /// Others with the very same name there: nginx warns `conflicting server name` and ignores theirs.
    pub ignored: Vec<Server<'a>>,
    /// Whether anybody speaks TLS on this socket: a request without it gets 400.
    pub tls: bool,
}

impl Instance {
    /// The servers of `http`, in their order.
    #[must_use]
    pub fn servers(&self) -> Vec<Server<'_>> {
        let blocks = named(&self.directives, "http");
        blocks.flat_map(|http| http.named("server").map(move |directive| Server { directive, http })).collect()
    }

    /// The servers of `stream` and `mail`, each with the block around it.
    #[must_use]
    pub fn other_servers(&self) -> Vec<Server<'_>> {
        let blocks = named(&self.directives, "stream").chain(named(&self.directives, "mail"));
        blocks.flat_map(|around| around.named("server").map(move |directive| Server { directive, http: around })).collect()
    }

    /// [`Model::select`], for one request.
    #[must_use]
    pub fn select(&self, address: IpAddr, port: u16, host: &str) -> Option<Selection<'_>> {
        Model::new(self).select(address, port, host)
    }
}

/// A name as nginx compares it: lower case, without port and final dot.
pub(super) fn canonical(host: &str) -> String {
    let bare = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !name.contains(':') => name,
        _ => host,
    };
    bare.trim_end_matches('.').to_ascii_lowercase()
}

/// How well a name fits: kind of match (exact, wildcard in front, wildcard behind, pattern), then the shorter rest.
pub(super) type Rank = (u8, usize);

impl<'a> Server<'a> {
    /// Its names, as written.
    #[must_use]
    pub fn names(&self) -> Vec<&'a str> {
        self.name_words().map(|w| w.text.as_str()).collect()
    }

    /// The words of its `server_name` directives.
    pub fn name_words(&self) -> impl Iterator<Item = &'a Word> + use<'a> {
        let directive = self.directive;
        directive.children().iter().filter(|d| d.name() == "server_name").flat_map(|d| d.words.iter().skip(1))
    }

    /// The names that a client can ask for: no patterns, no `_`, not the empty one. `.example.com` is `example.com` here.
    #[must_use]
    pub fn plain_names(&self) -> Vec<String> {
        let plain = |name: &&str| name.contains('.') && !name.starts_with('~') && !name.contains('*');
        self.names().into_iter().filter(plain).map(|n| n.trim_start_matches('.').to_ascii_lowercase()).collect()
    }

    /// Where it listens; sockets of the Unix family and QUIC are left out.
    #[must_use]
    pub fn listens(&self) -> Vec<Listen<'a>> {
        let on = self.directive.children().iter().any(|d| d.name() == "ssl" && d.argument(0) == Some("on"));
        let directives: Vec<&Directive> = self.directive.children().iter().filter(|d| d.name() == "listen").collect();
        if directives.is_empty() {
            let address = Ipv4Addr::UNSPECIFIED.into();
            let none = Listen {
                directive: None,
                address,
                port: 80,
                tls: on,
                default: false,
                both_families: false,
                proxy_protocol: false,
            };
            return vec![none];
        }
        directives.into_iter().flat_map(|d| listen(d, on)).collect()
    }

    /// The value of a directive that `http` hands down to a server without one of its own.
    #[must_use]
    pub fn inherited(&self, name: &str) -> Vec<&'a Directive> {
        let own: Vec<&Directive> = self.directive.children().iter().filter(|d| d.name() == name).collect();
        if own.is_empty() { self.http.children().iter().filter(|d| d.name() == name).collect() } else { own }
    }

    /// How well this name fits; `None` when not at all, or when a pattern can't be read.
    pub(super) fn fits(&self, host: &str) -> Option<Rank> {
        let names = self.names();
        // A server without a name has the empty one.
        if names.is_empty() {
            return host.is_empty().then_some((0, 0));
        }
        names.into_iter().filter_map(|name| fits(name, host)).min()
    }
}

fn fits(name: &str, host: &str) -> Option<Rank> {
    if let Some(pattern) = name.strip_prefix('~') {
        // With a capital in it nginx takes it without regard to case, and without one that makes no difference: the name is in lower
        // case (`ngx_http_core_server_name`).
        return Pattern::new(pattern, true)?.matches(host)?.then_some((3, 0));
    }
    let name = name.to_ascii_lowercase();
    let above = |suffix: &str| host.strip_suffix(suffix)?.strip_suffix('.').filter(|rest| !rest.is_empty());
    if let Some(suffix) = name.strip_prefix("*.") {
        return above(suffix).map(|rest| (1, rest.len()));
    }
    if let Some(suffix) = name.strip_prefix('.') {
        return if host == suffix { Some((0, 0)) } else { above(suffix).map(|rest| (1, rest.len())) };
    }
    if let Some(prefix) = name.strip_suffix(".*") {
        let rest = host.strip_prefix(prefix)?.strip_prefix('.').filter(|rest| !rest.is_empty());
        return rest.map(|rest| (2, rest.len()));
    }
    (name == host).then_some((0, 0))
}

/// Ports of one range that are kept. Nobody serves more, and a range may have 65,535.
const RANGE: usize = 1000;

/// The sockets of one `listen`; several for a range of ports.
fn listen<'a>(directive: &'a Directive, ssl_on: bool) -> Vec<Listen<'a>> {
    let Some(text) = directive.argument(0) else { return Vec::new() };
    let has = |word: &str| directive.arguments().skip(1).any(|a| a == word);
    if text.starts_with("unix:") || has("quic") {
        return Vec::new();
    }
    let (host, ports) = match text.rsplit_once(':') {
        Some((host, ports)) if !ports.contains(']') => (host, ports),
        _ if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') => ("*", text),
        _ => (text, "80"),
    };
    let address: IpAddr = match host.trim_start_matches('[').trim_end_matches(']') {
        "*" | "" => Ipv4Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        // A name that nginx asks the resolver for: which address it is can't be said here.
        host => match host.parse() {
            Ok(address) => address,
            Err(_) => return Vec::new(),
        },
    };
    let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
    let (Ok(from), Ok(to)) = (from.parse::<u16>(), to.parse::<u16>()) else { return Vec::new() };
    let one = |port| Listen {
        directive: Some(directive),
        address,
        port,
        tls: ssl_on || has("ssl"),
        default: has("default_server") || has("default"),
        both_families: has("ipv6only=off"),
        proxy_protocol: has("proxy_protocol"),
    };
    (from..=to).take(RANGE).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(http: &str) -> Instance {
        let text = format!("http {{ {http} }}");
        let mut instance = Instance::new("nginx", "/etc/nginx/nginx.conf".into(), None);
        instance.directives = crate::format::nginx::parse(text.as_bytes(), 0).directives;
        instance
    }

    /// The `root` of the server that takes this name on port 80, and why it is that one.
    fn taken(instance: &Instance, host: &str) -> Option<(String, Chosen)> {
        let found = instance.select(Ipv4Addr::LOCALHOST.into(), 80, host)?;
        Some((found.server.inherited("root")[0].argument(0)?.to_owned(), found.chosen))
    }

    #[test]
    fn names_are_chosen_in_nginxs_order() {
        let instance = instance(
            "server { listen 80; root first; server_name x.test; }
             server { listen 80 default_server; root default; server_name _; }
             server { listen 80; root pattern; server_name ~^WWW\\d\\.; }
             server { listen 80; root star; server_name *.a.test; }
             server { listen 80; root longer; server_name *.b.a.test; }
             server { listen 80; root dot; server_name .c.test; }
             server { listen 80; root behind; server_name mail.*; }
             server { listen 80; root exact; server_name w.b.a.test; }
             server { listen 127.0.0.1:81; root elsewhere; server_name only.test; }",
        );
        for (host, root, chosen) in [
            ("w.b.a.test", "exact", Chosen::ByName),
            ("V.B.A.test.", "longer", Chosen::ByName),
            ("v.a.test:80", "star", Chosen::ByName),
            ("c.test", "dot", Chosen::ByName),
            ("x.c.test", "dot", Chosen::ByName),
            ("mail.z.test", "behind", Chosen::ByName),
            ("www1.z.test", "pattern", Chosen::ByName),
            ("only.test", "default", Chosen::ByDefault),
        ] {
            assert_eq!(taken(&instance, host), Some((root.to_owned(), chosen)), "{host}");
        }
    }

    #[test]
    fn ranges_of_ports_are_bounded() {
        let instance = instance(&"server { listen 1-65535; root x; }".repeat(2000));
        let model = Model::new(&instance);
        assert!(model.select(Ipv4Addr::LOCALHOST.into(), 80, "a.test").is_some());
    }
}
