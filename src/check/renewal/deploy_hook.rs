//! CD753.

use super::support::certbot::{self as support, Subject};
use crate::{
    check::Case,
    facts::renewal::{EventKind, Value, certbot::PARAMETERS},
    finding::{Evidence, Finding, Severity},
};

rule! {
    /// **What it means.** After a renewal nothing tells the server: there is no deploy hook, or a hook is not executable (certbot passes
    /// over it in silence), or it failed (certbot says "Congratulations" all the same, with exit status 0). The new certificate lies on
    /// disk, the old one is served until it has expired.
    ///
    /// **How it is found.** Files in `renewal-hooks` without the permission to execute; "Hook … reported error code" in the log since the
    /// last certificate was written; a web server on this host, an authenticator that stores no installer, and neither `renew_hook` nor
    /// an executable file in `renewal-hooks/deploy` or `post`, nor a reload in the job that runs certbot.
    ///
    /// **What to do.** Give the lineage a deploy hook that reloads the server; make the file executable; correct the command. Then run the
    /// hook once by hand.
    ///
    /// **Sources.** Each measured with certbot 2.1.0 (`hooks.py`); certbot's changelog, 3.2.0 and 5.3.0 (what `certonly` runs).
    "CD753" "deploy-hook" Warning "nothing tells the server about a new certificate"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((renewal, all)) = support::host(case) else { return };
    for hook in renewal.certbot.hooks.iter().filter(|h| !h.is_executable) {
        let name = String::from_utf8_lossy(hook.path.name()).into_owned();
        // What is no script does not want to run.
        if name.starts_with('.')
            || name.to_ascii_uppercase().starts_with("README")
            || name.ends_with(".txt")
            || name.ends_with(".md")
        {
            continue;
        }
        let message = format!("{} is not executable, and certbot passes over it in silence", hook.path);
        let mut finding = support::of_host(&CHECK, &hook.path.to_string(), &all, message);
        finding.severity = Severity::Warning;
        finding.evidence = vec![Evidence::file(&hook.path, None, format!("{} hook", hook.when))];
        finding
            .remedies
            .push(support::by_hand("make it executable", format!("chmod 755 {}", crate::base::shell(&hook.path.to_string()))));
        out.push(finding);
    }
    for subject in &all {
        if let Some(finding) = failed(subject).or_else(|| absent(subject)) {
            out.push(finding);
        }
    }
}

/// The hook that failed after the last certificate was written.
fn failed(subject: &Subject<'_>) -> Option<Finding> {
    let event = subject.last_event(|e| matches!(e.kind, EventKind::HookFailed(_)))?;
    let EventKind::HookFailed(words) = &event.kind else { return None };
    // A hook that was changed since is another one.
    let hook = subject.conf.parameter("renew_hook").or_else(|| subject.conf.parameter("deploy_hook"));
    let mut finding = subject.finding(&CHECK, Some("renew_hook"), format!("the hook of {} failed: {words}", subject.name()));
    finding.severity = Severity::Warning;
    finding.evidence.push(support::logged(event));
    finding.facts.extend(hook.map(|hook| ("hook", hook.to_owned())));
    let command = hook.map_or_else(
        || "ls -l /etc/letsencrypt/renewal-hooks/deploy".to_owned(),
        |hook| format!("sh -c {}; echo $?", crate::base::shell(hook)),
    );
    finding.remedies.push(support::by_hand("run it by hand, correct it, then reload the server", command));
    Some(finding)
}

/// A web server that nobody reloads.
fn absent(subject: &Subject<'_>) -> Option<Finding> {
    let conf = subject.conf;
    let renewal = subject.renewal;
    let authenticator = conf.parameter("authenticator")?;
    let has_hook = ["renew_hook", "deploy_hook", "post_hook"].iter().any(|key| conf.parameter(key).is_some())
        || ["deploy-hook", "renew-hook", "post-hook"].iter().any(|key| subject.certbot.option(key).is_some())
        || subject.certbot.hooks.iter().any(|h| h.when != "pre" && h.is_executable);
    let reloads = |command: &str| ["reload", "restart", "-hook", "graceful", "kill"].iter().any(|w| command.contains(w));
    let by_job = renewal.schedule.jobs.iter().any(|job| reloads(&job.command));
    // An installer reloads; standalone with the port free means that no web server is here, or CD708.
    if has_hook || by_job || conf.parameter("installer").is_some() || authenticator == "standalone" {
        return None;
    }
    let port = [443, 80].into_iter().find_map(|port| support::holder(renewal, port))?;
    let server = port.web_server()?;
    let reload = support::reload(renewal, server);
    let message = format!("no hook reloads {} after a renewal of {}", server.0, subject.name());
    let mut finding = subject.finding(&CHECK, Some("authenticator"), message);
    finding.severity = Severity::Warning;
    finding.evidence.extend(port.evidence.clone());
    let hook = Value::One(reload.clone());
    let set = subject.splice(conf.config.set(&[PARAMETERS], "renew_hook", &hook));
    let mut remedy = subject.patch(format!("reload {} after each renewal", server.0), vec![set]);
    if let Some(remedy) = &mut remedy {
        remedy.command = Some(format!("{reload}   # once now: what was renewed already may not be served yet"));
    }
    finding.remedies.extend(remedy);
    // A name that nobody has: what is there already is not to be overwritten.
    let file = "/etc/letsencrypt/renewal-hooks/deploy/certdoctor-reload";
    let script = crate::base::shell(&reload);
    let command = format!("printf '%s\\n' '#!/bin/sh' {script} > {file} && chmod 755 {file}");
    finding.remedies.push(support::by_hand("or once for all certificates", command));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_file_that_is_not_executable() {
        let finding =
            World::renewing(|tree| tree.file("/etc/letsencrypt/renewal-hooks/deploy/reload.sh", "#!/bin/sh\n")).one(&CHECK);
        assert_eq!(finding.remedies[0].command.as_deref(), Some("chmod 755 /etc/letsencrypt/renewal-hooks/deploy/reload.sh"));
    }

    #[test]
    fn catches_a_hook_that_failed_after_the_certificate_was_written() {
        let text = issued("2026-11-20 00:00:00")
            + "2026-11-20 00:00:02,000:WARNING:certbot.display.ops:Hook 'deploy-hook' reported error code 1\n";
        let finding = World::renewing(|tree| tree.file(LOG, text)).one(&CHECK);
        assert_eq!(finding.message, "the hook of a.test failed: Hook 'deploy-hook' reported error code 1");
    }

    #[test]
    fn catches_a_web_server_that_nobody_reloads() {
        let bare: String = RENEWAL_CONF.lines().filter(|l| !l.starts_with("renew_hook")).map(|l| l.to_owned() + "\n").collect();
        let finding = World::renewing(|tree| edit(tree, CONF, |_| bare.clone())).one(&CHECK);
        assert_eq!(finding.message, "no hook reloads nginx after a renewal of a.test");
        assert!(
            patched(&bare, &finding.remedies[0]).contains("renew_hook = nginx -t && systemctl reload nginx\n[[webroot_map]]\n")
        );
        let script = finding.remedies[1].command.clone().expect("a command");
        assert!(
            script.starts_with(r"printf '%s\n' '#!/bin/sh' 'nginx -t && systemctl reload nginx' > /etc/letsencrypt/"),
            "{script}"
        );
    }

    #[test]
    fn is_silent_with_a_hook_or_an_installer() {
        World::renewing(|_| {}).silent(&CHECK);
        World::renewing(|tree| edit(tree, CONF, |text| text.replace("renew_hook =", "installer = nginx #"))).silent(&CHECK);
        World::renewing(|tree| {
            edit(tree, CONF, |text| text.replace("renew_hook", "x"));
            tree.put("/etc/letsencrypt/renewal-hooks/deploy/r", FILE, 0o755, b"x".to_vec());
        })
        .silent(&CHECK);
    }
}
