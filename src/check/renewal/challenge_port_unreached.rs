//! CD739.

use super::{
    super::Case,
    support::{self, by_hand, njet::Managing},
};
use crate::{
    edit::{Applicability, Change},
    facts::renewal::{
        nginx::Directive,
        njet::{Copilot, Setting},
    },
    finding::{Finding, Intent, Remedy},
    format::nginx::indentation,
    nginx::{ALPN, server::Server},
};

rule! {
    /// **What it means.** NJet's certificate manager answers a validation by TLS-ALPN on a port of its own (`tlsChallengeServerAddress`), and the
    /// CA comes to port 443. In between stands a server of `stream` that looks at each hello (`ssl_preread on`) and passes those with
    /// `acme-tls/1` on to that port, all others to the port of `https`. Where one of the three does not fit, the CA meets the web server, which
    /// refuses the protocol (alert 120), or nobody.
    ///
    /// **How it is found.** The `map` of the stream server on port 443 is worked out for `acme-tls/1` and for other protocols, and compared with
    /// the TOML file of the helper and with the `listen` lines of `http`. A map that depends on names is not judged.
    ///
    /// **What to do.** The patch puts `ssl_preread on`, the line of the map, or the port in the TOML file right. Where `http` itself has port 443 nothing is
    /// patched: moving it changes the addresses that the web server sees of its clients.
    ///
    /// **Sources.** NJet's article on cert-manager (2025-07-21); ngx_stream_ssl_preread_module; `tests/njet.rs` has nginx's stream module and lego in the place
    /// of NJet and its manager (neither is packaged), each layout right and wrong.
    "CD739" "challenge-port-unreached" Warning "a validation by TLS-ALPN does not reach NJet's certificate manager"
}

/// The port to which the CA comes (RFC 8737, section 3).
const PORT: u16 = 443;

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for managing in support::njet::managing(renewal) {
        let Some(copilot) = managing.challenges_by("tls") else { continue };
        let Some(address) = copilot.setting("acme", "tlsChallengeServerAddress") else { continue };
        let Some(port) = address.text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()) else { continue };
        let on_443 = |s: &Server<'_>| s.listens().iter().any(|l| l.port == PORT);
        let front: Vec<Server<'_>> = managing.instance.stream_servers().into_iter().filter(on_443).collect();
        for server in &front {
            let layout = Layout { managing: &managing, copilot, address, port, server: *server };
            out.extend(layout.finding(case));
        }
        let itself = managing.servers.iter().find(|s| s.listens().iter().any(|l| l.port == PORT && l.tls));
        if let (true, Some(server)) = (front.is_empty() && port != PORT, itself) {
            out.push(no_front(case, &managing, *server, copilot, address, port));
        }
    }
}

/// One stream server on port 443, and where the certificate manager waits.
struct Layout<'a> {
    managing: &'a Managing<'a>,
    copilot: &'a Copilot,
    address: &'a Setting,
    port: u16,
    server: Server<'a>,
}

impl<'a> Layout<'a> {
    fn finding(&self, case: &Case<'_>) -> Option<Finding> {
        let (instance, preread) = (self.managing.instance, self.server.prereads());
        // What would be if the hello were looked at.
        let challenge = instance.passes(self.server, "acme-tls/1", true)?;
        let other = instance.passes(self.server, "h2,http/1.1", true)?;
        let https = self.https();
        let mut faults: Vec<String> = Vec::new();
        let mut changes: Vec<Option<Change>> = Vec::new();
        if !preread && (challenge != other || challenge != self.port) {
            faults.push("`ssl_preread` is off, so that no hello is looked at".to_owned());
            changes.push(self.preread());
        }
        if challenge != self.port {
            match challenge == other {
                true => {
                    faults.push(format!("acme-tls/1 is passed on to port {challenge} like everything else"));
                    changes.extend(self.map());
                }
                false => {
                    let wanted = format!(
                        "acme-tls/1 is passed on to port {challenge}, and the certificate manager waits on {}",
                        self.port
                    );
                    faults.push(wanted);
                    let host = self.address.text.rsplit_once(':').map_or("", |(host, _)| host);
                    changes.push(support::njet::reset(self.copilot, self.address, &format!("{host}:{challenge}")));
                }
            }
        }
        if !https.is_empty() && !https.contains(&other) {
            faults.push(format!("everything else is passed on to port {other}, where no server of `http` speaks TLS"));
            changes.push(self.default_to(&https));
        }
        let first = faults.first()?.clone();
        let names = self.managing.names();
        let message = format!("the CA can't validate {} by TLS-ALPN: {first}", support::list(&names, 3));
        let mut finding = self.managing.finding(case, &CHECK, &names, message);
        finding.facts = faults.iter().skip(1).map(|fault| ("besides", fault.clone())).collect();
        let map = self.mapping();
        let pass = self.server.directive.named("proxy_pass").next();
        let preread = self.server.inherited("ssl_preread").into_iter().last();
        let places = [Some(self.server.directive), preread, pass, map];
        finding.evidence = places.into_iter().flatten().map(|d| support::place(instance, d)).collect();
        finding.evidence.push(support::njet::said(self.copilot, self.address));
        // Between validations nobody waits on the port of the manager.
        let idle = "the connection ends without an alert; alert 120 is the web server's";
        finding.facts.push(("when it is right", format!("a hello with acme-tls/1 meets nobody between validations: {idle}")));
        let verify = names.first().map(|name| probe(name));
        match changes.into_iter().collect::<Option<Vec<Change>>>().filter(|c| !c.is_empty()) {
            Some(changes) => {
                let text =
                    format!("pass acme-tls/1 on to port {} and everything else to the web server", self.agreed(challenge, other));
                finding.remedies.push(Remedy::new(Intent::Patch(changes), Applicability::Auto, text, verify));
            }
            None => finding.remedies.push(by_hand(layout_text(self.port, https.first().copied()), verify)),
        }
        finding.remedies.push(self.managing.restart());
        Some(finding)
    }

    /// The port on which both sides meet after the patch.
    fn agreed(&self, challenge: u16, other: u16) -> u16 {
        if challenge == other { self.port } else { challenge }
    }

    /// The ports on which servers of `http` speak TLS.
    fn https(&self) -> Vec<u16> {
        let listens = self.managing.instance.servers().into_iter().flat_map(|s| s.listens());
        let mut ports: Vec<u16> = listens.filter(|l| l.tls).map(|l| l.port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    fn preread(&self) -> Option<Change> {
        let instance = self.managing.instance;
        let own = self.server.directive.named("ssl_preread").last();
        if let Some(directive) = own {
            return support::reword(instance, directive, directive.words.get(1)?, "on");
        }
        let pass = self.server.directive.named("proxy_pass").next()?;
        support::splice(instance, pass.file, pass.span.end..pass.span.end, " ssl_preread on;")
    }

    /// The map from the protocols of the hello to the port that this server passes to.
    fn mapping(&self) -> Option<&'a Directive> {
        let to = self.server.directive.named("proxy_pass").next()?.argument(0)?;
        let maps = self.server.http.named("map").filter(|m| m.argument(0) == Some(ALPN));
        maps.into_iter().find(|m| m.argument(1).is_some_and(|variable| to.contains(variable)))
    }

    /// `acme-tls/1` gets a port of its own: a line of the map that is there, or a map.
    fn map(&self) -> Vec<Option<Change>> {
        let instance = self.managing.instance;
        let entry = format!("~\\bacme-tls/1\\b {};", self.port);
        if let Some(map) = self.mapping() {
            // An upstream's name where a port is wanted needs more than a line.
            let is_port = |d: &Directive| d.argument(0).is_some_and(|value| value.parse::<u16>().is_ok());
            let known = map.children().iter().any(|d| d.name().contains("acme-tls/1"));
            let Some(inner) = map.block.as_ref().map(|b| b.inner.start) else { return vec![None] };
            return vec![match !known && map.children().iter().all(is_port) {
                true => support::splice(instance, map.file, inner..inner, format!(" {entry}")),
                false => None,
            }];
        }
        let change = || {
            let pass = self.server.directive.named("proxy_pass").next()?;
            let to = pass.words.get(1)?;
            let (host, port) = to.text.rsplit_once(':')?;
            let is_plain = !host.contains('$') && port.parse::<u16>().is_ok();
            let file = self.server.directive.file;
            let start = self.server.directive.span.start;
            let indent = String::from_utf8_lossy(indentation(&instance.files.get(file)?.bytes, start)).into_owned();
            let map = format!("map {ALPN} $acme_tls_port {{ {entry} default {port}; }}\n{indent}");
            is_plain.then_some([
                support::splice(instance, file, start..start, map)?,
                support::reword(instance, pass, to, &format!("{host}:$acme_tls_port"))?,
            ])
        };
        change().map_or_else(|| vec![None], |changes| changes.into_iter().map(Some).collect())
    }

    /// The default of the map becomes the only port on which `http` speaks TLS.
    fn default_to(&self, https: &[u16]) -> Option<Change> {
        let [port] = https else { return None };
        let default = self.mapping()?.named("default").next()?;
        default.argument(0)?.parse::<u16>().ok()?;
        support::reword(self.managing.instance, default, default.words.get(1)?, &port.to_string())
    }
}

fn probe(name: &str) -> String {
    format!("openssl s_client -connect 127.0.0.1:443 -servername {} -alpn acme-tls/1", support::shell(name))
}

fn layout_text(port: u16, https: Option<u16>) -> String {
    let https = https.map_or_else(|| "the port of https".to_owned(), |p| p.to_string());
    format!(
        "in `stream`: `map {ALPN} $to {{ ~\\bacme-tls/1\\b {port}; default {https}; }}` and `server {{ listen 443; ssl_preread on; proxy_pass 127.0.0.1:$to; }}`"
    )
}

/// `http` has port 443 itself.
fn no_front(
    case: &Case<'_>,
    managing: &Managing<'_>,
    server: Server<'_>,
    copilot: &Copilot,
    address: &Setting,
    port: u16,
) -> Finding {
    let names = managing.names();
    let message = format!(
        "the CA can't validate {} by TLS-ALPN: `http` has port 443 itself, and nothing passes acme-tls/1 on to port {port}",
        support::list(&names, 3)
    );
    let mut finding = managing.finding(case, &CHECK, &names, message);
    let listen = server.directive.named("listen").find(|d| d.arguments().any(|a| a == "443" || a.ends_with(":443")));
    finding.evidence.push(support::place(managing.instance, listen.unwrap_or(server.directive)));
    finding.evidence.push(support::njet::said(copilot, address));
    let verify = names.first().map(|name| probe(name));
    let text = format!("have `http` listen on another port, such as 50010, and {}", layout_text(port, Some(50010)));
    finding.remedies.push(by_hand(text, verify));
    let toml = &copilot.path;
    let text = format!("or let the CA come to port 80: `challengeType = \"http\"` in {toml}, and a server for each name there");
    finding.remedies.push(by_hand(text, None));
    finding
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    const STREAM: &str = "map $ssl_preread_alpn_protocols $p { ~\\bacme-tls/1\\b 10443; default 50010; }
        server { listen 443; proxy_pass 127.0.0.1:$p; ssl_preread on; }";

    /// What is left after the patch.
    fn cured(stream: &str, toml: &str, message: &str) {
        let world = njet(HTTPS, stream, toml);
        let found = world.one(&CHECK);
        assert!(found.message.contains(message), "{}", found.message);
        assert_eq!(found.lineages, [("njet", "a.test".to_owned())]);
        njet_patched(&world, toml, &found).silent(&CHECK);
    }

    #[test]
    fn every_part_that_does_not_fit_is_put_right() {
        let off = STREAM.replace(" ssl_preread on;", "");
        cured(&off, TLS_TOML, "`ssl_preread` is off");
        cured(&STREAM.replace("ssl_preread on", "ssl_preread off"), TLS_TOML, "`ssl_preread` is off");
        cured(
            STREAM,
            &TLS_TOML.replace(":10443", "127.0.0.1:10444"),
            "passed on to port 10443, and the certificate manager waits on 10444",
        );
        cured(&off, &TLS_TOML.replace(":10443", ":10444"), "`ssl_preread` is off");
        cured(&STREAM.replace("~\\bacme-tls/1\\b 10443; ", ""), TLS_TOML, "like everything else");
        cured(&STREAM.replace("50010", "50011"), TLS_TOML, "passed on to port 50011, where no server");
        cured("server { listen 443; proxy_pass 127.0.0.1:50010; }", TLS_TOML, "`ssl_preread` is off");
    }

    /// Where a hello with `acme-tls/1`, one with others and one with none go.
    fn passed(stream: &str) -> [Option<u16>; 3] {
        let world = njet(HTTPS, stream, TLS_TOML);
        let instance = &world.facts.renewal.as_ref().expect("facts").nginx.instances[0];
        let server = instance.stream_servers()[0];
        let preread = server.prereads();
        ["acme-tls/1", "h2,http/1.1", ""].map(|protocols| instance.passes(server, protocols, preread))
    }

    #[test]
    fn a_connection_goes_where_its_hello_leads() {
        assert_eq!(passed(STREAM), [Some(10443), Some(50010), Some(50010)]);
        let without = STREAM.replace(" ssl_preread on;", "");
        assert_eq!(passed(&without), [Some(50010); 3]);
        assert_eq!(passed(&format!("ssl_preread on; {without}"))[0], Some(10443));
        let named = r"map $ssl_preread_alpn_protocols $p { ~\bacme-tls/1\b acme; default web; } upstream acme { server 127.0.0.1:1; }
            upstream web { server 127.0.0.1:2; server 127.0.0.1:3; } server { proxy_pass $p; ssl_preread on; }";
        assert_eq!(passed(named), [Some(1), None, None]);
        assert_eq!(passed("server { proxy_pass 127.0.0.1:50010; }"), [Some(50010); 3]);
        assert_eq!(passed("server { proxy_pass $ssl_preread_server_name:1; ssl_preread on; }"), [None; 3]);
        assert_eq!(passed("server { return x; }"), [None; 3]);
    }

    #[test]
    fn https_on_port_443_is_for_a_person() {
        let found = njet(&HTTPS.replace("50010", "443"), "", TLS_TOML).one(&CHECK);
        assert!(found.message.contains("`http` has port 443 itself"), "{}", found.message);
        assert!(found.remedies.iter().all(|r| r.applicability == Applicability::Manual));
    }

    #[test]
    fn is_silent_where_all_fits_or_nothing_is_known() {
        njet(HTTPS, STREAM, TLS_TOML).silent(&CHECK);
        njet(HTTPS, STREAM, HTTP_TOML).silent(&CHECK);
        njet(HTTPS, "", TLS_TOML).silent(&CHECK);
        njet(&HTTPS.replace("ssl_certificate_management acme;", ""), &STREAM.replace(" ssl_preread on;", ""), TLS_TOML)
            .silent(&CHECK);
        njet(HTTPS, &STREAM.replace("$ssl_preread_alpn_protocols", "$ssl_preread_server_name"), TLS_TOML).silent(&CHECK);
    }
}
