//! From a real store to the fixed one and back: plan, diff, apply, judge, plan again, undo.

mod common;

use std::{
    fs,
    io::{self, Read},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use certdoctor::{
    base::At,
    facts::Store,
    host::{Loopback, Tree, dir::DirTree},
    plan::{self, ApplyOptions, Expectation, Options, Plan, Progress, Request, Wanted, apply, compare, diff, solve},
    store,
    x509::Certificate,
};

fn load(tree: &dyn Tree) -> Vec<Store> {
    store::ALL.iter().filter_map(|kind| (kind.load)(tree)).collect()
}

/// A listing of everything but the backups.
fn listing(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name().into_iter().map(|e| e.expect("walked")) {
        let path = entry.path().strip_prefix(root).expect("below").display().to_string();
        if path.starts_with("var/lib/certdoctor") || path == "var" || path == "var/lib" {
            continue;
        }
        let what = match fs::read_link(entry.path()) {
            Ok(target) => target.display().to_string(),
            Err(_) if entry.file_type().is_dir() => String::new(),
            Err(_) => certdoctor::base::Fingerprint::of(&fs::read(entry.path()).expect("read")).to_string(),
        };
        found.push((path, what));
    }
    found
}

fn solve_for(tree: &DirTree, wanted: &[Certificate], options: Options) -> Plan {
    let stores = load(tree);
    let distrust: Vec<Wanted> =
        wanted.iter().map(|c| Wanted { certificate: c.clone(), because: vec!["CD101"], store: None }).collect();
    let endangers = |_: &[Certificate]| Vec::new();
    solve(&Request {
        tree,
        stores: &stores,
        kinds: store::ALL,
        distrust: &distrust,
        options,
        endangers: &endangers,
        at: At(1_590_969_600),
    })
}

#[test]
fn every_expired_anchor_of_real_trees_goes_and_comes_back() {
    let now = At::parse("2026-11-22").expect("a date");
    for (name, expired) in [("debian-12", 4), ("debian-13", 1), ("alpine-2019", 14), ("alpine-3.23", 0)] {
        let dir = common::tree(name);
        let tree = DirTree::new(dir.path()).expect("a tree");
        let before = load(&tree);
        assert!(!before.is_empty(), "{name}");
        let mut wanted: Vec<Certificate> = Vec::new();
        for anchor in before.iter().flat_map(Store::anchors) {
            if anchor.certificate.is_expired(now) && !wanted.contains(&anchor.certificate) {
                wanted.push(anchor.certificate.clone());
            }
        }
        assert_eq!(wanted.len(), expired, "{name}");
        let was = listing(dir.path());
        let plan = solve_for(&tree, &wanted, Options::default());
        if expired == 0 {
            assert!(plan.is_empty());
            continue;
        }
        assert_eq!(plan.remove.len(), expired, "{name}");
        let patch = diff(&tree, &plan.steps).expect("diff");
        let deselected = String::from_utf8(patch).expect("text").lines().filter(|l| l.starts_with("+!mozilla/")).count();
        assert_eq!(deselected, expired, "{name}");
        let applied = apply(&tree, None, &plan, &ApplyOptions::new(now, false)).expect("applied");
        let after = load(&tree);
        assert_eq!(plan.expectation.check(&after, &plan.remove), Ok(()), "{name}");
        assert_eq!(compare(&before, &after, &plan.remove), Ok(()), "{name}");
        drop(applied);
        let again = solve_for(&tree, &wanted, Options::default());
        assert!(again.is_empty() && again.refusals.is_empty(), "{again:?}");
        let options = ApplyOptions::new(now, false);
        plan::undo(&tree, &options.backup_directory, &plan.id, &options.lock, false).expect("undone");
        assert_eq!(listing(dir.path()), was, "{name}");
    }
}

/// An anchor that only one output has lost is lost to whoever reads that one.
#[test]
fn each_output_must_show_what_stays() {
    let dir = common::tree("debian-12");
    let tree = DirTree::new(dir.path()).expect("a tree");
    let expectation = Expectation::of(&load(&tree));
    assert_eq!(expectation.check(&load(&tree), &[]), Ok(()));
    let certs = dir.path().join("etc/ssl/certs");
    let lost = || {
        let deviations = expectation.check(&load(&tree), &[]).expect_err("something is lost");
        deviations.iter().map(ToString::to_string).collect::<Vec<_>>()
    };

    fs::remove_file(certs.join("4042bcee.0")).expect("removed");
    assert_eq!(lost(), ["/etc/ssl/certs lost ISRG Root X1 (96bcec06264976f3), which was to stay"]);
    fs::remove_file(certs.join("ISRG_Root_X1.pem")).expect("removed");
    assert_eq!(lost(), ["/etc/ssl/certs lost ISRG Root X1 (96bcec06264976f3), which was to stay"]);

    // One for another: the count is right.
    let bundle = fs::read_to_string(certs.join("ca-certificates.crt")).expect("read");
    let source = |name: &str| fs::read_to_string(dir.path().join("usr/share/ca-certificates/mozilla").join(name)).expect("read");
    let swapped = bundle.replace(&source("ISRG_Root_X1.crt"), &source("ISRG_Root_X2.crt"));
    fs::write(certs.join("ca-certificates.crt"), swapped).expect("written");
    assert_eq!(
        lost(),
        [
            "/etc/ssl/certs lost ISRG Root X1 (96bcec06264976f3), which was to stay",
            "/etc/ssl/certs/ca-certificates.crt lost ISRG Root X1 (96bcec06264976f3), which was to stay"
        ]
    );
}

/// Relays to `server` while `file` is as it is now; later clients get no answer, and are told of once their hello has come.
fn silent_once_changed(file: PathBuf, server: u16) -> (u16, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    let (tell, told) = channel();
    let before = fs::read(&file).expect("read");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            if fs::read(&file).expect("read") != before {
                client.read_exact(&mut [0; 5]).expect("a hello");
                let _ = tell.send(client);
                continue;
            }
            let server = TcpStream::connect(("127.0.0.1", server)).expect("connected");
            let (from_client, to_server) = (client.try_clone().expect("cloned"), server.try_clone().expect("cloned"));
            for (mut from, mut to) in [(from_client, to_server), (server, client)] {
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (port, told)
}

/// Ctrl-C, the SIGTERM of a service manager, or the SIGHUP of a lost session, while the fresh handshake waits for a server that has fallen silent: nothing has proven the
/// change, so it is taken back.
#[test]
fn a_signal_during_the_proof_puts_everything_back() {
    use rustix::process::{Pid, Signal, kill_process};

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let server = Loopback::serve(&[made.cert.der().to_vec()], &made.signing_key.serialize_der()).expect("a server");
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let dir = common::tree("debian-12");
        let conf = dir.path().join("etc/ca-certificates.conf");
        let (port, silent) = silent_once_changed(conf.clone(), server.port());
        let before = listing(dir.path());
        // Whoever runs the tests may ignore SIGHUP, and so would the program.
        let mut command = common::command("env");
        command.arg("--default-signal=HUP").arg(assert_cmd::cargo::cargo_bin!("certdoctor"));
        command.args(["fix", "--apply", "--anchor", "Baltimore CyberTrust Root", "--timeout", "600", "--root"]).arg(dir.path());
        command.arg(format!("127.0.0.1:{port}")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let held = silent.recv_timeout(Duration::from_secs(120)).expect("the proof's handshake");
        assert_ne!(listing(dir.path()), before, "the change stands while it is being proven");
        kill_process(Pid::from_child(&child), signal).expect("sent");
        let end = Instant::now() + Duration::from_secs(120);
        while child.try_wait().expect("a child").is_none() {
            if Instant::now() > end {
                child.kill().expect("killed");
                panic!("{signal:?}: it did not end");
            }
            thread::sleep(Duration::from_millis(20));
        }
        let output = child.wait_with_output().expect("a child");
        drop(held);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert_eq!(output.status.code(), Some(status), "{signal:?}: {told}");
        for words in ["rolled back: interrupted before the outcome was proven", "nothing is changed"] {
            assert!(told.contains(words), "{signal:?}: `{words}` in\n{told}");
        }
        assert_eq!(listing(dir.path()), before, "{signal:?}");
        let tree = DirTree::new(dir.path()).expect("a tree");
        let backups = plan::list(&tree, &ApplyOptions::new(At(0), false).backup_directory).expect("listed");
        assert_eq!(backups.len(), 1, "{signal:?}");
        assert_eq!(backups[0].progress, Ok(Progress::RolledBack), "{signal:?}: it says that all was put back");
    }
}
