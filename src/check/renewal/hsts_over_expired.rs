//! CD762.

use super::{
    super::Case,
    support::{self, certbot},
};
use crate::{
    facts::renewal::nginx::Directive,
    finding::{Finding, Severity},
};

rule! {
    /// **What it means.** The server told browsers to insist on a good certificate (`Strict-Transport-Security`), and its certificate is
    /// self-signed, has expired or is about to. Browsers that saw the header offer no way past the warning: for them the site is down.
    ///
    /// **How it is found.** `add_header Strict-Transport-Security` with a positive `max-age` in force for a server, and the dates of the certificate
    /// that it is told to read.
    ///
    /// **What to do.** Renew; the header can't be taken back from browsers that have it, and `max-age=0` needs a good certificate to be heard.
    ///
    /// **Sources.** RFC 6797, sections 8.1 and 12.1.
    "CD762" "hsts-over-expired" Error "browsers were told to accept no bad certificate, and it is bad or will be"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for (instance, server, pair, directive, _) in support::all_pairs(renewal) {
        let Some(leaf) = pair.certificate.leaf() else { continue };
        let header = server.inherited("add_header").into_iter().find(|d| is_hsts(d));
        let Some(header) = header else { continue };
        let end = leaf.validity().not_after;
        // Managers renew at a third of the lifetime at the latest; what is left below that will not be renewed by itself. The shortest
        // lifetimes are below a week.
        let lifetime = end.zip(leaf.validity().not_before).map(|(end, begin)| end.0.saturating_sub(begin.0));
        let late = (case.within.min(7) * 86_400).min(lifetime.unwrap_or(i64::MAX) / 4);
        let soon = end.is_some_and(|end| end.0.saturating_sub(case.at.0) < late);
        if !soon {
            continue;
        }
        let expired = leaf.is_expired(case.at);
        let verb = if expired { "has expired" } else { "expires within days" };
        let message =
            format!("{} {verb}, and browsers were told to accept no bad certificate from this server", pair.certificate.path);
        let mut finding = Finding::new(&CHECK, pair.certificate.path.to_string(), message);
        finding.severity = if expired { Severity::Error } else { Severity::Warning };
        finding.lineages = support::lineage_of(renewal, pair).map(support::key).into_iter().collect();
        finding.facts = vec![("certificate", support::told(leaf))];
        finding.evidence = vec![support::place(instance, header), support::place(instance, directive)];
        let lineage = support::lineage_of(renewal, pair).filter(|l| l.manager == "certbot");
        let command = lineage.map(|l| certbot::renew_at_once(&l.name));
        finding.remedies.push(support::by_hand("renew it before anything else: users can't pass the warning", command));
        out.push(finding);
    }
}

fn is_hsts(directive: &Directive) -> bool {
    let value = directive.argument(1).unwrap_or_default().to_ascii_lowercase();
    let age = value.split_once("max-age=").map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    directive.argument(0).is_some_and(|n| n.eq_ignore_ascii_case("strict-transport-security"))
        && age.is_some_and(|a| a.bytes().any(|b| b != b'0'))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::testing::*, support::testing::*},
        *,
    };

    fn world(at: &str, max_age: &str) -> World {
        let text = format!(
            "server {{\n listen 443 ssl; server_name a.test; ssl_certificate /c.pem;\n add_header Strict-Transport-Security \"{max_age}\" always;\n}}"
        );
        let instance = with_pairs(nginx(&text), &[&issue(&["a.test"], "2026-08-01", "2026-11-01")]);
        World::at(at).renewal(|r| r.nginx.instances.push(instance))
    }

    #[test]
    fn catches_an_expired_certificate_and_one_that_will_be() {
        assert_eq!(world("2026-11-22", "max-age=63072000; includeSubDomains").one(&CHECK).severity, Severity::Error);
        assert_eq!(world("2026-10-30", "max-age=63072000").one(&CHECK).severity, Severity::Warning);
    }

    #[test]
    fn six_days_are_a_whole_lifetime() {
        let short = |at: &str| {
            let text = "server { listen 443 ssl; server_name a.test; ssl_certificate /c.pem; add_header Strict-Transport-Security max-age=1; }";
            let instance = with_pairs(nginx(text), &[&issue(&["a.test"], "2026-11-20", "2026-11-26")]);
            World::at(at).renewal(|r| r.nginx.instances.push(instance))
        };
        short("2026-11-22").silent(&CHECK);
        assert_eq!(short("2026-11-25").one(&CHECK).severity, Severity::Warning);
    }

    #[test]
    fn is_silent_in_good_time_and_without_the_header() {
        world("2026-09-01", "max-age=63072000").silent(&CHECK);
        world("2026-11-22", "max-age=0").silent(&CHECK);
    }
}
