//! CD711.

use super::support::certbot::{self as support, Subject};
use crate::{
    base::shell,
    check::Case,
    edit::Change,
    facts::renewal::{
        Value,
        certbot::{KINDS, PARAMETERS},
        config::TOO_MUCH,
    },
    finding::{Evidence, Finding, Remedy},
};

rule! {
    /// **What it means.** Certbot can't use the renewal configuration and skips the certificate ("parsefail"): a line that is no
    /// ConfigObj, one of the four paths missing, no `[renewalparams]`, no authenticator, a webroot without a directory, or a file that is empty or unreadable.
    ///
    /// **How it is found.** The file is read as ConfigObj reads it, and asked for what certbot asks it for.
    ///
    /// **What to do.** Paths that are missing are put back from `live`, if the files are there; the header of a section that certbot
    /// writes is put right; other lines that can't be read are taken out. Of an empty file nothing is left to mend: order the
    /// certificate again under the same name, which writes it anew.
    ///
    /// **Sources.** `certbot/_internal/storage.py` and `renewal.py`; each kind measured with certbot 2.1.0.
    "CD711" "renewal-conf-broken" Warning "certbot can't use the renewal configuration"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let conf = subject.conf;
        if let Err(why) = &conf.read {
            let message = format!("{} can't be read: {why}", conf.path);
            let mut finding = subject.finding(&CHECK, None, message);
            // What this user may not read, or is too long for this program, certbot may well read.
            finding.remedies.push(match why.as_str() {
                "no such file" => support::order_again(&subject),
                _ => {
                    let command = format!("certbot certificates --cert-name {}", shell(subject.name()));
                    support::by_hand("see, as root, whether certbot itself can read it", command)
                }
            });
            out.push(finding);
            continue;
        }
        let config = &conf.config;
        if let Some(fault) = config.faults.iter().find(|f| f.why == TOO_MUCH) {
            // Our limit, not certbot's.
            let message = format!("{} can't be read as a whole: line {} is {TOO_MUCH}", conf.path, fault.line);
            let mut finding = subject.finding(&CHECK, None, message);
            finding.evidence = vec![Evidence::file(&conf.path, Some(fault.line), "renewal configuration")];
            let command = format!("certbot certificates --cert-name {}", shell(subject.name()));
            finding.remedies.push(support::by_hand("look at the file: certbot itself writes nothing that long", command));
            out.push(finding);
            continue;
        }
        let missing: Vec<&str> = KINDS.into_iter().filter(|kind| config.get(&[], kind).is_none()).collect();
        let has_parameters = config.section(&[PARAMETERS]).is_some();
        let (why, line) = match config.faults.first() {
            Some(fault) => (format!("line {} is {}", fault.line, fault.why), Some(fault.line)),
            None if config.settings.is_empty() => ("it is empty".to_owned(), None),
            None if !missing.is_empty() => (format!("it does not say where to find {}", missing.join(", ")), None),
            None if !has_parameters => ("it has no [renewalparams]".to_owned(), None),
            None if conf.parameter("authenticator").is_none() => ("it names no authenticator".to_owned(), None),
            None if lacks_webroot(&subject) => {
                let message =
                    format!("certbot can't renew {}: it is to use a webroot, and no directory is named", subject.name());
                let mut finding = subject.finding(&CHECK, Some("authenticator"), message);
                let root = support::webroot_for(subject.renewal, support::holder(subject.renewal, 80).as_ref(), subject.lineage);
                let command = subject.order_once(&format!("--webroot -w {}", shell(&root.to_string())), None);
                let text = "renew once with the directory that the web server answers the challenge from, which saves it";
                finding.remedies.push(support::by_hand(text, command));
                finding.facts.push(("verify", subject.dry_run()));
                out.push(finding);
                continue;
            }
            None => continue,
        };
        let mut finding = subject.finding(&CHECK, None, format!("certbot skips {}: {why}", subject.name()));
        finding.evidence = vec![Evidence::file(&conf.path, line, "renewal configuration")];
        let has_authenticator = conf.parameter("authenticator").is_some();
        if !config.faults.is_empty() && missing.is_empty() {
            finding.remedies.extend(mended(&subject));
        } else if config.faults.is_empty() && !missing.is_empty() && has_authenticator {
            let paths = paths(&subject, &missing);
            finding.remedies.extend(subject.patch(format!("say again where to find {}", missing.join(", ")), vec![paths]));
        }
        finding.remedies.push(support::order_again(&subject));
        finding.facts.push(("verify", format!("certbot certificates --cert-name {}", shell(subject.name()))));
        out.push(finding);
    }
}

/// Whether certbot is to put files into a directory that nobody names (plugins/webroot.py asks for it, and a timer can't answer).
fn lacks_webroot(subject: &Subject<'_>) -> bool {
    let config = &subject.conf.config;
    let has_path = config.get(&[PARAMETERS], "webroot_path").is_some_and(|s| s.value.strings().iter().any(|p| !p.is_empty()));
    let has_map = config.all(&[PARAMETERS, "webroot_map"]).next().is_some();
    subject.conf.parameter("authenticator") == Some("webroot")
        && !has_path
        && !has_map
        && ["webroot-path", "webroot-map", "w"].iter().all(|option| subject.certbot.option(option).is_none())
}

/// The sections that certbot writes, and how deep each lies.
const SECTIONS: [(&str, usize); 3] = [("acme_renewal_info", 1), ("renewalparams", 1), ("webroot_map", 2)];

/// The remedy for lines that can't be read; `None` where only a person can tell what is meant. What is no section's header belongs
/// to nothing else and is taken out; a header is put right, since without it the lines behind it would belong to the section above.
fn mended(subject: &Subject<'_>) -> Option<Remedy> {
    let config = &subject.conf.config;
    let mut changes = Vec::new();
    let (mut removed, mut corrected) = (Vec::new(), Vec::new());
    for fault in &config.faults {
        let next = config.sections.iter().map(|s| s.line).filter(|line| *line > fault.line).min().unwrap_or(u32::MAX);
        let owns_lines = config.settings.iter().any(|s| s.line > fault.line && s.line < next);
        let text = fault.text.trim();
        if !text.starts_with('[') || !owns_lines {
            changes.push(subject.splice(Some((fault.span.clone(), Vec::new()))));
            removed.push(fault.line.to_string());
            continue;
        }
        let name = text.split('#').next()?.trim_matches(|c: char| c == '[' || c == ']' || c.is_whitespace());
        let (name, depth) = SECTIONS.into_iter().find(|(known, _)| *known == name)?;
        if config.sections.iter().any(|s| s.path.last().is_some_and(|last| last == name)) || corrected.contains(&name) {
            return None;
        }
        let header = format!("{}{name}{}\n", "[".repeat(depth), "]".repeat(depth));
        changes.push(subject.splice(Some((fault.span.clone(), header.into_bytes()))));
        corrected.push(name);
    }
    // Behind a header that was not read, its settings were taken for those of the section above.
    let is_whole = match corrected.contains(&PARAMETERS) {
        true => config.settings.iter().any(|s| s.key == "authenticator"),
        false => subject.conf.parameter("authenticator").is_some(),
    };
    if !is_whole {
        return None;
    }
    let mut text: Vec<String> = Vec::new();
    if !removed.is_empty() {
        text.push(format!("take out what can't be read (line {})", removed.join(", ")));
    }
    if !corrected.is_empty() {
        text.push(format!("put the header of {} right", corrected.join(" and of ")));
    }
    subject.patch(text.join(", and "), changes)
}

/// The lines for the paths that are missing; `None` where one of the files is not there.
fn paths(subject: &Subject<'_>, missing: &[&str]) -> Option<Change> {
    let found = |kind: &&str| subject.conf.unnamed.iter().find(|(unnamed, _)| unnamed == kind);
    let values = missing.iter().map(|kind| Some((*kind, Value::One(found(kind)?.1.to_string()))));
    let values = values.collect::<Option<Vec<(&str, Value)>>>()?;
    let values: Vec<(&str, &Value)> = values.iter().map(|(kind, value)| (*kind, value)).collect();
    subject.splice(subject.conf.config.insert(&[], &values))
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::finding::Intent;

    fn with(text: String) -> World {
        World::renewing(move |tree| edit(tree, CONF, |_| text))
    }

    #[test]
    fn catches_each_kind_and_mends_what_can_be_mended() {
        let broken = RENEWAL_CONF.to_owned() + "[[[broken\n";
        let finding = with(broken.clone()).one(&CHECK);
        assert_eq!(finding.message, "certbot skips a.test: line 17 is neither section nor setting");
        assert_eq!(patched(&broken, &finding.remedies[0]), RENEWAL_CONF);
        let without: String = RENEWAL_CONF.lines().filter(|l| !l.starts_with("fullchain")).map(|l| l.to_owned() + "\n").collect();
        let finding = with(without.clone()).one(&CHECK);
        assert_eq!(finding.message, "certbot skips a.test: it does not say where to find fullchain");
        assert_eq!(patched(&without, &finding.remedies[0]), RENEWAL_CONF);
        assert_eq!(with(String::new()).one(&CHECK).message, "certbot skips a.test: it is empty");
        let top = RENEWAL_CONF.split("\n#").next().expect("the top").to_owned();
        assert_eq!(with(top).one(&CHECK).message, "certbot skips a.test: it has no [renewalparams]");
        assert_eq!(
            with(RENEWAL_CONF.replace("authenticator", "x")).one(&CHECK).message,
            "certbot skips a.test: it names no authenticator"
        );
    }

    /// A file that is only too big here is not to be thrown away.
    #[test]
    fn what_can_not_be_read_here_is_left_alone() {
        let command = |world: World| world.one(&CHECK).remedies[0].command.clone().unwrap_or_default();
        let big = with("# x\n".repeat(100_000));
        assert_eq!(command(big), "certbot certificates --cert-name a.test");
        let gone = World::renewing(|tree| {
            tree.remove_directory(&CONF.into());
            tree.symlink(CONF, "gone");
        });
        assert!(command(gone).contains("certbot certonly --cert-name a.test"));
    }

    /// Without its header, the map's lines would belong to the section above.
    #[test]
    fn a_broken_header_is_put_right_or_left_to_a_person() {
        let broken = RENEWAL_CONF.replace("[[webroot_map]]", "[[webroot_map]");
        assert_eq!(patched(&broken, &with(broken.clone()).one(&CHECK).remedies[0]), RENEWAL_CONF);
        let broken = RENEWAL_CONF.replace("[renewalparams]", "[renewalparams");
        assert_eq!(patched(&broken, &with(broken.clone()).one(&CHECK).remedies[0]), RENEWAL_CONF);
        let foreign = RENEWAL_CONF.to_owned() + "[of somebody\nx = 1\n";
        let finding = with(foreign).one(&CHECK);
        assert!(finding.remedies.iter().all(|r| !matches!(r.intent, Intent::Patch(_))), "{:?}", finding.remedies);
    }

    #[test]
    fn what_is_only_too_long_for_this_program_is_not_taken_out() {
        let finding = with(format!("{RENEWAL_CONF}x = {}\n", "a".repeat(100_000))).one(&CHECK);
        assert!(finding.message.ends_with("is more than is read"), "{}", finding.message);
        assert!(finding.remedies.iter().all(|r| !matches!(r.intent, Intent::Patch(_))), "{:?}", finding.remedies);
    }

    #[test]
    fn catches_a_webroot_without_a_directory() {
        let bare = RENEWAL_CONF.split_once("[[webroot_map]]").expect("a map").0.to_owned();
        let finding = with(bare.clone()).one(&CHECK);
        assert_eq!(finding.message, "certbot can't renew a.test: it is to use a webroot, and no directory is named");
        let command = finding.remedies[0].command.as_deref();
        let hook = "--deploy-hook 'nginx -t && systemctl reload nginx'";
        let expected = format!("certbot certonly --cert-name a.test --webroot -w /srv/acme {hook} --force-renewal");
        assert_eq!(command, Some(expected.as_str()));
        World::renewing(|tree| {
            edit(tree, CONF, |_| bare);
            tree.file("/etc/letsencrypt/cli.ini", "webroot-path = /srv/acme\n");
        })
        .silent(&CHECK);
    }

    #[test]
    fn a_path_to_nothing_is_not_named() {
        let without: String = RENEWAL_CONF.lines().filter(|l| !l.starts_with("fullchain")).map(|l| l.to_owned() + "\n").collect();
        let finding = World::renewing(|tree| {
            edit(tree, CONF, |_| without);
            tree.remove_directory(&"/etc/letsencrypt/live/a.test/fullchain.pem".into());
        })
        .one(&CHECK);
        assert!(finding.remedies.iter().all(|r| !matches!(r.intent, Intent::Patch(_))), "{:?}", finding.remedies);
    }

    #[test]
    fn is_silent_about_what_certbot_writes() {
        World::renewing(|_| {}).silent(&CHECK);
    }
}
