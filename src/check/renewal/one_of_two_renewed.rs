//! CD759.

use super::{super::Case, support};
use crate::{
    finding::{Finding, Severity},
    x509::Certificate,
};

rule! {
    /// **What it means.** A server presents an RSA certificate to some clients and an ECDSA certificate to others, and only one of the two is
    /// renewed. Half of the clients see an expired certificate, and whoever looks with a current browser sees nothing.
    ///
    /// **How it is found.** A server has two `ssl_certificate` directives with keys of different kinds; one has expired or expires soon, and the
    /// other holds on for more than 20 days longer.
    ///
    /// **What to do.** Renew the other lineage too, or drop its pair: every current client takes ECDSA.
    ///
    /// **Sources.** ngx_http_ssl_module (`ssl_certificate`, "since version 1.11.0 multiple times").
    "CD759" "one-of-two-renewed" Warning "of an RSA and an ECDSA certificate only one is renewed"
}

/// Both are renewed on one day, or a few apart; a third of the shortest usual lifetime is a difference.
const DAYS: i64 = 20;

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for instance in support::in_force(renewal) {
        let mut told: Vec<&str> = Vec::new();
        for server in instance.servers() {
            let ends = |c: &Certificate| c.validity().not_after.map(|at| at.0);
            let mut pairs: Vec<_> = support::pairs(instance, server)
                .into_iter()
                .filter_map(|(pair, directive, _)| {
                    Some((ends(pair.certificate.leaf()?)?, pair.certificate.leaf()?, pair, directive))
                })
                .collect();
            pairs.sort_by_key(|(end, ..)| *end);
            let [(first, old, pair, directive), .., (last, new, ..)] = pairs.as_slice() else { continue };
            let kinds =
                std::mem::discriminant(&old.public_key().algorithm) != std::mem::discriminant(&new.public_key().algorithm);
            let soon = first - case.at.0 < case.within * 86_400;
            let path = directive.argument(0).unwrap_or_default();
            if !kinds || !soon || last - first <= DAYS * 86_400 || told.contains(&path) {
                continue;
            }
            told.push(path);
            let expired = old.is_expired(case.at);
            let verb = if expired { "has expired" } else { "expires soon" };
            let message = format!("{} {verb}, and its twin of another kind of key was renewed", pair.certificate.path);
            let mut finding = Finding::new(&CHECK, pair.certificate.path.to_string(), message);
            finding.severity = if expired { Severity::Error } else { Severity::Warning };
            finding.lineages = support::lineage_of(renewal, pair).map(support::key).into_iter().collect();
            finding.facts = vec![("this one", support::told(old)), ("its twin", support::told(new))];
            finding.evidence = pairs.iter().map(|(.., directive)| support::place(instance, directive)).collect();
            let name = server.plain_names().into_iter().next().unwrap_or_default();
            let sigalgs = match old.public_key().algorithm {
                crate::x509::KeyAlgorithm::Rsa => "RSA+SHA256:RSA-PSS+SHA256",
                _ => "ECDSA+SHA256",
            };
            let verify = format!(
                "openssl s_client -connect 127.0.0.1:443 -servername {} -sigalgs {sigalgs} </dev/null",
                support::shell(&name)
            );
            finding.remedies.push(support::by_hand("renew it, or drop its pair", Some(verify)));
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

    const CONF: &str = "server {\n listen 443 ssl; server_name a.test;\n ssl_certificate /rsa.pem; ssl_certificate /ec.pem;\n}";

    #[test]
    fn catches_a_certificate_of_another_kind_left_behind() {
        let new = issue(&["a.test"], "2026-11-01", "2027-01-30");
        let old = issue_for(&rcgen::PKCS_ED25519, &["a.test"], "2026-08-01", "2026-11-01");
        let instance = with_pairs(nginx(CONF), &[&old, &new]);
        let finding = World::at("2026-11-22").renewal(|r| r.nginx.instances.push(instance)).one(&CHECK);
        assert_eq!((finding.severity, finding.evidence[0].line), (Severity::Error, Some(4)));
        assert!(finding.message.starts_with("/rsa.pem has expired"), "{}", finding.message);
    }

    #[test]
    fn is_silent_about_two_that_end_together() {
        let (a, b) = (issue(&["a.test"], "2026-11-01", "2027-01-30"), issue(&["a.test"], "2026-11-02", "2027-01-31"));
        let instance = with_pairs(nginx(CONF), &[&a, &b]);
        World::at("2027-01-20").renewal(|r| r.nginx.instances.push(instance)).silent(&CHECK);
    }
}
