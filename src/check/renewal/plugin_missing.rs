//! CD718.

use super::support::{by_hand, certbot as support, shell};
use crate::{
    check::Case,
    facts::renewal::certbot::OWN_PLUGINS,
    finding::{Evidence, Finding},
};

rule! {
    /// **What it means.** The renewal configuration names a plugin that the installed certbot does not have: certbot was moved from a
    /// package to snap or pip, and its plugins were not. Every renewal fails with "The requested … plugin does not appear to be
    /// installed".
    ///
    /// **How it is found.** `authenticator` and `installer` against certbot's own four plugins and the entry points `certbot.plugins` of
    /// what is installed beside it (for the snap: the snaps `certbot-*`).
    ///
    /// **What to do.** Install the plugin in the way in which certbot is installed.
    ///
    /// **Sources.** `plugins/disco.py`; measured with certbot 2.1.0.
    "CD718" "plugin-missing" Warning "the plugin that renews is not installed"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let installed = &subject.certbot.installed;
        for key in ["authenticator", "installer"] {
            let Some(written) = subject.conf.parameter(key) else { continue };
            // Plugins of others once had the name of their package before theirs.
            let plugin = written.rsplit(':').next().unwrap_or(written);
            let has = |i: &crate::facts::renewal::certbot::Installed| {
                i.plugins.as_ref().is_none_or(|p| p.contains(plugin) || p.contains(written))
            };
            if OWN_PLUGINS.contains(&plugin) || installed.is_empty() || installed.iter().any(has) {
                continue;
            }
            let message = format!("the {plugin} plugin, which renews {}, is not installed", subject.name());
            let mut finding = subject.finding(&CHECK, Some(key), message);
            finding.evidence.extend(installed.iter().map(|i| Evidence::file(&i.path, None, "certbot without it")));
            let Some(current) = subject.certbot.current() else { continue };
            // What is copied into a shell comes from a file: only what can be the name of a package.
            let is_name = !plugin.is_empty() && plugin.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            let command = match current.how {
                "Debian package" => format!("apt-get install python3-certbot-{plugin}"),
                "RPM package" => format!("dnf install python3-certbot-{plugin}"),
                "snap" => format!("snap set certbot trust-plugin-with-root=ok && snap install certbot-{plugin}"),
                _ => {
                    // site-packages lies in lib/python3.x of the environment.
                    let prefix = current.path.parent().parent().parent().parent();
                    format!("{} install certbot-{plugin}", shell(&prefix.join("bin/pip").to_string()))
                }
            };
            let text = format!("install the {plugin} plugin for this certbot ({})", current.how);
            finding.remedies.push(by_hand(text, is_name.then_some(command)));
            finding.facts.push(("verify", subject.dry_run()));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_plugin_that_did_not_move_along() {
        let finding =
            World::renewing(|tree| edit(tree, CONF, |text| text.replace("= webroot\n", "= dns-cloudflare\n"))).one(&CHECK);
        assert_eq!(finding.message, "the dns-cloudflare plugin, which renews a.test, is not installed");
        assert_eq!(finding.remedies[0].command.as_deref(), Some("apt-get install python3-certbot-dns-cloudflare"));
    }

    #[test]
    fn a_name_that_is_no_package_is_not_made_a_command() {
        let hostile = |text: String| text.replace("= webroot\n", "= x;touch /tmp/y\n");
        let finding = World::renewing(|tree| edit(tree, CONF, hostile)).one(&CHECK);
        assert_eq!(finding.remedies[0].command, None);
    }

    #[test]
    fn is_silent_about_what_is_there_and_when_nothing_is_known() {
        World::renewing(|tree| edit(tree, CONF, |text| text.replace("= webroot\n", "= nginx\n"))).silent(&CHECK);
        World::renewing(|tree| {
            edit(tree, CONF, |text| text.replace("= webroot\n", "= dns-cloudflare\n"));
            tree.remove_directory(&"/usr/lib/python3".into());
            tree.remove_directory(&"/var/lib/dpkg".into());
        })
        .silent(&CHECK);
    }
}
