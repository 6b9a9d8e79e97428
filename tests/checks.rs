//! The checks on whole stores: real trees as they were shipped, the same after real mistakes, and verdicts of the real models.

mod support;
mod trees;

use std::collections::BTreeMap;

use certdoctor::{
    base::{At, Fingerprint, TreePath},
    check::{self, Case, ClientVerdict},
    client,
    facts::{Clock, Endpoint, Facts, Presented, Selection, SourceOwner, Target, TargetSource},
    finding::{Finding, Harm, Intent, Severity},
    host::{NodeKind, Tree, TreeMut, memory::MemoryTree},
    judge::{Inquiry, judge},
    path::{Anchors, Extra, Question, explore},
    store,
    x509::{Certificate, Purpose, SignatureCache},
};
use support::read_fixture;
use trees::{apply, tree};

fn at(time: &str) -> At {
    At::parse(time).expect("a time")
}

fn facts(tree: &dyn Tree, at: At) -> Facts {
    Facts {
        stores: store::ALL.iter().filter_map(|kind| (kind.load)(tree)).collect(),
        ..Facts::new(Clock { at, injected: true, built: None, newest_file: None, server_dates: Vec::new() })
    }
}

fn scan(tree: &dyn Tree, time: &str) -> Vec<Finding> {
    let facts = facts(tree, at(time));
    let case =
        Case { facts: &facts, at: at(time), within: 90, verdicts: &[], paths: &[], lapses: &[], union: Default::default() };
    let (findings, broken) = check::run_all(&case);
    assert!(broken.is_empty(), "{broken:?}");
    findings
}

/// Code, severity and subject of each finding.
fn summary(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| format!("{} {:?} {}", f.code, f.severity, f.subject).to_string()).collect()
}

fn write(tree: &MemoryTree, path: &str, bytes: impl Into<Vec<u8>>) {
    let bytes = bytes.into();
    tree.put(TreePath::from(path), NodeKind::File(bytes.len() as u64), 0o644, bytes);
}

fn edit_conf(tree: &MemoryTree, change: impl Fn(&str) -> String) {
    let conf = "/etc/ca-certificates.conf";
    let (bytes, _) = tree.read(&conf.into(), 1 << 20).expect("the configuration");
    write(tree, conf, change(std::str::from_utf8(&bytes).expect("text")));
}

fn refresh(tree: &MemoryTree, kind: &store::Kind, fresh: bool) {
    apply(tree, &(kind.refresh)(tree, fresh).expect("a refresh"));
}

#[test]
fn debian_12_as_released_does_not_cry_wolf() {
    let findings = scan(&tree("debian-12"), "2026-11-22");
    assert_eq!(
        summary(&findings),
        [
            "CD301 Note Baltimore CyberTrust Root",
            "CD301 Note E-Tugra Certification Authority",
            "CD301 Note Hongkong Post Root CA 1",
            "CD301 Note Security Communication RootCA1",
            // It ends five days later.
            "CD302 Note Entrust Root Certification Authority",
        ]
    );
    assert!(findings.iter().filter(|f| f.code == "CD301").all(|f| f.harm == Some(Harm::Clutter)));
    // Source, bundle, link and hash link are all named.
    let places: Vec<String> = findings[0].evidence.iter().filter_map(|e| Some(e.path.as_ref()?.to_string())).collect();
    for place in [
        "/usr/share/ca-certificates/mozilla/Baltimore_CyberTrust_Root.crt",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ssl/certs/Baltimore_CyberTrust_Root.pem",
        "/etc/ssl/certs/653b494a.0",
    ] {
        assert!(places.iter().any(|p| p == place), "{place} is not in {places:?}");
    }
    assert!(findings[0].evidence.iter().any(|e| e.what == "bundle" && e.line.is_some_and(|line| line > 1)));
}

#[test]
fn other_real_trees_hold_what_is_known_of_them() {
    assert_eq!(
        summary(&scan(&tree("debian-13"), "2026-11-22")),
        ["CD301 Note Baltimore CyberTrust Root", "CD302 Note Entrust Root Certification Authority"]
    );
    assert_eq!(summary(&scan(&tree("alpine-3.23"), "2026-11-22")), Vec::<String>::new());
    let alpine = tree("alpine-2019");
    assert_eq!(
        summary(&scan(&alpine, "2020-06-01")),
        ["CD301 Warning AddTrust External CA Root", "CD301 Note Staat der Nederlanden Root CA - G2"]
    );
    let expired = |time| scan(&alpine, time).iter().filter(|f| f.code == "CD301").count();
    assert_eq!((expired("2021-10-01"), expired("2026-11-22")), (5, 14));
    let expiring = scan(&alpine, "2020-05-01");
    assert!(summary(&expiring).contains(&"CD302 Note AddTrust External CA Root".to_owned()), "{:?}", summary(&expiring));
}

#[test]
fn cert_pem_before_and_after_upstream_took_the_root_out() {
    let expired = |file: &str, time| {
        let tree = MemoryTree::new();
        write(&tree, "/etc/ssl/cert.pem", read_fixture(&format!("bundles/{file}")));
        let findings = scan(&tree, time);
        // The two roots whose end broke old clients; no server was asked.
        let known = |f: &Finding| f.code == "CD301" && ["AddTrust External CA Root", "DST Root CA X3"].contains(&&*f.subject);
        let severity = |f: &Finding| if known(f) { Severity::Warning } else { Severity::Note };
        assert!(findings.iter().all(|f| f.severity == severity(f)), "{:?}", summary(&findings));
        findings.into_iter().filter(|f| f.code == "CD301").map(|f| f.subject).collect::<Vec<_>>()
    };
    let addtrust = "AddTrust External CA Root".to_owned();
    assert!(expired("libressl/cert-678710fe8b.pem", "2020-06-01").contains(&addtrust));
    assert!(!expired("libressl/cert-09a2b91baf.pem", "2020-06-01").contains(&addtrust));
    let dst = "DST Root CA X3".to_owned();
    assert!(expired("libressl/cert-71e70856d8.pem", "2021-10-01").contains(&dst));
    assert!(!expired("libressl/cert-ba24ec6303.pem", "2021-10-01").contains(&dst));
    assert_eq!(expired("certifi/cacert-2019.11.28.pem", "2020-06-01").len(), 2);
    assert_eq!(expired("certifi/cacert-2019.11.28.pem", "2021-10-01").len(), 5);
}

/// After the certificates of `fixtures/roots/inputs` were made.
const LATER: &str = "2026-11-23";

/// The codes at or above a warning.
fn warnings(tree: &dyn Tree) -> Vec<&'static str> {
    let findings = scan(tree, LATER);
    findings.iter().filter(|f| f.severity > Severity::Note).map(|f| f.code).collect()
}

#[test]
fn mistakes_on_debian_are_found_by_name() {
    let debian = || tree("debian-12");
    let baltimore = "mozilla/Baltimore_CyberTrust_Root.crt";

    // debian/01: the right way leaves nothing to say.
    let right = debian();
    edit_conf(&right, |conf| conf.replace(baltimore, &format!("!{baltimore}")));
    refresh(&right, &store::debian::KIND, false);
    assert_eq!(warnings(&right), Vec::<&str>::new());
    assert_eq!(scan(&right, LATER).iter().filter(|f| f.code == "CD301").count(), 3);

    // debian/02: a deleted line and a plain run.
    let deleted = debian();
    edit_conf(&deleted, |conf| conf.replace(&format!("{baltimore}\n"), ""));
    refresh(&deleted, &store::debian::KIND, false);
    assert_eq!(warnings(&deleted), ["CD408"]);
    let drift = scan(&deleted, LATER).into_iter().find(|f| f.code == "CD401").expect("drift");
    assert_eq!(drift.message, "Baltimore CyberTrust Root is in the hash directory but not selected nor in the bundle");
    // The drift is a consequence, and has no remedy of its own.
    assert_eq!((drift.severity, &drift.remedies[0].command), (Severity::Note, &None));
    refresh(&deleted, &store::debian::KIND, true);
    assert_eq!(warnings(&deleted), ["CD408"]);

    // debian/04: a comment.
    let commented = debian();
    edit_conf(&commented, |conf| conf.replace(baltimore, &format!("#{baltimore}")));
    assert_eq!(warnings(&commented), ["CD408"]);

    // debian/11: a local file removed without --fresh.
    let removed = debian();
    write(&removed, "/usr/local/share/ca-certificates/a.crt", read_fixture("roots/inputs/a.crt"));
    refresh(&removed, &store::debian::KIND, false);
    removed.remove(&"/usr/local/share/ca-certificates/a.crt".into()).expect("removed");
    refresh(&removed, &store::debian::KIND, false);
    assert_eq!(warnings(&removed), ["CD402"]);

    // debian/13, 14, 16, 17: what lies in the local folder.
    for (file, name, code) in [
        ("two.crt", "two.crt", "CD403"),
        ("bad.crt", "bad.crt", "CD413"),
        ("empty.crt", "empty.crt", "CD413"),
        ("a.crt", "a.pem", "CD406"),
        ("a.crt", "A.CRT", "CD406"),
    ] {
        let local = debian();
        write(&local, &format!("/usr/local/share/ca-certificates/{name}"), read_fixture(&format!("roots/inputs/{file}")));
        refresh(&local, &store::debian::KIND, false);
        assert_eq!(warnings(&local), [code], "{name}");
    }
    let open = debian();
    write(&open, "/usr/local/share/ca-certificates/nonl.crt", read_fixture("roots/inputs/nonl.crt"));
    refresh(&open, &store::debian::KIND, false);
    assert_eq!(scan(&open, LATER).iter().filter(|f| f.code == "CD404").count(), 1);

    // debian/21: the same name twice.
    let twice = debian();
    write(&twice, "/usr/local/share/ca-certificates/ISRG_Root_X1.crt", read_fixture("roots/inputs/a.crt"));
    refresh(&twice, &store::debian::KIND, false);
    assert!(warnings(&twice).contains(&"CD417"), "{:?}", warnings(&twice));

    // debian/24: `!` on a name with a blank and parentheses.
    let mapped = debian();
    let odd = "mozilla/My Root (1).crt";
    write(&mapped, &format!("/usr/share/ca-certificates/{odd}"), read_fixture("roots/inputs/a.crt"));
    edit_conf(&mapped, |conf| format!("{conf}{odd}\n"));
    refresh(&mapped, &store::debian::KIND, false);
    edit_conf(&mapped, |conf| conf.replace(odd, &format!("!{odd}")));
    refresh(&mapped, &store::debian::KIND, false);
    assert_eq!(warnings(&mapped), ["CD407"]);

    // debian/25: the last line without a newline.
    let unseen = debian();
    edit_conf(&unseen, |conf| conf.trim_end().to_owned());
    assert_eq!(warnings(&unseen), ["CD409"]);
    let lines = debian();
    edit_conf(&lines, |conf| conf.replace('\n', "\r\n"));
    assert_eq!(warnings(&lines), ["CD405"]);

    // debian/34, 35, 36.
    let edited = debian();
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    let (mut bytes, _) = edited.read(&bundle.into(), 1 << 24).expect("the bundle");
    bytes.extend(read_fixture("roots/inputs/a.crt"));
    write(&edited, bundle, bytes);
    assert_eq!(warnings(&edited), ["CD401"]);
    let stale = debian();
    write(&stale, "/etc/ssl/certs/ca-certificates.crt.new", read_fixture("roots/inputs/a.crt"));
    assert_eq!(warnings(&stale), ["CD410"]);
    let gone = debian();
    gone.remove(&TreePath::new(format!("/usr/share/ca-certificates/{baltimore}"))).expect("removed");
    refresh(&gone, &store::debian::KIND, false);
    assert_eq!(warnings(&gone), ["CD418", "CD402"]);
}

#[test]
fn mistakes_on_alpine_are_graded_by_its_own_rules() {
    let alpine = || tree("alpine-3.23");
    let one = "mozilla/ISRG_Root_X1.crt";

    // alpine/02: deleting works at once.
    let deleted = alpine();
    edit_conf(&deleted, |conf| conf.replace(&format!("{one}\n"), ""));
    refresh(&deleted, &store::alpine::KIND, false);
    assert_eq!(summary(&scan(&deleted, LATER)), ["CD408 Note /etc/ca-certificates.conf"]);

    // Windows line ends empty the bundle.
    let lines = alpine();
    edit_conf(&lines, |conf| conf.replace('\n', "\r\n"));
    refresh(&lines, &store::alpine::KIND, false);
    assert!(scan(&lines, LATER).iter().any(|f| f.code == "CD416" && f.severity == Severity::Error));
    assert!(warnings(&lines).contains(&"CD405"));

    // alpine/60: the package's list is parked.
    let parked = alpine();
    write(&parked, "/etc/ca-certificates.conf.apk-new", "mozilla/ISRG_Root_X1.crt\n");
    assert_eq!(warnings(&parked), ["CD414"]);

    // alpine/13: two certificates in one file.
    let two = alpine();
    write(&two, "/usr/local/share/ca-certificates/two.crt", read_fixture("roots/inputs/two.crt"));
    refresh(&two, &store::alpine::KIND, false);
    assert_eq!(warnings(&two), ["CD403"]);
}

#[test]
fn a_tree_without_a_store_says_so() {
    let findings = scan(&MemoryTree::new(), "2026-11-22");
    assert_eq!(summary(&findings), ["CD415 Error trust store"]);
}

/// The commands that a report offers, in its order; the first is what a hurried reader types.
fn commands(tree: &dyn Tree) -> Vec<String> {
    let findings = scan(tree, LATER);
    let loud = findings.into_iter().filter(|f| f.severity > Severity::Note);
    loud.flat_map(|f| f.remedies).filter_map(|r| r.command).collect()
}

/// The labels that a store's clients trust, by its bundle and by its hash directory.
fn trusted(tree: &dyn Tree) -> (usize, usize) {
    let facts = facts(tree, at(LATER));
    let store = &facts.stores[0];
    let bundle = store.bundle.as_ref().map_or(0, |b| b.certificates().count());
    (bundle, store.directory.as_ref().map_or(0, |d| d.reachable().len()))
}

const CONF: &str = "/etc/ca-certificates.conf";
const LOCAL: &str = "/usr/local/share/ca-certificates";

fn key() -> Vec<u8> {
    // Only the frame: there is no key in it.
    b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec()
}

#[test]
fn no_advice_destroys_a_store() {
    let isrg = "mozilla/ISRG_Root_X1.crt";
    type Damage = fn(&MemoryTree);
    let damages: [(&str, &[&str], &str, Damage); 6] = [
        ("Windows line ends", &["CD405"], "sed -i 's/\\r$//' /etc/ca-certificates.conf && update-ca-certificates", |tree| {
            edit_conf(tree, |conf| conf.replace('\n', "\r\n"));
        }),
        ("an empty list", &["CD408"], "(cd /usr/share/ca-certificates && find -L . -type f -name '*.crt')", |tree| {
            write(tree, CONF, "");
        }),
        ("a cut list", &["CD408"], "(cd /usr/share/ca-certificates && find -L . -type f -name '*.crt')", |tree| {
            edit_conf(tree, |conf| conf.lines().take(30).map(|l| format!("{l}\n")).collect());
        }),
        ("a deleted line", &["CD408"], "echo mozilla/ISRG_Root_X1.crt >> /etc/ca-certificates.conf && update", |tree| {
            edit_conf(tree, |conf| conf.replace("mozilla/ISRG_Root_X1.crt\n", ""));
        }),
        ("no newline at the end", &["CD409"], "echo >> /etc/ca-certificates.conf && update-ca-certificates", |tree| {
            edit_conf(tree, |conf| conf.trim_end().to_owned());
        }),
        ("a missing file", &["CD418", "CD402"], "apt-get install --reinstall ca-certificates", |tree| {
            tree.remove(&"/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt".into()).expect("removed");
        }),
    ];
    for (what, codes, first, damage) in damages {
        let tree = tree("debian-12");
        damage(&tree);
        assert_eq!(warnings(&tree), codes, "{what}");
        let offered = commands(&tree);
        assert!(offered.first().is_some_and(|c| c.starts_with(first)), "{what}: {offered:?}");
        // A refresh stands only behind the repair that makes it harmless.
        assert!(offered.iter().all(|c| !c.starts_with("update-ca-certificates")), "{what}: {offered:?}");
        let quiet = scan(&tree, LATER).into_iter().filter(|f| f.code == "CD401").flat_map(|f| f.remedies);
        assert!(quiet.into_iter().all(|r| r.command.is_none()), "{what}");
    }

    // The line was deleted on purpose, and the refresh has been: `!` comes first then.
    let meant = tree("debian-12");
    edit_conf(&meant, |conf| conf.replace(&format!("{isrg}\n"), ""));
    refresh(&meant, &store::debian::KIND, false);
    let offered = commands(&meant);
    assert!(offered[0].starts_with("echo '!mozilla/ISRG_Root_X1.crt' >> "), "{offered:?}");
    assert!(offered[1].starts_with("echo mozilla/ISRG_Root_X1.crt >> "), "{offered:?}");
}

#[test]
fn what_is_advised_restores_the_store() {
    // What the command for a lost list does, by the same rules.
    let lost = tree("debian-12");
    let all = trusted(&lost);
    let (conf, _) = lost.read(&CONF.into(), 1 << 20).expect("the list");
    write(&lost, CONF, "");
    refresh(&lost, &store::debian::KIND, true);
    assert_eq!(trusted(&lost), (all.0, 0));
    let findings = scan(&lost, LATER);
    assert_eq!(codes(&findings, Severity::Error), ["CD408", "CD416"]);
    write(&lost, CONF, conf);
    refresh(&lost, &store::debian::KIND, true);
    assert_eq!(trusted(&lost), all);
    assert_eq!(warnings(&lost), Vec::<&str>::new());

    // A host whose outputs were deleted, on which no client can connect.
    for (name, kind) in [("debian-12", &store::debian::KIND), ("alpine-3.23", &store::alpine::KIND)] {
        let dead = tree(name);
        let all = trusted(&dead);
        for name in dead.names_nofollow(&"/etc/ssl/certs".into()).expect("names") {
            dead.remove(&TreePath::from("/etc/ssl/certs").join(name)).expect("removed");
        }
        assert_eq!(codes(&scan(&dead, LATER), Severity::Error), ["CD416"], "{name}");
        assert!(commands(&dead)[0].starts_with("update-ca-certificates"), "{name}: {:?}", commands(&dead));
        refresh(&dead, kind, true);
        assert_eq!(trusted(&dead), all, "{name}");
        assert_eq!(warnings(&dead), Vec::<&str>::new(), "{name}");
    }
}

/// What the clients of a store trust, in the bundle and in the hash directory, and what `!` deselects.
fn parts(tree: &dyn Tree) -> [BTreeMap<Fingerprint, String>; 3] {
    let facts = facts(tree, at(LATER));
    let store = &facts.stores[0];
    let named = |c: &Certificate| (c.fingerprint(), c.label());
    let bundle = store.bundle.iter().flat_map(|b| b.certificates()).map(|(_, c)| named(c)).collect();
    let directory = store.directory.iter().flat_map(|d| d.reachable()).map(|(_, c)| named(c)).collect();
    let deselected = store.sources.iter().filter(|s| s.selection == Selection::Deselected);
    [bundle, directory, deselected.flat_map(|s| s.file.certificates()).map(|(_, c)| named(c)).collect()]
}

/// Carries out a command that edits the configuration, with a real shell, and then the refresh that it ends in.
fn carry_out(tree: &MemoryTree, kind: &store::Kind, command: &str) {
    let Some((edit, fresh)) = command
        .strip_suffix("update-ca-certificates --fresh")
        .map(|edit| (edit, true))
        .or_else(|| command.strip_suffix("update-ca-certificates").map(|edit| (edit, false)))
    else {
        panic!("{command}")
    };
    let scratch = tempfile::tempdir().expect("a directory");
    let (conf, package) = (scratch.path().join("conf"), scratch.path().join("package"));
    std::fs::write(&conf, tree.read(&CONF.into(), 1 << 20).expect("the list").0).expect("written");
    for source in &facts(tree, at(LATER)).stores[0].sources {
        if source.owner == SourceOwner::Package && source.file.is_read() {
            let file = package.join(std::str::from_utf8(&source.name).expect("text"));
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(file, "").expect("written");
        }
    }
    let edit = edit.replace(CONF, &conf.display().to_string());
    let edit = edit.replace("/usr/share/ca-certificates", &package.display().to_string());
    let edit = edit.trim_end().trim_end_matches("&&");
    if !edit.is_empty() {
        let status = std::process::Command::new("sh").args(["-c", edit]).status().expect("a shell");
        assert!(status.success(), "{edit}");
    }
    write(tree, CONF, std::fs::read(conf).expect("read"));
    refresh(tree, kind, fresh);
}

#[test]
fn no_advice_on_a_mangled_list_takes_out_what_nobody_deselected() {
    let mut state = 0x5eed_u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("small") % n
    };
    let mut tried = 0;
    for round in 0..24 {
        let (name, kind) = [("debian-12", &store::debian::KIND), ("alpine-3.23", &store::alpine::KIND)][round % 2];
        let mangled = tree(name);
        let (text, _) = mangled.read(&CONF.into(), 1 << 20).expect("the list");
        let mut lines: Vec<String> = String::from_utf8(text).expect("text").split_inclusive('\n').map(str::to_owned).collect();
        for _ in 0..=random(3) {
            let at = random(lines.len());
            let line = lines[at].clone();
            match random(7) {
                0 => drop(lines.remove(at)),
                1 => lines[at] = format!("#{line}"),
                2 => lines[at] = format!("!{line}"),
                3 => lines[at] = line.replace('\n', "\r\n"),
                4 => lines.truncate(at + 1),
                5 => lines[at] = format!("{}\n", line.to_uppercase().trim_end()),
                _ => drop(lines.drain(at..(at + 10).min(lines.len()))),
            }
            if lines.is_empty() {
                break;
            }
        }
        let mut text = lines.concat();
        if random(3) == 0 {
            text.truncate(text.trim_end().len());
        }
        write(&mangled, CONF, text.clone());
        let [bundle, directory, _] = parts(&mangled);
        for command in commands(&mangled).into_iter().filter(|c| c.contains("update-ca-certificates")) {
            let after = tree(name);
            write(&after, CONF, text.clone());
            carry_out(&after, kind, &command);
            let [bundle_after, directory_after, deselected] = parts(&after);
            let lost = |before: &BTreeMap<Fingerprint, String>, after: &BTreeMap<Fingerprint, String>| {
                let gone = before.iter().filter(|(print, _)| !after.contains_key(print) && !deselected.contains_key(print));
                gone.map(|(_, label)| label.clone()).collect::<Vec<_>>()
            };
            let lost = [lost(&bundle, &bundle_after), lost(&directory, &directory_after)];
            assert_eq!(lost, [Vec::<String>::new(), Vec::new()], "round {round} on {name}: {command}");
            tried += 1;
        }
    }
    assert!(tried > 10, "only {tried} commands were tried");
}

#[test]
fn no_advice_makes_a_key_known() {
    for name in ["debian-12", "alpine-3.23"] {
        let tree = tree(name);
        let path = format!("{LOCAL}/corp.crt");
        write(&tree, &path, [key(), read_fixture("roots/inputs/a.crt")].concat());
        assert_eq!(codes(&scan(&tree, LATER), Severity::Warning), ["CD412"], "{name}");
        let offered = commands(&tree);
        assert!(offered.iter().all(|c| !c.contains("update-ca-certificates")), "{name}: {offered:?}");
        assert!(offered[0].starts_with("install -m 600 "), "{name}: {offered:?}");
        // Something else to do as well: its command stops before the refresh.
        edit_conf(&tree, |conf| conf.replace('\n', "\r\n"));
        let offered = commands(&tree);
        assert!(offered.iter().all(|c| !c.contains("update-ca-certificates")), "{name}: {offered:?}");
        edit_conf(&tree, |conf| conf.replace("\r\n", "\n"));
        // The key is out: now the refresh is the way.
        write(&tree, &path, read_fixture("roots/inputs/a.crt"));
        assert_eq!(warnings(&tree), ["CD401"], "{name}");
        assert!(commands(&tree)[0].starts_with("update-ca-certificates"), "{name}");
    }
}

#[test]
fn a_bundle_with_a_key_or_glued_blocks_is_made_again_when_its_sources_are_clean() {
    let tree = tree("debian-12");
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    let (bytes, _) = tree.read(&bundle.into(), 1 << 24).expect("the bundle");
    write(&tree, bundle, [bytes.clone(), key()].concat());
    assert_eq!(codes(&scan(&tree, LATER), Severity::Error), ["CD412"]);
    assert_eq!(commands(&tree), ["update-ca-certificates"]);
    let text = String::from_utf8(bytes).expect("text");
    write(&tree, bundle, text.replacen("-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----", 1));
    assert!(codes(&scan(&tree, LATER), Severity::Error).contains(&"CD404"), "{:?}", summary(&scan(&tree, LATER)));
}

#[test]
fn what_is_no_file_in_the_local_folder_is_reported() {
    for name in ["debian-12", "alpine-3.23"] {
        let tree = tree(name);
        let at = |name: &str| TreePath::from(format!("{LOCAL}/{name}").as_str());
        tree.symlink(at("evil.crt"), b"/etc/nothing".to_vec());
        tree.symlink(at("loop.crt"), b"loop.crt".to_vec());
        tree.put(at("fifo.crt"), NodeKind::Other("FIFO"), 0o644, Vec::new());
        tree.put(at("zero.crt"), NodeKind::Other("character device"), 0o644, Vec::new());
        tree.put(at("dir.crt"), NodeKind::Directory, 0o755, Vec::new());
        let findings = scan(&tree, LATER);
        let about: Vec<(&str, &str)> = findings
            .iter()
            .filter(|f| f.severity > Severity::Note)
            .filter_map(|f| Some((f.code, f.subject.strip_prefix(LOCAL)?)))
            .collect();
        let expected = [
            ("CD402", "/evil.crt"),
            ("CD411", "/dir.crt"),
            ("CD411", "/fifo.crt"),
            ("CD411", "/loop.crt"),
            ("CD411", "/zero.crt"),
        ];
        assert_eq!(about, expected, "{name}");
        let offered = commands(&tree);
        assert!(offered.iter().all(|c| !c.contains("chmod")), "{name}: {offered:?}");
        assert!(offered.contains(&format!("rm {LOCAL}/loop.crt")), "{name}: {offered:?}");
    }
}

/// The certificates of a PEM file of `fixtures/clients`, in its order.
fn certificates(fixture: &str) -> Vec<Certificate> {
    let tree = MemoryTree::new();
    write(&tree, "/etc/ssl/cert.pem", read_fixture(&format!("clients/{fixture}.pem")));
    let store = (store::cert_pem::KIND.load)(&tree).expect("a file");
    let file = store.bundle.expect("a bundle");
    file.certificates().map(|(_, c)| c.clone()).collect()
}

/// What every model says about a chain of `fixtures/clients` and a store of it, and what the checks make of it.
fn diagnose(chain: &str, anchors: &str) -> Vec<Finding> {
    let now = at("2026-11-22T01:00:00Z");
    let tree = MemoryTree::new();
    write(&tree, "/etc/ssl/cert.pem", read_fixture(&format!("clients/stores/{anchors}.pem")));
    let mut facts = facts(&tree, now);
    let presented = certificates(&format!("chains/{chain}"));
    facts.endpoints.push(Endpoint {
        target: Target {
            text: "localhost".into(),
            source: TargetSource::Server { host: "localhost".into(), port: 443, starttls: None },
            host: Some("localhost".into()),
        },
        only: None,
        outcome: Ok(Presented { certificates: presented.clone(), handshake_completed: true, ..Presented::default() }),
    });
    let anchors = Anchors { file: certificates(&format!("stores/{anchors}")), directory: Vec::new() };
    let signatures = SignatureCache::new();
    let verdicts: Vec<ClientVerdict> = client::ALL
        .iter()
        .map(|profile| {
            let question = Question {
                presented: &presented,
                anchors: &anchors,
                at: now,
                host: Some("localhost"),
                purpose: &Purpose::ServerAuth,
                signatures: &signatures,
                extra: Extra::default(),
            };
            ClientVerdict {
                client: profile.id.to_owned(),
                profile,
                endpoint: 0,
                store: vec!["/etc/ssl/cert.pem".into()],
                verdict: (profile.asks)(&profile.engine, &question),
                would_help: Vec::new(),
            }
        })
        .collect();
    let paths = [explore(&presented, &anchors.file, now, Some("localhost"), &signatures)];
    let case =
        Case { facts: &facts, at: now, within: 90, verdicts: &verdicts, paths: &paths, lapses: &[], union: Default::default() };
    let (findings, broken) = check::run_all(&case);
    assert!(broken.is_empty(), "{broken:?}");
    findings
}

fn codes(findings: &[Finding], from: Severity) -> Vec<&'static str> {
    findings.iter().filter(|f| f.severity >= from).map(|f| f.code).collect()
}

#[test]
fn the_night_of_30_may_2020_has_one_cause_and_two_remedies() {
    let findings = diagnose("addtrust", "A_U");
    assert_eq!(codes(&findings, Severity::Error), ["CD301", "CD501"]);
    assert_eq!(codes(&findings, Severity::Warning), ["CD301", "CD501", "CD208"]);
    assert_eq!(findings[0].harm, Some(Harm::BreaksChain));
    let cause = &findings[1];
    assert!(cause.message.ends_with("; a valid path to Lab USERTrust RSA CA exists"), "{}", cause.message);
    let other = diagnose("addtrust", "A");
    let cause_alone = other.iter().find(|f| f.code == "CD501").expect("the cause");
    assert!(cause_alone.message.ends_with("; there is no other path"), "{}", cause_alone.message);
    let refused = &cause.facts.iter().find(|(name, _)| *name == "refused by").expect("who refuses").1;
    assert!(refused.contains("openssl-1.0.2") && !refused.contains("openssl-3"), "{refused}");
    assert!(
        cause.remedies.iter().any(|r| matches!(&r.intent, Intent::Distrust(c, "cert-pem") if c.label().contains("AddTrust")))
    );
    assert!(cause.remedies.iter().any(|r| matches!(&r.intent, Intent::StopServing(c) if c.label().contains("USERTrust"))));
    // The dead root gone: only the server's half is left to say.
    let cured = diagnose("addtrust", "U");
    assert!(!codes(&cured, Severity::Note).contains(&"CD301"), "{:?}", summary(&cured));
    assert!(codes(&cured, Severity::Note).contains(&"CD208"));
}

#[test]
fn other_causes_are_told_apart() {
    assert!(codes(&diagnose("dst", "A2_X1"), Severity::Error).starts_with(&["CD301", "CD501"]));
    assert_eq!(codes(&diagnose("nocross", "U"), Severity::Note), Vec::<&str>::new());
    for (chain, store, code) in [
        ("expired-leaf", "U", "CD201"),
        ("nyv-leaf", "U", "CD202"),
        ("wrong-host", "U", "CD203"),
        ("self-signed", "U", "CD209"),
        ("expired-int", "U", "CD210"),
        ("nocross", "X1", "CD502"),
        ("missing-int", "U", "CD204"),
    ] {
        assert_eq!(codes(&diagnose(chain, store), Severity::Error), [code], "{chain}|{store}");
    }
    for (chain, code) in [("wrong-order", "CD205"), ("sha1-int", "CD211"), ("extra-unrelated", "CD212")] {
        assert_eq!(codes(&diagnose(chain, "U"), Severity::Warning), [code], "{chain}|U");
    }
    assert_eq!(codes(&diagnose("root-included", "U"), Severity::Note), ["CD207"]);
}

/// A forecast is the same judgement at a later instant: what the horizon tells is what a diagnosis of that day would say.
#[test]
fn the_horizon_tells_what_a_later_look_would_say() {
    let now = at("2020-05-01T00:00:00Z");
    let tree = MemoryTree::new();
    write(&tree, "/etc/ssl/cert.pem", read_fixture("clients/stores/A_U.pem"));
    let mut facts = facts(&tree, now);
    facts.endpoints.push(Endpoint {
        target: Target {
            text: "localhost".into(),
            source: TargetSource::Server { host: "localhost".into(), port: 443, starttls: None },
            host: Some("localhost".into()),
        },
        only: None,
        outcome: Ok(Presented {
            certificates: certificates("chains/T-addtrust"),
            handshake_completed: true,
            ..Presented::default()
        }),
    });
    let clients: Vec<_> =
        ["openssl-1.0.2", "gnutls-3.6.13", "openssl-3.0", "go"].iter().map(|id| client::resolve(id).expect("is known")).collect();
    let inquiry = |at, horizon| Inquiry {
        at,
        within: 30,
        horizon,
        purpose: Purpose::ServerAuth,
        clients: clients.clone(),
        regrade: Vec::new(),
    };
    let soon = judge(&facts, &inquiry(now, Some(at("2020-12-31T00:00:00Z"))));
    let told: Vec<_> = soon.findings.iter().filter(|f| f.code == "CD507").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].message.contains("2 of the 4 clients that accept it now will refuse localhost"), "{}", told[0].message);
    assert_eq!(told[0].facts[0].1, "openssl-1.0.2, gnutls-3.6.13");

    let far = judge(&facts, &inquiry(now, Some(at("2023-01-01T00:00:00Z"))));
    let told: Vec<_> =
        far.findings.iter().filter(|f| f.code == "CD507").map(|f| (f.due.expect("a day"), f.facts[0].1.clone())).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for (due, clients_told) in &told {
        let before = judge(&facts, &inquiry(At(due.0 - 1), None));
        let after = judge(&facts, &inquiry(At(due.0 + 1), None));
        for id in clients_told.split(", ") {
            let verdict = |j: &certdoctor::judge::Judgement| {
                j.verdicts.iter().find(|v| v.client == id).expect("asked").verdict.is_trusted()
            };
            assert!(verdict(&before) && !verdict(&after), "{id} at {due}");
        }
    }
    // The same leaf for those who are left.
    assert_eq!(told[1].1, "openssl-3.0, go");
}
