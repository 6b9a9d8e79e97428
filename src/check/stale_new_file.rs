//! CD410.

use crate::finding::{Evidence, Finding, Severity};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** An interrupted refresh left its half-written output behind. Debian's tool *appends* to a
    /// `ca-certificates.crt.new` that is there: its content, whatever it is, gets into the bundle at the next run. Alpine's tool
    /// chooses a new name at each run: there it is clutter.
    ///
    /// **How it is found.** The file's name beside the bundle.
    ///
    /// **What to do.** Remove it and refresh.
    ///
    /// **Sources.** Debian's update-ca-certificates; recorded run `fixtures/roots/debian` 35.
    "CD410" "stale-new-file" Warning "an interrupted refresh left a file behind"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        for path in &store.leftovers {
            let debian = store.kind == "debian";
            let effect = if debian { " and gets into the next bundle" } else { "" };
            let message = format!("{path} was left behind by an interrupted refresh{effect}");
            let mut finding = Finding::new(&CHECK, path.to_string(), message);
            if !debian {
                finding.severity = Severity::Note;
            }
            finding.evidence = vec![Evidence::file(path, None, "left behind")];
            let remove = format!("rm {}", support::shell(&path.to_string()));
            let mended = Mended { leftovers: true, ..Mended::default() };
            finding.remedies.push(support::repair(store, path, "remove it", Some(remove), false, &mended));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.leftovers.push("/etc/ssl/certs/ca-certificates.crt.new".into());
        let finding = World::at(LAB).store(store).one(&CHECK);
        let command = finding.remedies[0].command.as_deref();
        assert_eq!(command, Some("rm /etc/ssl/certs/ca-certificates.crt.new && update-ca-certificates"));
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.kind = "alpine";
        store.leftovers.push("/etc/ssl/certs/bundleAbCdEf".into());
        assert_eq!(World::at(LAB).store(store).one(&CHECK).severity, Severity::Note);
    }

    #[test]
    fn is_silent_without() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
    }
}
