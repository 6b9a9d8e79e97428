//! CD734.

use super::{super::Case, support};
use crate::{
    edit::Applicability,
    facts::renewal::nginx::Instance,
    finding::{Finding, Intent, Remedy},
    nginx::Model,
};

rule! {
    /// **What it means.** The name's server takes HTTPS over IPv6, and HTTP only over IPv4. A certificate authority that finds an AAAA record
    /// asks port 80 over IPv6 first. Let's Encrypt tries IPv4 after a refused connection, others do not.
    ///
    /// **How it is found.** The `listen` lines of the servers that have the name. Whether the name has an AAAA record is not asked; without one it
    /// does no harm.
    ///
    /// **What to do.** Add `listen [::]:80;`, or drop the AAAA record.
    ///
    /// **Sources.** ngx_http_core_module (`listen`, `ipv6only`); letsencrypt.org/docs/ipv6-support; measured with pebble
    /// (`dial tcp [::1]:80: connect: connection refused`).
    "CD734" "no-ipv6-listener" Note "port 443 is served over IPv6, port 80 is not"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for instance in support::in_force(renewal) {
        let model = Model::new(instance);
        let mut seen: Vec<*const crate::facts::renewal::nginx::Directive> = Vec::new();
        for challenge in renewal.challenges.iter().filter(|c| c.port == 80) {
            let v6 = Instance::any(true);
            let https = model.select(v6, 443, &challenge.name).is_some();
            let Some(http) = model.select(Instance::any(false), 80, &challenge.name) else { continue };
            if !https || model.select(v6, 80, &challenge.name).is_some() || http.listen.both_families {
                continue;
            }
            let Some(listen) = http.listen.directive.filter(|d| !seen.contains(&std::ptr::from_ref(*d))) else { continue };
            seen.push(std::ptr::from_ref(listen));
            let message = format!("the server of {} takes port 443 over IPv6, but port 80 only over IPv4", challenge.name);
            let mut finding = Finding::new(&CHECK, &challenge.lineage.1, message);
            finding.lineages = vec![challenge.lineage.clone()];
            finding.evidence.push(support::place(instance, listen));
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
