//! CD719.

use super::support::certbot as support;
use crate::{
    check::Case,
    finding::{Evidence, Finding, Severity},
};

rule! {
    /// **What it means.** The file with the DNS provider's credentials that the renewal configuration names is not there, or others on
    /// this host can read it: whoever has it can change the zone and obtain certificates.
    ///
    /// **How it is found.** The keys `dns_…_credentials` of the plugin that renews; whether the file is there, and its permission bits.
    /// What is in it is not read.
    ///
    /// **What to do.** Bring the file back, or name where it is now; let only root read it.
    ///
    /// **Sources.** `plugins/dns_common.py` (`validate_file_permissions`: certbot itself only warns).
    "CD719" "dns-credentials" Warning "the DNS credentials are missing or open to others"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let prefix = subject.conf.parameter("authenticator").unwrap_or_default().replace('-', "_") + "_";
        for credentials in subject.conf.credentials.iter().filter(|c| c.key.starts_with(&prefix)) {
            let path = crate::base::shell(&credentials.path.to_string());
            let (message, severity, remedy) = match credentials.mode {
                None => (
                    format!("{}, with the credentials that renew {}, is not there", credentials.path, subject.name()),
                    subject.urgency(),
                    support::by_hand("bring the file back, or name where it is now", format!("ls -l {path}")),
                ),
                Some(mode) if mode & 0o077 != 0 => (
                    format!("{}, with the credentials that renew {}, has mode {mode:03o}", credentials.path, subject.name()),
                    Severity::Warning,
                    support::by_hand("let only root read it", format!("chmod 600 {path}")),
                ),
                Some(_) => continue,
            };
            let mut finding = subject.finding(&CHECK, Some(&credentials.key), message);
            finding.severity = severity;
            finding.evidence.push(Evidence::file(&credentials.path, None, "credentials"));
            finding.remedies.push(remedy);
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    const INI: &str = "/root/cf.ini";

    fn with(mode: Option<u32>) -> World {
        World::renewing(move |tree| {
            edit(tree, CONF, |text| {
                text.replace(
                    "authenticator = webroot\n",
                    &format!("authenticator = dns-cloudflare\ndns_cloudflare_credentials = {INI}\n"),
                )
            });
            if let Some(mode) = mode {
                tree.put(INI, FILE, mode, b"x".to_vec());
            }
        })
    }

    #[test]
    fn catches_missing_and_open_files() {
        assert_eq!(with(None).one(&CHECK).message, "/root/cf.ini, with the credentials that renew a.test, is not there");
        assert_eq!(with(Some(0o644)).one(&CHECK).message, "/root/cf.ini, with the credentials that renew a.test, has mode 644");
    }

    #[test]
    fn is_silent_about_a_private_file_and_other_plugins() {
        with(Some(0o600)).silent(&CHECK);
        // What can't be seen may be there.
        let world = World::renewing(|tree| {
            edit(tree, CONF, |text| {
                text.replace(
                    "authenticator = webroot\n",
                    &format!("authenticator = dns-cloudflare\ndns_cloudflare_credentials = {INI}\n"),
                )
            });
            tree.symlink(INI, INI);
        });
        assert_eq!(world.facts.renewal.as_ref().map(|r| r.certbot.unread.len()), Some(1));
        world.silent(&CHECK);
        World::renewing(|tree| edit(tree, CONF, |text| text.replace("server =", "dns_cloudflare_credentials = /gone\nserver =")))
            .silent(&CHECK);
    }
}
