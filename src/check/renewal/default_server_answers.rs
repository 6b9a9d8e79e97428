//! CD760.

use super::{super::Case, support};
use crate::{
    finding::Finding,
    nginx::{Model, server::Chosen},
};

rule! {
    /// **What it means.** A name has a server for port 80 here and a certificate, but no server for it listens with TLS: the default server of
    /// that port answers with its own certificate, and every client refuses the name.
    ///
    /// **How it is found.** nginx's choice of a server for the name on port 443, and the certificate that this server presents. Names of other servers
    /// (mail, another host) have no server on port 80 and are not told.
    ///
    /// **What to do.** Add a server with `listen 443 ssl` and the lineage's files, or refuse unknown names: `ssl_reject_handshake on;` in the default
    /// server (nginx 1.19.4).
    ///
    /// **Sources.** nginx.org/en/docs/http/configuring_https_servers.html and request_processing.html.
    "CD760" "default-server-answers" Warning "another server's certificate is presented for a name"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for instance in support::in_force(renewal) {
        let model = Model::new(instance);
        let (https, http) = (model.addresses(443), model.addresses(80));
        for lineage in &renewal.lineages {
            let mut wrong: Vec<String> = Vec::new();
            let mut by = None;
            for name in lineage.names().into_iter().filter(|n| !n.contains('*')) {
                let Some(tls) = https.first().and_then(|address| model.select(*address, 443, &name)) else { continue };
                if !tls.tls || tls.chosen != Chosen::ByDefault {
                    continue;
                }
                let has_http = http.iter().any(|a| model.select(*a, 80, &name).is_some_and(|s| s.chosen == Chosen::ByName));
                let rejects = tls.server.inherited("ssl_reject_handshake").iter().any(|d| d.argument(0) == Some("on"));
                let pairs = support::pairs(instance, tls.server);
                let covered = pairs.is_empty()
                    || pairs
                        .iter()
                        .any(|(p, ..)| p.certificate.leaf().is_none_or(|c| support::covers(&support::names(c), &name)));
                if has_http && !covered && !rejects {
                    by = Some(tls.server.directive);
                    wrong.push(name);
                }
            }
            let Some(directive) = by else { continue };
            let message = format!(
                "no server of nginx takes {} on port 443: another one's certificate is presented",
                support::list(&wrong, 4)
            );
            let mut finding = Finding::new(&CHECK, &lineage.name, message);
            finding.lineages = vec![support::key(lineage)];
            finding.evidence = vec![support::place(instance, directive)];
            // Certbot keeps it beside the certificate; nginx refuses a server without it.
            let key = (lineage.manager == "certbot").then(|| lineage.path.parent().join("privkey.pem").to_string());
            let text = format!(
                "add `server {{ listen 443 ssl; server_name {}; ssl_certificate {}; ssl_certificate_key {}; }}` with the site's content",
                wrong.join(" "),
                lineage.path,
                key.as_deref().unwrap_or("KEY")
            );
            let verify = format!(
                "echo | openssl s_client -connect 127.0.0.1:443 -servername {} 2>/dev/null | openssl x509 -noout -subject",
                support::shell(&wrong[0])
            );
            finding.remedies.push(support::by_hand(text, Some(verify)));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::testing::*, support::testing::*},
        *,
    };

    const TLS: &str = "server {\n listen 443 ssl; server_name b.test; ssl_certificate /b.pem;\n}";

    fn world(http: &str) -> World {
        let b = issue(&["b.test"], "2026-11-01", "2027-01-30");
        let instance = with_pairs(nginx(&format!("{http}\n{TLS}")), &[&b]);
        World::at(LAB)
            .lineage("a.test", issue(&["a.test"], "2026-11-01", "2027-01-30"))
            .renewal(|r| r.nginx.instances.push(instance))
    }

    #[test]
    fn catches_a_name_without_server_for_tls() {
        let finding = world("server { listen 80; server_name a.test; }").one(&CHECK);
        assert!(finding.message.starts_with("no server of nginx takes a.test on port 443"), "{}", finding.message);
    }

    #[test]
    fn is_silent_about_names_that_nginx_does_not_serve() {
        world("").silent(&CHECK);
        world("server { listen 80; listen 443 ssl; server_name a.test; }").silent(&CHECK);
    }
}
