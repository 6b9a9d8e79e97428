//! Taking an anchor out of stores that somebody has already tried to mend, and out of those without a tool.

mod support;
mod trees;

use certdoctor::{
    base::TreePath,
    edit::{Applicability, Edit, Step},
    facts::Store,
    format::{jks, sniff},
    host::{Tree, TreeMut, memory::MemoryTree},
    store::{ALL, Distrust, Kind, alpine, bundle_only, cert_pem, debian, homebrew},
    x509::Certificate,
};
use support::read_fixture;
use trees::apply;

const CONF: &str = "/etc/ca-certificates.conf";

fn single(name: &str) -> Vec<u8> {
    read_fixture(&format!("bundles/single/{name}.crt"))
}

fn input(name: &str) -> Vec<u8> {
    read_fixture(&format!("roots/inputs/{name}"))
}

fn certificate(bytes: &[u8]) -> Certificate {
    sniff::certificates(bytes).certificates.swap_remove(0)
}

/// A Debian tree with the given sources and an empty local directory, refreshed.
fn debian_tree(sources: &[(&str, Vec<u8>)]) -> MemoryTree {
    let tree = MemoryTree::new();
    tree.directory("/etc/ssl/certs");
    tree.directory("/usr/local/share/ca-certificates");
    let mut conf = String::new();
    for (name, bytes) in sources {
        tree.file(TreePath::new(format!("/usr/share/ca-certificates/{name}")), bytes.clone());
        conf.push_str(&format!("{name}\n"));
    }
    tree.file(CONF, conf);
    refresh(&debian::KIND, &tree);
    tree
}

fn two_roots() -> MemoryTree {
    debian_tree(&[("mozilla/DST.crt", single("DST_Root_CA_X3")), ("mozilla/ISRG.crt", single("ISRG_Root_X1"))])
}

fn refresh(kind: &Kind, tree: &MemoryTree) {
    apply(tree, &(kind.refresh)(tree, false).expect("refreshed"));
}

fn conf(tree: &MemoryTree) -> String {
    text(&tree.read(&CONF.into(), u64::MAX).expect("read").0)
}

fn load(kind: &Kind, tree: &MemoryTree) -> Store {
    (kind.load)(tree).expect("a store")
}

fn distrust(kind: &Kind, tree: &MemoryTree, certificate: &Certificate) -> Vec<Step> {
    let steps = (kind.distrust)(tree, &load(kind, tree), certificate, &Distrust::default()).expect("steps");
    assert!(steps.iter().all(|s| !s.generated));
    apply(tree, &steps);
    refresh(kind, tree);
    steps
}

/// Nothing of the certificate is left in any output, no link dangles, and the other one is where it was.
fn is_gone(kind: &Kind, tree: &MemoryTree, certificate: &Certificate, others: usize) {
    let store = load(kind, tree);
    let anchors = store.anchors();
    assert!(!anchors.iter().any(|a| a.certificate == *certificate), "{anchors:#?}");
    assert_eq!(anchors.len(), others);
    let entries = store.directory.map(|d| d.entries).unwrap_or_default();
    let dangling: Vec<_> = entries.iter().filter(|e| e.link.is_some() && !e.file.is_read()).map(|e| text(&e.name)).collect();
    assert!(dangling.is_empty(), "{dangling:?}");
}

#[test]
fn kinds_are_sorted_and_tell_themselves() {
    let ids: Vec<_> = ALL.iter().map(|k| k.id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    assert!(ALL.iter().all(|k| !k.title.is_empty() && k.about.len() > 80));
}

#[test]
fn deleted_and_commented_lines_become_deselected_ones() {
    let dst = certificate(&single("DST_Root_CA_X3"));
    for (before, after) in [
        ("mozilla/ISRG.crt\n", "mozilla/ISRG.crt\n!mozilla/DST.crt\n"),
        ("#mozilla/DST.crt\nmozilla/ISRG.crt\n", "!mozilla/DST.crt\nmozilla/ISRG.crt\n"),
        ("mozilla/DST.crt\nmozilla/ISRG.crt\nmozilla/DST.crt\n", "!mozilla/DST.crt\nmozilla/ISRG.crt\n!mozilla/DST.crt\n"),
        ("  mozilla/DST.crt\t\nmozilla/ISRG.crt\n", "!  mozilla/DST.crt\t\nmozilla/ISRG.crt\n"),
        // The last line without newline is not seen; it must not be seen because of us, unless it is the one.
        ("mozilla/ISRG.crt\nmozilla/DST.crt", "mozilla/ISRG.crt\n!mozilla/DST.crt\n"),
        ("mozilla/ISRG.crt\nx.crt", "mozilla/ISRG.crt\n!mozilla/DST.crt\nx.crt"),
    ] {
        let tree = two_roots();
        tree.file(CONF, before);
        refresh(&debian::KIND, &tree);
        distrust(&debian::KIND, &tree, &dst);
        assert_eq!(conf(&tree), after);
        is_gone(&debian::KIND, &tree, &dst, 1);
        let again = (debian::KIND.distrust)(&tree, &load(&debian::KIND, &tree), &dst, &Distrust::default());
        assert!(again.is_err(), "{again:?}");
    }
}

#[test]
fn names_that_the_script_does_not_find_are_unlinked() {
    let a = certificate(&input("a.crt"));
    let tree = debian_tree(&[("corp/My Root (1).crt", input("a.crt")), ("mozilla/ISRG.crt", single("ISRG_Root_X1"))]);
    let steps = distrust(&debian::KIND, &tree, &a);
    assert_eq!(conf(&tree), "!corp/My Root (1).crt\nmozilla/ISRG.crt\n");
    assert_eq!(steps.len(), 3, "the line, the link and the hash link: {steps:#?}");
    is_gone(&debian::KIND, &tree, &a, 1);
}

#[test]
fn a_certificate_held_twice_leaves_both() {
    let dst = certificate(&single("DST_Root_CA_X3"));
    let sources = [
        ("mozilla/DST.crt", single("DST_Root_CA_X3")),
        ("corp/again.crt", single("DST_Root_CA_X3")),
        ("x.crt", single("ISRG_Root_X1")),
    ];
    let tree = debian_tree(&sources);
    distrust(&debian::KIND, &tree, &dst);
    assert_eq!(conf(&tree), "!mozilla/DST.crt\n!corp/again.crt\nx.crt\n");
    is_gone(&debian::KIND, &tree, &dst, 1);
}

#[test]
fn local_files_need_a_yes() {
    let (a, local) = (certificate(&input("a.crt")), "/usr/local/share/ca-certificates");
    // One certificate: the file goes, through a link only the link.
    let tree = two_roots();
    tree.file("/opt/ca/target.txt", input("a.crt"));
    tree.symlink(TreePath::new(format!("{local}/corp ca.crt")), "/opt/ca/target.txt");
    refresh(&debian::KIND, &tree);
    let steps = distrust(&debian::KIND, &tree, &a);
    assert!(steps.iter().all(|s| s.applicability == Applicability::Ask), "{steps:#?}");
    assert!(tree.exists(&"/opt/ca/target.txt".into()));
    is_gone(&debian::KIND, &tree, &a, 2);

    // Two certificates: one is cut, and a file behind a link stays as it is.
    let two = sniff::certificates(&input("two.crt")).certificates;
    let tree = two_roots();
    tree.file("/opt/ca/two.txt", input("two.crt"));
    tree.symlink(TreePath::new(format!("{local}/two.crt")), "/opt/ca/two.txt");
    refresh(&debian::KIND, &tree);
    let steps = distrust(&debian::KIND, &tree, &two[0]);
    assert!(matches!(steps[..], [Step { edit: Edit::Write { .. }, applicability: Applicability::Ask, .. }]));
    assert_eq!(tree.read(&"/opt/ca/two.txt".into(), u64::MAX).expect("read").0, input("two.crt"));
    is_gone(&debian::KIND, &tree, &two[0], 3);
    assert_eq!(
        sniff::certificates(&tree.read(&format!("{local}/two.crt").as_str().into(), u64::MAX).expect("read").0).certificates,
        two[1..]
    );
}

#[test]
fn java_loses_what_we_unlink_ourselves() {
    let baltimore = single("Baltimore_CyberTrust_Root");
    let tree = two_roots();
    tree.file("/usr/local/share/ca-certificates/Baltimore_CyberTrust_Root.crt", baltimore.clone());
    tree.file("/etc/ssl/certs/java/cacerts", read_fixture("bundles/java/debian12-cacerts.jks"));
    refresh(&debian::KIND, &tree);
    distrust(&debian::KIND, &tree, &certificate(&baltimore));
    let (store, _) = tree.read(&"/etc/ssl/certs/java/cacerts".into(), u64::MAX).expect("read");
    let left = jks::entries(&store).expect("a keystore");
    assert_eq!(left.len(), 141);
    assert!(!left.iter().any(|e| e.alias.contains("baltimore")));
}

#[test]
fn free_standing_files_close_the_gap_in_their_hash() {
    let (a, one) = (certificate(&input("a.crt")), "/etc/ssl/certs");
    let tree = two_roots();
    tree.file(TreePath::new(format!("{one}/by-hand.pem")), input("a.crt"));
    tree.symlink(TreePath::new(format!("{one}/517b2659.0")), "by-hand.pem");
    tree.symlink(TreePath::new(format!("{one}/517b2659.1")), "ISRG.pem");
    let steps = distrust(&debian::KIND, &tree, &a);
    assert!(steps.iter().all(|s| s.applicability == Applicability::Ask));
    let target = tree.read(&TreePath::new(format!("{one}/517b2659.0")), u64::MAX).expect("read").0;
    assert_eq!(target, single("ISRG_Root_X1"));
    assert!(!tree.exists(&TreePath::new(format!("{one}/517b2659.1"))));
    is_gone(&debian::KIND, &tree, &a, 2);
}

#[test]
fn alpine_takes_any_name() {
    let a = certificate(&input("a.crt"));
    let tree = MemoryTree::new();
    tree.directory("/etc/ssl/certs");
    tree.file("/etc/alpine-release", "3.23.6\n");
    tree.file("/usr/share/ca-certificates/corp/My Root (1).crt", input("a.crt"));
    tree.file("/usr/share/ca-certificates/mozilla/ISRG.crt", single("ISRG_Root_X1"));
    tree.file(CONF, "mozilla/ISRG.crt\ncorp/My Root (1).crt");
    refresh(&alpine::KIND, &tree);
    assert_eq!(load(&alpine::KIND, &tree).anchors().len(), 2);
    distrust(&alpine::KIND, &tree, &a);
    assert_eq!(conf(&tree), "mozilla/ISRG.crt\n!corp/My Root (1).crt");
    is_gone(&alpine::KIND, &tree, &a, 1);
}

#[test]
fn single_files_are_cut_or_commented_out() {
    let addtrust = certificate(&single("AddTrust_External_Root"));
    for (kind, path, bundle) in [
        (&cert_pem::KIND, "/etc/ssl/cert.pem", "bundles/mini/libressl-cert.pem"),
        (&homebrew::KIND, "/opt/homebrew/etc/ca-certificates/cert.pem", "bundles/mini/curl.pem"),
        (&homebrew::KIND, "/usr/local/etc/openssl@3/cert.pem", "bundles/mini/curl.pem"),
    ] {
        for comment_out in [false, true] {
            let tree = MemoryTree::new();
            tree.file(path, read_fixture(bundle));
            let store = load(kind, &tree);
            let before = store.anchors().len();
            let steps = (kind.distrust)(&tree, &store, &addtrust, &Distrust { comment_out }).expect("steps");
            assert!(matches!(steps[..], [Step { applicability: Applicability::Auto, .. }]));
            apply(&tree, &steps);
            is_gone(kind, &tree, &addtrust, before - 1);
            let left = text(&tree.read(&path.into(), u64::MAX).expect("read").0);
            assert_eq!(left.contains("=====BEGIN"), comment_out);
            assert!((kind.refresh)(&tree, true).expect("nothing").is_empty());
        }
    }
    // Alpine's cert.pem is a link, and belongs to the store that it leads to.
    assert!((cert_pem::KIND.load)(&trees::tree("alpine-3.23")).is_none());
}

#[test]
fn images_with_the_bundle_only() {
    let dst = certificate(&single("DST_Root_CA_X3"));
    let tree = MemoryTree::new();
    let certs = TreePath::from("/etc/ssl/certs");
    tree.file(certs.join("ca-certificates.crt"), read_fixture("bundles/mini/debian-bundle.crt"));
    assert!((debian::KIND.load)(&tree).is_none() && (alpine::KIND.load)(&tree).is_none());
    tree.file(certs.join("dst.pem"), single("DST_Root_CA_X3"));
    tree.symlink(certs.join("2e5ac55d.0"), "dst.pem");
    let store = load(&bundle_only::KIND, &tree);
    let steps = (bundle_only::KIND.distrust)(&tree, &store, &dst, &Distrust::default()).expect("steps");
    apply(&tree, &steps);
    is_gone(&bundle_only::KIND, &tree, &dst, 5);
    assert!((bundle_only::KIND.load)(&trees::tree("debian-12")).is_none());
}

#[test]
fn hostile_trees_are_facts() {
    let tree = two_roots();
    tree.symlink("/usr/local/share/ca-certificates/loop.crt", "loop.crt");
    tree.symlink("/usr/local/share/ca-certificates/again", "..");
    tree.symlink("/etc/ssl/certs/self.pem", "/etc/ssl/certs/self.pem");
    tree.put("/etc/ssl/certs/pipe.pem", certdoctor::host::NodeKind::Other("FIFO"), 0o644, Vec::new());
    tree.put("/etc/ssl/certs/huge.pem", certdoctor::host::NodeKind::File(1 << 30), 0o644, Vec::new());
    let store = load(&debian::KIND, &tree);
    assert_eq!(store.anchors().len(), 2);
    let entries = store.directory.expect("a directory").entries;
    for name in ["self.pem", "pipe.pem", "huge.pem"] {
        let entry = entries.iter().find(|e| e.name == name.as_bytes()).expect(name);
        assert!(!entry.file.is_read(), "{name}");
    }
    tree.remove(&"/etc/ca-certificates.conf".into()).expect("removed");
    assert!(load(&debian::KIND, &tree).configuration.is_none());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
