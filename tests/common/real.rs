//! The distributions' own refresh tools, run on a tree without touching this machine.

use std::{
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use super::{clean, command, oracle};

/// A copy of the real Alpine root, in which its own programs can be run ([`alpine_refresh`]). 80 MB.
pub fn alpine() -> Option<TempDir> {
    let original = oracle("alpine")?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copied = Command::new("cp").arg("-a").arg(original.join(".")).arg(folder.path()).status().expect("cp runs");
    assert!(copied.success(), "cp: {copied}");
    Some(folder)
}

/// Alpine's `update-ca-certificates`, as root of `root` and nothing else.
pub fn alpine_refresh(root: &Path) -> Output {
    let owner = rustix::process::geteuid().is_root();
    let mut command = Command::new(if owner { "chroot" } else { "unshare" });
    if !owner {
        command.args(["--map-root-user", "chroot"]);
    }
    command.arg(root).arg("update-ca-certificates");
    clean(&mut command).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().expect("chroot runs")
}

/// Debian's `update-ca-certificates`, by its own options in an unpacked tree, with the options `more` (`--fresh`). It makes links to
/// absolute paths of this machine: [`super::listing::Listing::of`] shows them as the tree's own.
pub fn debian_refresh(root: &Path, more: &[&str]) -> Option<Output> {
    let tool = oracle("update-ca-certificates")?;
    let mut command = command(tool);
    for (option, path) in [
        ("--certsconf", "etc/ca-certificates.conf"),
        ("--certsdir", "usr/share/ca-certificates"),
        ("--localcertsdir", "usr/local/share/ca-certificates"),
        ("--etccertsdir", "etc/ssl/certs"),
    ] {
        command.arg(option).arg(root.join(path));
    }
    // The tree's hooks would act on this machine: Java's writes /etc/ssl/certs/java.
    let hooks = tempfile::tempdir().expect("a temporary folder");
    command.arg("--hooksdir").arg(hooks.path());
    Some(command.args(more).output().expect("update-ca-certificates runs"))
}
