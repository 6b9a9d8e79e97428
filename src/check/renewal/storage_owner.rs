//! CD748.

use crate::{
    base::shell,
    check::Case,
    edit::Applicability,
    facts::{Renewal, renewal::certmagic::Storage},
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

rule! {
    /// **What it means.** Files or folders of CertMagic's storage belong to somebody else than the user that the server runs as, and
    /// are not open to that user: usually the server was started once by root, by hand. What it can't read it can't serve
    /// (`open …: permission denied`), and Caddy up to 2.11.4 does not even start; where it can't write it can't renew.
    ///
    /// **How it is found.** Owner, group and permission bits of everything in the storage against the user of the running process, or
    /// `User=` of `caddy.service`. A group that the user may be in besides its main one counts as open, except root's.
    ///
    /// **What to do.** Give those folders of the storage to the user.
    ///
    /// **Sources.** Reproduced with Debian's Caddy; caddyserver.com/docs/conventions#data-directory.
    "CD748" "storage-owner" Warning "files in CertMagic's storage belong to somebody else than the server's user"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    out.extend(renewal.certmagic.storages.iter().filter_map(|storage| finding(renewal, storage)));
}

fn finding(renewal: &Renewal, storage: &Storage) -> Option<Finding> {
    let user = storage.user.as_ref()?;
    let first = storage.strangers.first()?;
    let n = storage.strangers_in_all;
    let things = if n == 1 { "one file or folder".to_owned() } else { format!("{n} files and folders") };
    let message = format!("{} can't use {things} of its storage {}: {} is one", user.name, storage.path, first.path);
    let message = if n == 1 { format!("{} can't use {} in its storage", user.name, first.path) } else { message };
    let mut finding = Finding::new(&CHECK, storage.path.to_string(), message);
    finding.facts = vec![("user", format!("{} ({}), because {}", user.name, user.uid, user.because))];
    let evidence = |s: &crate::facts::renewal::certmagic::Stranger| {
        Evidence::file(&s.path, None, format!("owner {}:{}, mode {:04o}", s.owner.0, s.owner.1, s.mode))
    };
    finding.evidence = storage.strangers.iter().map(evidence).collect();
    for site in &storage.sites {
        let is_in =
            |s: &crate::facts::renewal::certmagic::Stranger| s.path.starts_with(&site.path) || site.path.starts_with(&s.path);
        if storage.strangers.iter().any(is_in) {
            // Reading one of the three fails: the certificate is not loaded.
            finding.severity = Severity::Error;
            finding.lineages.extend(renewal.lineage_at(&site.certificate.path).map(|l| (l.manager, l.name.clone())));
        }
    }
    let text = format!("give what is in the storage to {}, then restart the server", user.name);
    // Not the directory with all that is in it: it may hold more than the storage.
    let names = Storage::OWN.iter().map(|name| storage.path.join(name));
    let theirs = names.filter(|own| storage.strangers.iter().any(|s| s.path.starts_with(own)));
    let theirs: Vec<String> = theirs.map(|own| shell(&own.to_string())).collect();
    let is_closed = storage.strangers.iter().any(|s| s.path == storage.path);
    let itself = is_closed.then(|| format!("chown {}:{} {}", user.uid, user.gid, shell(&storage.path.to_string())));
    let inside = (!theirs.is_empty()).then(|| format!("chown -R {}:{} {}", user.uid, user.gid, theirs.join(" ")));
    let command = itself.into_iter().chain(inside).collect::<Vec<_>>().join(" && ");
    finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, Some(command)));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::testing::*,
        facts::renewal::certmagic::{Stranger, User},
    };

    fn world(path: Option<&str>) -> World {
        World::at("2026-11-22").storage(|storage| {
            storage.user = Some(User { name: "caddy".into(), uid: 998, gid: 997, because: "User= in x".into() });
            storage.sites.push(site("a.test"));
            let stranger = path.map(|path| Stranger { path: path.into(), owner: (0, 0), mode: 0o600 });
            storage.strangers_in_all = usize::from(stranger.is_some());
            storage.strangers.extend(stranger);
        })
    }

    #[test]
    fn a_key_of_root_keeps_caddy_from_starting() {
        let found = world(Some("/s/certificates/ca/a.test/a.test.key")).one(&CHECK);
        assert_eq!(found.severity, Severity::Error);
        // `/s` may hold more than the storage.
        assert_eq!(found.remedies[0].command.as_deref(), Some("chown -R 998:997 /s/certificates"));
        assert_eq!(world(Some("/s")).one(&CHECK).remedies[0].command.as_deref(), Some("chown 998:997 /s"));
        assert_eq!(found.evidence[0].what, "owner 0:0, mode 0600");
        assert_eq!(world(Some("/s/ocsp")).one(&CHECK).severity, Severity::Warning);
    }

    #[test]
    fn its_own_storage_is_no_finding() {
        world(None).silent(&CHECK);
    }
}
