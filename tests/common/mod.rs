//! What the tests share: fixtures, real clients, trees and the built binary.
#![allow(dead_code, reason = "each test file uses its part of this")]

pub mod case;
pub mod listing;
pub mod real;

use std::{
    env,
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::read::GzDecoder;
use tempfile::TempDir;

/// The variables that lead a TLS client, or what runs it, to another trust store; the scripts clear the same ones.
const TRUST_VARIABLES: &str = include_str!("../../scripts/trust-variables");

/// A file or folder of `fixtures/`.
pub fn fixture(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// `fixtures/roots/trees/NAME.tar.gz`, unpacked into a folder of its own that goes when the value does.
pub fn tree(name: &str) -> TempDir {
    let archive = fixture(format!("roots/trees/{name}.tar.gz"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = File::open(&archive).unwrap_or_else(|e| panic!("{}: {e}", archive.display()));
    let mut tar = tar::Archive::new(GzDecoder::new(file));
    tar.set_preserve_permissions(true);
    tar.unpack(folder.path()).expect("the archive unpacks");
    folder
}

/// Where `scripts/oracles/install` put the real clients, if it ran; `scripts/test` says where.
pub fn oracles() -> Option<PathBuf> {
    env::var_os("CERTDOCTOR_ORACLES").map(PathBuf::from)
}

/// A real client or tool: `NAME` in the folder of the oracles (`alpine`, `bin/goverify`), or a program on the `PATH`.
///
/// `None` after a line that says what is skipped.
///
/// # Panics
/// With `CI=true`, where everything must be there.
pub fn oracle(name: &str) -> Option<PathBuf> {
    let installed = oracles().map(|folder| folder.join(name)).filter(|p| p.exists());
    let found = installed.or_else(|| program(name));
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// Says that a test, or a part of it, can't be done here.
///
/// # Panics
/// With `CI=true`.
pub fn skip(why: &str) {
    assert!(env::var_os("CI").is_none_or(|v| v != "true"), "can't be skipped with CI=true: {why}");
    eprintln!("skipped: {why}");
}

/// The program `name` on the `PATH`, or where administrators' programs lie.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let admin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(admin).map(|folder| folder.join(name)).find(|p| p.is_file())
}

/// Removes everything from the child's environment that leads a client to another trust store, and sets the C locale.
pub fn clean(command: &mut Command) -> &mut Command {
    for name in TRUST_VARIABLES.lines() {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C")
}

/// A command with a clean environment.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    clean(&mut command);
    command
}

/// The built binary, with a clean environment.
pub fn certdoctor() -> assert_cmd::Command {
    assert_cmd::Command::from_std(command(assert_cmd::cargo::cargo_bin!("certdoctor")))
}
