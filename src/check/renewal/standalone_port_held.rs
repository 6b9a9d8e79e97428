//! CD708.

use super::support::{
    Failing,
    certbot::{self as support, Holder, Subject},
    unserved,
};
use crate::{
    base::shell,
    check::Case,
    edit::{Applicability, Change},
    facts::renewal::{
        Event, EventKind, Value,
        certbot::{PARAMETERS, Version},
    },
    finding::{Finding, Intent, Remedy},
};

rule! {
    /// **What it means.** Certbot answers the challenge itself on port 80 (`authenticator = standalone`), but another program holds
    /// that port: usually the web server that was set up after the first certificate. Every renewal fails with "Could not bind TCP
    /// port 80", and creates an order at the CA before it does.
    ///
    /// **How it is found.** The renewal configuration; the listening socket's inode and the process that has it open (in an unpacked
    /// root: the web server's own `listen`); the log. A pre-hook that stops the program is CD709.
    ///
    /// **What to do.** Let the web server that is there answer, out of a directory (`authenticator = webroot`), and pair it with a
    /// deploy hook: without one the new certificate lies on disk and the old one goes on being served. certbot 2.3 and later can change
    /// this itself (`certbot reconfigure`, which tries it before it saves). The server must answer
    /// `/.well-known/acme-challenge/` out of that directory.
    ///
    /// **Sources.** Measured with certbot 2.1.0 and 5.8.0 and nginx 1.22 (an IPv4-only listener is enough to fail); certbot's changelog,
    /// 2.3.0 (`reconfigure`).
    "CD708" "standalone-port-held" Warning "certbot's standalone server can't have its port"
}

/// The version from which on there is `certbot reconfigure`.
const RECONFIGURE: Version = Version(2, 3, 0);

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        if subject.conf.parameter("authenticator") != Some("standalone") {
            continue;
        }
        let bind = |e: &Event| matches!(&e.kind, EventKind::Failed(why) if why.contains("Could not bind TCP port"));
        let failed = subject.last_event(bind);
        let has_pre_hook = hooks(&subject, "pre");
        let port = subject.conf.parameter("http01_port").and_then(|p| p.parse().ok()).unwrap_or(80);
        let Some(holder) = support::holder(subject.renewal, port) else { continue };
        // A hook may free the port; that it did not is only known when it was tried.
        if has_pre_hook && failed.is_none() || subject.conf.parameter("pre_hook").is_some() {
            continue;
        }
        let message = format!("certbot wants port {port} for the challenge, but {} holds it", holder.label);
        let mut finding = subject.finding(&CHECK, Some("authenticator"), message);
        finding.evidence.extend(holder.evidence.clone());
        finding.evidence.extend(failed.map(support::logged));
        match holder.web_server() {
            Some(server) => webroot(&subject, &holder, server, port, &mut finding),
            None => {
                let program = if holder.program.is_empty() { "what holds it" } else { &holder.program };
                let text = format!(
                    "have {program} hand requests for /.well-known/acme-challenge/ to another port, and certbot listen there"
                );
                let command =
                    format!("certbot certonly --cert-name {} --standalone --http-01-port 8402 --dry-run", shell(subject.name()));
                finding.remedies.push(support::by_hand(text, command));
            }
        }
        finding.facts.push(("verify", subject.dry_run()));
        out.push(finding);
    }
}

/// Whether something may free the port first: a hook of this lineage, of `cli.ini`, or a file for all.
fn hooks(subject: &Subject<'_>, when: &str) -> bool {
    subject.conf.parameter(&format!("{when}_hook")).is_some()
        || subject.certbot.option(&format!("{when}-hook")).is_some()
        || subject.certbot.hooks.iter().any(|h| h.when == when && h.is_executable)
}

/// The remedies for a web server on the port: it answers out of a directory, certbot puts the files there.
fn webroot(subject: &Subject<'_>, holder: &Holder<'_>, server: &(&str, &str, &str), port: u16, finding: &mut Finding) {
    let names = support::validated_names(subject.lineage);
    let webroot = support::webroot_for(subject.renewal, Some(holder), subject.lineage);
    let root = webroot.to_string();
    let reload = support::reload(subject.renewal, server);
    let name = shell(subject.name());
    let challenges = support::challenges_in(subject.lineage, port, &webroot);
    let failing = holder.instance.filter(|i| !i.addresses(port).is_empty()).map(|i| unserved(i, &challenges));
    let served = failing.as_ref().is_some_and(Vec::is_empty);
    for failing in failing.iter().flatten() {
        finding.evidence.extend(failing.places());
        finding.facts.push(("a challenge gets", failing.steps()));
    }

    // The server's part; `None` where its configuration is not known, or only a person can tell what else it must go on doing.
    let server_changes = failing.and_then(|failing| {
        let mut all: Vec<Change> = Vec::new();
        for change in failing.iter().map(Failing::patch).collect::<Option<Vec<_>>>()?.into_iter().flatten() {
            if !all.contains(&change) {
                all.push(change);
            }
        }
        Some(all)
    });
    let complete = server_changes.is_some();
    let text = format!("have {} answer the challenge out of {root}, and be reloaded after each renewal", server.0);
    let patch = changes(subject, &names, &root, &reload).and_then(|changes| {
        let all = changes.into_iter().chain(server_changes.unwrap_or_default().into_iter().map(Some)).collect();
        subject.patch(text, all)
    });
    if !complete {
        let text = format!("first have {} answer /.well-known/acme-challenge/ out of {root}", server.0);
        finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, None));
    }
    // Alone, certbot's part would only fail in another way.
    finding.remedies.extend(patch.map(|patch| match complete {
        true => patch,
        false => Remedy { applicability: Applicability::Manual, ..patch },
    }));
    // What certbot is told on the command line must be there.
    let exists = holder.instance.is_some_and(|i| i.directories.iter().any(|d| d.path == webroot && d.exists));
    let directory = if exists { String::new() } else { format!("install -d {} && ", shell(&root)) };
    if subject.version().is_some_and(|v| v >= RECONFIGURE) {
        let command = format!(
            "{directory}certbot reconfigure --cert-name {name} -a webroot -w {} --deploy-hook {}",
            shell(&root),
            shell(&reload)
        );
        let when = if served { "" } else { "once it does that: " };
        let text = format!("{when}certbot changes its part itself, and tries it before it saves");
        let remedy = support::by_hand(text, command);
        if served { finding.remedies.insert(0, remedy) } else { finding.remedies.push(remedy) }
    }
    let command =
        format!("{directory}certbot certonly --cert-name {name} --webroot -w {} --deploy-hook {}", shell(&root), shell(&reload));
    finding.remedies.push(support::by_hand("or renew once by hand in that way, which saves it", command));
    finding.facts.push(("needs", format!("{} answers /.well-known/acme-challenge/ out of {root}", server.0)));
}

/// The changes of the renewal configuration.
fn changes(subject: &Subject<'_>, names: &[String], root: &str, reload: &str) -> Option<Vec<Option<Change>>> {
    let config = &subject.conf.config;
    let section: &[&str] = &[PARAMETERS];
    let map: Vec<(&str, Value)> = names.iter().map(|name| (name.as_str(), Value::One(root.to_owned()))).collect();
    let map: Vec<(&str, &Value)> = map.iter().map(|(name, value)| (*name, value)).collect();
    let (path, hook) = (Value::list_of(root), Value::One(reload.to_owned()));
    let mut plain: Vec<(&str, &Value)> = Vec::new();
    let mut changes = vec![subject.splice(config.set(section, "authenticator", &Value::One("webroot".into())))];
    match config.get(section, "webroot_path") {
        Some(_) => changes.push(subject.splice(config.set(section, "webroot_path", &path))),
        None => plain.push(("webroot_path", &path)),
    }
    if subject.conf.parameter("renew_hook").is_none() {
        match config.get(section, "renew_hook") {
            Some(_) => changes.push(subject.splice(config.set(section, "renew_hook", &hook))),
            None => plain.push(("renew_hook", &hook)),
        }
    }
    let inner: &[&str] = &[PARAMETERS, "webroot_map"];
    if config.section(inner).is_none() {
        changes.push(subject.splice(config.insert_with_section(section, &plain, "webroot_map", &map)));
        return Some(changes);
    }
    if !plain.is_empty() {
        changes.push(subject.splice(config.insert(section, &plain)));
    }
    let missing: Vec<(&str, &Value)> = map.into_iter().filter(|(name, _)| config.get(inner, name).is_none()).collect();
    if !missing.is_empty() {
        changes.push(subject.splice(config.insert(inner, &missing)));
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_nginx_on_the_port_and_changes_the_configuration() {
        let world = World::renewing(|tree| edit(tree, CONF, |text| standalone(&text)));
        let finding = world.one(&CHECK);
        assert_eq!(finding.message, "certbot wants port 80 for the challenge, but nginx holds it");
        assert_eq!(finding.evidence[0].line, Some(12));
        assert_eq!(finding.evidence[1].path, Some("/etc/nginx/conf.d/a.conf".into()));
        let patch = finding.remedies.iter().find(|r| matches!(r.intent, Intent::Patch(_))).expect("a patch");
        let after = patched(&standalone(RENEWAL_CONF), patch);
        assert!(after.contains("authenticator = webroot\n"), "{after}");
        let tail =
            "webroot_path = /srv/acme,\nrenew_hook = nginx -t && systemctl reload nginx\n[[webroot_map]]\na.test = /srv/acme\n";
        assert!(after.ends_with(tail), "{after}");
        assert!(
            finding.remedies[0].command.as_deref().is_some_and(|c| c.starts_with("certbot renew --dry-run")),
            "2.1 has no reconfigure"
        );
    }

    /// One patch for both: certbot's files and the server's location.
    #[test]
    fn the_server_is_changed_with_it() {
        let redirect = "server {\n    listen 80;\n    server_name a.test;\n    return 301 https://$host$request_uri;\n}\n";
        let finding = World::renewing(|tree| {
            edit(tree, CONF, |text| standalone(&text));
            tree.file("/etc/nginx/conf.d/a.conf", redirect);
        })
        .one(&CHECK);
        let Intent::Patch(changes) = &finding.remedies[0].intent else { panic!("{:?}", finding.remedies) };
        let of = |path: &str| changes.iter().filter(|c| matches!(c, Change::Splice { path: p, .. } if *p == path.into())).count();
        assert!(of(CONF) > 0 && of("/etc/nginx/conf.d/a.conf") > 0, "{changes:?}");
        assert_eq!(finding.remedies[0].applicability, Applicability::Auto);
        let location = "location ^~ /.well-known/acme-challenge/ {\n        root /var/www/letsencrypt;\n";
        let has = |c: &Change| matches!(c, Change::Splice { with, .. } if String::from_utf8_lossy(with).contains(location));
        assert!(changes.iter().any(has), "{changes:?}");
    }

    /// certbot's part alone would only fail in another way: it is not applied without the server's.
    #[test]
    fn what_a_person_must_do_to_the_server_comes_first() {
        let script = "server {\n    listen 80;\n    server_name a.test;\n    if ($host = a.test) { break; }\n    location / { return 404; }\n}\n";
        let finding = World::renewing(|tree| {
            edit(tree, CONF, |text| standalone(&text));
            tree.file("/etc/nginx/conf.d/a.conf", script);
        })
        .one(&CHECK);
        assert!(finding.remedies.iter().all(|r| r.applicability == Applicability::Manual), "{:?}", finding.remedies);
        assert!(finding.remedies[0].text.starts_with("first have nginx answer"), "{:?}", finding.remedies[0]);
    }

    #[test]
    fn newer_certbots_do_it_themselves() {
        let finding = World::renewing(|tree| {
            edit(tree, CONF, |text| standalone(&text).replace("2.1.0", "5.8.0"));
            tree.remove_directory(&"/usr/lib/python3".into());
            tree.remove_directory(&"/var/lib/dpkg".into());
        })
        .one(&CHECK);
        let command = finding.remedies[0].command.as_deref();
        assert_eq!(
            command,
            Some(
                "install -d /srv/acme && certbot reconfigure --cert-name a.test -a webroot -w /srv/acme --deploy-hook 'nginx -t && systemctl reload nginx'"
            )
        );
    }

    #[test]
    fn is_silent_with_webroot_a_pre_hook_or_a_free_port() {
        World::renewing(|_| {}).silent(&CHECK);
        let hook = |text: String| standalone(&text) + "pre_hook = systemctl stop nginx\n";
        World::renewing(|tree| edit(tree, CONF, hook)).silent(&CHECK);
        World::renewing(|tree| {
            edit(tree, CONF, |text| standalone(&text));
            tree.remove_directory(&"/etc/nginx".into());
        })
        .silent(&CHECK);
    }
}
