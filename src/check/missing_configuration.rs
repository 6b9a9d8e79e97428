//! CD418.

use crate::{
    edit::Applicability,
    facts::Upkeep,
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** The list that selects certificates is missing, or names files that are not there. Without the list,
    /// Debian's next refresh keeps the old bundle and deletes every link, Alpine's writes an empty bundle; both exit 0. A name
    /// without a file drops out of the bundle with a warning that nobody reads, and leaves a dangling link.
    ///
    /// **How it is found.** The configuration's path; each enabled name against the sources.
    ///
    /// **What to do.** Reinstall the package (`dpkg-reconfigure ca-certificates` writes the list again), or take the name out of
    /// the list.
    ///
    /// **Sources.** Measured with update-ca-certificates of Debian 12 and Alpine 3.23; recorded run `fixtures/roots/debian` 36;
    /// k3OS issue 518.
    "CD418" "missing-configuration" Error "the configuration, or a file that it names, is missing"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let Some(configuration) = &store.configuration else {
            // One that can't be read is CD411.
            if store.unread.is_none()
                && matches!(store.upkeep, Upkeep::Generated { .. })
                && matches!(store.kind, "debian" | "alpine")
            {
                let effect = if store.kind == "alpine" { "writes an empty bundle" } else { "deletes every link" };
                let message = format!("/etc/ca-certificates.conf is missing: the next refresh {effect}");
                let mut finding = Finding::new(&CHECK, "/etc/ca-certificates.conf", message);
                finding.evidence = vec![Evidence::file(&"/etc/ca-certificates.conf".into(), None, "missing")];
                let command = if store.kind == "alpine" {
                    "apk fix --reinstall ca-certificates"
                } else {
                    "dpkg-reconfigure ca-certificates"
                };
                let intent = Intent::Repair("/etc/ca-certificates.conf".into());
                let text = "have the package write its list again";
                finding.remedies.push(Remedy::new(intent, Applicability::Manual, text, Some(command.into())));
                out.push(finding);
            }
            continue;
        };
        let missing = support::listed_in_vain(store);
        if missing.is_empty() {
            continue;
        }
        let names: Vec<String> = missing.iter().map(|(_, name)| support::text(name)).collect();
        let message = match &names[..] {
            [name] => format!("{name} is listed in {} and is not there", configuration.path),
            _ => format!("{} listed in {} are not there", support::count(names.len(), "file"), configuration.path),
        };
        let mut finding = Finding::new(&CHECK, configuration.path.to_string(), message);
        finding.facts.push(("files", support::list(&names, 8)));
        let harm = support::refresh_effect(store, false, &Mended::default()).harm();
        finding.facts.extend(harm.map(|harm| ("the next refresh", harm)));
        let place = |(line, _): &(&crate::facts::ConfLine, &[u8])| Evidence {
            span: Some(line.span.clone()),
            ..Evidence::file(&configuration.path, Some(line.number), "listed here")
        };
        finding.evidence = missing.iter().map(place).collect();
        let command = match store.kind {
            "alpine" => Some("apk fix --reinstall ca-certificates".to_owned()),
            "debian" => Some("apt-get install --reinstall ca-certificates".to_owned()),
            _ => None,
        };
        let intent = Intent::Repair(configuration.path.clone());
        let text = "put the files back, or take the names out of the list";
        finding.remedies.push(Remedy::new(intent, Applicability::Manual, text, command));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches_a_missing_list() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.configuration = None;
        assert!(World::at(LAB).store(store.clone()).one(&CHECK).message.ends_with("deletes every link"));
        store.kind = "alpine";
        assert!(World::at(LAB).store(store).one(&CHECK).message.ends_with("writes an empty bundle"));
    }

    #[test]
    fn leaves_an_unreadable_list_to_another() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.configuration = None;
        store.unread = Some(missing("/etc/ca-certificates.conf"));
        World::at(LAB).store(store).silent(&CHECK);
    }

    #[test]
    fn catches_a_missing_file() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U), ("mozilla/A.crt", STORE_A)]);
        store.sources[1].file = missing("/usr/share/ca-certificates/mozilla/A.crt");
        store.sources.remove(0);
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.message, "2 files listed in /etc/ca-certificates.conf are not there");
        assert_eq!(finding.evidence[1].line, Some(2));
    }

    #[test]
    fn is_silent_when_all_is_there() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
        World::at(LAB).store(cert_pem(STORE_U)).silent(&CHECK);
    }
}
