//! CD709.

use super::support::certbot as support;
use crate::{
    check::Case,
    facts::renewal::{Event, EventKind},
    finding::{Finding, Severity},
};

rule! {
    /// **What it means.** Certbot answers on port 80 itself and has hooks that free the port for it; but they stop another program than
    /// the one that holds the port, or nothing starts the stopped one again afterwards.
    ///
    /// **How it is found.** `pre_hook` does not name the program, nor the service, that holds the port; or there is a `pre_hook` that
    /// stops something and no `post_hook` that starts it, here or in `cli.ini` or `renewal-hooks/post`.
    ///
    /// **What to do.** Correct the hooks, or better: let the web server that is there answer (`authenticator = webroot`), which needs no
    /// stop at all.
    ///
    /// **Sources.** certbot's user guide, "Renewing certificates"; measured: certbot runs the post-hook even when a renewal failed.
    "CD709" "standalone-hooks" Warning "the hooks do not free certbot's port, or do not give it back"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let Some(pre) =
            subject.conf.parameter("pre_hook").filter(|_| subject.conf.parameter("authenticator") == Some("standalone"))
        else {
            continue;
        };
        let port = subject.conf.parameter("http01_port").and_then(|p| p.parse().ok()).unwrap_or(80);
        let holder = support::holder(subject.renewal, port);
        let bind = |e: &Event| matches!(&e.kind, EventKind::Failed(why) if why.contains("Could not bind TCP port"));
        let failed = subject.last_event(bind);
        // A script may stop anything: only what the hook says itself can be compared.
        let is_plain = ["systemctl ", "service ", "docker ", "podman ", "nginx ", "apachectl ", "apache2ctl "]
            .iter()
            .any(|c| pre.contains(c));
        let other = holder.as_ref().filter(|holder| {
            let program = holder.program.to_ascii_lowercase();
            let unit = holder.unit.as_deref().unwrap_or(&program).trim_end_matches(".service");
            !program.is_empty() && !pre.contains(&program) && !pre.contains(unit) && (is_plain || failed.is_some())
        });
        let stops = pre.contains(" stop") || pre.contains("-s quit") || pre.contains("-s stop");
        let starts_again = subject.conf.parameter("post_hook").is_some()
            || subject.certbot.option("post-hook").is_some()
            || subject.certbot.hooks.iter().any(|h| h.when == "post" && h.is_executable);
        let message = match other {
            Some(holder) => format!("the pre-hook is `{pre}`, but {} holds port {port}", holder.label),
            None if stops && !starts_again => format!("the pre-hook is `{pre}`, and no post-hook starts again what it stops"),
            None => continue,
        };
        let mut finding = subject.finding(&CHECK, Some("pre_hook"), message);
        if other.is_none() {
            finding.severity = Severity::Warning;
        }
        finding.evidence.extend(failed.map(support::logged));
        let name = crate::base::shell(subject.name());
        let text = "let the web server answer the challenge out of a directory, and stop nothing";
        let root = support::webroot_for(subject.renewal, holder.as_ref(), subject.lineage).to_string();
        let command = format!(
            "certbot certonly --cert-name {name} --webroot -w {} --deploy-hook 'systemctl reload nginx'",
            crate::base::shell(&root)
        );
        finding.remedies.push(support::by_hand(text, command));
        finding.facts.push(("verify", subject.dry_run()));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    fn with(hooks: &'static str) -> World {
        World::renewing(move |tree| edit(tree, CONF, |text| standalone(&text) + hooks))
    }

    #[test]
    fn catches_a_hook_for_another_program_and_one_without_its_counterpart() {
        let finding = with("pre_hook = systemctl stop apache2\npost_hook = systemctl start apache2\n").one(&CHECK);
        assert_eq!(finding.message, "the pre-hook is `systemctl stop apache2`, but nginx holds port 80");
        let finding = with("pre_hook = systemctl stop nginx\n").one(&CHECK);
        assert_eq!(finding.message, "the pre-hook is `systemctl stop nginx`, and no post-hook starts again what it stops");
    }

    #[test]
    fn is_silent_about_a_fitting_pair_and_about_scripts() {
        with("pre_hook = systemctl stop nginx\npost_hook = systemctl start nginx\n").silent(&CHECK);
        with("pre_hook = /usr/local/bin/free-port\npost_hook = /usr/local/bin/back\n").silent(&CHECK);
        World::renewing(|_| {}).silent(&CHECK);
    }
}
