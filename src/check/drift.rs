//! CD401.

use std::collections::BTreeMap;

use crate::{
    base::{Fingerprint, TreePath},
    facts::{CertFile, Store},
    finding::{Evidence, Finding, Remedy, Severity},
    x509::{Certificate, CertificateSet},
};

use super::{
    Case,
    support::{self, Cause, Mended},
};

rule! {
    /// **What it means.** Parts of one store disagree: a certificate is selected but missing from the bundle, is in the bundle
    /// but nothing selects it, or is in the hash directory and not in the bundle (or the other way round). So two programs on one
    /// host disagree about one server: curl and OpenSSL read both, Go reads both, GnuTLS and most others read the bundle only,
    /// Java its own copy.
    ///
    /// **How it is found.** Sets of SHA-256 fingerprints: enabled sources, bundle, lookups by hash, Java keystore. What a file
    /// with several certificates explains is CD403 and left out here. Where another finding tells the cause (the list, a missing
    /// file, an emptied output …), this one is a note that names it.
    ///
    /// **What to do.** Repair the cause first. Otherwise run the refresh tool; on Debian with `--fresh`, since a plain run leaves
    /// links behind when a line was deleted or a local file removed. If the bundle was edited by hand, move the change into a
    /// source: it is lost at the next run. A refresh that would take out what nobody deselected is not offered.
    ///
    /// **Sources.** update-ca-certificates(8) and its script; recorded runs `fixtures/roots/debian` 02, 04, 11, 34 and 45; curl's
    /// `--capath` documentation.
    "CD401" "drift" Warning "configuration, bundle and hash directory disagree"
}

/// Who holds a certificate.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    selected: bool,
    bundle: bool,
    directory: bool,
    java: bool,
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        // Without a list that selects, there is nothing that the outputs should agree with.
        if store.configuration.is_none() {
            continue;
        }
        let Some(bundle) = store.bundle.as_ref().filter(|b| b.is_read()) else { continue };
        let java = store.derived.iter().find(|d| d.is_read() && d.certificates().next().is_some());
        if java.is_none() && all_agree(store, bundle) {
            continue;
        }
        let whole = Held { selected: true, bundle: true, directory: store.directory.is_some(), java: java.is_some() };
        let mut groups: BTreeMap<(Held, Option<Cause>), Vec<&Certificate>> = BTreeMap::new();
        for (certificate, held) in held(store, bundle, java).into_values().filter(|(_, held)| *held != whole) {
            groups.entry((held, support::cause(store, certificate))).or_default().push(certificate);
        }
        for ((held, cause), certificates) in groups {
            out.push(finding(store, held, whole, cause, &certificates));
        }
    }
}

/// The usual case, told quickly: the same certificates everywhere.
fn all_agree(store: &Store, bundle: &CertFile) -> bool {
    fn set<'c>(certificates: impl IntoIterator<Item = &'c Certificate>) -> CertificateSet<'c> {
        certificates.into_iter().collect()
    }
    let selected = set(support::enabled(store).flat_map(|s| s.file.certificates()).map(|(_, c)| c));
    selected == set(bundle.certificates().map(|(_, c)| c))
        && store.directory.as_ref().is_none_or(|d| selected == set(support::by_hash(store, d)))
}

fn held<'s>(
    store: &'s Store,
    bundle: &'s CertFile,
    java: Option<&'s CertFile>,
) -> BTreeMap<Fingerprint, (&'s Certificate, Held)> {
    let mut all: BTreeMap<Fingerprint, (&Certificate, Held)> = BTreeMap::new();
    let mut mark = |certificate: &'s Certificate, set: fn(&mut Held)| {
        set(&mut all.entry(certificate.fingerprint()).or_insert((certificate, Held::default())).1);
    };
    support::enabled(store).flat_map(|s| s.file.certificates()).for_each(|(_, c)| mark(c, |h| h.selected = true));
    bundle.certificates().for_each(|(_, c)| mark(c, |h| h.bundle = true));
    java.iter().flat_map(|j| j.certificates()).for_each(|(_, c)| mark(c, |h| h.java = true));
    if let Some(directory) = &store.directory {
        support::by_hash(store, directory).into_iter().for_each(|c| mark(c, |h| h.directory = true));
        // A real file that somebody put into the directory is not the refresh tool's business.
        for entry in directory.entries.iter().filter(|e| e.link.is_none() && e.file.real != bundle.real) {
            for (_, certificate) in entry.file.certificates() {
                let alone = |(_, held): &(_, Held)| !held.selected && !held.bundle;
                if all.get(&certificate.fingerprint()).is_some_and(alone) {
                    all.remove(&certificate.fingerprint());
                }
            }
        }
    }
    for source in support::enabled(store).filter(|s| s.file.certificates().count() > 1) {
        for (_, certificate) in source.file.certificates() {
            all.remove(&certificate.fingerprint());
        }
    }
    all
}

fn finding(store: &Store, held: Held, whole: Held, cause: Option<Cause>, certificates: &[&Certificate]) -> Finding {
    let mut labels: Vec<String> = certificates.iter().map(|c| c.label()).collect();
    labels.sort();
    let what = match &labels[..] {
        [label] => format!("{label} is"),
        _ => format!("{} are", support::count(labels.len(), "certificate")),
    };
    let (mut present, mut absent) = (Vec::new(), Vec::new());
    for (name, held, possible) in [
        ("selected", held.selected, true),
        ("in the bundle", held.bundle, true),
        ("in the hash directory", held.directory, whole.directory),
        ("in Java's keystore", held.java, whole.java),
    ] {
        if possible {
            if held { present.push(name) } else { absent.push(name) }
        }
    }
    let message = format!("{what} {} but not {}", present.join(" and "), absent.join(" nor "));
    let mut finding = Finding::new(&CHECK, labels.join(", "), message);
    if labels.len() > 1 {
        finding.subject = store.title.clone();
    }
    // A keystore of an old Java package next to a newer bundle is common and concerns Java alone.
    if held.selected == held.bundle && held.bundle == held.directory {
        finding.severity = Severity::Note;
    }
    finding.facts = vec![("certificates", support::list(&labels, 8)), ("who sees it", who(held, whole))];
    let mut evidence: Vec<Evidence> =
        store.anchors().iter().filter(|a| certificates.contains(&&a.certificate)).take(8).flat_map(support::evidence).collect();
    if evidence.is_empty() {
        evidence.push(Evidence::file(&store.location, None, "store"));
    }
    finding.evidence = evidence;
    if let Some(cause) = cause {
        finding.severity = Severity::Note;
        finding.facts.push(("cause", cause.to_string()));
        finding.remedies.push(support::by_hand(format!("repair the cause: {cause}"), None));
        return finding;
    }
    if held.bundle && !held.selected {
        finding.remedies.push(keep(store, certificates));
        let text = "or, if nobody wants it, let the next refresh drop it";
        finding.remedies.push(support::by_hand(text, None));
    } else {
        // Debian's plain run does not make links again whose certificate is no longer wanted.
        let fresh = held.directory != held.selected || !held.directory;
        let text = "make all parts from what is selected";
        finding.remedies.push(support::repair(store, &store.location, text, None, fresh, &Mended::default()));
    }
    finding
}

/// Moves what was added to the bundle by hand into sources of its own.
fn keep(store: &Store, certificates: &[&Certificate]) -> Remedy {
    let bundle = store.bundle.as_ref();
    let commands: Option<Vec<String>> = certificates.iter().map(|c| bundle.and_then(|b| extract(store, b, c))).collect();
    let commands = commands.filter(|c| c.len() <= 4).map(|c| c.join(" && "));
    let text = "give what was added to the bundle by hand (the next refresh drops it) a source of its own";
    match commands {
        Some(command) => {
            let mended = Mended { sourced: certificates, ..Mended::default() };
            support::repair(store, &store.location, text, Some(command), true, &mended)
        }
        None => support::by_hand(text, None),
    }
}

/// Copies one certificate out of the bundle into the folder of local certificates, under a name that is free there.
fn extract(store: &Store, bundle: &CertFile, certificate: &Certificate) -> Option<String> {
    let (entry, _) = bundle.certificates().find(|(_, c)| *c == certificate)?;
    let print = certificate.fingerprint().short();
    let to = TreePath::from("/usr/local/share/ca-certificates").join(format!("from-bundle-{print}.crt"));
    if store.sources.iter().any(|s| s.file.path == to) {
        return None;
    }
    let (start, len) = (entry.block.start + 1, entry.block.len());
    let from = support::shell(&bundle.real.to_string());
    Some(format!("tail -c +{start} {from} | head -c {len} > {to}"))
}

fn who(held: Held, whole: Held) -> String {
    let mut says = Vec::new();
    let verb = |held: bool| if held { "trust" } else { "don't trust" };
    says.push(format!("GnuTLS, Python requests and others that read the bundle {} it", verb(held.bundle)));
    if whole.directory {
        says.push(format!("OpenSSL, curl and Go (file and directory) {} it", verb(held.bundle || held.directory)));
    }
    if whole.java {
        says.push(format!("Java {}", if held.java { "trusts it" } else { "doesn't trust it" }));
    }
    says.join("; ")
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::facts::Selection;

    fn two() -> Store {
        debian(&[("mozilla/A.crt", ADDTRUST), ("mozilla/U.crt", USERTRUST)])
    }

    #[test]
    fn catches_a_deleted_line_without_fresh() {
        let mut store = two();
        let directory = store.directory.clone();
        store.sources[0].selection = Selection::Unlisted;
        configure(&mut store, "mozilla/U.crt\n");
        refresh(&mut store);
        store.directory = directory;
        let finding = World::at(LAB).store(store.clone()).one(&CHECK);
        assert_eq!(finding.message, "AddTrust External CA Root is in the hash directory but not selected nor in the bundle");
        assert!(finding.facts[1].1.contains("OpenSSL, curl and Go (file and directory) trust it"));
        // The deleted line is the cause, and told with its remedies.
        assert_eq!((finding.severity, &finding.remedies[0].command), (Severity::Note, &None));
        assert_eq!(finding.remedies[0].text, "repair the cause: CD408 deleted-or-commented-line");
        // Deselected, it is only left over.
        store.sources[0].selection = Selection::Deselected;
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.severity, Severity::Warning);
        assert_eq!(finding.remedies[0].command.as_deref(), Some("update-ca-certificates --fresh"));
    }

    #[test]
    fn catches_a_bundle_edited_by_hand_and_java_left_behind() {
        let mut store = two();
        store.bundle = Some(cert_file("/etc/ssl/certs/ca-certificates.crt", &format!("{ADDTRUST}{USERTRUST}{GLOBALSIGN}")));
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.message, "GlobalSign Root CA is in the bundle but not selected nor in the hash directory");
        let command = finding.remedies[0].command.as_deref().expect("a command");
        assert!(command.starts_with("tail -c +") && command.ends_with(".crt && update-ca-certificates --fresh"), "{command}");
        let mut store = two();
        store.derived.push(cert_file("/etc/ssl/certs/java/cacerts", USERTRUST));
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.severity, Severity::Note);
    }

    #[test]
    fn catches_a_hash_that_is_not_the_certificates() {
        let mut store = two();
        // The content of a local file was replaced under its name.
        store.sources[0].owner = crate::facts::SourceOwner::Local;
        let directory = store.directory.as_mut().expect("a directory");
        let link = directory.entries.iter_mut().find(|e| e.hash.is_some_and(|(h, _)| h == 0x1577_53a5)).expect("a link");
        link.hash = link.hash.map(|(hash, n)| (hash ^ 1, n));
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert!(finding.message.ends_with("is selected and in the bundle but not in the hash directory"), "{}", finding.message);
    }

    #[test]
    fn is_silent_when_all_agree_or_nothing_selects() {
        World::at(LAB).store(two()).silent(&CHECK);
        World::at(LAB).store(cert_pem(ADDTRUST)).silent(&CHECK);
    }
}
