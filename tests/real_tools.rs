//! Our refresh beside the real tools, on trees that a seed makes odd.

mod support;
mod trees;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use certdoctor::{
    base::{Fingerprint, TreePath},
    format::sniff,
    host::{Tree, dir::DirTree},
    store::{alpine, ca_certificates::Layout, debian},
};
use support::read_fixture;
use trees::apply;

/// What would lead the children elsewhere.
const REDIRECTS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What lies at a path: mode and content, or a target.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory(u32),
    File(u32, Vec<u8>),
    Link(PathBuf),
}

type Snapshot = BTreeMap<PathBuf, Node>;

fn snapshot(top: &Path) -> Snapshot {
    fn walk(top: &Path, at: &Path, found: &mut Snapshot) {
        for entry in fs::read_dir(at).expect("listed") {
            let path = entry.expect("an entry").path();
            let meta = fs::symlink_metadata(&path).expect("there");
            let name = path.strip_prefix(top).expect("below").to_owned();
            if meta.is_symlink() {
                found.insert(name, Node::Link(fs::read_link(&path).expect("a link")));
            } else if meta.is_dir() {
                found.insert(name, Node::Directory(meta.mode() & 0o7777));
                walk(top, &path, found);
            } else {
                found.insert(name, Node::File(meta.mode() & 0o7777, fs::read(&path).expect("read")));
            }
        }
    }
    let mut found = Snapshot::new();
    walk(top, top, &mut found);
    found
}

fn restore(top: &Path, nodes: &Snapshot) {
    for entry in fs::read_dir(top).expect("listed") {
        let path = entry.expect("an entry").path();
        let meta = fs::symlink_metadata(&path).expect("there");
        if meta.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.expect("removed");
    }
    for (name, node) in nodes {
        let path = top.join(name);
        match node {
            Node::Directory(_) => fs::create_dir(&path).expect("made"),
            Node::Link(target) => symlink(target, &path).expect("linked"),
            Node::File(mode, bytes) => {
                fs::write(&path, bytes).expect("written");
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("set");
            }
        }
    }
}

/// A snapshot whose hash links say which certificates a hash leads to, but not by which number: that, and which of two equal files is
/// linked, depends on the order in which a file system shows new names.
fn comparable(top: &Path, nodes: &Snapshot) -> (Snapshot, BTreeMap<(PathBuf, String), BTreeSet<String>>) {
    let mut plain = Snapshot::new();
    let mut hashes: BTreeMap<(PathBuf, String), BTreeSet<String>> = BTreeMap::new();
    for (path, node) in nodes {
        let name = text(path.file_name().expect("a name").as_encoded_bytes());
        let hash = name.split_once('.').filter(|(h, _)| h.len() == 8 && h.bytes().all(|b| b.is_ascii_hexdigit()));
        let (Node::Link(target), Some((hash, _))) = (node, hash) else {
            plain.insert(path.clone(), node.clone());
            continue;
        };
        let key = (path.parent().expect("a directory").to_owned(), hash.to_owned());
        hashes.entry(key).or_default().insert(certificates(top, nodes, &path.with_file_name(target)));
    }
    (plain, hashes)
}

/// The certificates that a path in a snapshot leads to, since the tree itself has changed meanwhile.
fn certificates(top: &Path, nodes: &Snapshot, path: &Path) -> String {
    let mut at = TreePath::new(path.as_os_str().as_encoded_bytes());
    loop {
        match nodes.get(Path::new(std::str::from_utf8(&at.as_bytes()[1..]).expect("text"))) {
            Some(Node::Link(target)) => {
                let inside = target.strip_prefix(top).map(|p| Path::new("/").join(p)).unwrap_or(target.clone());
                at = at.parent().join(inside.as_os_str().as_encoded_bytes());
            }
            Some(Node::File(_, bytes)) => {
                let found = sniff::certificates(bytes).certificates;
                return found.iter().map(|c| c.fingerprint().short()).collect::<Vec<_>>().join(" ");
            }
            _ => return "nothing".to_owned(),
        }
    }
}

/// A generator of decisions (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

const ROOTS: [&str; 9] = [
    "ACCVRAIZ1",
    "AffirmTrust_Commercial",
    // Two certificates with one name, and so with one hash.
    "Autoridad_de_Certificacion_Firmaprofesional_CIF_A62634068",
    "Autoridad_de_Certificacion_Firmaprofesional_CIF_A62634068_2",
    "Baltimore_CyberTrust_Root",
    "Certigna",
    "GTS_Root_R1",
    "ISRG_Root_X1",
    "ISRG_Root_X2",
];

/// The package's directory and the configuration with all of it.
fn package(certs: &Path, conf: &Path, extra: bool) {
    let tree = trees::tree("debian-12");
    fs::create_dir_all(certs.join("mozilla")).expect("made");
    let mut list = String::new();
    for name in ROOTS {
        let (bytes, _) =
            tree.read(&format!("/usr/share/ca-certificates/mozilla/{name}.crt").as_str().into(), u64::MAX).expect("read");
        fs::write(certs.join(format!("mozilla/{name}.crt")), bytes).expect("written");
        list.push_str(&format!("mozilla/{name}.crt\n"));
    }
    if extra {
        fs::create_dir_all(certs.join("corp")).expect("made");
        fs::write(certs.join("corp/My Root (1).crt"), read_fixture("roots/inputs/b.crt")).expect("written");
        list.push_str("corp/My Root (1).crt\n");
    }
    fs::write(conf, list).expect("written");
}

/// An odd configuration made from a plain one.
fn odd_conf(dice: &mut Dice, plain: &str) -> Vec<u8> {
    let mut out = String::new();
    for line in plain.lines() {
        match dice.roll(14) {
            0 | 1 => out.push_str(&format!("!{line}\n")),
            2 => out.push_str(&format!("#{line}\n")),
            3 => {}
            4 => out.push_str(&format!("{line}\n{line}\n")),
            5 => out.push_str(&format!("  {line}\t\n")),
            6 => out.push_str(&format!("! {line}\n")),
            7 => out.push_str(&format!("{line} # why\n\n")),
            8 => out.push_str(&format!("!{line}\n{line}\n")),
            _ => out.push_str(&format!("{line}\n")),
        }
    }
    match dice.roll(10) {
        0 => out.truncate(out.trim_end_matches('\n').len()),
        1 => out.push_str("mozilla/missing.crt\n   \n #x\n"),
        2 => out = out.replace('\n', "\r\n"),
        3 => out.clear(),
        _ => {}
    }
    out.into_bytes()
}

fn odd_local(dice: &mut Dice, local: &Path, key: &[u8]) {
    let names: [(&str, &str); 14] = [
        ("a.crt", "a.crt"),
        ("b c (d), e.crt", "b.crt"),
        ("two.crt", "two.crt"),
        ("bad.crt", "bad.crt"),
        ("empty.crt", "empty.crt"),
        ("nonl.crt", "nonl.crt"),
        ("crlf.crt", "crlf.crt"),
        ("text.crt", "text.crt"),
        ("der.crt", "a.der"),
        ("x.pem", "b.crt"),
        ("UP.CRT", "b.crt"),
        (".hidden.crt", "b.crt"),
        ("ISRG_Root_X1.crt", "a.crt"),
        ("sub/deep.crt", "b.crt"),
    ];
    fs::create_dir_all(local.join("sub")).expect("made");
    for (name, input) in names {
        if dice.one_in(4) {
            fs::write(local.join(name), read_fixture(&format!("roots/inputs/{input}"))).expect("written");
        }
    }
    if dice.one_in(4) {
        let _ = fs::remove_file(local.join("link.crt"));
        symlink("../outside.txt", local.join("link.crt")).expect("linked");
    }
    if dice.one_in(6) {
        symlink(".", local.join("loop")).expect("linked");
    }
    if dice.one_in(8) {
        fs::write(local.join("key.crt"), key).expect("written");
    }
    if dice.one_in(8) {
        let both = [&read_fixture("roots/inputs/b.crt"), key].concat();
        fs::write(local.join("withkey.crt"), both).expect("written");
    }
}

fn odd_outputs(dice: &mut Dice, etc: &Path, bundle: bool) {
    let put = |name: &str, target: &str| {
        let _ = fs::remove_file(etc.join(name));
        symlink(target, etc.join(name)).expect("linked");
    };
    if dice.one_in(3) {
        put("dangling.pem", "/nowhere/x.crt");
    }
    if dice.one_in(3) {
        put("deadbeef.0", "nowhere.pem");
    }
    if dice.one_in(4) {
        put("foreign.pem", "../outside.txt");
    }
    if dice.one_in(4) {
        fs::write(etc.join("manual.pem"), read_fixture("roots/inputs/a.crt")).expect("written");
    }
    if dice.one_in(4) {
        let _ = fs::remove_file(etc.join("Certigna.pem"));
    }
    if dice.one_in(4) {
        put("e113c810.7", "Certigna.pem");
    }
    if dice.one_in(5) {
        put("Baltimore_CyberTrust_Root.pem", "ISRG_Root_X1.pem");
    }
    if dice.one_in(5) {
        fs::create_dir_all(etc.join("folder.pem")).expect("made");
        let _ = symlink("../ISRG_Root_X2.pem", etc.join("folder.pem/inside.pem"));
    }
    if bundle && dice.one_in(4) {
        fs::write(etc.join("ca-certificates.crt.new"), read_fixture("roots/inputs/nonl.crt")).expect("written");
    }
    if dice.one_in(4) {
        fs::write(etc.join("ca-certificates.crt"), "by hand\n").expect("written");
    }
}

fn missing(what: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} is missing");
    eprintln!("skipped: no {what}");
}

fn ec_key() -> Option<Vec<u8>> {
    let output = Command::new("openssl").args(["ecparam", "-name", "prime256v1", "-genkey", "-noout"]).output().ok()?;
    output.status.success().then_some(output.stdout)
}

fn run(command: &mut Command) -> i32 {
    for variable in REDIRECTS {
        command.env_remove(variable);
    }
    let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output().expect("run");
    output.status.code().expect("an exit status")
}

fn same(seed: u64, top: &Path, theirs: &Snapshot, ours: &Snapshot) {
    let (theirs, their_hashes) = comparable(top, theirs);
    let (ours, our_hashes) = comparable(top, ours);
    for path in theirs.keys().chain(ours.keys()) {
        let brief = |node: Option<&Node>| match node {
            Some(Node::File(mode, bytes)) => format!("file {mode:o} {} {} bytes", Fingerprint::of(bytes).short(), bytes.len()),
            other => format!("{other:?}"),
        };
        let (a, b) = (theirs.get(path), ours.get(path));
        assert_eq!(a, b, "seed {seed}: {}: {} is not {}", path.display(), brief(a), brief(b));
    }
    for key in their_hashes.keys().chain(our_hashes.keys()) {
        assert_eq!(their_hashes.get(key), our_hashes.get(key), "seed {seed}: {}", key.1);
    }
}

#[test]
fn debian_script_makes_the_same_tree() {
    let script = Path::new("/usr/sbin/update-ca-certificates");
    let (true, Some(key)) = (fs::read(script).is_ok_and(|s| s.starts_with(b"#!")), ec_key()) else {
        return missing("Debian's update-ca-certificates, or openssl");
    };
    for seed in 0..60 {
        let mut dice = Dice(seed * 77 + 1);
        for _ in 0..8 {
            dice.roll(2);
        }
        let dir = tempfile::tempdir().expect("a directory");
        let top = fs::canonicalize(dir.path()).expect("a path");
        let at = |name: &str| top.join(name);
        for name in ["share", "local", "certs", "hooks"] {
            fs::create_dir(at(name)).expect("made");
        }
        fs::write(at("outside.txt"), read_fixture("roots/inputs/b.crt")).expect("written");
        package(&at("share"), &at("conf"), true);
        let script = |fresh: bool| {
            let mut command = Command::new(script);
            for (option, name) in [
                ("--certsconf", "conf"),
                ("--certsdir", "share"),
                ("--localcertsdir", "local"),
                ("--etccertsdir", "certs"),
                ("--hooksdir", "hooks"),
            ] {
                command.arg(option).arg(at(name));
            }
            if fresh {
                command.arg("--fresh");
            }
            run(command.current_dir(&top))
        };
        odd_local(&mut dice, &at("local"), b"");
        script(false);
        let plain = fs::read_to_string(at("conf")).expect("text");
        fs::write(at("conf"), odd_conf(&mut dice, &plain)).expect("written");
        if dice.one_in(2) {
            fs::remove_dir_all(at("local")).expect("removed");
            fs::create_dir(at("local")).expect("made");
        }
        odd_local(&mut dice, &at("local"), &key);
        odd_outputs(&mut dice, &at("certs"), true);
        let fresh = dice.one_in(3);
        let path = |name: &str| at(name).into_os_string().into_string().expect("text").into_bytes();
        let layout = Layout {
            conf: path("conf"),
            certs: path("share"),
            local: path("local"),
            etc: path("certs"),
            bundle: b"ca-certificates.crt".to_vec(),
            hooks: path("hooks"),
        };
        let tree = DirTree::new(Path::new("/")).expect("a tree");
        // Ours is planned first, on the very directory whose order the script will see.
        let before = snapshot(&top);
        let steps = debian::refresh(&tree, &layout, fresh).expect("planned");
        script(fresh);
        let theirs = snapshot(&top);
        restore(&top, &before);
        // A tree of its own, since the directories are new ones.
        apply(&DirTree::new(Path::new("/")).expect("a tree"), &steps);
        same(seed, &top, &theirs, &snapshot(&top));
    }
}

/// A root file system of Alpine, unpacked where `CERTDOCTOR_ORACLES` says. Its own files are not touched: the tool runs in a copy of
/// what it needs.
#[test]
fn alpine_program_makes_the_same_tree() {
    let Some(alpine) = std::env::var_os("CERTDOCTOR_ORACLES").map(|o| PathBuf::from(o).join("alpine")).filter(|a| a.is_dir())
    else {
        return missing("Alpine root in $CERTDOCTOR_ORACLES");
    };
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("root");
    for name in ["bin", "lib", "usr/bin", "usr/lib", "usr/sbin", "etc/ca-certificates"] {
        let (from, to) = (alpine.join(name), root.join(name));
        if !from.exists() {
            continue;
        }
        fs::create_dir_all(to.parent().expect("a parent")).expect("made");
        assert_eq!(run(Command::new("cp").arg("-a").arg(&from).arg(&to)), 0);
    }
    if run(Command::new("chroot").arg(&root).arg("/bin/true")) != 0 {
        return missing("right to chroot");
    }
    let key = ec_key().unwrap_or_default();
    let whole = |root: &Path| -> Snapshot {
        let part =
            |part: &str| snapshot(&root.join(part)).into_iter().map(|(name, node)| (Path::new(part).join(name), node)).collect();
        let parts: [Vec<_>; 3] = ["etc/ssl", "usr/local/share/ca-certificates", "usr/share/ca-certificates"].map(part);
        parts.into_iter().flatten().collect()
    };
    let parts = ["usr/share/ca-certificates", "usr/local/share/ca-certificates", "etc/ssl"];
    for seed in 0..60 {
        let mut dice = Dice(seed * 91 + 7);
        for _ in 0..8 {
            dice.roll(2);
        }
        for part in parts {
            let _ = fs::remove_dir_all(root.join(part));
            fs::create_dir_all(root.join(part)).expect("made");
        }
        let etc = root.join("etc/ssl/certs");
        let local = root.join("usr/local/share/ca-certificates");
        fs::create_dir(&etc).expect("made");
        fs::write(root.join("etc/ssl/outside.txt"), read_fixture("roots/inputs/b.crt")).expect("written");
        package(&root.join(parts[0]), &root.join("etc/ca-certificates.conf"), true);
        let tool = || run(Command::new("chroot").arg(&root).arg("/usr/sbin/update-ca-certificates"));
        tool();
        let plain = fs::read_to_string(root.join("etc/ca-certificates.conf")).expect("text");
        fs::write(root.join("etc/ca-certificates.conf"), odd_conf(&mut dice, &plain)).expect("written");
        odd_local(&mut dice, &local, &key);
        odd_outputs(&mut dice, &etc, false);
        if dice.one_in(4) {
            fs::write(etc.join("ca-cert-GTS_Root_R1.pem.copy"), b"").expect("written");
        }
        // Ours is planned first, on the very directories whose order the tool will see.
        let tree = DirTree::new(&root).expect("a tree");
        let before = snapshot(&root.join("etc/ssl"));
        let steps = alpine::refresh(&tree, &Layout::standard()).expect("planned");
        tool();
        let theirs = whole(&root);
        restore(&root.join("etc/ssl"), &before);
        apply(&DirTree::new(&root).expect("a tree"), &steps);
        same(seed, &root, &theirs, &whole(&root));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
