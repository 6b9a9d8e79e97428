//! Servers of `stream`: where a connection is passed on, by what its hello offers (ngx_stream_ssl_preread_module, ngx_stream_map_module).

use super::{server::Server, value::Values};
use crate::facts::renewal::nginx::{Directive, Instance, named};

/// What holds the protocols that a hello offers, joined by commas.
pub const ALPN: &str = "$ssl_preread_alpn_protocols";

impl Instance {
    /// The servers of `stream`.
    #[must_use]
    pub fn stream_servers(&self) -> Vec<Server<'_>> {
        let blocks = named(&self.directives, "stream");
        blocks.flat_map(|around| around.named("server").map(move |directive| Server { directive, http: around })).collect()
    }

    /// The port to which this server of `stream` passes a connection whose hello offers these protocols; with `preread` whether it reads
    /// the hello at all. `None` when that can't be said, such as for a server without `proxy_pass`.
    #[must_use]
    pub fn passes(&self, server: Server<'_>, protocols: &str, preread: bool) -> Option<u16> {
        let mut values = Values { maps: server.http.named("map").collect(), ..Values::default() };
        let known = |value: &str| Some(if preread { value.to_owned() } else { String::new() });
        values.known.insert(ALPN[1..].to_owned(), known(protocols));
        // A name is not known here; without a look at the hello it is empty.
        values.known.insert("ssl_preread_server_name".to_owned(), (!preread).then(String::new));
        values.known.insert("ssl_preread_protocol".to_owned(), known("TLSv1.3"));
        let to = values.expand(server.directive.named("proxy_pass").next()?.argument(0)?)?;
        let port = |text: &str| text.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        if let Some(port) = port(&to) {
            return Some(port);
        }
        let upstream = server.http.named("upstream").find(|u| u.argument(0) == Some(&to))?;
        let mut ports = upstream.named("server").map(|s| s.argument(0).and_then(port));
        let first = ports.next()??;
        ports.all(|other| other == Some(first)).then_some(first)
    }
}

impl<'a> Server<'a> {
    /// Whether it reads the hello before it passes a connection on.
    #[must_use]
    pub fn prereads(&self) -> bool {
        self.inherited("ssl_preread").last().is_some_and(|d| d.argument(0) == Some("on"))
    }

    /// The directive that has NJet's certificate manager keep this server's certificate.
    #[must_use]
    pub fn management(&self) -> Option<&'a Directive> {
        self.inherited("ssl_certificate_management").into_iter().last()
    }

    /// Whether NJet's certificate manager keeps its certificate. NJet compares the first four letters only (`njt_http_ssl_module.c`).
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.management().and_then(|d| d.argument(0)).is_some_and(|word| word.starts_with("acme"))
    }
}
