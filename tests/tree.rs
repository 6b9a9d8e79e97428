//! Hostile trees: nothing in them leads out, blocks, or is read without end.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, chroot, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use certdoctor::{
    base::{Limits, TreePath},
    host::{NodeKind, ReadError, Tree, dir::DirTree},
};
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// Reads `path` on another thread, so that a read that blocks fails the test instead of hanging it.
fn read(root: &Path, path: &[u8]) -> Result<Vec<u8>, ReadError> {
    let (root, path) = (root.to_path_buf(), TreePath::new(path));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let tree = DirTree::new(&root).expect("a tree");
        let _ = sender.send(tree.read(&path, Limits::DEFAULT.file).map(|(bytes, _)| bytes));
    });
    receiver.recv_timeout(Duration::from_secs(10)).expect("reading blocks")
}

#[test]
fn no_link_leads_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("etc/deep")).expect("made");
    fs::write(dir.path().join("secret"), "outside").expect("written");
    fs::write(dir.path().join("passwd"), "outside").expect("written");
    let outside = dir.path().join("secret");
    let links: [(&str, &Path); 9] = [
        ("users", Path::new("/etc/passwd")),
        ("absolute", &outside),
        ("up", Path::new("../secret")),
        ("deep/up", Path::new("../../../../../../secret")),
        ("through", Path::new("deep/../../../secret")),
        ("via", Path::new("/../../secret")),
        ("proc", Path::new("/proc/self/root/etc/passwd")),
        ("dir", Path::new("/")),
        ("host", dir.path()),
    ];
    for (name, target) in links {
        symlink(target, root.join("etc").join(name)).expect("linked");
    }
    for name in
        ["passwd", "absolute", "up", "deep/up", "through", "via", "proc", "dir/etc/passwd", "host/secret", "dir/../secret"]
    {
        let answer = read(&root, format!("/etc/{name}").as_bytes());
        assert!(matches!(answer, Err(ReadError::Missing)), "{name}: {answer:?}");
    }
    let tree = DirTree::new(&root).expect("a tree");
    assert_eq!(tree.names_nofollow(&TreePath::root()).expect("listed"), [b"etc".to_vec()]);
    assert!(tree.names_nofollow(&"/etc/host".into()).is_err());
    assert!(tree.node_nofollow(&"/etc/host/secret".into()).is_err());
    assert!(tree.read_nofollow(&"/etc/absolute".into(), 10).is_err());

    // What the same names lead to inside is found.
    fs::write(root.join("secret"), "inside").expect("written");
    fs::write(root.join("etc/deep/secret"), "deep").expect("written");
    for name in ["up", "deep/up", "through", "via"] {
        assert_eq!(read(&root, format!("/etc/{name}").as_bytes()).expect("read"), b"inside", "{name}");
    }
}

#[test]
fn loops_and_long_chains_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    symlink("self", root.join("self")).expect("linked");
    symlink("/b", root.join("a")).expect("linked");
    symlink("a", root.join("b")).expect("linked");
    symlink("grow/x", root.join("grow")).expect("linked");
    fs::write(root.join("end"), "end").expect("written");
    symlink("end", root.join("chain1")).expect("linked");
    for n in 2..=41 {
        symlink(format!("chain{}", n - 1), root.join(format!("chain{n}"))).expect("linked");
    }
    for name in ["self", "a", "b", "grow", "self/x", "chain41"] {
        assert!(matches!(read(root, name.as_bytes()), Err(ReadError::LinkLoop)), "{name}");
    }
    assert_eq!(read(root, b"chain40").expect("40 hops are allowed"), b"end");
    let tree = DirTree::new(root).expect("a tree");
    assert_eq!(tree.resolve(&"/chain40".into()).expect("resolved").links.len(), 40);
}

#[test]
fn devices_pipes_sockets_and_giants_are_not_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("made");
    let _listener = UnixListener::bind(root.join("socket")).expect("bound");
    fs::File::create(root.join("giant")).and_then(|f| f.set_len(1 << 30)).expect("made");
    symlink("fifo", root.join("to-fifo")).expect("linked");
    let mut cases = vec![("fifo", "FIFO"), ("to-fifo", "FIFO"), ("socket", "socket")];
    if is_root() {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, root.join("zero"), FileType::CharacterDevice, mode, makedev(1, 5)).expect("made");
        mknodat(CWD, root.join("loop"), FileType::BlockDevice, mode, makedev(7, 0)).expect("made");
        cases.extend([("zero", "character device"), ("loop", "block device")]);
    } else {
        eprintln!("skipped: only root makes devices");
    }
    for (name, kind) in cases {
        let answer = read(root, name.as_bytes());
        assert!(matches!(answer, Err(ReadError::NotAFile(what)) if what == kind), "{name}: {answer:?}");
        let tree = DirTree::new(root).expect("a tree");
        assert!(matches!(tree.read_nofollow(&name.into(), 10), Err(ReadError::NotAFile(_))), "{name}");
    }
    assert!(matches!(read(root, b"giant"), Err(ReadError::TooLarge(size)) if size == 1 << 30));
    assert!(matches!(read(root, b""), Err(ReadError::NotAFile("directory"))));
}

#[test]
fn names_are_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let names: [&[u8]; 5] = [b"a\nb", b"latin\xe9", b"\xff\xfe", b" blank ", &[b'n'; 255]];
    for name in names {
        fs::write(dir.path().join(OsStr::from_bytes(name)), name).expect("written");
    }
    let tree = DirTree::new(dir.path()).expect("a tree");
    let mut sorted: Vec<Vec<u8>> = names.iter().map(|n| n.to_vec()).collect();
    sorted.sort();
    assert_eq!(tree.names_nofollow(&TreePath::root()).expect("listed"), sorted);
    for name in names {
        assert_eq!(read(dir.path(), name).expect("read"), name);
    }
    let too_long = tree.node_nofollow(&TreePath::new([b'n'; 256])).expect_err("too long");
    assert_eq!(too_long.kind(), io::ErrorKind::InvalidFilename);
}

/// What [`started_as_a_child`] is to do, in the directory where it is started.
const TASK: &str = "task";

fn child(dir: &Path, user: Option<&str>) -> Command {
    let program = std::env::current_exe().expect("a program");
    let mut command = match user {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(["--exact", "started_as_a_child", "--nocapture"]).current_dir(dir).stderr(Stdio::null());
    command
}

/// No test by itself: the other end of those that change the root or the user of a process.
#[test]
fn started_as_a_child() {
    let Ok(task) = fs::read(TASK) else { return };
    if task == b"locked" {
        let tree = DirTree::new(Path::new("root")).expect("a tree");
        let kind = |path: &str| match tree.read(&path.into(), 10) {
            Err(ReadError::Io(e)) => Some(e.kind()),
            _ => None,
        };
        let listed = tree.names_nofollow(&"/locked".into()).map_err(|e| e.kind());
        println!("\nanswer {:?} {:?} {listed:?}", kind("/locked/f"), kind("/unreadable"));
        return;
    }
    chroot("root").expect("root's right");
    std::env::set_current_dir("/").expect("there");
    for path in task.split(|b| *b == 0) {
        match fs::metadata(OsStr::from_bytes(path)) {
            Ok(found) => println!("\nanswer {}", found.ino()),
            Err(e) => println!("\nanswer error {}", e.raw_os_error().unwrap_or_default()),
        }
    }
}

#[test]
fn what_is_locked_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("locked")).expect("made");
    fs::write(root.join("locked/f"), "x").expect("written");
    fs::write(root.join("unreadable"), "x").expect("written");
    fs::write(dir.path().join(TASK), "locked").expect("written");
    for (path, mode) in [(dir.path(), 0o755), (&root.join("locked"), 0), (&root.join("unreadable"), 0)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }
    // Root may read everything, so somebody else is asked.
    let output = child(dir.path(), is_root().then_some("65534")).output();
    fs::set_permissions(root.join("locked"), fs::Permissions::from_mode(0o755)).expect("set");
    let Some(output) = output.ok().filter(|o| o.status.success()) else {
        eprintln!("skipped: setpriv can't start this program as nobody");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("answer Some(PermissionDenied) Some(PermissionDenied) Err(PermissionDenied)"), "{said}");
}

/// Directories, files and links with the worst targets that a few names can make.
#[derive(Debug, Clone)]
struct Farm {
    links: Vec<(usize, usize, String)>,
    asked: Vec<String>,
}

const DIRECTORIES: [&str; 4] = ["", "a", "a/b", "c"];
const NAMES: [&str; 6] = ["a", "b", "c", "f", "l", "m"];

fn farm() -> impl Strategy<Value = Farm> {
    let part = prop::sample::select(vec!["a", "b", "c", "f", "l", "m", "..", "..", ".", "", "none"]);
    let path = (prop::collection::vec(part, 1..6), any::<bool>(), any::<bool>()).prop_map(|(parts, absolute, slash)| {
        format!("{}{}{}", if absolute { "/" } else { "" }, parts.join("/"), if slash { "/" } else { "" })
    });
    let path = path.prop_filter("a link has a target", |p| !p.is_empty());
    let link = (0..DIRECTORIES.len(), 0..NAMES.len(), path);
    let asked =
        prop::collection::vec(prop::sample::select(NAMES.to_vec()), 1..6).prop_map(|parts| format!("/{}", parts.join("/")));
    (prop::collection::vec(link, 4..20), prop::collection::vec(asked, 40)).prop_map(|(links, asked)| Farm { links, asked })
}

fn build(farm: &Farm, root: &Path) {
    for dir in DIRECTORIES {
        fs::create_dir_all(root.join(dir)).expect("made");
        fs::write(root.join(dir).join("f"), dir).expect("written");
    }
    for (dir, name, target) in &farm.links {
        // Where something is already, it stays.
        let _ = symlink(target, root.join(DIRECTORIES[*dir]).join(NAMES[*name]));
    }
}

/// The inode that the kernel finds for each path when `root` is its `/`; else the error's number.
fn kernel(dir: &Path, farm: &Farm) -> Vec<Result<u64, i32>> {
    fs::write(dir.join(TASK), farm.asked.join("\0")).expect("written");
    let output = child(dir, None).output().expect("run");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines()
        .filter_map(|line| line.strip_prefix("answer "))
        .map(|answer| match answer.strip_prefix("error ") {
            Some(number) => Err(number.parse().expect("a number")),
            None => Ok(answer.parse().expect("a number")),
        })
        .collect()
}

fn ours(root: &Path, path: &str) -> Result<u64, i32> {
    let tree = DirTree::new(root).expect("a tree");
    match tree.resolve(&path.into()) {
        Ok(found) if found.node.is_some() => {
            let inside: PathBuf = root.join(OsStr::from_bytes(&found.path.as_bytes()[1..]));
            let metadata = fs::symlink_metadata(inside).expect("there");
            assert_eq!(metadata.is_dir(), found.node.is_some_and(|n| n.kind == NodeKind::Directory));
            Ok(metadata.ino())
        }
        Ok(_) => Err(2),
        Err(ReadError::LinkLoop) => Err(40),
        Err(e) => panic!("{path}: {e}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// `/x/..` in a target is where Linux looks at what `x` is, and where it restarts counting nothing.
    #[test]
    fn links_lead_where_the_kernel_says(farm in farm()) {
        if is_root() {
            let dir = tempfile::tempdir().expect("a directory");
            let root = dir.path().join("root");
            build(&farm, &root);
            let kernel = kernel(dir.path(), &farm);
            prop_assert_eq!(kernel.len(), farm.asked.len());
            for (path, kernel) in farm.asked.iter().zip(kernel) {
                // Nothing there, or a file on the way: both are nothing to a reader.
                let kernel = kernel.map_err(|e| if e == 20 { 2 } else { e });
                prop_assert_eq!(ours(&root, path), kernel, "{}", path);
            }
        } else {
            eprintln!("skipped: only root may change its root");
        }
    }
}
