//! CD746.

use crate::{
    check::Case,
    edit::{Applicability, Change, Precondition},
    facts::{
        Renewal,
        renewal::{
            Lineage,
            certmagic::{Defect, Lock, Storage, aside},
        },
    },
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

rule! {
    /// **What it means.** CertMagic (Caddy) takes a lock before it obtains or renews a certificate: a small JSON file whose time its
    /// holder refreshes every 5 seconds; a lock that is older than 10 seconds counts as left and is removed by the next one. Two kinds are
    /// never removed: one that is no JSON (a full disk, a crash during a write: `unable to acquire lock …: decoding lockfile contents`),
    /// and one whose time lies in the future (the clock was ahead, or a snapshot was put back): every renewal waits for it, and no error
    /// is logged.
    ///
    /// **How it is found.** Each `locks/*.lock` of a storage is read. A lock that was changed in the last 15 seconds is read once more
    /// after 11, since its holder may have been writing, on this host or another one that shares the storage. An empty lock, and one whose
    /// time has gone by, heal by themselves and are no finding.
    ///
    /// **What to do.** The patch gives the lock another name; nothing that renews holds it. The renewal that waits goes on within
    /// seconds; one that has failed already is tried again by the next maintenance (10 minutes) or a restart.
    ///
    /// **Sources.** CertMagic's `filestorage.go` (`lockFreshnessInterval`, `fileLockIsStale`); reproduced with Caddy 2.11.
    "CD746" "stuck-lock" Warning "a lock that nobody holds keeps CertMagic from renewing"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    for storage in &renewal.certmagic.storages {
        out.extend(storage.locks.iter().filter_map(|lock| finding(case, renewal, storage, lock)));
    }
}

fn finding(case: &Case<'_>, renewal: &Renewal, storage: &Storage, lock: &Lock) -> Option<Finding> {
    let (why, line) = match &lock.content {
        Ok(updated) if updated.0 > case.at.0.saturating_add(Lock::AHEAD) => {
            (format!("is dated {}: everybody waits until then", case.at.relative(*updated)), None)
        }
        Err(Defect::Malformed(why, line)) => (why.split(" (").next().unwrap_or_default().to_owned(), *line),
        _ => return None,
    };
    // Held by somebody whose clock is ahead.
    if lock.is_left == Some(false) {
        return None;
    }
    let site = lock.name.strip_prefix("issue_cert_");
    let lineages: Vec<&Lineage> = storage
        .sites
        .iter()
        .filter(|s| site == Some(s.name.as_str()))
        .filter_map(|s| renewal.lineage_at(&s.certificate.path))
        .collect();
    let what = site.map_or_else(|| format!("`{}`", lock.name), |site| format!("renewing {site}"));
    let message = format!("{what} waits for a lock that nobody holds: {} {why}", lock.path);
    let mut finding = Finding::new(&CHECK, lock.path.to_string(), message);
    if site.is_some() && lineages.iter().all(|l| l.leaf().is_none_or(|leaf| leaf.is_expired(case.at))) {
        finding.severity = Severity::Error;
    }
    if let Ok(updated) = &lock.content {
        finding.facts.push(("updated", updated.to_string()));
    }
    finding.facts.push(("file changed", lock.modified.to_string()));
    let looks = match lock.is_left {
        Some(true) => "nobody has written to it for longer than a holder ever waits (5 s)",
        _ => "looked at once",
    };
    finding.facts.push(("held", looks.to_owned()));
    finding.evidence = vec![Evidence::file(&lock.path, line, "lock")];
    finding.lineages = lineages.iter().map(|l| (l.manager, l.name.clone())).collect();
    let applicability = if lock.is_left == Some(true) { Applicability::Auto } else { Applicability::Manual };
    let to = aside(&lock.path, case.at);
    let was = lock.read.map_or(Precondition::None, Precondition::Content);
    let change = Change::Move { path: lock.path.clone(), was, to };
    let text = format!("set the lock {} aside", lock.path);
    finding.remedies.push(Remedy::new(Intent::Patch(vec![change]), applicability, text, None));
    let text = "then let the server try again at once, and see whether it renews";
    finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, Some("systemctl restart caddy".to_owned())));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::At, check::testing::*};

    fn world(content: Result<At, Defect>, is_left: Option<bool>) -> World {
        let lock = Lock {
            path: "/s/locks/issue_cert_a.test.lock".into(),
            read: None,
            name: "issue_cert_a.test".to_owned(),
            content,
            modified: At(0),
            is_left,
        };
        World::at("2026-11-22").storage(|storage| storage.locks.push(lock))
    }

    #[test]
    fn a_truncated_lock_and_one_of_the_future_are_found() {
        let cut = Err(Defect::Malformed("is cut off in the middle".to_owned(), Some(1)));
        let found = world(cut.clone(), Some(true)).one(&CHECK);
        assert_eq!(found.remedies[0].applicability, Applicability::Auto);
        assert!(found.message.contains("renewing a.test waits"), "{}", found.message);
        assert_eq!(world(cut, None).one(&CHECK).remedies[0].applicability, Applicability::Manual);
        let found = world(Ok(At::parse("2027-11-20").expect("a time")), Some(true)).one(&CHECK);
        assert!(found.message.contains("is dated in 363 days"), "{}", found.message);
    }

    #[test]
    fn what_heals_and_what_is_held_is_left_alone() {
        let at = |text: &str| Ok(At::parse(text).expect("a time"));
        world(at("2026-11-21"), Some(true)).silent(&CHECK);
        world(at("2026-11-22T00:00:05Z"), Some(true)).silent(&CHECK);
        world(at("2027-11-20"), Some(false)).silent(&CHECK);
        world(Err(Defect::Empty), Some(true)).silent(&CHECK);
    }
}
