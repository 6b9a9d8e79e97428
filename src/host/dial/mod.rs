//! Talking to servers: to see what they present, and to verify it.
//!
//! Two handshakes that have nothing to do with each other. *Looking* ([`Dial::observe`]) accepts any certificate and closes at once
//! (see `danger.rs`); a server that rustls can't talk to is asked by a hand-written hello (`raw_hello.rs`). *Verifying*
//! ([`Dial::verify`]) is rustls with exactly the anchors that it is given. Nothing is kept between two calls: no session, no ticket,
//! no answer.
//!
//! Absent on purpose: opinions about what was seen, and any reading of the trust store or of the environment (the proxy's variables
//! come as [`Hello::proxy`]).

mod ciphers;
mod classify;
mod connect;
mod danger;
mod fetch;
mod flight;
mod handshake;
mod pool;
mod provider;
mod proxy;
mod raw_hello;
mod starttls;
mod verify;
mod wire;

use std::net::{IpAddr, SocketAddr};

pub use flight::plaintext_certificates;
pub use pool::in_order;
use rustls::pki_types::ServerName;

use self::{
    danger::{Look, Looker, Words},
    proxy::Proxy,
    wire::{Deadline, Wire},
};
use super::{Dial, Hello, VerifyFailure, interrupt};
use crate::{
    base::At,
    facts::{ConnectFailure, Presented, Protocol, Staple, StartTls, Target, TargetSource, renewal::HttpAnswer},
    x509::Certificate,
};

/// The network of this host.
#[derive(Debug)]
pub struct LiveDial {
    looker: Looker,
}

impl LiveDial {
    /// Makes the configurations that all connections share; loads nothing.
    #[must_use]
    pub fn new() -> Self {
        LiveDial { looker: Looker::new() }
    }
}

impl Default for LiveDial {
    fn default() -> Self {
        Self::new()
    }
}

impl Dial for LiveDial {
    fn observe(&self, target: &Target, hello: &Hello) -> Result<Presented, ConnectFailure> {
        if interrupt::asked() {
            return Err(ConnectFailure::Interrupted);
        }
        // Whatever an interrupted connection looks like, it says nothing about the server.
        self.look(target, hello).map_err(|failure| if interrupt::asked() { ConnectFailure::Interrupted } else { failure })
    }

    fn verify(&self, target: &Target, hello: &Hello, anchors: &[&[u8]], at: At) -> Result<(), VerifyFailure> {
        let interrupted = || Err(VerifyFailure::Connect(ConnectFailure::Interrupted));
        if interrupt::asked() {
            return interrupted();
        }
        match verify::verify(target, hello, anchors, at) {
            // A refusal was spoken; a connection that broke off only shows that somebody pressed Ctrl-C.
            Err(VerifyFailure::Connect(_)) if interrupt::asked() => interrupted(),
            answer => answer,
        }
    }

    fn addresses(&self, name: &str, seconds: u64) -> Result<Vec<(IpAddr, bool)>, ConnectFailure> {
        let found = connect::addresses(name, 443, Deadline::after(seconds))?;
        Ok(found.into_iter().map(|address| (address.ip(), connect::is_here(address.ip()))).collect())
    }

    fn fetch(&self, to: (IpAddr, u16), host: &str, path: &str, seconds: u64) -> Result<HttpAnswer, ConnectFailure> {
        fetch::fetch(to, host, path, seconds)
    }
}

impl LiveDial {
    fn look(&self, target: &Target, hello: &Hello) -> Result<Presented, ConnectFailure> {
        let route = Route::of(target, hello)?;
        let identity = hello.identity.as_ref().map(handshake::identity).transpose()?;
        let deadline = Deadline::after(hello.timeout);
        let newest_raw = hello.only.unwrap_or(Protocol::Tls12);

        let mut failure = None;
        if newest_raw >= Protocol::Tls12 {
            let name = route.server_name()?;
            let words = Words { sni: name.as_ref(), alpn: &hello.alpn, only: hello.only, identity: identity.as_ref() };
            let wire = route.open(deadline)?;
            let peer = wire.peer();
            let look = self.looker.look(wire, &words);
            if !look.certificates.is_empty() {
                return Ok(presented(look, peer, &route, deadline));
            }
            let first = look.end.err().map_or(ConnectFailure::EofAfterHello, |broken| broken.class(&look.first));
            if hello.once || newest_raw > Protocol::Tls12 || !worth_a_raw_hello(&first) {
                return Err(first);
            }
            failure = Some(first);
        }
        for dialect in raw_hello::DIALECTS {
            let tried = route.open(deadline).and_then(|wire| {
                let peer = wire.peer();
                let look = raw_hello::look(wire, *dialect, newest_raw, route.sni.as_deref(), &hello.alpn)?;
                let mut presented = presented(look, peer, &route, deadline);
                presented.sni = presented.sni.filter(|_| raw_hello::has_extensions(*dialect, newest_raw));
                Ok(presented)
            });
            match tried {
                Ok(presented) if hello.only.is_none_or(|only| presented.protocol == Some(only)) => return Ok(presented),
                Ok(_) => {}
                // What rustls was told is nearer to what other clients see; its own inability to speak is not.
                Err(raw) if failure.as_ref().is_none_or(|f| matches!(f, ConnectFailure::Io(_))) => failure = Some(raw),
                Err(_) => {}
            }
        }
        Err(failure.unwrap_or(ConnectFailure::EofAfterHello))
    }
}

/// Whether a server that failed so may yet show its chain to a hello of the old kind: alerts, and the ways in which servers that
/// can't bear a modern hello end the connection.
fn worth_a_raw_hello(failure: &ConnectFailure) -> bool {
    match failure {
        // unrecognized_name and no_application_protocol are about what we asked for, and we would ask again.
        ConnectFailure::Alert { number, .. } => !matches!(number, 112 | 120),
        ConnectFailure::EofAfterHello | ConnectFailure::Io(_) | ConnectFailure::Reset => true,
        _ => false,
    }
}

/// Values from a look.
fn presented(look: Look, peer: Option<String>, route: &Route, deadline: Deadline) -> Presented {
    let mut presented = Presented {
        protocol: look.protocol,
        cipher: look.cipher.map(ciphers::name),
        alpn: look.alpn,
        sni: route.sni.clone(),
        staple: look.staple.map(|der| Staple { der }),
        // Beyond a proxy it is the proxy's address.
        is_here: route.proxy.is_none()
            && peer.as_deref().and_then(|p| p.parse::<SocketAddr>().ok()).is_some_and(|p| connect::is_here(p.ip())),
        peer,
        client_ca_names: look.client_ca_names.unwrap_or_default(),
        bytes: look.bytes,
        elapsed: deadline.elapsed(),
        ..Presented::default()
    };
    for (index, der) in look.certificates.iter().enumerate() {
        match Certificate::parse(der) {
            Ok(certificate) => presented.certificates.push(certificate),
            Err(why) => presented.opaque.push((index, why.to_string())),
        }
    }
    match look.end {
        Ok(()) => presented.handshake_completed = true,
        Err(wire::Broken::Alert(number)) => presented.alert = Some((number, classify::alert_name(number))),
        Err(_) => {}
    }
    presented
}

/// Where to go, and what to say on the way.
struct Route {
    host: String,
    port: u16,
    starttls: Option<StartTls>,
    proxy: Option<Proxy>,
    /// The name to send.
    sni: Option<String>,
    /// Whom XMPP asks for.
    domain: String,
}

impl Route {
    fn of(target: &Target, hello: &Hello) -> Result<Route, ConnectFailure> {
        let TargetSource::Server { host, port, starttls } = &target.source else {
            return Err(ConnectFailure::Unreadable(format!("{target} is not a server")));
        };
        let is_name = |host: &str| !host.is_empty() && host.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
        // Without the dot at its end (RFC 6066, section 3).
        let absolute = |host: &String| host.trim_end_matches('.').to_owned();
        let sni = match &hello.servername {
            Some(name) => name.as_ref().map(absolute),
            None => target.host.as_ref().filter(|h| is_name(h)).map(absolute),
        };
        let domain = target.host.clone().or_else(|| sni.clone()).unwrap_or_else(|| host.clone());
        let (host, port) = hello.connect.clone().unwrap_or_else(|| (host.clone(), *port));
        // It goes into a proxy's request line.
        if let Some(bad) = [&domain, &host].into_iter().find(|h| h.contains(|c: char| c.is_control() || c.is_whitespace())) {
            return Err(ConnectFailure::NameDoesNotResolve(format!("{bad:?}: not a host name")));
        }
        let proxy = hello.proxy.as_deref().map(Proxy::parse).transpose()?;
        Ok(Route { host, port, starttls: *starttls, proxy, sni, domain })
    }

    /// The SNI as rustls wants it.
    fn server_name(&self) -> Result<Option<ServerName<'static>>, ConnectFailure> {
        let Some(name) = &self.sni else { return Ok(None) };
        match ServerName::try_from(name.clone()) {
            Ok(name @ ServerName::DnsName(_)) => Ok(Some(name)),
            _ => Err(ConnectFailure::Io(format!(
                "`{name}` can't be sent as a server name: it is not a DNS name (RFC 6066, section 3)"
            ))),
        }
    }

    /// A connection on which the ClientHello is due.
    fn open(&self, deadline: Deadline) -> Result<Wire, ConnectFailure> {
        let mut wire = match &self.proxy {
            Some(proxy) => proxy.open(&self.host, self.port, deadline)?,
            None => connect::open(&self.host, self.port, deadline)?,
        };
        if let Some(protocol) = self.starttls {
            wire.begin_hello();
            starttls::negotiate(&mut wire, protocol, &self.domain)?;
        }
        Ok(wire)
    }
}
