//! Plans are carried out and taken back: with faults at every step, kills, full and read-only disks.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use certdoctor::{
    base::{At, Fingerprint, TreePath},
    edit::{Applicability, Edit, Precondition, Step},
    host::{Exec, Node, Output, ReadError, Tree, TreeMut, Written, dir::DirTree, shape},
    plan::{self, ApplyError, ApplyOptions, Plan, Progress, Refresh, UndoError, apply, roll_back},
};

/// What lies in a directory: for each path its mode and its content or target.
type Snapshot = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// Everything but the backups and the lock.
fn snapshot(root: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    for entry in walkdir::WalkDir::new(root).into_iter().map(|e| e.expect("walked")) {
        let path = entry.path().strip_prefix(root).expect("below").to_path_buf();
        let metadata = entry.path().symlink_metadata().expect("there");
        if path.starts_with("var") || metadata.is_dir() {
            continue;
        }
        let content = if metadata.is_symlink() {
            fs::read_link(entry.path()).expect("a link").into_os_string().into_encoded_bytes()
        } else {
            fs::read(entry.path()).expect("read")
        };
        found.insert(path, (metadata.permissions().mode(), content));
    }
    found
}

fn step(edit: Edit, precondition: Precondition, generated: bool) -> Step {
    let summary = format!("{:?}", edit.path());
    Step { edit, precondition, because: vec!["CD101"], applicability: Applicability::Auto, summary, generated }
}

fn write(path: &str, old: Option<&[u8]>, new: &[u8], generated: bool) -> Step {
    let precondition = old.map_or(Precondition::Absent, |old| Precondition::Content(Fingerprint::of(old)));
    step(Edit::Write { path: path.into(), bytes: new.to_vec(), mode: None }, precondition, generated)
}

fn remove(path: &str, precondition: Precondition) -> Step {
    step(Edit::Remove { path: path.into() }, precondition, true)
}

fn link(path: &str, target: &str, precondition: Precondition) -> Step {
    step(Edit::Link { path: path.into(), target: target.as_bytes().to_vec() }, precondition, true)
}

fn move_aside(root: &Path, path: &str) -> Step {
    let tree = DirTree::new(root).expect("a tree");
    let shape = shape(&tree, &path.into()).expect("a shape").expect("is there");
    let to = format!("{path}.aside").as_str().into();
    step(Edit::Move { path: path.into(), to }, Precondition::Shape(shape), false)
}

fn plan_of(steps: Vec<Step>) -> Plan {
    Plan { steps, id: "20200601T000000Z".to_owned(), ..Plan::default() }
}

/// A tree in the shape of a store, and a plan that changes it in every way there is.
fn store(root: &Path) -> Plan {
    fs::create_dir_all(root.join("etc/ssl/certs")).expect("made");
    let conf = b"mozilla/A.crt\nmozilla/B.crt\n";
    fs::write(root.join("etc/ca-certificates.conf"), conf).expect("written");
    fs::set_permissions(root.join("etc/ca-certificates.conf"), fs::Permissions::from_mode(0o640)).expect("set");
    let bundle = "bundle\n".repeat(40_000);
    fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), &bundle).expect("written");
    fs::write(root.join("etc/ssl/certs/real.pem"), "real").expect("written");
    fs::set_permissions(root.join("etc/ssl/certs/real.pem"), fs::Permissions::from_mode(0o600)).expect("set");
    for (name, target) in [("A.pem", "/usr/share/A.crt"), ("B.pem", "/usr/share/B.crt"), ("11111111.0", "A.pem")] {
        symlink(target, root.join("etc/ssl/certs").join(name)).expect("linked");
    }
    symlink("B.pem", root.join("etc/ssl/certs/11111111.1")).expect("linked");
    fs::create_dir_all(root.join("var-lib/caddy/site")).expect("made");
    for name in ["site.crt", "site.key"] {
        let file = fs::File::create(root.join("var-lib/caddy/site").join(name)).expect("created");
        // A part of the shape that the plan was made from.
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_590_000_000)).expect("set");
    }
    let is = |target: &str| Precondition::Link(target.as_bytes().to_vec());
    plan_of(vec![
        write("/etc/ca-certificates.conf", Some(conf), b"!mozilla/A.crt\nmozilla/B.crt\n", false),
        write("/etc/pki/blocklist/A.crt", None, b"A", false),
        write("/etc/ssl/certs/ca-certificates.crt", Some(bundle.as_bytes()), &bundle.as_bytes()[7..], true),
        link("/etc/ssl/certs/11111111.0", "B.pem", is("A.pem")),
        link("/etc/ssl/certs/22222222.0", "B.pem", Precondition::Absent),
        remove("/etc/ssl/certs/11111111.1", is("B.pem")),
        remove("/etc/ssl/certs/A.pem", is("/usr/share/A.crt")),
        remove("/etc/ssl/certs/real.pem", Precondition::Content(Fingerprint::of(b"real"))),
        move_aside(root, "/var-lib/caddy/site"),
    ])
}

fn options() -> ApplyOptions {
    ApplyOptions::new(At(1_590_969_600), false)
}

fn undo(tree: &dyn TreeMut, id: &str, force: bool) -> Result<Vec<TreePath>, UndoError> {
    plan::undo(tree, &options().backup_directory, id, &options().lock, force).map(|u| u.restored)
}

fn list(tree: &dyn Tree) -> Vec<plan::Backup> {
    plan::list(tree, &options().backup_directory).expect("listed")
}

#[test]
fn a_plan_is_applied_once_and_undone_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = store(dir.path());
    let tree = DirTree::new(dir.path()).expect("a tree");
    let before = snapshot(dir.path());
    let applied = apply(&tree, None, &plan, &options()).expect("applied");
    assert_eq!(applied.changed.len(), 9);
    let busy = apply(&tree, None, &plan, &options()).expect_err("held");
    assert!(matches!(busy, ApplyError::Locked(_)), "{busy}");
    drop(applied);

    let after = snapshot(dir.path());
    let at = |path: &str| after.get(Path::new(path)).cloned();
    assert_eq!(at("etc/ca-certificates.conf"), Some((0o100_640, b"!mozilla/A.crt\nmozilla/B.crt\n".to_vec())));
    assert_eq!(at("etc/ssl/certs/11111111.0").expect("there").1, b"B.pem");
    assert_eq!(at("etc/ssl/certs/A.pem"), None);
    let again = apply(&tree, None, &plan, &options()).expect_err("changed");
    assert!(matches!(again, ApplyError::Changed { .. }), "{again}");
    assert_eq!(snapshot(dir.path()), after);

    let backups = list(&tree);
    assert_eq!(backups.len(), 1);
    assert_eq!((backups[0].progress.clone(), backups[0].summary.len()), (Ok(Progress::Complete), 3));
    assert_eq!(undo(&tree, &backups[0].id, false).expect("undone").len(), 9);
    assert_eq!(snapshot(dir.path()), before);
    assert_eq!(undo(&tree, &backups[0].id, false).expect("nothing left"), []);
    apply(&tree, None, &plan, &options()).expect("applied again");
    assert_eq!(list(&tree).last().expect("two").id, "20200601T000000Z-2");
}

#[test]
fn undo_refuses_what_somebody_changed_since() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = store(dir.path());
    let tree = DirTree::new(dir.path()).expect("a tree");
    let before = snapshot(dir.path());
    let id = apply(&tree, None, &plan, &options()).expect("applied").id;
    fs::write(dir.path().join("etc/ca-certificates.conf"), "mine\n").expect("written");
    let changed = snapshot(dir.path());
    let refused = undo(&tree, &id, false).expect_err("changed since");
    assert!(refused.to_string().starts_with("/etc/ca-certificates.conf was changed since the fix"), "{refused}");
    assert_eq!(snapshot(dir.path()), changed);
    undo(&tree, &id, true).expect("forced");
    assert_eq!(snapshot(dir.path()), before);
    for id in ["", "..", "a/b", "none"] {
        assert!(matches!(undo(&tree, id, false), Err(UndoError::Unreadable { .. })), "{id}");
    }
}

#[test]
fn a_write_in_place_that_was_killed_midway_is_undone() {
    for (torn, is_ours) in [("NEW old old old\n", true), ("NEW new\n", true), ("NEW mine old old\n", false), ("", false)] {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("f"), "old old old old\n").expect("written");
        let tree = DirTree::new(dir.path()).expect("a tree");
        let plan = plan_of(vec![write("/f", Some(b"old old old old\n"), b"NEW new\n", false)]);
        drop(apply(&tree, None, &plan, &options()).expect("applied"));
        fs::write(dir.path().join("f"), torn).expect("written");
        let undone = undo(&tree, &plan.id, false);
        assert_eq!(undone.is_ok(), is_ours, "{torn:?}: {undone:?}");
        let expected = if is_ours { "old old old old\n" } else { torn };
        assert_eq!(fs::read_to_string(dir.path().join("f")).expect("read"), expected);
    }
}

#[test]
fn a_precondition_that_fails_leaves_all_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = store(dir.path());
    let tree = DirTree::new(dir.path()).expect("a tree");
    let link = dir.path().join("etc/ssl/certs/A.pem");
    fs::remove_file(&link).expect("removed");
    symlink("/elsewhere", &link).expect("linked");
    let before = snapshot(dir.path());
    let error = apply(&tree, None, &plan, &options()).expect_err("changed");
    assert_eq!(
        error.to_string(),
        "/etc/ssl/certs/A.pem has been changed since it was read: it is a link to /elsewhere; run the command again, it will plan anew"
    );
    assert_eq!(snapshot(dir.path()), before);
    assert!(list(&tree).is_empty());
}

/// A tree whose `n`th change fails.
struct Faulty<'a> {
    inner: &'a DirTree,
    left: AtomicI64,
    fault: Fault,
}

#[test]
fn what_was_moved_aside_comes_back_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = plan_of(store(dir.path()).steps.into_iter().filter(|s| matches!(s.edit, Edit::Move { .. })).collect());
    let tree = DirTree::new(dir.path()).expect("a tree");
    let (site, aside) = (dir.path().join("var-lib/caddy/site"), dir.path().join("var-lib/caddy/site.aside"));
    fs::write(site.join("site.key"), "secret").expect("written");
    let changed = apply(&tree, None, &plan, &options()).expect_err("changed");
    assert!(matches!(changed, ApplyError::Changed { .. }), "{changed}");

    let plan = plan_of(vec![move_aside(dir.path(), "/var-lib/caddy/site")]);
    let applied = apply(&tree, None, &plan, &options()).expect("applied");
    assert!(!site.exists() && aside.join("site.key").exists());
    for entry in fs::read_dir(dir.path().join("var/lib/certdoctor/backup").join(&applied.id)).expect("a backup") {
        assert_eq!(entry.expect("an entry").file_name(), "manifest.json", "no key is copied");
    }
    let id = applied.id.clone();
    drop(applied);
    // The server obtains the certificate anew.
    fs::create_dir(&site).expect("made");
    fs::write(site.join("site.crt"), "new").expect("written");
    let refused = undo(&tree, &id, false).expect_err("changed since");
    assert!(matches!(&refused, UndoError::ChangedSince(paths) if *paths == ["/var-lib/caddy/site".into()]), "{refused}");
    assert_eq!(undo(&tree, &id, true).expect("by force").len(), 1);
    assert_eq!(fs::read(site.join("site.key")).expect("back"), b"secret");
    assert_eq!(fs::read(aside.join("site.crt")).expect("kept"), b"new");
    assert_eq!(undo(&tree, &id, true).expect("nothing left"), []);

    let occupied = plan_of(vec![move_aside(dir.path(), "/var-lib/caddy/site")]);
    let error = apply(&tree, None, &occupied, &options()).expect_err("the name is taken").to_string();
    assert!(error.contains("/var-lib/caddy/site.aside is there already"), "{error}");
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// One change fails.
    Once(rustix::io::Errno),
    /// From there on every change fails.
    From(rustix::io::Errno),
    /// The process is killed.
    Kill,
    /// Somebody else writes to the bundle.
    Meddle,
}

impl Faulty<'_> {
    fn tick(&self) -> io::Result<()> {
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        match self.fault {
            Fault::Once(error) if left == 0 => Err(error.into()),
            Fault::From(error) if left <= 0 => Err(error.into()),
            Fault::Kill if left == 0 => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                unreachable!("the process is gone")
            }
            Fault::Meddle if left == 0 => {
                self.inner.write(&"/etc/ssl/certs/ca-certificates.crt".into(), b"meddled", None).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn around<T>(&self, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.tick()?;
        let done = change()?;
        if self.fault == Fault::Kill {
            self.tick()?;
        }
        Ok(done)
    }
}

impl Tree for Faulty<'_> {
    fn node_nofollow(&self, path: &TreePath) -> io::Result<Option<Node>> {
        self.inner.node_nofollow(path)
    }
    fn read_nofollow(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        self.inner.read_nofollow(path, limit)
    }
    fn names_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        self.inner.names_nofollow(path)
    }
}

impl TreeMut for Faulty<'_> {
    fn write(&self, path: &TreePath, bytes: &[u8], mode: Option<u32>) -> io::Result<Written> {
        self.around(|| self.inner.write(path, bytes, mode))
    }
    fn remove(&self, path: &TreePath) -> io::Result<()> {
        self.around(|| self.inner.remove(path))
    }
    fn link(&self, path: &TreePath, target: &[u8]) -> io::Result<()> {
        self.around(|| self.inner.link(path, target))
    }
    fn rename(&self, path: &TreePath, to: &[u8]) -> io::Result<()> {
        self.around(|| self.inner.rename(path, to))
    }
    fn exchange(&self, path: &TreePath, with: &[u8]) -> io::Result<()> {
        self.around(|| self.inner.exchange(path, with))
    }
    fn make_directory(&self, path: &TreePath, mode: u32) -> io::Result<()> {
        self.around(|| self.inner.make_directory(path, mode))
    }
    fn lock(&self, path: &TreePath) -> io::Result<Box<dyn fmt::Debug>> {
        self.inner.lock(path)
    }
}

#[test]
fn an_error_at_any_step_leaves_the_old_state() {
    let mut applied = false;
    for n in 0.. {
        let dir = tempfile::tempdir().expect("a directory");
        let plan = store(dir.path());
        let tree = DirTree::new(dir.path()).expect("a tree");
        let before = snapshot(dir.path());
        let fault = Fault::Once(rustix::io::Errno::NOSPC);
        let faulty = Faulty { inner: &tree, left: AtomicI64::new(n), fault };
        match apply(&faulty, None, &plan, &options()) {
            Ok(_) => {
                applied = true;
                assert!(n > 20, "only {n} changes were made");
                break;
            }
            Err(e) => {
                assert!(snapshot(dir.path()) == before, "after a fault at {n}");
                assert!(e.to_string().contains("free some space"), "{e}");
            }
        }
    }
    assert!(applied);
}

/// A key that gives way to a link: it is neither read nor copied, and whatever fails, it has its name again.
#[test]
fn a_link_takes_the_place_of_what_was_moved() {
    let made = || {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("live")).expect("made");
        fs::write(dir.path().join("live/privkey.pem"), "secret").expect("written");
        let linked = step(
            Edit::Link { path: "/live/privkey.pem".into(), target: b"../archive/privkey1.pem".to_vec() },
            Precondition::Absent,
            false,
        );
        let plan = plan_of(vec![move_aside(dir.path(), "/live/privkey.pem"), linked]);
        (dir, plan)
    };
    for n in 0.. {
        let (dir, plan) = made();
        let tree = DirTree::new(dir.path()).expect("a tree");
        let before = snapshot(dir.path());
        let faulty = Faulty { inner: &tree, left: AtomicI64::new(n), fault: Fault::Once(rustix::io::Errno::NOSPC) };
        let Ok(applied) = apply(&faulty, None, &plan, &options()) else {
            assert!(snapshot(dir.path()) == before, "after a fault at {n}");
            continue;
        };
        assert!(n > 3, "only {n} changes were made");
        assert_eq!(fs::read_link(dir.path().join("live/privkey.pem")).expect("a link"), Path::new("../archive/privkey1.pem"));
        assert_eq!(fs::read(dir.path().join("live/privkey.pem.aside")).expect("kept"), b"secret");
        for entry in fs::read_dir(dir.path().join("var/lib/certdoctor/backup").join(&applied.id)).expect("a backup") {
            assert_eq!(entry.expect("an entry").file_name(), "manifest.json", "no key is copied");
        }
        let shown = String::from_utf8(plan::diff(&tree, &made().1.steps).expect("a diff")).expect("text");
        assert!(!shown.contains("secret"), "{shown}");
        let id = applied.id.clone();
        drop(applied);
        assert_eq!(undo(&tree, &id, false).expect("undone").len(), 1);
        assert!(snapshot(dir.path()) == before);
        break;
    }
}

#[test]
fn when_nothing_can_be_put_back_the_backup_can() {
    let mut stuck = 0;
    for n in 0.. {
        let dir = tempfile::tempdir().expect("a directory");
        let plan = store(dir.path());
        let tree = DirTree::new(dir.path()).expect("a tree");
        let before = snapshot(dir.path());
        let fault = Fault::From(rustix::io::Errno::ROFS);
        let faulty = Faulty { inner: &tree, left: AtomicI64::new(n), fault };
        let Err(error) = apply(&faulty, None, &plan, &options()) else { break };
        if snapshot(dir.path()) != before {
            stuck += 1;
            assert!(error.to_string().contains("could not be put back"), "{error}");
            undo(&tree, &plan.id, false).expect("undone");
        }
        assert!(snapshot(dir.path()) == before, "after a fault at {n}");
    }
    assert!(stuck >= 7, "{stuck}");
}

#[test]
fn a_change_by_somebody_else_midway_is_noticed() {
    let mut noticed = 0;
    for n in 0..60 {
        let dir = tempfile::tempdir().expect("a directory");
        let plan = store(dir.path());
        let tree = DirTree::new(dir.path()).expect("a tree");
        let before = snapshot(dir.path());
        let faulty = Faulty { inner: &tree, left: AtomicI64::new(n), fault: Fault::Meddle };
        if let Err(ApplyError::Changed { path, .. }) = apply(&faulty, None, &plan, &options()) {
            noticed += 1;
            assert_eq!(path, TreePath::from("/etc/ssl/certs/ca-certificates.crt"));
            let conf = Path::new("etc/ca-certificates.conf");
            assert_eq!(snapshot(dir.path()).get(conf), before.get(conf));
            // What somebody else wrote is not ours to overwrite.
            let bundle = fs::read(dir.path().join("etc/ssl/certs/ca-certificates.crt")).expect("read");
            assert!(bundle == b"meddled", "overwritten at {n}");
        }
    }
    assert!(noticed >= 2, "{noticed}");
}

/// What [`started_as_a_child`] is to do, in the directory where it is started.
const TASK: &str = "task";

/// This program again, doing only the task in `dir`, maybe as another user.
fn child(dir: &Path, as_nobody: bool) -> Command {
    let program = std::env::current_exe().expect("a program");
    let mut command = if as_nobody {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(["--exact", "started_as_a_child", "--nocapture"]).current_dir(dir);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// No test by itself: the other end of those that kill a process or change its user.
#[test]
fn started_as_a_child() {
    let Ok(task) = fs::read_to_string(TASK) else { return };
    let tree = DirTree::new(Path::new("root")).expect("a tree");
    // Made in a tree of its own: the plan is the same.
    let plan = store(tempfile::tempdir().expect("a directory").path());
    match task.split_once(' ') {
        Some(("kill", n)) => {
            let left = AtomicI64::new(n.parse().expect("a number"));
            let faulty = Faulty { inner: &tree, left, fault: Fault::Kill };
            apply(&faulty, None, &plan, &options()).expect("applied");
        }
        _ => match apply(&tree, None, &plan, &options()) {
            Ok(_) => println!("applied"),
            Err(e) => println!("error: {e}"),
        },
    }
}

/// The tree of [`store`] after its plan.
fn new_state() -> &'static Snapshot {
    static NEW: OnceLock<Snapshot> = OnceLock::new();
    NEW.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let plan = store(dir.path());
        apply(&DirTree::new(dir.path()).expect("a tree"), None, &plan, &options()).expect("applied");
        snapshot(dir.path())
    })
}

fn prepare_child(task: &str) -> (tempfile::TempDir, PathBuf, Snapshot) {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("root");
    fs::create_dir(&root).expect("made");
    store(&root);
    fs::write(dir.path().join(TASK), task).expect("written");
    let old = snapshot(&root);
    (dir, root, old)
}

/// Every path is in the old or the new state, and `undo` leads back to the old one.
fn assert_old_or_new(root: &Path, old: &Snapshot) -> Option<Progress> {
    let tree = DirTree::new(root).expect("a tree");
    let (now, new) = (snapshot(root), new_state());
    for (path, is) in &now {
        let temporary = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(".certdoctor-"));
        assert!(temporary || old.get(path) == Some(is) || new.get(path) == Some(is), "{path:?} is neither old nor new");
    }
    for path in old.keys().filter(|p| new.contains_key(*p)) {
        assert!(now.contains_key(path), "{path:?} is lost");
    }
    let backups = list(&tree);
    let Some(backup) = backups.first() else {
        assert_eq!(&now, old, "changed without a backup");
        return None;
    };
    undo(&tree, &backup.id, false).expect("undone");
    assert_eq!(&snapshot(root), old, "undone");
    undo(&tree, &backup.id, false).expect("undone before");
    Some(backup.progress.clone().expect("read"))
}

#[test]
fn a_kill_at_any_step_leaves_the_old_or_the_new_state_and_a_way_back() {
    let mut seen = Vec::new();
    for n in 0.. {
        let (dir, root, old) = prepare_child(&format!("kill {n}"));
        let output = child(dir.path(), false).output().expect("run");
        if output.status.success() {
            assert_eq!(&snapshot(&root), new_state());
            break;
        }
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(9), "{output:?}");
        seen.push(assert_old_or_new(&root, &old));
    }
    assert!(seen.contains(&None) && seen.contains(&Some(Progress::Applying)) && seen.contains(&Some(Progress::Complete)));
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_or_the_new_state_and_a_way_back() {
    for n in 0..60 {
        let (dir, root, old) = prepare_child("run");
        let mut started = child(dir.path(), false).spawn().expect("started");
        std::thread::sleep(Duration::from_micros(1_000 + n * 300));
        started.kill().expect("killed");
        started.wait().expect("gone");
        assert_old_or_new(&root, &old);
    }
}

#[test]
fn without_permission_the_message_says_what_to_do() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let (dir, root, old) = prepare_child("run");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("set");
    let output = child(dir.path(), true).output();
    let Some(output) = output.ok().filter(|o| o.status.success()) else {
        eprintln!("skipped: setpriv can't start this program as nobody");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("Permission denied") && said.contains("run it as root (sudo)"), "{said}");
    assert_eq!(snapshot(&root), old);
}

/// A mount that is taken away again.
struct Mount(PathBuf);

impl Mount {
    fn new(args: &[&str], at: &Path) -> Option<Mount> {
        let done = Command::new("mount").args(args).arg(at).stderr(Stdio::null()).status();
        if done.is_ok_and(|s| s.success()) {
            return Some(Mount(at.to_path_buf()));
        }
        eprintln!("skipped: mounting is not allowed here");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.0).status();
        assert!(std::thread::panicking() || done.is_ok_and(|s| s.success()), "{:?} stays mounted", self.0);
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let mut refused = 0;
    // From a disk that has no room for the backup to one that has room for all.
    for kib in [300, 600, 900, 1200, 1500, 4000] {
        let dir = tempfile::tempdir().expect("a directory");
        let Some(_mount) = Mount::new(&["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"], dir.path()) else { return };
        let plan = store(dir.path());
        let tree = DirTree::new(dir.path()).expect("a tree");
        let before = snapshot(dir.path());
        match apply(&tree, None, &plan, &options()) {
            Ok(_) => assert_ne!(snapshot(dir.path()), before),
            Err(e) => {
                refused += 1;
                assert!(e.to_string().contains("No space left on device"), "{e}");
                assert!(e.to_string().contains("free some space"), "{e}");
                assert!(snapshot(dir.path()) == before, "{kib} KiB");
                let (kept, whole) =
                    (fs::read_dir(dir.path().join("var/lib/certdoctor/backup")), e.to_string().contains("backup at"));
                let files =
                    kept.into_iter().flatten().flat_map(|d| fs::read_dir(d.expect("there").path()).expect("listed")).count();
                assert_eq!(files == 0, whole, "a backup that could not be made takes no room: {e}");
            }
        }
    }
    assert!((1..6).contains(&refused), "{refused}");
}

#[test]
fn a_read_only_tree_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = store(dir.path());
    let path = dir.path().to_str().expect("text").to_owned();
    let Some(_bind) = Mount::new(&["--bind", &path], dir.path()) else { return };
    let remounted = Command::new("mount").args(["-o", "remount,ro,bind", &path]).status().expect("run");
    assert!(remounted.success());
    let tree = DirTree::new(dir.path()).expect("a tree");
    let before = snapshot(dir.path());
    let error = apply(&tree, None, &plan, &options()).expect_err("read-only").to_string();
    assert!(error.contains("Read-only file system") && error.contains("certdoctor dockerfile"), "{error}");
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn a_bind_mounted_file_is_written_in_place_and_undone() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = store(dir.path());
    let outside = tempfile::NamedTempFile::new().expect("a file");
    let bundle = dir.path().join("etc/ssl/certs/ca-certificates.crt");
    fs::copy(&bundle, outside.path()).expect("copied");
    let Some(_bind) = Mount::new(&["--bind", outside.path().to_str().expect("text")], &bundle) else { return };
    let tree = DirTree::new(dir.path()).expect("a tree");
    let before = snapshot(dir.path());
    let applied = apply(&tree, None, &plan, &options()).expect("applied");
    let path = TreePath::from("/etc/ssl/certs/ca-certificates.crt");
    assert!(applied.changed.contains(&(path, Some(Written::InPlace))), "{:?}", applied.changed);
    assert_eq!(fs::metadata(outside.path()).expect("there").len(), 40_000 * 7 - 7);
    roll_back(&tree, &applied).expect("rolled back");
    assert_eq!(snapshot(dir.path()), before);
    assert_eq!(list(&tree)[0].progress, Ok(Progress::RolledBack));
}

/// A refresh command that does its work, or half of it.
struct Refresher {
    root: PathBuf,
    fails: Option<io::ErrorKind>,
}

impl Exec for Refresher {
    fn run(&self, argv: &[&str], _: &[u8], env: &[(&str, Option<&str>)], _: u64) -> io::Result<Output> {
        assert_eq!(argv, ["update-ca-certificates"]);
        assert!(env.contains(&("SSL_CERT_FILE", None)) && env.contains(&("LC_ALL", Some("C"))));
        if self.fails == Some(io::ErrorKind::NotFound) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let certs = self.root.join("etc/ssl/certs");
        fs::remove_file(certs.join("A.pem"))?;
        symlink("B.pem", certs.join("33333333.0"))?;
        // As a kill would: nothing of ours runs after it.
        assert!(self.fails != Some(io::ErrorKind::Interrupted), "killed");
        if let Some(kind) = self.fails {
            fs::write(certs.join("ca-certificates.crt.new"), "half")?;
            return Err(kind.into());
        }
        fs::write(certs.join("ca-certificates.crt"), "refreshed")?;
        Ok(Output { status: Some(1), stdout: b"1 added, 1 removed; done.\n".to_vec(), stderr: Vec::new() })
    }
}

fn with_refresh(root: &Path) -> Plan {
    let mut plan = store(root);
    plan.refreshes.push(Refresh {
        store: "debian",
        argv: vec!["update-ca-certificates"],
        outputs: plan.steps.iter().filter(|s| s.generated).filter_map(|s| s.edit.path()).cloned().collect(),
        files: vec!["/etc/ssl/certs/ca-certificates.crt".into()],
        directories: vec!["/etc/ssl/certs".into()],
    });
    plan
}

#[test]
fn what_a_refresh_command_makes_is_undone_too() {
    for fails in [None, Some(io::ErrorKind::TimedOut)] {
        let dir = tempfile::tempdir().expect("a directory");
        let plan = with_refresh(dir.path());
        let tree = DirTree::new(dir.path()).expect("a tree");
        let before = snapshot(dir.path());
        let exec = Refresher { root: dir.path().to_path_buf(), fails };
        match apply(&tree, Some(&exec), &plan, &options()) {
            Ok(applied) => {
                assert_eq!(fails, None);
                assert_eq!((applied.runs.len(), applied.runs[0].status), (1, Some(1)));
                // Source edits by the tool, outputs by the command alone.
                assert_eq!(snapshot(dir.path()).get(Path::new("etc/ssl/certs/22222222.0")), None);
                drop(applied);
                undo(&tree, &plan.id, false).expect("undone");
            }
            Err(e) => assert!(fails.is_some() && e.to_string().contains("cannot run update-ca-certificates: timed out"), "{e}"),
        }
        assert!(snapshot(dir.path()) == before, "fails: {fails:?}");
    }
}

#[test]
fn a_kill_during_the_refresh_command_is_undone() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = with_refresh(dir.path());
    let tree = DirTree::new(dir.path()).expect("a tree");
    let before = snapshot(dir.path());
    let exec = Refresher { root: dir.path().to_path_buf(), fails: Some(io::ErrorKind::Interrupted) };
    let run = std::panic::AssertUnwindSafe(|| apply(&tree, Some(&exec), &plan, &options()).is_ok());
    assert!(std::panic::catch_unwind(run).is_err());
    fs::write(dir.path().join("etc/ssl/certs/ca-certificates.crt.new"), "half").expect("written");
    fs::write(dir.path().join("etc/ssl/certs/ca-certificates.crt"), "refreshed").expect("written");
    assert_eq!(list(&tree)[0].progress, Ok(Progress::Refreshing));
    undo(&tree, &plan.id, false).expect("undone");
    assert!(snapshot(dir.path()) == before);
}

#[test]
fn without_the_refresh_command_the_edits_are_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = with_refresh(dir.path());
    let tree = DirTree::new(dir.path()).expect("a tree");
    let before = snapshot(dir.path());
    let exec = Refresher { root: dir.path().to_path_buf(), fails: Some(io::ErrorKind::NotFound) };
    let applied = apply(&tree, Some(&exec), &plan, &options()).expect("applied");
    assert_eq!(applied.runs, []);
    assert!(&snapshot(dir.path()) == new_state());
    roll_back(&tree, &applied).expect("rolled back");
    assert!(snapshot(dir.path()) == before);
}

#[test]
fn without_a_refresh_only_sources_change() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = store(dir.path());
    let tree = DirTree::new(dir.path()).expect("a tree");
    let applied = apply(&tree, None, &plan, &ApplyOptions { no_refresh: true, ..options() }).expect("applied");
    let changed: Vec<String> = applied.changed.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(changed, ["/etc/ca-certificates.conf", "/etc/pki/blocklist/A.crt", "/var-lib/caddy/site"]);
}

#[test]
fn an_undo_that_fails_at_any_step_can_be_repeated() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = store(dir.path());
    let tree = DirTree::new(dir.path()).expect("a tree");
    let before = snapshot(dir.path());
    for n in 0.. {
        let id = apply(&tree, None, &plan, &options()).expect("applied").id;
        let faulty = Faulty { inner: &tree, left: AtomicI64::new(n), fault: Fault::From(rustix::io::Errno::IO) };
        let done = undo(&faulty, &id, false);
        undo(&tree, &id, false).expect("undone");
        assert!(snapshot(dir.path()) == before, "after a fault at {n}");
        if done.is_ok() {
            assert!(n > 8, "only {n} changes were made");
            break;
        }
    }
}
