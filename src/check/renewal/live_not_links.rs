//! CD712.

use super::support::certbot as support;
use crate::{
    check::Case,
    edit::{Change, Precondition},
    facts::renewal::certbot::LiveState,
    finding::{Evidence, Finding},
};

rule! {
    /// **What it means.** Files in `live/NAME` are plain files instead of links into `archive/NAME`: the directory was copied or restored
    /// by something that follows links (rsync -L, cp -r, a backup, a container layer). Certbot refuses the whole lineage: "expected …
    /// to be a symlink".
    ///
    /// **How it is found.** What lies at the four paths of the renewal configuration, links not followed.
    ///
    /// **What to do.** Make them links again, to the newest version in the archive that has all four files.
    ///
    /// **Sources.** `storage.RenewableCert.__init__`; measured with certbot 2.1.0; recorded in `fixtures/renewal`.
    "CD712" "live-not-links" Warning "files in live/ are no links"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let copied: Vec<_> = subject.conf.live.iter().filter(|l| matches!(l.state, LiveState::Copied(_))).collect();
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
        if let Some(version) = subject.conf.newest_whole() {
            let link = |live: &&crate::facts::renewal::certbot::LiveFile| match live.state {
                LiveState::Copied(was) => Some(Change::Link {
                    path: live.path.clone(),
                    was: Precondition::Content(was),
                    target: support::link_target(subject.conf, &live.path, live.kind, version),
                }),
                _ => None,
            };
            let links = copied.iter().map(link).collect();
            finding.remedies.extend(subject.patch(format!("link them to version {version} in the archive"), links));
        }
        let commands: Vec<String> = subject
            .conf
            .newest_whole()
            .into_iter()
            .flat_map(|v| copied.iter().map(move |l| (v, l)))
            .map(|(v, l)| {
                let target = String::from_utf8_lossy(&support::link_target(subject.conf, &l.path, l.kind, v)).into_owned();
                format!("ln -sfn {} {}", crate::base::shell(&target), crate::base::shell(&l.path.to_string()))
            })
            .collect();
        let command = if commands.is_empty() {
            format!("ls -l {} {}", first.path.parent(), subject.conf.archive)
        } else {
            commands.join(" && ")
        };
        finding.remedies.push(support::by_hand("make them links by hand", command));
        finding.facts.push(("verify", format!("certbot certificates --cert-name {}", crate::base::shell(subject.name()))));
        out.push(finding);
    }
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

    #[test]
    fn is_silent_about_links() {
        World::renewing(|_| {}).silent(&CHECK);
    }
}
