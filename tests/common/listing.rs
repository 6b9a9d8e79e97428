//! Listings of trees, in the form of `fixtures/roots/base`: `path TAB type TAB mode TAB SHA-256 or link target TAB size`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::fixture;

/// What the recorded listings cover.
pub const SCOPE: [&str; 5] = [
    "/etc/ca-certificates.conf",
    "/etc/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/etc/ssl",
    "/var/lib/ca-certificates-java",
];

/// Path → the rest of its line: what a tree looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(pub BTreeMap<String, String>);

impl Listing {
    /// The tree below `root` as it is, within `scope` (absolute paths; those that don't exist are left out). Links aren't followed; one
    /// that leads to an absolute path below `root` is shown as if `root` were `/`.
    pub fn of(root: &Path, scope: &[&str]) -> Self {
        let mut listing = Listing::default();
        for path in scope {
            listing.add(root, path);
        }
        listing
    }

    /// `fixtures/roots/base/NAME.tsv`.
    pub fn base(name: &str) -> Self {
        let file = fixture(format!("roots/base/{name}.tsv"));
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        Listing(text.lines().map(entry).collect())
    }

    /// This listing after the `-` and `+` lines of a recorded difference.
    ///
    /// # Panics
    /// When a line that goes isn't there, or one that comes is there already.
    #[must_use]
    pub fn patched(&self, difference: &str) -> Self {
        let mut after = self.clone();
        let lines = || difference.lines().filter_map(|line| line.split_at_checked(1));
        for (_, line) in lines().filter(|(sign, _)| *sign == "-") {
            let (path, rest) = entry(line);
            assert_eq!(after.0.remove(&path), Some(rest), "{path} before the change");
        }
        for (_, line) in lines().filter(|(sign, _)| *sign == "+") {
            let (path, rest) = entry(line);
            assert_eq!(after.0.insert(path.clone(), rest), None, "{path} before the change");
        }
        after
    }

    /// The lines that differ, `-` here and `+` there, sorted by path; empty when the trees are equal.
    pub fn difference(&self, other: &Self) -> Vec<String> {
        let paths: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let mut lines = Vec::new();
        for path in paths {
            let (here, there) = (self.0.get(path), other.0.get(path));
            if here != there {
                lines.extend(here.map(|rest| format!("-{path}\t{rest}")));
                lines.extend(there.map(|rest| format!("+{path}\t{rest}")));
            }
        }
        lines
    }

    fn add(&mut self, root: &Path, path: &str) {
        let file = root.join(path.trim_start_matches('/'));
        let metadata = match fs::symlink_metadata(&file) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return,
            Err(e) => panic!("{}: {e}", file.display()),
        };
        let mode = metadata.permissions().mode() & 0o7777;
        let rest = if metadata.is_symlink() {
            let target = fs::read_link(&file).expect("a link");
            match target.strip_prefix(root) {
                Ok(inside) => format!("l\t-\t/{}", inside.display()),
                Err(_) => format!("l\t-\t{}", target.display()),
            }
        } else if metadata.is_dir() {
            for name in fs::read_dir(&file).expect("a folder") {
                let name = name.expect("a folder entry").file_name();
                self.add(root, &format!("{path}/{}", name.to_str().expect("a name in UTF-8")));
            }
            format!("d\t{mode:o}")
        } else {
            let bytes = fs::read(&file).expect("a file");
            format!("f\t{mode:o}\t{}\t{}", sha256(&bytes), bytes.len())
        };
        self.0.insert(path.to_owned(), rest);
    }
}

/// The SHA-256 of `bytes`, in lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// A line of a listing; recorded differences say behind `#` which input a file is.
fn entry(line: &str) -> (String, String) {
    let line = line.split("   # ").next().unwrap_or(line);
    let (path, rest) = line.split_once('\t').unwrap_or_else(|| panic!("`{line}` is not a line of a listing"));
    (path.to_owned(), rest.to_owned())
}
