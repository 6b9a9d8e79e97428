//! CD737.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use crate::{
    check::Case,
    edit::Applicability,
    facts::{
        Renewal,
        renewal::{
            ACME_TLS, AlpnEnd, Answer, Ask, Lineage,
            certmagic::{LogEvent, LogLine},
        },
    },
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

use super::support;

rule! {
    /// **What it means.** A CA that validates by TLS-ALPN (tls-alpn-01) makes a TLS connection to port 443 with the protocol `acme-tls/1` alone,
    /// and the server itself must answer. When a balancer or proxy in front ends TLS (haproxy, nginx, a cloud balancer), the CA meets
    /// that one and says `Cannot negotiate ALPN protocol "acme-tls/1"`. Alert 80 (`tls: internal error`) is no sign of it: that is a CertMagic server
    /// which has no challenge (CD738).
    ///
    /// **How it is found.** The CA's words in the server's log, newer than the certificate; and on a live host one handshake with port 443 of
    /// loopback that offers `acme-tls/1` only: alert 80 is the server itself, a completed handshake is somebody else, whose process is named.
    /// With `--public` the public address is asked the same: alert 80 here and a completed handshake there is a terminator in between.
    ///
    /// **What to do.** Let the balancer pass TCP on (a TCP listener, `mode tcp`), or let the server use another challenge: http-01 through the
    /// balancer (Caddyfile: `tls { issuer acme { disable_tlsalpn_challenge } }`), or dns-01.
    ///
    /// **Sources.** RFC 8737, section 3; measured with Caddy 2.11, nginx 1.22 and haproxy 2.6 (`tests/alpn.rs`).
    "CD737" "terminated-before-server" Warning "a proxy ends TLS before the server that has to answer the CA"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    for lineage in renewal.by_tls_alpn() {
        out.extend(finding(case, renewal, &lineage.name, Some(lineage)));
    }
    // A name for which nothing was ever obtained has no lineage.
    let has_none = |name: &&String| {
        !renewal.lineages.iter().any(|l| l.name == **name || l.names().iter().any(|n| n.eq_ignore_ascii_case(name)))
    };
    let refused = renewal.certmagic.log.iter().filter(|line| tells(line) && line.at.days_until(case.at) < RECENT);
    let names: BTreeSet<&String> = refused.filter_map(|line| line.name.as_ref()).filter(has_none).collect();
    out.extend(names.into_iter().filter_map(|name| finding(case, renewal, name, None)));
}

/// Days for which the log counts where no certificate tells that it is history.
const RECENT: i64 = 14;

fn finding(case: &Case<'_>, renewal: &Renewal, name: &str, lineage: Option<&Lineage>) -> Option<Finding> {
    let names = lineage.map_or_else(|| vec![name.to_owned()], Lineage::names);
    let leaf = lineage.and_then(Lineage::leaf);
    let is_own = |line: &&LogLine| line.name.as_ref().is_some_and(|n| n == name || names.contains(n));
    // Older than the certificate, it is history.
    let is_new = |line: &&LogLine| support::is_since(leaf, line.at);
    let refused = renewal.certmagic.log.iter().rev().find(|line| tells(line) && is_own(line) && is_new(line));
    let ends = |(_, end): &(IpAddr, AlpnEnd)| matches!(end, AlpnEnd::Terminated | AlpnEnd::Claimed);
    let inside = met(renewal, &names, false).next();
    let here = inside.filter(ends);
    // Only with `--public`. What ends TLS on this host already is the nearer explanation.
    let outside = met(renewal, &names, true).find(ends).filter(|_| here.is_none());
    if refused.is_none() && here.is_none() && outside.is_none() {
        return None;
    }
    let holder = renewal.processes.on_port(443).find_map(|l| renewal.processes.holder(l));
    let holder = here.and(holder).map(|p| format!("{} (process {})", p.program(), p.pid));
    let who = match (&holder, outside) {
        (Some(holder), _) => holder.clone(),
        (None, Some((address, _))) => format!("what stands at {address}"),
        (None, None) => "something before this server".to_owned(),
    };
    let message = format!("the CA can't validate {} by TLS-ALPN: {who} ends TLS on port 443", name);
    let mut finding = Finding::new(&CHECK, name, message);
    // As long as the CA has not failed, another challenge may do.
    finding.severity = match (refused, leaf) {
        (None, _) => Severity::Note,
        (Some(_), Some(leaf)) if !leaf.is_expired(case.at) => Severity::Warning,
        _ => Severity::Error,
    };
    if let Some((_, end)) = inside.filter(|_| here.is_some() || outside.is_some()) {
        finding.facts.push(("port 443 of this host answers", end.words().to_owned()));
    }
    if let Some((address, end)) = outside {
        finding.facts.push(("the public address answers", format!("{address}: {}", end.words())));
    }
    if let Some(line) = refused {
        finding.evidence.push(Evidence::file(&line.path, line.line, "refusal"));
        if let LogEvent::AlpnRefused(words) = &line.event {
            finding.facts.push(("the CA says", words.clone()));
        }
        finding.facts.push(("at", line.at.to_string()));
    }
    finding.lineages = lineage.map(|l| (l.manager, l.name.clone())).into_iter().collect();
    let (other, idle) = match lineage.map(|l| l.manager) {
        Some("njet") => (
            "`challengeType = \"http\"` in the file of cert-manager",
            "ends without an answer, as nobody waits between validations",
        ),
        _ => (
            "in the site's block of the Caddyfile `tls { issuer acme { disable_tlsalpn_challenge } }`",
            "is refused with alert 80",
        ),
    };
    let text =
        format!("pass TCP on to the server on port 443 (a TCP listener; haproxy: `mode tcp`), or use http-01 or dns-01: {other}");
    let name = names.iter().find(|n| !n.contains('*')).map_or(name, String::as_str);
    let to = outside.map_or_else(|| "127.0.0.1:443".to_owned(), |(address, _)| SocketAddr::new(address, 443).to_string());
    let command = format!("openssl s_client -connect {to} -servername {} -alpn acme-tls/1", crate::base::shell(name));
    finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, None));
    let text = format!("afterwards the handshake {idle}");
    finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, Some(command)));
    Some(finding)
}

/// Whether a line tells of a terminator.
fn tells(line: &LogLine) -> bool {
    let LogEvent::AlpnRefused(words) = &line.event else { return false };
    if line.event.tells_of_another_instance() {
        return false;
    }
    words.contains("Cannot negotiate ALPN protocol") || words.contains("Incorrect validation certificate")
}

/// What port 443 answered for one of these names, here or at public addresses that are not this host's.
fn met<'a>(renewal: &'a Renewal, names: &'a [String], outside: bool) -> impl Iterator<Item = (IpAddr, AlpnEnd)> + 'a {
    renewal.probes.iter().filter_map(move |probe| match (&probe.ask, &probe.answer) {
        (Ask::Handshake { address, sni: Some(sni), alpn, .. }, Answer::Handshake(outcome))
            if *alpn == [ACME_TLS] && names.contains(sni) && renewal.is_elsewhere(*address) == outside =>
        {
            Some((*address, AlpnEnd::of(outcome)))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::At,
        check::testing::*,
        facts::{
            ConnectFailure, Presented,
            renewal::{Listener, Probe, Process, PublicName},
        },
    };

    fn world(outcome: Option<Result<Presented, ConnectFailure>>, said: Option<(&str, &str)>) -> World {
        World::at("2026-11-22").storage(|storage| storage.sites.push(site("a.test"))).renewal(|renewal| {
            renewal.probes.extend(outcome.map(|outcome| Probe {
                ask: Ask::Handshake {
                    address: IpAddr::from([127, 0, 0, 1]),
                    port: 443,
                    sni: Some("a.test".into()),
                    alpn: vec![ACME_TLS.to_owned()],
                },
                answer: Answer::Handshake(Box::new(outcome)),
            }));
            renewal.processes.listeners.push(Listener { address: IpAddr::from([0, 0, 0, 0]), port: 443, pids: vec![7] });
            renewal.processes.all.push(Process {
                pid: 7,
                parent: 1,
                comm: "haproxy".into(),
                exe: Some("/usr/sbin/haproxy".into()),
                arguments: Vec::new(),
                started: At(0),
                unit: None,
            });
            renewal.certmagic.log.extend(said.map(|(at, words)| LogLine {
                path: "/var/log/caddy/caddy.log".into(),
                line: Some(1),
                at: At::parse(at).expect("a time"),
                name: Some("a.test".into()),
                event: LogEvent::AlpnRefused(words.to_owned()),
            }));
        })
    }

    const SAID: &str = "Cannot negotiate ALPN protocol \"acme-tls/1\" for tls-alpn-01 challenge";

    #[test]
    fn the_process_that_ends_tls_is_named() {
        let found = world(Some(Ok(Presented::default())), Some(("2026-11-20", SAID))).one(&CHECK);
        let expected = "the CA can't validate a.test by TLS-ALPN: haproxy (process 7) ends TLS on port 443";
        assert_eq!((found.message.as_str(), found.severity), (expected, Severity::Warning));
        assert_eq!(world(Some(Ok(Presented::default())), None).one(&CHECK).severity, Severity::Note);
        let found = world(None, Some(("2026-11-20", SAID))).one(&CHECK);
        assert!(found.message.contains("something before this server"), "{}", found.message);
    }

    /// What a public address answers besides.
    fn outside(world: World, outcome: Result<Presented, ConnectFailure>, is_here: bool) -> World {
        world.renewal(|renewal| {
            let address = IpAddr::from([203, 0, 113, 7]);
            let alpn = vec![ACME_TLS.to_owned()];
            let ask = Ask::Handshake { address, port: 443, sni: Some("a.test".into()), alpn };
            renewal.probes.push(Probe { ask, answer: Answer::Handshake(Box::new(outcome)) });
            renewal.public.push(PublicName { name: "a.test".into(), addresses: Ok(vec![(address, is_here)]) });
        })
    }

    #[test]
    fn a_balancer_before_this_host_is_told_by_its_address() {
        let own = || Err(ConnectFailure::Alert { number: 80, name: "internal_error" });
        let found = outside(world(Some(own()), None), Ok(Presented::default()), false).one(&CHECK);
        let expected = "the CA can't validate a.test by TLS-ALPN: what stands at 203.0.113.7 ends TLS on port 443";
        assert_eq!((found.message.as_str(), found.severity), (expected, Severity::Note));
        let told = outside(world(Some(own()), Some(("2026-11-20", SAID))), Ok(Presented::default()), false).one(&CHECK);
        assert_eq!((told.message.as_str(), told.severity), (expected, Severity::Warning));
        // Passed through, nobody there, or this host itself: no balancer.
        outside(world(Some(own()), None), own(), false).silent(&CHECK);
        outside(world(Some(own()), None), Err(ConnectFailure::Reset), false).silent(&CHECK);
        outside(world(Some(own()), None), Ok(Presented::default()), true).silent(&CHECK);
        // What ends TLS here is named before what may stand elsewhere.
        let both = outside(world(Some(Ok(Presented::default())), None), Ok(Presented::default()), false).one(&CHECK);
        assert!(both.message.contains("haproxy (process 7)"), "{}", both.message);
    }

    #[test]
    fn a_name_without_a_certificate_is_told_as_long_as_it_is_news() {
        let without = |at| {
            world(None, Some((at, SAID))).renewal(|renewal| {
                renewal.lineages.clear();
                renewal.certmagic.storages[0].sites.clear();
            })
        };
        assert_eq!(without("2026-11-20").one(&CHECK).severity, Severity::Error);
        without("2026-11-01").silent(&CHECK);
    }

    #[test]
    fn a_ca_of_caddys_own_validates_nothing() {
        let world = world(Some(Ok(Presented::default())), None);
        world.renewal(|renewal| renewal.certmagic.storages[0].sites[0].ca = "local".into()).silent(&CHECK);
    }

    #[test]
    fn caddy_itself_and_old_words_are_silent() {
        let own = || Some(Err(ConnectFailure::Alert { number: 80, name: "internal_error" }));
        world(own(), None).silent(&CHECK);
        world(own(), Some(("2026-09-01", SAID))).silent(&CHECK);
        world(own(), Some(("2026-11-20", "Failed to connect to 1.2.3.4:443 for the tls-alpn-01 challenge"))).silent(&CHECK);
    }
}
