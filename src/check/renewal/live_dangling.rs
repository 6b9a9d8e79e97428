//! CD713.

use super::support::certbot as support;
use crate::{
    base::shell,
    check::Case,
    edit::{Change, Precondition},
    facts::renewal::certbot::LiveState,
    finding::{Evidence, Finding},
};

rule! {
    /// **What it means.** Links in `live/NAME` lead to nothing, or are missing: the archive was deleted in part, or restored without its
    /// newest version. Certbot refuses the lineage, and a server that is restarted does not start.
    ///
    /// **How it is found.** The four paths of the renewal configuration: nothing there, a link to nothing, or one that leads out of the
    /// archive.
    ///
    /// **What to do.** Link all four to the newest version in the archive that is whole. Where there is none, order the certificate
    /// again.
    ///
    /// **Sources.** `storage.RenewableCert._check_symlinks` and `_consistent`; measured with certbot 2.1.0; recorded in
    /// `fixtures/renewal`.
    "CD713" "live-dangling" Warning "links in live/ lead to nothing"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let is_dead = |state: &LiveState| matches!(state, LiveState::Missing | LiveState::Dangling(_) | LiveState::Elsewhere(_));
        let dead: Vec<_> = subject.conf.live.iter().filter(|l| is_dead(&l.state)).collect();
        let Some(first) = dead.first() else { continue };
        let what = match &first.state {
            LiveState::Dangling(target) => format!("{} leads to {target}, where nothing is", first.path),
            LiveState::Elsewhere(target) => {
                format!("{} leads to {target}, which is no version in {}", first.path, subject.conf.archive)
            }
            _ => format!("{} is missing", first.path),
        };
        let mut finding = subject.finding(&CHECK, Some(first.kind), format!("{what}, so certbot skips {}", subject.name()));
        finding.evidence = dead.iter().map(|l| Evidence::file(&l.path, None, "leads to no version")).collect();
        match subject.conf.newest_whole() {
            Some(version) => {
                let link = |live: &crate::facts::renewal::certbot::LiveFile| {
                    let target = support::link_target(subject.conf, &live.path, live.kind, version);
                    let was = match &live.state {
                        LiveState::Missing => Precondition::Absent,
                        LiveState::Dangling(t) | LiveState::Elsewhere(t) | LiveState::Linked(t, _) => {
                            // A name that is no UTF-8 can't be compared as it was written.
                            (!t.contains('\u{fffd}')).then(|| Precondition::Link(t.clone().into_bytes()))?
                        }
                        LiveState::Copied { .. } => return None,
                    };
                    Some(Change::Link { path: live.path.clone(), was, target })
                };
                // All four, so that certificate and key stay a pair.
                let moved = subject.conf.live.iter().filter(|l| l.state.version() != Some(version));
                let links = moved.filter(|l| !matches!(l.state, LiveState::Copied { .. })).map(link).collect();
                let newest = subject.conf.newest.as_ref();
                let until = newest.and_then(|c| c.validity().not_after).map(|end| {
                    let verb = if end < case.at { "expired" } else { "valid until" };
                    format!(" ({verb} {end}, {})", case.at.relative(end))
                });
                let until = until.unwrap_or_default();
                let text = format!("link live/{} to version {version}, the newest that is whole{until}", subject.name());
                finding.remedies.extend(subject.patch(text, links));
                finding.facts.push(("newest whole version", format!("{version}{until}")));
                let command = format!("certbot certificates --cert-name {}", shell(subject.name()));
                finding.facts.push(("verify", command));
            }
            None => finding.remedies.push(support::order_again(&subject)),
        }
        if finding.remedies.is_empty() {
            let command =
                format!("ls -l {} {}", shell(&first.path.parent().to_string()), shell(&subject.conf.archive.to_string()));
            finding.remedies.push(support::by_hand("link all four to one version by hand", command));
        }
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::finding::Intent;

    #[test]
    fn catches_a_link_to_nothing_and_goes_back_to_what_is_whole() {
        let finding = World::renewing(|tree| {
            for kind in ["cert", "privkey", "chain", "fullchain"] {
                tree.symlink(
                    format!("/etc/letsencrypt/live/a.test/{kind}.pem").as_str(),
                    format!("../../archive/a.test/{kind}2.pem"),
                );
            }
        })
        .one(&CHECK);
        assert!(
            finding.message.starts_with("/etc/letsencrypt/live/a.test/cert.pem leads to ../../archive/a.test/cert2.pem, where"),
            "{}",
            finding.message
        );
        let Intent::Patch(changes) = &finding.remedies[0].intent else { panic!("no patch") };
        assert_eq!(changes.len(), 4);
        let text = "link live/a.test to version 1, the newest that is whole (valid until 2027-01-18T00:00:00Z, in 56 days)";
        assert_eq!(finding.remedies[0].text, text);
        assert!(
            matches!(&changes[1], Change::Link { target, .. } if target == b"../../archive/a.test/privkey1.pem"),
            "{changes:?}"
        );
    }

    #[test]
    fn an_empty_archive_has_nothing_to_link_to() {
        let finding = World::renewing(|tree| tree.remove_directory(&"/etc/letsencrypt/archive".into())).one(&CHECK);
        let command = finding.remedies[0].command.as_deref().unwrap_or_default();
        assert!(command.ends_with("certbot certonly --cert-name a.test --webroot -w /srv/acme -d a.test"), "{command}");
        assert!(!command.contains("delete"), "{command}");
    }

    #[test]
    fn is_silent_about_links() {
        World::renewing(|_| {}).silent(&CHECK);
    }
}
