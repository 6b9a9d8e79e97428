//! Servers, what they listen on, and which one takes a request (ngx_http.c and ngx_http_request.c, `ngx_http_find_virtual_server`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Directive, Instance, Word, named, value::Pattern};

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

    /// Which server takes a request to this local address and port for this name; `None` when none listens there.
    #[must_use]
    pub fn select(&self, address: IpAddr, port: u16, host: &str) -> Option<Selection<'_>> {
        let all: Vec<(Server<'_>, Listen<'_>)> =
            self.servers().into_iter().flat_map(|s| s.listens().into_iter().map(move |l| (s, l))).collect();
        let on = |wanted: IpAddr, both: bool| {
            let fits = move |l: &Listen<'_>| l.port == port && l.address == wanted && (!both || l.both_families);
            all.iter().filter(|(_, l)| fits(l)).cloned().collect::<Vec<_>>()
        };
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let mut here = on(address, false);
        if here.is_empty() {
            here = on(any, false);
        }
        if here.is_empty() && address.is_ipv4() {
            here = on(Ipv6Addr::UNSPECIFIED.into(), true);
        }
        let first = here.iter().find(|(_, l)| l.default).or_else(|| here.first())?.clone();
        let tls = here.iter().any(|(_, l)| l.tls);
        let host = canonical(host);
        let best = here.iter().enumerate().filter_map(|(n, (s, _))| Some((s.fits(&host)?, n)));
        // The best kind of match; of equals the first.
        let best = best.min_by_key(|(rank, n)| (*rank, *n));
        let Some((rank, n)) = best else {
            return Some(Selection { server: first.0, listen: first.1, chosen: Chosen::ByDefault, ignored: Vec::new(), tls });
        };
        let (server, listen) = here[n].clone();
        let is_other = |s: &Server<'_>| !std::ptr::eq(s.directive, server.directive);
        let same = here.iter().filter(|(s, _)| is_other(s) && rank.0 == 0 && s.fits(&host) == Some(rank));
        let mut ignored: Vec<Server<'_>> = same.map(|(s, _)| *s).collect();
        ignored.dedup_by(|a, b| std::ptr::eq(a.directive, b.directive));
        Some(Selection { server, listen, chosen: Chosen::ByName, ignored, tls })
    }
}

/// A name as nginx compares it: lower case, without port and final dot.
fn canonical(host: &str) -> String {
    let bare = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !name.contains(':') => name,
        _ => host,
    };
    bare.trim_end_matches('.').to_ascii_lowercase()
}

/// How well a name fits: kind of match (exact, wildcard in front, wildcard behind, pattern), then the shorter rest.
type Rank = (u8, usize);

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
    fn fits(&self, host: &str) -> Option<Rank> {
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
        return Pattern::new(pattern, false)?.matches(host)?.then_some((3, 0));
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
    (from..=to).map(one).collect()
}
