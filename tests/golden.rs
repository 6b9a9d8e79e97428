//! Every golden case of Debian and Alpine: the tree before, our refresh, and the tree that the real tool left.

mod support;
mod trees;

use std::collections::{BTreeMap, BTreeSet};

use certdoctor::{
    base::{Fingerprint, TreePath},
    format::{Interner, jks, pem, sniff},
    host::{NodeKind, Tree, TreeMut, memory::MemoryTree},
    store::{Distrust, Kind, alpine, ca_certificates::Layout, debian},
    x509::Certificate,
};
use support::read_fixture;
use trees::apply;

/// Cases that tell more than a refresh, and what is checked of them.
const SPECIAL: &[(&str, &str)] = &[
    ("alpine/17-ext-subdir-hidden-symlink", "the order in which the file system showed the local files is not recorded"),
    ("alpine/60-apk-upgrade-bang", "apk writes .apk-new and removes a directory; the refresh behind it changes nothing"),
    ("alpine/60-apk-upgrade-plain", "apk replaces the configuration and adds a certificate; then the refresh"),
    ("bullseye/03-wrong-fix-rm-pem", "its tree is not here: the links of a small tree with the same certificate"),
    ("bullseye/04-wrong-fix-rm-crt", "its tree is not here: the links of a small tree with the same certificate"),
    ("bullseye/64-upgrade-plain-bullseye", "its tree is not here: the links that the new certificates get"),
    ("debian/60-upgrade-plain", "dpkg brings the files and postinst the configuration; then the refresh"),
    ("debian/62-upgrade-deleted-line", "dpkg brings the files and postinst the configuration; then the refresh"),
    ("debian13/46-sysroot", "its paths are not in the listing: the links are compared with what `ls` said"),
    ("debjava/01-deselect-bang", "Java writes its keystore in an order of its own: the entries are compared"),
    ("debjava/02-delete-line", "Java writes its keystore with new timestamps: the entries are compared"),
];

/// One `.case` file.
struct Case {
    id: String,
    head: BTreeMap<String, String>,
    sections: BTreeMap<String, String>,
}

impl Case {
    fn read(id: &str) -> Case {
        let content = String::from_utf8(read_fixture(&format!("roots/{id}.case"))).expect("text");
        let mut case = Case { id: id.to_owned(), head: BTreeMap::new(), sections: BTreeMap::new() };
        let mut section: Option<String> = None;
        for line in content.split_inclusive('\n') {
            let bare = line.trim_end_matches('\n');
            if let Some(name) = bare.strip_prefix("-- ").and_then(|l| l.strip_suffix(" --")) {
                section = Some(name.to_owned());
                case.sections.entry(name.to_owned()).or_default();
            } else if let Some(name) = &section {
                case.sections.entry(name.clone()).or_default().push_str(line);
            } else if let Some((key, value)) = bare.split_once(": ").or_else(|| bare.split_once('=')) {
                case.head.insert(key.to_owned(), value.to_owned());
            }
        }
        case
    }

    fn section(&self, name: &str) -> &str {
        self.sections.get(name).map(String::as_str).unwrap_or_default()
    }

    fn system(&self) -> &str {
        self.id.split('/').next().expect("a system")
    }

    /// The runs of the tool in the command: whether each was `--fresh`. Those that only print help do nothing.
    fn runs(&self) -> Vec<bool> {
        let commands = self.head["command"].split([';', '|']).map(str::trim);
        let runs = commands.filter_map(|c| c.strip_prefix("update-ca-certificates"));
        let runs = runs.filter(|options| !options.contains("--bogus") && !options.contains("--help"));
        runs.map(|options| options.contains("--fresh")).collect()
    }

    /// Removed and added lines of a listing section, without remarks.
    fn listing(&self, section: &str) -> (Vec<String>, Vec<String>) {
        let lines = self.section(section).lines().filter(|l| *l != "(none)");
        let lines = lines.map(|l| l.split("   # = ").next().unwrap_or(l));
        let pick = |sign: char| lines.clone().filter_map(|l| l.strip_prefix(sign)).map(str::to_owned).collect();
        (pick('-'), pick('+'))
    }
}

/// The tree of a system, as the cases start from it.
fn base(system: &str) -> (MemoryTree, Placeholders) {
    let mut placeholders = Placeholders::default();
    let tree = match system {
        "debian" => trees::tree("debian-12"),
        "debian13" => trees::tree("debian-13"),
        "alpine" => trees::tree("alpine-3.23"),
        "alpine2019" => trees::tree("alpine-2019"),
        "debjava" => {
            let tree = trees::tree("debian-12");
            tree.file("/etc/ssl/certs/java/cacerts", read_fixture("bundles/java/debian12-cacerts.jks"));
            tree.directory("/var/lib/ca-certificates-java");
            let listing = String::from_utf8(read_fixture("roots/base/debjava.tsv")).expect("text");
            let hook = listing.lines().find(|l| l.contains("jks-keystore")).expect("the hook");
            placeholders.put(&tree, hook);
            tree
        }
        other => panic!("no tree of {other}"),
    };
    (tree, placeholders)
}

/// Files whose content is not here and does not matter: hooks. The listing shows them as the case does.
#[derive(Default)]
struct Placeholders(BTreeMap<String, String>);

impl Placeholders {
    fn put(&mut self, tree: &MemoryTree, line: &str) {
        let path = line.split('\t').next().expect("a path");
        let mode = u32::from_str_radix(line.split('\t').nth(2).expect("a mode"), 8).expect("octal");
        tree.put(path, NodeKind::File(0), mode, Vec::new());
        self.0.insert(path.to_owned(), line.to_owned());
    }
}

/// The lines of a tree, over the paths that the cases cover.
fn listing(tree: &MemoryTree, placeholders: &Placeholders) -> BTreeSet<String> {
    let covered = ["/etc/ca-certificates", "/etc/ca-certificates.conf", "/etc/ca-certificates.conf.dpkg-old", "/etc/ssl"];
    let covered = covered.into_iter().chain(["/usr/local/share/ca-certificates", "/var/lib/ca-certificates-java"]);
    let covered: Vec<TreePath> = covered.map(TreePath::from).collect();
    let mut lines = BTreeSet::new();
    for (path, node, bytes) in tree.listing() {
        if !covered.iter().any(|c| path.starts_with(c)) {
            continue;
        }
        if let Some(line) = placeholders.0.get(&path.to_string()) {
            lines.insert(line.clone());
            continue;
        }
        lines.insert(match &node.kind {
            NodeKind::Directory => format!("{path}\td\t{:o}", node.mode),
            NodeKind::File(_) => format!("{path}\tf\t{:o}\t{}\t{}", node.mode, Fingerprint::of(&bytes), bytes.len()),
            NodeKind::Link(target) => {
                // The listings look one step far: a link to a dangling link is not marked.
                let next = path.parent().join(target);
                let next = tree.resolve(&next.parent()).expect("resolved").path.join(next.name());
                let dangling = if tree.node_nofollow(&next).is_ok_and(|n| n.is_some()) { "" } else { "\tDANGLING" };
                format!("{path}\tl\t-\t{}{dangling}", text(target))
            }
            NodeKind::Other(what) => panic!("{path} is a {what}"),
        });
    }
    lines
}

/// Contents that a case may name by digest: the inputs, and bundles that follow from them.
fn content(tree: &MemoryTree, digest: &str) -> Option<Vec<u8>> {
    let is_it = |bytes: &[u8]| Fingerprint::of(bytes).to_string() == digest;
    for folder in ["roots/inputs", "bundles/single"] {
        for file in std::fs::read_dir(support::fixture(folder)).expect("a folder") {
            let bytes = std::fs::read(file.expect("a file").path()).expect("read");
            if is_it(&bytes) {
                return Some(bytes);
            }
        }
    }
    let (bundle, _) = tree.read(&"/etc/ssl/certs/ca-certificates.crt".into(), u64::MAX).ok()?;
    if is_it(&bundle) {
        return Some(bundle);
    }
    let with = [bundle.clone(), read_fixture("roots/inputs/a.crt")].concat();
    if is_it(&with) {
        return Some(with);
    }
    // Without one certificate, with the blank line that Alpine writes after it.
    pem::scan(&bundle, &Interner::default()).entries.iter().find_map(|e| {
        let left = [&bundle[..e.section.start], &bundle[e.section.end..]].concat();
        is_it(&left).then_some(left)
    })
}

/// Makes a tree what a case's setup says.
fn set_up(case: &Case, tree: &MemoryTree, placeholders: &mut Placeholders) {
    // Certificates that a case puts where the listing does not look.
    if case.id == "debian/24-bang-space-name" {
        tree.file("/usr/share/ca-certificates/corp/My Root (1).crt", read_fixture("roots/inputs/a.crt"));
    }
    if case.id == "debian/17-wrong-ext-subdir-symlink" {
        tree.file("/opt/ca/target.txt", read_fixture("roots/inputs/b.crt"));
    }
    let conf = TreePath::from("/etc/ca-certificates.conf");
    let conf_after = patched(tree, &conf, case.section("setup.conf.diff"));
    let (minus, plus) = case.listing("setup.listing.diff");
    let contents: BTreeMap<&str, Vec<u8>> = plus
        .iter()
        .filter(|line| line.split('\t').nth(1) == Some("f"))
        .filter_map(|line| Some((line.split('\t').nth(3)?, content(tree, line.split('\t').nth(3)?)?)))
        .collect();
    for line in &minus {
        let path = TreePath::from(line.split('\t').next().expect("a path"));
        // A link whose only news is that it dangles.
        let stays = plus.iter().any(|p| p.strip_suffix("\tDANGLING") == Some(line));
        if stays {
            continue;
        }
        tree.remove(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    for line in &plus {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[1] {
            "l" => tree.symlink(fields[0], fields[3]),
            "d" => tree.directory(fields[0]),
            _ if fields[0] == "/etc/ca-certificates.conf" => tree.file(fields[0], conf_after.clone().expect("a diff")),
            _ if fields[0].starts_with("/etc/ca-certificates/update.d/") => placeholders.put(tree, line),
            _ => tree.file(fields[0], contents.get(fields[3]).unwrap_or_else(|| panic!("no content for {line}")).clone()),
        }
    }
    // The listing does not cover the package's directory; what it took away there shows as dangling links.
    for line in plus.iter().filter_map(|l| l.strip_suffix("\tDANGLING")) {
        let target = line.split('\t').nth(3).expect("a target");
        if target.starts_with("/usr/share/ca-certificates/") {
            tree.remove(&target.into()).expect("removed");
        }
    }
}

/// A file after a unified diff without fuzz; `None` when the diff says nothing of it.
fn patched(tree: &MemoryTree, path: &TreePath, diff: &str) -> Option<Vec<u8>> {
    if diff.starts_with('(') && diff.contains("emptied") {
        return Some(Vec::new());
    }
    let (old, _) = tree.read(path, u64::MAX).ok()?;
    let old = String::from_utf8(old).expect("text");
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let mut new = String::new();
    let mut at = 0;
    let mut seen = false;
    for line in diff.split_inclusive('\n').filter(|l| !l.starts_with("---") && !l.starts_with("+++")) {
        match line.as_bytes()[0] {
            b'@' => {
                seen = true;
                let range = line.split(' ').nth(1).expect("a range").trim_start_matches('-');
                let start: usize = range.split(',').next().expect("a line").parse().expect("a number");
                old[at..start - 1].iter().for_each(|l| new.push_str(l));
                at = start - 1;
            }
            b'+' => new.push_str(&line[1..]),
            b'-' => at += 1,
            b'\\' => new.truncate(new.trim_end_matches('\n').len()),
            _ => {
                assert_eq!(old[at], &line[1..]);
                new.push_str(old[at]);
                at += 1;
            }
        }
    }
    old[at..].iter().for_each(|l| new.push_str(l));
    seen.then(|| new.into_bytes())
}

fn kind(system: &str) -> &'static Kind {
    if system.starts_with("alpine") { &alpine::KIND } else { &debian::KIND }
}

fn refresh(kind: &Kind, tree: &MemoryTree, fresh: bool) {
    let steps = (kind.refresh)(tree, fresh).expect("refreshed");
    assert!(steps.iter().all(|s| s.generated));
    apply(tree, &steps);
}

fn compare(case: &Case, before: &BTreeSet<String>, ours: &BTreeSet<String>, but: &[&str]) {
    let (minus, plus) = case.listing("listing.diff");
    let mut expected = before.clone();
    for line in &minus {
        assert!(expected.remove(line), "{}: not there before: {line}", case.id);
    }
    expected.extend(plus);
    let differs = |line: &&String| !but.iter().any(|path| line.starts_with(path));
    let missing: Vec<&String> = expected.difference(ours).filter(differs).collect();
    let surplus: Vec<&String> = ours.difference(&expected).filter(differs).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "{}\nmissing {missing:#?}\nsurplus {surplus:#?}", case.id);
}

fn all_cases() -> Vec<String> {
    let mut ids = Vec::new();
    for system in ["alpine", "alpine2019", "bullseye", "debian", "debian13", "debjava"] {
        for file in std::fs::read_dir(support::fixture(&format!("roots/{system}"))).expect("a folder") {
            let name = file.expect("a file").file_name().into_string().expect("text");
            ids.push(format!("{system}/{}", name.strip_suffix(".case").expect("a case")));
        }
    }
    ids.sort();
    ids
}

fn expected_before(case: &Case) -> BTreeSet<String> {
    let listing = String::from_utf8(read_fixture(&format!("roots/base/{}.tsv", case.system()))).expect("text");
    let mut lines: BTreeSet<String> = listing.lines().map(str::to_owned).collect();
    let (minus, plus) = case.listing("setup.listing.diff");
    minus.iter().for_each(|l| assert!(lines.remove(l), "{}: {l}", case.id));
    lines.extend(plus);
    lines
}

/// The tree of a case before its command, compared with the listing.
fn before(case: &Case) -> (MemoryTree, Placeholders, BTreeSet<String>) {
    let (tree, mut placeholders) = base(case.system());
    set_up(case, &tree, &mut placeholders);
    let before = listing(&tree, &placeholders);
    let expected = expected_before(case);
    let missing: Vec<_> = expected.difference(&before).collect();
    let surplus: Vec<_> = before.difference(&expected).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "{}: setup\nmissing {missing:#?}\nsurplus {surplus:#?}", case.id);
    (tree, placeholders, before)
}

#[test]
fn every_plain_case_gives_the_same_tree() {
    let mut checked = 0;
    for id in all_cases() {
        if SPECIAL.iter().any(|(special, _)| *special == id) {
            continue;
        }
        let case = Case::read(&id);
        let (tree, placeholders, before) = before(&case);
        for fresh in case.runs() {
            refresh(kind(case.system()), &tree, fresh);
        }
        compare(&case, &before, &listing(&tree, &placeholders), &[]);
        let again = (kind(case.system()).refresh)(&tree, false).expect("refreshed");
        assert!(again.is_empty() || case.runs().is_empty(), "{id} is not at rest: {again:?}");
        checked += 1;
    }
    assert_eq!(checked, all_cases().len() - SPECIAL.len());
    assert_eq!(checked, 39);
}

#[test]
fn alpine_takes_local_files_in_the_order_of_the_file_system() {
    let case = Case::read("alpine/17-ext-subdir-hidden-symlink");
    let (tree, placeholders, before) = before(&case);
    let local = TreePath::from("/usr/local/share/ca-certificates");
    let (nodes, others): (Vec<_>, Vec<_>) = tree.listing().into_iter().partition(|(p, ..)| p.parent() == local);
    for order in permutations(nodes.len()) {
        let tree = MemoryTree::new();
        for (path, node, bytes) in order.iter().map(|i| &nodes[*i]).chain(&others) {
            tree.put(path.clone(), node.kind.clone(), node.mode, bytes.clone());
        }
        refresh(&alpine::KIND, &tree, false);
        let (minus, plus) = case.listing("listing.diff");
        let after = listing(&tree, &placeholders);
        if plus.iter().all(|l| after.contains(l)) && !minus.iter().any(|l| after.contains(l)) {
            compare(&case, &before, &after, &[]);
            return;
        }
    }
    panic!("no order of the local files gives the bundle of {}", case.id);
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(n - 1);
    shorter.iter().flat_map(|p| (0..n).map(move |at| [&p[..at], &[n - 1], &p[at..]].concat())).collect()
}

/// The entries of a keystore, in the order of their names.
fn keystore(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let entries = jks::entries(bytes).expect("a keystore").into_iter();
    entries.map(|e| (e.alias, bytes[e.der.expect("a certificate")].to_vec())).collect()
}

#[test]
fn java_is_told_of_removed_links_only() {
    let cacerts = "/etc/ssl/certs/java/cacerts";
    let alias = "debian:baltimore_cybertrust_root.pem";
    for (id, leaves) in [("debjava/01-deselect-bang", true), ("debjava/02-delete-line", false)] {
        let case = Case::read(id);
        let (tree, placeholders, before) = before(&case);
        let entries_before = keystore(&tree.read(&cacerts.into(), u64::MAX).expect("read").0);
        for fresh in case.runs() {
            refresh(&debian::KIND, &tree, fresh);
        }
        compare(&case, &before, &listing(&tree, &placeholders), &[cacerts]);
        let (bytes, _) = tree.read(&cacerts.into(), u64::MAX).expect("read");
        let mut expected = entries_before;
        assert!(expected.contains_key(alias));
        if leaves {
            expected.remove(alias);
        }
        assert!(keystore(&bytes) == expected, "{id}");
        let (_, plus) = case.listing("listing.diff");
        let theirs = plus.iter().find(|l| l.starts_with(cacerts)).expect("a line");
        assert_eq!(theirs.rsplit('\t').next(), Some(bytes.len().to_string().as_str()), "{id}");
    }
}

#[test]
fn dpkg_upgrades_end_in_the_same_tree() {
    let newer = trees::tree("debian-13");
    for id in ["debian/60-upgrade-plain", "debian/62-upgrade-deleted-line"] {
        let case = Case::read(id);
        let (tree, placeholders, before) = before(&case);
        let conf = TreePath::from("/etc/ca-certificates.conf");
        let (old, _) = tree.read(&conf, u64::MAX).expect("read");
        let new = patched(&tree, &conf, case.section("conf.diff")).expect("a diff");
        tree.file("/etc/ca-certificates.conf.dpkg-old", old);
        tree.file(conf.clone(), new);
        // The package's files: those of Debian 13's package of the same day, which has a few more that no line names.
        let certs = TreePath::from("/usr/share/ca-certificates/mozilla");
        for name in tree.names_nofollow(&certs).expect("listed") {
            tree.remove(&certs.join(name)).expect("removed");
        }
        for name in newer.names_nofollow(&certs).expect("listed") {
            tree.file(certs.join(&name), newer.read(&certs.join(&name), u64::MAX).expect("read").0);
        }
        refresh(&debian::KIND, &tree, false);
        compare(&case, &before, &listing(&tree, &placeholders), &[]);
    }
}

#[test]
fn apk_upgrades_end_in_the_same_tree() {
    for id in ["alpine/60-apk-upgrade-bang", "alpine/60-apk-upgrade-plain"] {
        let case = Case::read(id);
        let (tree, placeholders, before) = before(&case);
        let isrg = read_fixture("bundles/single/ISRG_Root_X1.crt");
        tree.file("/usr/share/ca-certificates/mozilla/New_Root_2099.crt", isrg);
        let conf = TreePath::from("/etc/ca-certificates.conf");
        let (mut list, _) = tree.read(&conf, u64::MAX).expect("read");
        list.extend_from_slice(b"mozilla/New_Root_2099.crt\n");
        // An edited list keeps its place, and the new one is parked beside it.
        if id.ends_with("bang") {
            tree.file("/etc/ca-certificates.conf.apk-new", list);
        } else {
            tree.file(conf, list);
        }
        tree.remove_directory(&"/usr/local/share/ca-certificates".into());
        refresh(&alpine::KIND, &tree, false);
        let store = (alpine::KIND.load)(&tree).expect("a store");
        assert_eq!(store.configuration.expect("a list").parked.is_some(), id.ends_with("bang"));
        compare(&case, &before, &listing(&tree, &placeholders), &[]);
    }
}

#[test]
fn sysroot_links_have_two_slashes() {
    let case = Case::read("debian13/46-sysroot");
    let newer = trees::tree("debian-13");
    let tree = MemoryTree::new();
    tree.directory("/opt/sr/etc/ssl/certs");
    let links: Vec<(String, String)> = case
        .section("output")
        .lines()
        .filter_map(|l| l.split_once(" -> "))
        .map(|(left, target)| (left.rsplit(' ').next().expect("a name").to_owned(), target.to_owned()))
        .collect();
    let mut conf = String::new();
    for (_, target) in links.iter().filter(|(_, t)| t.starts_with('/')) {
        let name = target.strip_prefix("/opt/sr//usr/share/ca-certificates/").expect("the package's directory");
        conf.push_str(&format!("{name}\n"));
        let path = format!("/usr/share/ca-certificates/{name}");
        tree.file(TreePath::new(target), newer.read(&TreePath::new(path), u64::MAX).expect("read").0);
    }
    tree.file("/opt/sr/etc/ca-certificates.conf", conf);
    let layout = Layout::below("/opt/sr/");
    apply(&tree, &debian::refresh(&tree, &layout, false).expect("refreshed"));
    let ours: BTreeSet<(String, String)> = tree
        .listing()
        .into_iter()
        .filter_map(|(path, node, _)| match node.kind {
            NodeKind::Link(target) => Some((text(path.name()), text(&target))),
            _ => None,
        })
        .collect();
    assert_eq!(ours, links.into_iter().collect());
    let (bundle, _) = tree.read(&"/opt/sr/etc/ssl/certs/ca-certificates.crt".into(), u64::MAX).expect("read");
    assert!(case.section("output").contains(&format!(" {} Nov 22 00:34 ca-certificates.crt", bundle.len())));
}

/// A small Debian tree with two certificates, refreshed.
fn small() -> MemoryTree {
    let tree = MemoryTree::new();
    tree.directory("/etc/ssl/certs");
    let names = ["DST_Root_CA_X3", "ISRG_Root_X1"];
    for name in names {
        let bytes = read_fixture(&format!("bundles/single/{name}.crt"));
        tree.file(TreePath::new(format!("/usr/share/ca-certificates/mozilla/{name}.crt")), bytes);
    }
    tree.file("/etc/ca-certificates.conf", names.map(|n| format!("mozilla/{n}.crt\n")).concat());
    refresh(&debian::KIND, &tree, false);
    tree
}

#[test]
fn bullseye_links_come_and_go_as_recorded() {
    for id in ["bullseye/03-wrong-fix-rm-pem", "bullseye/04-wrong-fix-rm-crt"] {
        let case = Case::read(id);
        let tree = small();
        if id.contains("/03") {
            tree.remove(&"/etc/ssl/certs/DST_Root_CA_X3.pem".into()).expect("removed");
        } else {
            tree.remove(&"/usr/share/ca-certificates/mozilla/DST_Root_CA_X3.crt".into()).expect("removed");
        }
        let before = listing(&tree, &Placeholders::default());
        refresh(&debian::KIND, &tree, false);
        let after = listing(&tree, &Placeholders::default());
        let (minus, plus) = case.listing("listing.diff");
        let links = |lines: &[String]| -> BTreeSet<String> { lines.iter().filter(|l| l.contains("\tl\t")).cloned().collect() };
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| links(&a.difference(b).cloned().collect::<Vec<_>>());
        assert_eq!((only(&before, &after), only(&after, &before)), (links(&minus), links(&plus)), "{id}");
        assert_eq!(before == after, minus.is_empty() && plus.is_empty(), "{id}");
    }
}

#[test]
fn bullseye_upgrade_gives_new_certificates_the_recorded_links() {
    let case = Case::read("bullseye/64-upgrade-plain-bullseye");
    let (_, plus) = case.listing("listing.diff");
    let links: BTreeSet<&String> = plus.iter().filter(|l| l.contains("\tl\t")).collect();
    let newer = trees::tree("debian-13");
    let tree = MemoryTree::new();
    tree.directory("/etc/ssl/certs");
    let mut conf = String::new();
    for source in links.iter().filter_map(|l| l.split('\t').nth(3)).filter(|t| t.starts_with('/')) {
        conf.push_str(&format!("{}\n", source.strip_prefix("/usr/share/ca-certificates/").expect("of the package")));
        tree.file(source, newer.read(&source.into(), u64::MAX).expect("read").0);
    }
    assert_eq!(conf.lines().count(), 45);
    tree.file("/etc/ca-certificates.conf", conf);
    refresh(&debian::KIND, &tree, false);
    let after = listing(&tree, &Placeholders::default());
    let ours: BTreeSet<&String> = after.iter().filter(|l| l.contains("\tl\t")).collect();
    assert_eq!(ours, links);
}

fn certificate(tree: &MemoryTree, path: &str) -> Certificate {
    sniff::certificates(&tree.read(&path.into(), u64::MAX).expect("read").0).certificates.swap_remove(0)
}

/// `distrust` and then the refresh.
fn take_out(kind: &Kind, tree: &MemoryTree, certificate: &Certificate) {
    let store = (kind.load)(tree).expect("a store");
    let steps = (kind.distrust)(tree, &store, certificate, &Distrust::default()).expect("steps");
    apply(tree, &steps);
    refresh(kind, tree, false);
}

#[test]
fn distrust_does_what_the_case_did_by_hand() {
    for (id, name) in [
        ("debian/01-deselect-bang", "Baltimore_CyberTrust_Root"),
        ("debian13/01-deselect-bang", "Baltimore_CyberTrust_Root"),
        ("alpine/01-deselect-bang", "Buypass_Class_2_Root_CA"),
        ("alpine2019/01-deselect-addtrust", "AddTrust_External_Root"),
    ] {
        let case = Case::read(id);
        let (_, _, before) = before(&case);
        let (tree, placeholders) = base(case.system());
        let certificate = certificate(&tree, &format!("/usr/share/ca-certificates/mozilla/{name}.crt"));
        take_out(kind(case.system()), &tree, &certificate);
        compare(&case, &before, &listing(&tree, &placeholders), &[]);
    }
}

/// Ten roots spread over each tree: one `!`, and nothing else is different but what belongs to that root.
#[test]
fn distrust_of_any_root_takes_it_and_nothing_else() {
    for system in ["debian", "debian13", "alpine", "alpine2019"] {
        let (whole, _) = base(system);
        let certs = TreePath::from("/usr/share/ca-certificates/mozilla");
        let names = whole.names_nofollow(&certs).expect("listed");
        let prints = |tree: &MemoryTree| -> BTreeSet<Fingerprint> {
            let store = (kind(system).load)(tree).expect("a store");
            store.anchors().iter().map(|a| a.certificate.fingerprint()).collect()
        };
        let all = prints(&whole);
        assert_eq!(all.len(), names.len());
        for name in names.iter().step_by(names.len().div_ceil(10)) {
            let (tree, _) = base(system);
            let certificate = certificate(&tree, &certs.join(name).to_string());
            take_out(kind(system), &tree, &certificate);
            let mut expected = all.clone();
            assert!(expected.remove(&certificate.fingerprint()));
            assert!(prints(&tree) == expected, "{system}: {}", text(name));
            let (conf, _) = tree.read(&"/etc/ca-certificates.conf".into(), u64::MAX).expect("read");
            let (before, _) = whole.read(&"/etc/ca-certificates.conf".into(), u64::MAX).expect("read");
            assert_eq!(
                text(&conf).replacen(&format!("!mozilla/{}", text(name)), &format!("mozilla/{}", text(name)), 1),
                text(&before)
            );
            let store = (kind(system).load)(&tree).expect("a store");
            let dangling =
                store.directory.expect("a directory").entries.into_iter().filter(|e| e.link.is_some() && !e.file.is_read());
            assert_eq!(dangling.count(), 0, "{system}: {}", text(name));
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
