//! CD749.

use super::support::certbot as support;
use crate::{check::Case, finding::Finding};

rule! {
    /// **What it means.** The certificate has a wildcard name, which a public CA validates over DNS only, but the configuration renews it
    /// over HTTP. It was ordered in another way (by hand, with `--manual`), and can't be renewed in this one.
    ///
    /// **How it is found.** `*.` among the names of the certificate, and an authenticator that knows http-01 alone.
    ///
    /// **What to do.** Use the plugin of the DNS provider, or `manual` with hooks that write the record.
    ///
    /// **Sources.** letsencrypt.org/docs/challenge-types; RFC 8555, section 7.1.3; certbot's plugins (`get_chall_pref`).
    "CD749" "wildcard-without-dns" Warning "a wildcard is renewed without DNS"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let Some(authenticator) = subject.conf.parameter("authenticator") else { continue };
        let names = subject.lineage.names();
        let Some(wildcard) = names.iter().find(|n| n.starts_with("*.")) else { continue };
        if !["standalone", "webroot", "nginx", "apache"].contains(&authenticator) {
            continue;
        }
        let message = format!("{wildcard} can only be validated over DNS, but {} renews by {authenticator}", subject.name());
        let mut finding = subject.finding(&CHECK, Some("authenticator"), message);
        let domains: String = names.iter().map(|n| format!(" -d {}", crate::base::shell(n))).collect();
        let command = subject.order_once(&format!("--dns-PROVIDER{domains}"), None);
        let text = "order it once with the plugin of your DNS provider, or with `--manual` and hooks that write the record, which saves it";
        finding.remedies.push(support::by_hand(text, command));
        finding.facts.push(("verify", subject.dry_run()));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_http() {
        let finding = World::renewing(|tree| lineage_for(tree, &["a.test", "*.a.test"], "2026-10-20", 90)).one(&CHECK);
        assert_eq!(finding.message, "*.a.test can only be validated over DNS, but a.test renews by webroot");
    }

    #[test]
    fn is_silent_about_dns_and_plain_names() {
        World::renewing(|_| {}).silent(&CHECK);
        World::renewing(|tree| {
            lineage_for(tree, &["a.test", "*.a.test"], "2026-10-20", 90);
            edit(tree, CONF, |text| text.replace("= webroot\n", "= dns-rfc2136\n"));
        })
        .silent(&CHECK);
    }
}
