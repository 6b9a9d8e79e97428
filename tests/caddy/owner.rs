//! A Caddy of a user of its own, over a storage in which root has left files: it was started once by hand.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

use super::{
    codes, common, renewal,
    score::{Score, Step},
    world::{Caddy, Pebble, until},
};

/// `nobody`.
const USER: u32 = 65_534;

/// Gives everything below a folder to the user.
fn give(folder: &Path) {
    for entry in walkdir::WalkDir::new(folder) {
        chown(entry.expect("walked").path(), Some(USER), Some(USER)).expect("given");
    }
}

fn root_was_here(binary: &str) {
    let Some(binary) = common::oracle(binary) else { return };
    if !rustix::process::geteuid().is_root() {
        common::skip("another user's Caddy needs root");
        return;
    }
    let mut score = Score::new("owner");
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    // The user may not be allowed to where the oracles lie.
    let own = folder.path().join("caddy");
    fs::copy(&binary, &own).expect("copied");
    let Some(pebble) = Pebble::start(folder.path()) else { return };
    let mut caddy = Caddy::new(own, folder.path(), &pebble);
    let unit = caddy.tree.join("usr/lib/systemd/system");
    fs::create_dir_all(&unit).expect("made");
    fs::write(unit.join("caddy.service"), "[Service]\nUser=caddy\n").expect("written");
    fs::write(caddy.tree.join("etc/passwd"), format!("caddy:x:{USER}:{USER}::/var/lib/caddy:/bin/sh\n")).expect("written");
    give(&caddy.tree);
    let as_user: Vec<String> =
        ["setpriv", "--reuid", &USER.to_string(), "--regid", &USER.to_string(), "--clear-groups", "--"].map(str::to_owned).into();
    caddy.within.clone_from(&as_user);
    assert!(caddy.start(), "{}", caddy.said());
    caddy.obtains();
    caddy.stop();
    assert_eq!(codes(&renewal(&caddy.tree, &[]).1), Vec::<&str>::new());
    score.done("CD748", &[Step::Silent]);

    fs::remove_dir_all(caddy.storage().join("certificates")).expect("removed");
    caddy.within.clear();
    assert!(caddy.start(), "{}", caddy.said());
    caddy.obtains();
    caddy.stop();
    let (status, report) = renewal(&caddy.tree, &[]);
    assert_eq!((codes(&report), status), (vec!["CD748"], 1), "{report:#}");
    caddy.within = as_user;
    let starts = caddy.start();
    until("Caddy says why", || caddy.said().contains("permission denied"));
    assert!(!starts || !caddy.presents(), "{}", caddy.said());
    caddy.stop();
    score.done("CD748", &[Step::Injected, Step::Named]);

    // As printed, but for the tree's place.
    let command = report["findings"][0]["remedies"][0]["command"].as_str().expect("a command");
    let command = command.replace(" /var/lib/", &format!(" {}/var/lib/", caddy.tree.display()));
    let done = std::process::Command::new("sh").args(["-c", &command]).status().expect("sh runs");
    assert!(done.success() && command.contains("/certificates"), "{command}");
    assert!(caddy.start(), "{}", caddy.said());
    until("served again", || caddy.presents());
    caddy.stop();
    assert_eq!(codes(&renewal(&caddy.tree, &[]).1), Vec::<&str>::new(), "{command}");
    score.done("CD748", &[Step::Healthy]);
    score.finish();
}

#[test]
fn a_current_caddy_over_files_of_root() {
    root_was_here("caddy/current/caddy");
}

#[test]
fn debians_caddy_over_files_of_root() {
    root_was_here("caddy/debian/caddy");
}
