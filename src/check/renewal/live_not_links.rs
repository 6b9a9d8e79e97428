//! CD712.

use super::support::{certbot as support, told};
use crate::{
    base::shell,
    check::Case,
    edit::{Change, Precondition},
    facts::renewal::{
        certbot::{LiveFile, LiveState, RenewalConf},
        certmagic::aside,
    },
    finding::{Evidence, Finding},
};

rule! {
    /// **What it means.** Files in `live/NAME` are plain files instead of links into `archive/NAME`: the directory was copied or restored
    /// by something that follows links (rsync -L, cp -r, a backup, a container layer). Certbot refuses the whole lineage: "expected …
    /// to be a symlink".
    ///
    /// **How it is found.** What lies at the four paths of the renewal configuration, links not followed.
    ///
    /// **What to do.** Make them links again, to the newest version in the archive that has all four files. A key that lay there keeps its
    /// content under another name and is not read. Where the certificate in `live` is newer than the archive (it was restored in part), it
    /// must become a version of the archive first: a link to what is there would bring an older certificate back.
    ///
    /// **Sources.** `storage.RenewableCert.__init__`; measured with certbot 2.1.0; recorded in `fixtures/renewal`.
    "CD712" "live-not-links" Warning "files in live/ are no links"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let conf = subject.conf;
        let copied: Vec<_> = conf.live.iter().filter(|l| matches!(l.state, LiveState::Copied { .. })).collect();
        let Some(first) = copied.first() else { continue };
        let kinds: Vec<&str> = copied.iter().map(|l| l.kind).collect();
        let message = format!(
            "{} in {} is a file instead of a link, so certbot skips {}",
            kinds.join(", "),
            first.path.parent(),
            subject.name()
        );
        let mut finding = subject.finding(&CHECK, Some(first.kind), message);
        finding.evidence = copied.iter().map(|l| Evidence::file(&l.path, None, "a file instead of a link")).collect();
        match conf.newest_whole() {
            Some(version) if subject.goes_back(version) => {
                finding.facts.extend(conf.newest.as_ref().map(|newest| ("the archive's newest", told(newest))));
                let next = conf.versions.keys().next_back().map_or(1, |newest| newest + 1);
                let text = "what lies in live/ is newer than the archive: bring it in as a version of its own, then link to that";
                finding.remedies.push(support::by_hand(text, brought_in(conf, next)));
            }
            Some(version) => {
                let others = conf.live.iter().filter(|l| l.state.version().is_some_and(|v| v != version));
                let links = copied.iter().copied().chain(others).flat_map(|live| changes(case, conf, live, version)).collect();
                let text = match copied.iter().any(|l| l.kind == "privkey") {
                    true => format!("link them to version {version} in the archive, and set the key aside unread"),
                    false => format!("link them to version {version} in the archive"),
                };
                finding.remedies.extend(subject.patch(text, links));
                let link = |live: &&LiveFile| {
                    let target = support::link_target(conf, &live.path, live.kind, version);
                    let path = live.path.to_string();
                    let aside = aside(&live.path, case.at).to_string();
                    format!("mv {0} {1} && ln -s {2} {0}", shell(&path), shell(&aside), shell(&String::from_utf8_lossy(&target)))
                };
                let commands: Vec<String> = copied.iter().map(link).collect();
                finding.remedies.push(support::by_hand("make them links by hand", commands.join(" && ")));
            }
            None => finding.remedies.push(support::order_again(&subject)),
        }
        finding.facts.push(("verify", format!("certbot certificates --cert-name {}", shell(subject.name()))));
        out.push(finding);
    }
}

/// What makes a link to this version of it. A key is neither read nor copied: it goes on lying there under another name.
fn changes(case: &Case<'_>, conf: &RenewalConf, live: &LiveFile, version: u32) -> Vec<Option<Change>> {
    let target = support::link_target(conf, &live.path, live.kind, version);
    let link = |was| Some(Change::Link { path: live.path.clone(), was, target: target.clone() });
    match &live.state {
        LiveState::Copied { shape, .. } if live.kind == "privkey" => {
            let (was, to) = (Precondition::Shape(*shape), aside(&live.path, case.at));
            vec![Some(Change::Move { path: live.path.clone(), was, to }), link(Precondition::Absent)]
        }
        LiveState::Copied { shape, .. } => vec![link(Precondition::Shape(*shape))],
        LiveState::Linked(target, _) => vec![link(Precondition::Link(target.clone().into_bytes()))],
        _ => Vec::new(),
    }
}

/// The command that makes a version of the archive out of what lies in `live`.
fn brought_in(conf: &RenewalConf, version: u32) -> String {
    let file = |live: &LiveFile| {
        let path = shell(&live.path.to_string());
        let target = String::from_utf8_lossy(&support::link_target(conf, &live.path, live.kind, version)).into_owned();
        let archived = conf.archive.join(format!("{}{version}.pem", live.kind)).to_string();
        format!("cp -pL {path} {} && ln -sfn {} {path}", shell(&archived), shell(&target))
    };
    conf.live.iter().map(file).collect::<Vec<_>>().join(" && ")
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::finding::Intent;

    #[test]
    fn catches_a_copy_and_links_it_again() {
        let finding = World::renewing(|tree| tree.file("/etc/letsencrypt/live/a.test/cert.pem", "x")).one(&CHECK);
        assert_eq!(finding.message, "cert in /etc/letsencrypt/live/a.test is a file instead of a link, so certbot skips a.test");
        let Intent::Patch(changes) = &finding.remedies[0].intent else { panic!("no patch") };
        assert!(
            matches!(&changes[..], [Change::Link { target, .. }] if target == b"../../archive/a.test/cert1.pem"),
            "{changes:?}"
        );
    }

    const LIVE: &str = "/etc/letsencrypt/live/a.test";

    /// A link to the archive would bring the old certificate back.
    #[test]
    fn what_is_newer_than_the_archive_is_not_thrown_away() {
        let finding = World::renewing(|tree| copied(tree, "2026-11-01", 90)).one(&CHECK);
        assert!(finding.remedies.iter().all(|r| !matches!(r.intent, Intent::Patch(_))), "{:?}", finding.remedies);
        let command = finding.remedies[0].command.as_deref().unwrap_or_default();
        let first = "cp -pL /etc/letsencrypt/live/a.test/cert.pem /etc/letsencrypt/archive/a.test/cert2.pem && \
                     ln -sfn ../../archive/a.test/cert2.pem /etc/letsencrypt/live/a.test/cert.pem && ";
        assert!(command.starts_with(first), "{command}");
    }

    #[test]
    fn a_key_is_moved_and_not_read() {
        let key = format!("{LIVE}/privkey.pem");
        let finding = World::renewing(|tree| {
            tree.remove_directory(&key.as_str().into());
            tree.file(key.as_str(), "a key");
        })
        .one(&CHECK);
        let Intent::Patch(changes) = &finding.remedies[0].intent else { panic!("no patch") };
        let [Change::Move { was: Precondition::Shape(_), to, .. }, Change::Link { was: Precondition::Absent, .. }] = &changes[..]
        else {
            panic!("{changes:?}")
        };
        assert!(to.to_string().starts_with(&format!("{key}.")), "{to}");
    }

    #[test]
    fn is_silent_about_links() {
        World::renewing(|_| {}).silent(&CHECK);
    }
}
