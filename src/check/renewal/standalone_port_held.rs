//! CD708.

use super::{
    standalone_hooks,
    support::{
        Failing,
        certbot::{self as support, Holder, Subject},
        unserved,
    },
};
use crate::{
    base::shell,
    check::Case,
    edit::{Applicability, Change},
    facts::renewal::{
        Value,
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
    /// root: the web server's own `listen`); or the last failure in the log, whoever held the port then. A pre-hook that stops another
    /// program is CD709.
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
    out.extend(support::lineages(case).iter().filter_map(about));
}

/// What is to be said about one lineage.
pub(super) fn about(subject: &Subject<'_>) -> Option<Finding> {
    if subject.conf.parameter("authenticator") != Some("standalone") {
        return None;
    }
    let (port, failed) = (subject.conf.http01_port(), subject.port_refused());
    let holder = support::holder(subject.renewal, port);
    // A hook may free the port; that it did not is only known when it was tried.
    let may_be_freed = hooks(subject, "pre") || holder.is_none();
    if failed.is_none() && may_be_freed || standalone_hooks::stops_another(subject) {
        return None;
    }
    let message = match (&holder, failed) {
        (Some(holder), _) => format!("certbot wants port {port} for the challenge, but {} holds it", holder.label),
        (None, Some(failed)) => {
            format!("certbot wanted port {port} for the challenge, but another program held it {}", failed.at)
        }
        (None, None) => return None,
    };
    let mut finding = subject.finding(&CHECK, Some("authenticator"), message);
    finding.evidence.extend(holder.as_ref().and_then(|h| h.evidence.clone()));
    finding.evidence.extend(failed.map(support::logged));
    finding.facts.extend(subject.conf.parameter("pre_hook").map(|hook| ("pre-hook", hook.to_owned())));
    match holder.as_ref().and_then(|h| Some((h, h.web_server()?))) {
        Some((holder, server)) => webroot(subject, holder, server, port, &mut finding),
        None => {
            if holder.as_ref().is_none_or(|h| h.program.is_empty()) {
                let command = format!("ss -ltnp 'sport = :{port}'");
                finding.remedies.push(support::by_hand("find what holds the port when certbot runs", command));
            }
            finding.remedies.push(behind(subject, holder.as_ref()));
        }
    }
    finding.facts.push(("verify", subject.dry_run()));
    Some(finding)
}

/// The remedy beside a program that serves no directory, or one that is not known: certbot's server on another port, behind it.
pub(super) fn behind(subject: &Subject<'_>, holder: Option<&Holder<'_>>) -> Remedy {
    let program = holder.map(|h| h.program.as_str()).filter(|p| !p.is_empty()).unwrap_or("what holds it");
    let name = shell(subject.name());
    let command = match subject.version() {
        Some(version) if version >= RECONFIGURE => format!("certbot reconfigure --cert-name {name} --http-01-port 8402"),
        _ => subject.order_once("--standalone --http-01-port 8402", None),
    };
    let text = format!(
        "have {program} hand requests for /.well-known/acme-challenge/ to port 8402, and let certbot listen there from now on"
    );
    support::by_hand(text, command)
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
    // What the hooks do besides only a person can tell.
    let complete = server_changes.is_some() && subject.conf.parameter("pre_hook").is_none();
    let text = format!("have {} answer the challenge out of {root}, and be reloaded after each renewal", server.0);
    let patch = changes(subject, &names, &root, &reload).and_then(|changes| {
        let all = changes.into_iter().chain(server_changes.unwrap_or_default().into_iter().map(Some)).collect();
        subject.patch(text, all)
    });
    if !complete {
        let text = match subject.conf.parameter("pre_hook") {
            Some(_) => format!("first see what the hooks do besides stopping {}: with a webroot they must not stop it", server.0),
            None => format!("first have {} answer /.well-known/acme-challenge/ out of {root}", server.0),
        };
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
    let command = directory + &subject.order_once(&format!("--webroot -w {}", shell(&root)), Some(&reload));
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
    // A server that is stopped for the renewal answers nothing.
    for key in ["pre_hook", "post_hook"] {
        if subject.conf.parameter(key).is_some() {
            changes.push(subject.splice(config.remove(section, key)));
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
    let (known, missing): (Vec<_>, Vec<_>) = map.into_iter().partition(|(name, _)| config.get(inner, name).is_some());
    // The map has the last word (plugins/webroot.py): an entry of old would keep the new directory from being used.
    for (name, value) in known.into_iter().filter(|(name, value)| config.get(inner, name).is_none_or(|s| s.value != **value)) {
        changes.push(subject.splice(config.set(inner, name, value)));
    }
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

    /// certbot's webroot plugin prefers the map (plugins/webroot.py).
    #[test]
    fn an_old_map_does_not_keep_the_new_directory_from_being_used() {
        let old = |text: String| standalone(&text) + "[[webroot_map]]\na.test = /var/www/gone\n";
        let finding = World::renewing(|tree| edit(tree, CONF, old)).one(&CHECK);
        let patch = finding.remedies.iter().find(|r| matches!(r.intent, Intent::Patch(_))).expect("a patch");
        let after = patched(&old(RENEWAL_CONF.to_owned()), patch);
        assert!(after.ends_with("[[webroot_map]]\na.test = /srv/acme\n"), "{after}");
    }

    /// Whoever held the port: it is known that somebody did.
    #[test]
    fn the_log_is_enough() {
        let why =
            "Could not bind TCP port 80 because it is already in use by another process on this system (such as a web server).";
        let with = |hooks: &'static str, nginx: bool| {
            World::renewing(move |tree| {
                edit(tree, CONF, |text| standalone(&text) + hooks);
                tree.file(LOG, failed("2026-11-22 00:30:00", why));
                if !nginx {
                    tree.remove_directory(&"/etc/nginx".into());
                }
            })
        };
        let finding = with("", false).one(&CHECK);
        let message = "certbot wanted port 80 for the challenge, but another program held it 2026-11-22T00:30:00Z";
        assert_eq!(finding.message, message);
        assert!(finding.remedies.iter().all(|r| r.command.as_deref().is_some_and(|c| !c.contains("--dry-run"))), "{finding:?}");
        let fitting = "pre_hook = systemctl stop nginx\npost_hook = systemctl start nginx\n";
        let finding = with(fitting, true).one(&CHECK);
        assert_eq!(finding.message, "certbot wants port 80 for the challenge, but nginx holds it");
        assert!(finding.remedies.iter().all(|r| r.applicability == Applicability::Manual), "{:?}", finding.remedies);
        let patch = finding.remedies.iter().find(|r| matches!(r.intent, Intent::Patch(_))).expect("a patch");
        let after = patched(&(standalone(RENEWAL_CONF) + fitting), patch);
        assert!(
            after.contains("authenticator = webroot") && !after.contains("pre_hook") && !after.contains("post_hook"),
            "{after}"
        );
        with("pre_hook = systemctl stop apache2\npost_hook = systemctl start apache2\n", true).silent(&CHECK);
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
