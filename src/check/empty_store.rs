//! CD416.

use crate::{
    edit::Applicability,
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** A store is there and holds no anchor. Every program that reads it refuses every server. A refresh over
    /// a missing or damaged list does that on Alpine, and exits 0.
    ///
    /// **How it is found.** The bundle (or, without one, the hash directory) was read and holds no certificate.
    ///
    /// **What to do.** Put the list back (reinstall the package), refresh, and count again.
    ///
    /// **Sources.** k3OS issue 518; Alpine's update-ca-certificates, measured with a missing and with a CR LF configuration.
    "CD416" "empty-store" Error "a store holds no anchor"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let (path, holds) = match (&store.bundle, &store.directory) {
            (Some(bundle), _) if bundle.is_read() => (&bundle.real, bundle.certificates().next().is_some()),
            (None, Some(directory)) if directory.state.is_ok() => (&directory.path, !store.anchors().is_empty()),
            _ => continue,
        };
        // A block that can't be read is told by another check.
        if holds || store.bundle.as_ref().is_some_and(|b| !b.entries.is_empty()) {
            continue;
        }
        let mut finding =
            Finding::new(&CHECK, path.to_string(), format!("{path} holds no anchor: who reads it refuses every server"));
        finding.facts.push(("store", store.title.clone()));
        finding.facts.push(("selected sources", support::enabled(store).count().to_string()));
        finding.evidence = vec![Evidence::file(path, None, "empty")];
        let reinstall = match store.kind {
            "debian" => Some("apt-get install --reinstall ca-certificates && update-ca-certificates --fresh".to_owned()),
            "alpine" => Some("apk fix --reinstall ca-certificates ca-certificates-bundle && update-ca-certificates".to_owned()),
            _ => None,
        };
        let text = "put the list back and refresh";
        finding.remedies.push(Remedy::new(Intent::Trust(None), Applicability::Manual, text, reinstall));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.bundle = Some(cert_file("/etc/ssl/certs/ca-certificates.crt", ""));
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.message, "/etc/ssl/certs/ca-certificates.crt holds no anchor: who reads it refuses every server");
    }

    #[test]
    fn is_silent_about_one_anchor() {
        World::at(LAB).store(cert_pem(STORE_U)).silent(&CHECK);
    }
}
