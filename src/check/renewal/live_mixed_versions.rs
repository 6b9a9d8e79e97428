//! CD714.

use std::collections::BTreeSet;

use super::support::{all_pairs, certbot as support, lineage_of, place};
use crate::{
    check::Case,
    edit::{Change, Precondition},
    facts::renewal::{certbot::LiveState, nginx::Pair},
    finding::{Evidence, Finding, Severity},
};

rule! {
    /// **What it means.** The links of `live/NAME` are not all on the newest version: certificate and key of different versions do not
    /// fit, so a server that reloads now refuses them ("key values mismatch"); or all are on an older one. Certbot puts it right at its
    /// next run.
    ///
    /// **How it is found.** The versions that the four links lead to, against the newest version in the archive that is whole.
    ///
    /// **What to do.** Link all four to the newest version; or wait for the next run.
    ///
    /// **Sources.** `storage.RenewableCert._fix_symlinks` and `_update_all_links_to`; measured with certbot 2.1.0 ("Found a new
    /// certificate /archive/ that was not linked to in /live/; fixing...").
    "CD714" "live-mixed-versions" Warning "links in live/ are on different or old versions"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let live = &subject.conf.live;
        let Some(versions) = live.iter().map(|l| l.state.version()).collect::<Option<BTreeSet<u32>>>() else { continue };
        let Some(newest) = subject.conf.newest_whole() else { continue };
        if versions.is_empty() || versions == BTreeSet::from([newest]) {
            continue;
        }
        let told: Vec<String> = versions.iter().map(u32::to_string).collect();
        let mixed = versions.len() > 1;
        let message = match mixed {
            true => format!("the links of {} lead to versions {} at once", subject.name(), told.join(" and ")),
            false => format!(
                "the links of {} lead to version {}, but the archive has version {newest}",
                subject.name(),
                told.join(" and ")
            ),
        };
        let mut finding = subject.finding(&CHECK, None, message);
        // One set of an old version is valid as long as its certificate is.
        if !mixed {
            finding.severity = Severity::Warning;
        }
        let off = || live.iter().filter(|l| l.state.version() != Some(newest));
        finding.evidence = off().map(|l| Evidence::file(&l.path, None, "not the newest version")).collect();
        // A server that reads them does not start again.
        let reads_them = |pair: &Pair| lineage_of(subject.renewal, pair).is_some_and(|l| l == subject.lineage);
        let pairs = all_pairs(subject.renewal);
        let refused = pairs.iter().filter(|_| mixed).filter(|(_, _, pair, ..)| reads_them(pair));
        let refused = refused.filter_map(|(instance, _, pair, directive, _)| Some((instance, directive, pair.refused()?)));
        for (instance, directive, why) in refused.take(1) {
            finding.severity = Severity::Error;
            finding.evidence.push(place(instance, directive));
            finding.facts.push(("nginx refuses", why));
        }
        let link = |l: &crate::facts::renewal::certbot::LiveFile| match &l.state {
            LiveState::Linked(target, _) => Some(Change::Link {
                path: l.path.clone(),
                was: Precondition::Link(target.clone().into_bytes()),
                target: support::link_target(subject.conf, &l.path, l.kind, newest),
            }),
            _ => None,
        };
        finding.remedies.extend(subject.patch(format!("link all four to version {newest}"), off().map(link).collect()));
        let command = format!("certbot certificates --cert-name {}", crate::base::shell(subject.name()));
        finding.remedies.push(support::by_hand("or let certbot's next run do it", command));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    fn second_version(tree: &Tree) {
        for kind in ["cert", "privkey", "chain", "fullchain"] {
            tree.file(format!("/etc/letsencrypt/archive/a.test/{kind}2.pem").as_str(), "x");
        }
    }

    #[test]
    fn catches_a_mixture_and_an_old_version() {
        let finding = World::renewing(|tree| {
            second_version(tree);
            tree.symlink("/etc/letsencrypt/live/a.test/cert.pem", "../../archive/a.test/cert2.pem");
        })
        .one(&CHECK);
        assert_eq!(finding.message, "the links of a.test lead to versions 1 and 2 at once");
        assert_eq!(finding.evidence.len(), 3);
        let finding = World::renewing(second_version).one(&CHECK);
        assert_eq!(finding.message, "the links of a.test lead to version 1, but the archive has version 2");
    }

    #[test]
    fn is_silent_about_one_set_and_about_a_version_that_is_not_whole() {
        World::renewing(|_| {}).silent(&CHECK);
        World::renewing(|tree| tree.file("/etc/letsencrypt/archive/a.test/cert2.pem", "x")).silent(&CHECK);
    }
}
