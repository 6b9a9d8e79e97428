//! CD734.

use std::net::Ipv6Addr;

use super::{
    super::Case,
    support::{
        self,
        certbot::{self, Subject},
    },
};
use crate::{
    edit::Applicability,
    facts::renewal::{Event, EventKind, nginx::Instance},
    finding::{Finding, Intent, Remedy},
    nginx::Model,
};

rule! {
    /// **What it means.** The name's server takes HTTPS over IPv6, and HTTP only over IPv4. A certificate authority that finds an AAAA record
    /// asks port 80 over IPv6 first. Let's Encrypt tries IPv4 after a refused connection, others do not.
    ///
    /// **How it is found.** The `listen` lines of the servers that have the name. Whether the name has an AAAA record is not asked; without one it
    /// does no harm, and this is a note. When the CA's words in certbot's log say that it went to an IPv6 address and found nobody, it is why the last
    /// renewal failed, also where port 443 is not served over IPv6.
    ///
    /// **What to do.** Add `listen [::]:80;`, or drop the AAAA record.
    ///
    /// **Sources.** ngx_http_core_module (`listen`, `ipv6only`); letsencrypt.org/docs/ipv6-support; measured with pebble
    /// (`dial tcp [::1]:80: connect: connection refused`); `detailedError` in Boulder's `va/va.go` (`ADDRESS: Fetching URL: …`).
    "CD734" "no-ipv6-listener" Note "port 80 is not served over IPv6"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    let subjects = certbot::lineages(case);
    for instance in support::in_force(renewal) {
        let model = Model::new(instance);
        let mut seen: Vec<*const crate::facts::renewal::nginx::Directive> = Vec::new();
        for challenge in renewal.challenges.iter().filter(|c| c.port == 80) {
            let v6 = Instance::any(true);
            let subject = subjects.iter().find(|s| support::key(s.lineage) == challenge.lineage);
            let refused = subject.and_then(|s| Some((s, refused(s)?)));
            let https = model.select(v6, 443, &challenge.name).is_some();
            let Some(http) = model.select(Instance::any(false), 80, &challenge.name) else { continue };
            if !https && refused.is_none() || model.select(v6, 80, &challenge.name).is_some() || http.listen.both_families {
                continue;
            }
            let Some(listen) = http.listen.directive.filter(|d| !seen.contains(&std::ptr::from_ref(*d))) else { continue };
            seen.push(std::ptr::from_ref(listen));
            let message = match refused {
                Some((_, (_, _, address))) => {
                    format!("the CA asked for {} at {address}, and nginx takes port 80 only over IPv4", challenge.name)
                }
                None => format!("the server of {} takes port 443 over IPv6, but port 80 only over IPv4", challenge.name),
            };
            let mut finding = Finding::new(&CHECK, &challenge.lineage.1, message);
            finding.lineages = vec![challenge.lineage.clone()];
            finding.evidence.push(support::place(instance, listen));
            if let Some((subject, (event, words, _))) = refused {
                finding.severity = subject.urgency();
                finding.evidence.push(certbot::logged(event));
                finding.facts.push(("the CA said", words.to_owned()));
            }
            let change = support::splice(instance, listen.file, listen.span.end..listen.span.end, " listen [::]:80;");
            let verify = Some(format!("curl -sI -H {} 'http://[::1]/'", support::host_header(&challenge.name)));
            let text = "listen on port 80 over IPv6 too";
            // Whether this host has IPv6 at all is for a person to know: nginx does not start where it can't bind.
            let remedy = Remedy::new(Intent::Patch(change.into_iter().collect()), Applicability::Ask, text, verify);
            finding.remedies.push(remedy);
            out.push(finding);
        }
    }
}

/// Where the CA said in the last renewal, which failed, that it found nobody at an IPv6 address: the event, its words, the address.
fn refused<'s>(subject: &'s Subject<'_>) -> Option<(&'s Event, &'s str, Ipv6Addr)> {
    let (failed, _) = subject.failed()?;
    subject.with(failed).find_map(|event| match &event.kind {
        EventKind::Acme(kind, words) if kind == "connection" => Some((event, words.as_str(), address(words)?)),
        _ => None,
    })
}

/// The IPv6 address that the words name: `ADDRESS: Fetching URL: …` is Boulder's, `dial tcp [ADDRESS]:80: …` is Go's.
fn address(words: &str) -> Option<Ipv6Addr> {
    let boulder = words.split_once(": Fetching ").and_then(|(before, _)| before.rsplit(' ').next());
    let go = words.split_once("dial tcp [").and_then(|(_, rest)| rest.split_once("]:")).map(|(address, _)| address);
    boulder.into_iter().chain(go).find_map(|address| address.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    const TLS: &str = "server { listen 443 ssl; listen [::]:443 ssl; server_name a.test; root /le; }";

    #[test]
    fn catches_port_80_over_ipv4_alone() {
        let text = format!("server {{ listen 80; server_name a.test; root /le; }} {TLS}");
        let finding = World::at(LAB).webroot("a.test", "/le").nginx(&text).one(&CHECK);
        let after = nginx_patched(&nginx(&text), &finding);
        World::at(LAB).webroot("a.test", "/le").renewal(|r| r.nginx.instances.push(after)).silent(&CHECK);
    }

    #[test]
    fn the_address_is_read_in_the_words_of_each_ca() {
        let boulder = "2001:db8::7: Fetching http://a.test/.well-known/acme-challenge/x: Connection refused";
        let pebble = "Get \"http://a.test:80/.well-known/acme-challenge/x\": dial tcp [::1]:80: connect: connection refused";
        assert_eq!(address(boulder).map(|a| a.to_string()).as_deref(), Some("2001:db8::7"));
        assert_eq!(address(pebble).map(|a| a.to_string()).as_deref(), Some("::1"));
        for over_ipv4 in
            ["203.0.113.7: Fetching http://a.test/: Connection refused", "dial tcp 127.0.0.1:80: connect: refused", ""]
        {
            assert_eq!(address(over_ipv4), None);
        }
    }

    #[test]
    fn is_silent_with_both_or_with_none() {
        for text in [
            "server { listen 80; listen [::]:80; server_name a.test; root /le; }",
            "server { listen 80; server_name a.test; root /le; }",
        ] {
            World::at(LAB).webroot("a.test", "/le").nginx(text).silent(&CHECK);
        }
        World::at(LAB).webroot("a.test", "/le").nginx(&format!("server {{ listen [::]:80 ipv6only=off; }} {TLS}")).silent(&CHECK);
    }
}
