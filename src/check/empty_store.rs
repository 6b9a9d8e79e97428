//! CD416.

use crate::{
    base::TreePath,
    edit::Applicability,
    facts::{Store, Upkeep},
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** A store is there and holds no anchor, or the file or the hash links that programs read are gone although
    /// the certificates are there. Every program that reads it refuses every server. A refresh over a missing or damaged list does
    /// that on Alpine, and exits 0; so does an emptied `/etc/ssl/certs`. OpenSSL on Debian reads the hash directory alone unless it
    /// is told otherwise.
    ///
    /// **How it is found.** The bundle of a generated store is missing, or a bundle was read and holds no certificate; or the
    /// hash directory that OpenSSL reads there has no link that a lookup finds.
    ///
    /// **What to do.** Refresh, if the list and its certificates are there; otherwise put these back first (reinstall the
    /// package). Count again.
    ///
    /// **Sources.** k3OS issue 518; Alpine's update-ca-certificates, measured with a missing and with a CR LF configuration.
    "CD416" "empty-store" Error "a store holds no anchor"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let Some((path, what)) = support::emptied(store) else { continue };
        let mut finding = Finding::new(&CHECK, path.to_string(), format!("{path} {what}: who reads it refuses every server"));
        finding.facts.push(("store", store.title.clone()));
        finding.facts.push(("selected sources", support::enabled(store).count().to_string()));
        finding.evidence = vec![Evidence::file(path, None, "empty")];
        finding.remedies.push(remedy(store, path));
        out.push(finding);
    }
}

fn remedy(store: &Store, path: &TreePath) -> Remedy {
    let cause = if store.configuration.is_none() && matches!(store.upkeep, Upkeep::Generated { .. }) {
        Some("the missing configuration")
    } else if support::has_crlf(store) {
        Some("the line ends of the configuration")
    } else if support::is_list_lost(store) {
        Some("the lost list")
    } else {
        None
    };
    if let Some(cause) = cause {
        return support::by_hand(format!("repair {cause} first: the remedy of that finding fills the store again"), None);
    }
    if support::enabled(store).any(|s| s.file.certificates().next().is_some()) {
        // The script can't enter a directory that is not there.
        let folder = store.directory.is_none().then(|| format!("mkdir -p {}", support::shell(&store.location.to_string())));
        return support::repair(store, path, "make bundle and links again from their sources", folder, true, &Mended::default());
    }
    let reinstall = match store.kind {
        "debian" => Some("apt-get install --reinstall ca-certificates && update-ca-certificates --fresh".to_owned()),
        "alpine" => Some("apk fix --reinstall ca-certificates ca-certificates-bundle && update-ca-certificates".to_owned()),
        _ => None,
    };
    Remedy::new(Intent::Trust(None), Applicability::Manual, "put the list back and refresh", reinstall)
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    const REFRESH: Option<&str> = Some("update-ca-certificates --fresh");

    #[test]
    fn catches() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.bundle = Some(cert_file("/etc/ssl/certs/ca-certificates.crt", ""));
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.message, "/etc/ssl/certs/ca-certificates.crt holds no anchor: who reads it refuses every server");
        assert_eq!(finding.remedies[0].command.as_deref(), REFRESH);
        let finding = World::at(LAB).store(cert_pem("")).one(&CHECK);
        assert_eq!(finding.remedies[0].command, None);
    }

    #[test]
    fn catches_outputs_that_are_gone() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.directory.as_mut().expect("a directory").entries.clear();
        let finding = World::at(LAB).store(store.clone()).one(&CHECK);
        assert_eq!(finding.message, "/etc/ssl/certs holds no hash link: who reads it refuses every server");
        assert_eq!(finding.remedies[0].command.as_deref(), REFRESH);
        store.bundle = Some(missing("/etc/ssl/certs/ca-certificates.crt"));
        let finding = World::at(LAB).store(store.clone()).one(&CHECK);
        assert_eq!(finding.message, "/etc/ssl/certs/ca-certificates.crt is missing: who reads it refuses every server");
        store.directory = None;
        let finding = World::at(LAB).store(store.clone()).one(&CHECK);
        let command = finding.remedies[0].command.as_deref();
        assert_eq!(command, Some("mkdir -p /etc/ssl/certs && update-ca-certificates --fresh"));
        // Over a damaged list nothing comes back.
        configure(&mut store, "mozilla/U.crt\r\n");
        assert_eq!(World::at(LAB).store(store).one(&CHECK).remedies[0].command, None);
    }

    #[test]
    fn is_silent_about_one_anchor() {
        World::at(LAB).store(cert_pem(STORE_U)).silent(&CHECK);
    }
}
