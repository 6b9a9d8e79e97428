//! CD709.

use super::{
    standalone_port_held,
    support::certbot::{self as support, Holder, Subject},
};
use crate::{
    base::shell,
    check::Case,
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
    out.extend(support::lineages(case).iter().filter_map(about));
}

/// What is to be said about one lineage.
pub(super) fn about(subject: &Subject<'_>) -> Option<Finding> {
    let pre = own_pre_hook(subject)?;
    let port = subject.conf.http01_port();
    let holder = support::holder(subject.renewal, port);
    let stops = pre.contains(" stop") || pre.contains("-s quit") || pre.contains("-s stop");
    let starts_again = subject.conf.parameter("post_hook").is_some()
        || subject.certbot.option("post-hook").is_some()
        || subject.certbot.hooks.iter().any(|h| h.when == "post" && h.is_executable);
    let other = holder.as_ref().filter(|holder| is_passed_over(subject, pre, holder));
    let message = match other {
        Some(holder) => format!("the pre-hook is `{pre}`, but {} holds port {port}", holder.label),
        None if stops && !starts_again => format!("the pre-hook is `{pre}`, and no post-hook starts again what it stops"),
        None => return None,
    };
    let mut finding = subject.finding(&CHECK, Some("pre_hook"), message);
    if other.is_none() {
        finding.severity = Severity::Warning;
    }
    finding.evidence.extend(subject.port_refused().map(support::logged));
    finding.remedies.push(match holder.as_ref().and_then(|h| Some((h, h.web_server()?))) {
        Some((holder, server)) => {
            let text = format!("let {} answer the challenge out of a directory, and stop nothing", server.0);
            let root = support::webroot_for(subject.renewal, Some(holder), subject.lineage).to_string();
            let reload = support::reload(subject.renewal, server);
            support::by_hand(text, subject.order_once(&format!("--webroot -w {}", shell(&root)), Some(&reload)))
        }
        None => standalone_port_held::behind(subject, holder.as_ref()),
    });
    finding.facts.push(("verify", subject.dry_run()));
    Some(finding)
}

/// The pre-hook of a lineage that is validated by certbot's own server.
fn own_pre_hook<'s>(subject: &Subject<'s>) -> Option<&'s str> {
    subject.conf.parameter("pre_hook").filter(|_| subject.conf.parameter("authenticator") == Some("standalone"))
}

/// Whether the pre-hook stops something else than what holds the port.
pub(super) fn stops_another(subject: &Subject<'_>) -> bool {
    let holder = support::holder(subject.renewal, subject.conf.http01_port());
    own_pre_hook(subject).zip(holder).is_some_and(|(pre, holder)| is_passed_over(subject, pre, &holder))
}

fn is_passed_over(subject: &Subject<'_>, pre: &str, holder: &Holder<'_>) -> bool {
    // A script may stop anything: only what the hook says itself can be compared.
    let is_plain =
        ["systemctl ", "service ", "docker ", "podman ", "nginx ", "apachectl ", "apache2ctl "].iter().any(|c| pre.contains(c));
    let program = holder.program.to_ascii_lowercase();
    let unit = holder.unit.as_deref().unwrap_or(&program).trim_end_matches(".service");
    !program.is_empty() && !pre.contains(&program) && !pre.contains(unit) && (is_plain || subject.port_refused().is_some())
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
    fn the_command_is_that_of_what_holds_the_port() {
        let hook = "pre_hook = systemctl stop nginx\npost_hook = systemctl start nginx\n";
        let finding = World::renewing(|tree| {
            edit(tree, CONF, |text| standalone(&text) + hook);
            tree.remove_directory(&"/etc/nginx".into());
            tree.file("/usr/sbin/apache2", "x");
            tree.file("/etc/apache2/ports.conf", "Listen 80\n");
        })
        .one(&CHECK);
        let command = finding.remedies[0].command.as_deref().unwrap_or_default();
        assert!(command.contains(" --deploy-hook 'apache2ctl configtest && systemctl reload apache2' "), "{command}");
    }

    #[test]
    fn is_silent_about_a_fitting_pair_and_about_scripts() {
        with("pre_hook = systemctl stop nginx\npost_hook = systemctl start nginx\n").silent(&CHECK);
        with("pre_hook = /usr/local/bin/free-port\npost_hook = /usr/local/bin/back\n").silent(&CHECK);
        World::renewing(|_| {}).silent(&CHECK);
    }
}
