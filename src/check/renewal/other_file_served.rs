//! CD755.

use super::{super::Case, support};
use crate::{
    edit::{Applicability, Change},
    facts::renewal::{
        Lineage,
        nginx::{Directive, Instance},
    },
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

rule! {
    /// **What it means.** The server is told to read another file than the one that the manager renews: a copy, a numbered file of the
    /// archive, a file of an earlier name that is renewed no more. Renewals succeed and nothing changes.
    ///
    /// **How it is found.** The configured file and the lineage's hold certificates for the same names; the configured one is older, and it has
    /// expired, lies in an archive, or has the same issuer. A certificate of another authority that is still good may be meant so.
    ///
    /// **What to do.** Name the lineage's files: `certdoctor renewal --apply` changes both paths.
    ///
    /// **Sources.** certbot's documentation ("Where are my certificates?"): archive must not be referred to.
    "CD755" "other-file-served" Warning "the server reads another file than the one that is renewed"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for (instance, server, pair, directive, key) in support::all_pairs(renewal) {
        // NJet puts its manager's certificate in the place of what this file holds, without a change of the file.
        if server.is_managed() {
            continue;
        }
        let Some(leaf) = pair.certificate.leaf() else { continue };
        let later = |l: &&Lineage| l.leaf().is_some_and(|newest| support::succeeds(newest, leaf));
        let Some(lineage) = renewal.lineages.iter().filter(later).max_by_key(|l| l.leaf().and_then(|c| c.validity().not_after))
        else {
            continue;
        };
        let Some(newest) = lineage.leaf() else { continue };
        let in_archive = pair.certificate.path.to_string().contains("/archive/");
        let expired = leaf.is_expired(case.at);
        // What is configured is the newest of a lineage of its own (certbot's `N` beside `N-0001`), and renewed too.
        if !expired && renewal.lineages.iter().any(|l| l.path == pair.certificate.path && l.leaf() == Some(leaf)) {
            continue;
        }
        if !(expired || in_archive || leaf.issuer() == newest.issuer()) {
            continue;
        }
        let message = format!("{} is older than what {} renews in {}", pair.certificate.path, lineage.manager, lineage.path);
        let mut finding = Finding::new(&CHECK, &lineage.name, message);
        finding.severity = if expired { Severity::Error } else { Severity::Warning };
        finding.lineages = vec![support::key(lineage)];
        finding.facts = vec![("configured", support::told(leaf)), ("renewed", support::told(newest))];
        finding.evidence =
            vec![support::place(instance, directive), Evidence::file(&lineage.path, None, "the newest certificate")];
        match changes(instance, lineage, directive, key) {
            Some(changes) => {
                let text = format!("read {} and its key", lineage.path);
                let verify = Some(support::test_command(instance));
                finding.remedies.push(Remedy::new(Intent::Patch(changes), Applicability::Auto, text, verify));
            }
            None => finding
                .remedies
                .push(support::by_hand(format!("name {} and its key in {}", lineage.path, instance.path_of(directive)), None)),
        }
        finding.remedies.push(support::reload(instance));
        out.push(finding);
    }
}

/// Both paths, where the lineage's files have certbot's names.
fn changes(instance: &Instance, lineage: &Lineage, certificate: &Directive, key: Option<&Directive>) -> Option<Vec<Change>> {
    (lineage.path.name() == b"fullchain.pem").then_some(())?;
    let private = lineage.path.parent().join("privkey.pem").to_string();
    let key = key?;
    Some(vec![
        support::reword(instance, certificate, certificate.words.get(1)?, &lineage.path.to_string())?,
        support::reword(instance, key, key.words.get(1)?, &private)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::testing::*, support::testing::*},
        *,
    };

    #[test]
    fn catches_a_file_of_the_archive_and_its_patch_names_the_lineage() {
        let old = issue(&["a.test"], "2026-08-01", "2026-11-01");
        let new = issue(&["a.test"], "2026-11-01", "2027-01-30");
        let text = "server {\n listen 443 ssl; server_name a.test; ssl_certificate /etc/letsencrypt/archive/a.test/fullchain1.pem; ssl_certificate_key /k.pem;\n}";
        let instance = with_pairs(nginx(text), &[&old]);
        let finding = World::at("2026-11-22")
            .lineage("a.test", new.clone())
            .renewal(|r| r.nginx.instances.push(instance.clone()))
            .one(&CHECK);
        assert_eq!((finding.severity, finding.evidence[0].line), (Severity::Error, Some(3)));
        let after = String::from_utf8(nginx_patched(&instance, &finding).files[0].bytes.clone()).expect("text");
        assert!(after.contains("ssl_certificate /etc/letsencrypt/live/a.test/fullchain.pem; ssl_certificate_key /etc/letsencrypt/live/a.test/privkey.pem;"), "{after}");
    }

    #[test]
    fn of_two_lineages_that_are_both_renewed_either_may_be_served() {
        let first = issue(&["a.test"], "2026-10-01", "2026-12-30");
        let second = issue(&["a.test"], "2026-10-20", "2027-01-18");
        let text = "server { listen 443 ssl; server_name a.test; ssl_certificate /etc/letsencrypt/live/a.test/fullchain.pem; ssl_certificate_key /k.pem; }";
        let world = |at: &str| {
            let instance = with_pairs(nginx(text), &[&first]);
            let world = World::at(at).lineage("a.test", first.clone()).lineage("a.test-0001", second.clone());
            world.renewal(|r| r.nginx.instances.push(instance))
        };
        world("2026-11-22").silent(&CHECK);
        assert_eq!(world("2026-12-31").one(&CHECK).severity, Severity::Error);
    }

    #[test]
    fn is_silent_about_the_lineages_own_file_and_a_good_one_of_another_authority() {
        let new = issue(&["a.test"], "2026-11-01", "2027-01-30");
        let other = issue(&["b.test"], "2026-10-01", "2027-01-01");
        let text = "server { listen 443 ssl; server_name a.test; ssl_certificate /c.pem; ssl_certificate_key /k.pem; }";
        for chain in [&new, &other] {
            let instance = with_pairs(nginx(text), &[chain]);
            World::at("2026-11-22").lineage("a.test", new.clone()).renewal(|r| r.nginx.instances.push(instance)).silent(&CHECK);
        }
    }
}
