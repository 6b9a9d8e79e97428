//! The configuration with its includes, as `ngx_conf_include` takes them: relative to the main file's directory; with `*`, `?` or `[` a
//! glob whose matches are taken in the order of their bytes, and none is none; without, a file that must be there.

use std::collections::BTreeMap;

use crate::{
    base::{Fingerprint, Limits, TreePath},
    facts::renewal::nginx::{ConfFile, Defect, Directive, Instance},
    format::nginx,
    host::{NodeKind, ReadError, Tree},
};

/// Includes in includes. nginx has no limit but that of open files.
const DEPTH: usize = 20;

/// Files in all.
const FILES: usize = 10_000;

/// Bytes of all files.
const BYTES: usize = 128 << 20;

/// Directives in all: a file may be included by every server.
const DIRECTIVES: usize = 1_000_000;

/// Places that are looked at for patterns, in all.
const PLACES: usize = 500_000;

/// What is told of each kind: nginx itself stops at the first.
const DEFECTS: usize = 20;

/// Reads the instance's main file and all that it includes.
pub(super) fn read(tree: &dyn Tree, instance: &mut Instance) {
    let mut reader = Reader {
        tree,
        base: instance.conf.parent(),
        files: Vec::new(),
        known: BTreeMap::new(),
        open: Vec::new(),
        defects: Vec::new(),
        unread: Vec::new(),
        count: 0,
        bytes: 0,
        places: 0,
    };
    let directives = reader.file(&instance.conf, None);
    instance.directives = directives;
    instance.files = reader.files;
    instance.defects = reader.defects;
    instance.unread = reader.unread;
}

/// A directive that names a file: its own file, and its line.
type Asked = Option<(usize, u32)>;

struct Reader<'a> {
    tree: &'a dyn Tree,
    base: TreePath,
    files: Vec<ConfFile>,
    /// The number of each file, and what stands in it, includes unread.
    known: BTreeMap<TreePath, Vec<Directive>>,
    /// The files whose includes are being read, the main one first.
    open: Vec<TreePath>,
    defects: Vec<Defect>,
    unread: Vec<Defect>,
    count: usize,
    bytes: usize,
    places: usize,
}

impl Reader<'_> {
    fn place(&self, at: Asked, path: &TreePath, what: String) -> Defect {
        match at {
            Some((file, line)) => Defect { path: self.files[file].path.clone(), line: Some(line), what },
            None => Defect { path: path.clone(), line: None, what },
        }
    }

    /// nginx stops here.
    fn defect(&mut self, at: Asked, path: &TreePath, what: String) {
        let defect = self.place(at, path, what);
        if self.defects.len() < DEFECTS {
            self.defects.push(defect);
        }
    }

    /// Only this program stops here.
    fn unread(&mut self, at: Asked, path: &TreePath, what: String) {
        let defect = self.place(at, path, what);
        if self.unread.len() < DEFECTS && !self.unread.contains(&defect) {
            self.unread.push(defect);
        }
    }

    /// The directives of a file, its includes in place. `asked` is the directive that named it.
    fn file(&mut self, path: &TreePath, asked: Asked) -> Vec<Directive> {
        let directives = match self.known.get(path) {
            Some(directives) => directives.clone(),
            None => {
                if self.files.len() == FILES || self.bytes > BYTES {
                    self.unread(asked, path, format!("more than {FILES} files, or more than {BYTES} bytes, are included"));
                    return Vec::new();
                }
                let (bytes, resolved) = match self.tree.read(path, Limits::DEFAULT.file) {
                    Ok(read) => read,
                    Err(e) => {
                        let what = format!("open() \"{path}\" failed: {e}");
                        match is_ours(&e) {
                            true => self.unread(asked, path, what),
                            false => self.defect(asked, path, what),
                        }
                        return Vec::new();
                    }
                };
                self.bytes += bytes.len();
                let number = self.files.len();
                let parsed = nginx::parse(&bytes, number);
                self.files.push(ConfFile { path: path.clone(), real: resolved.path, read: Fingerprint::of(&bytes), bytes });
                for (line, what) in parsed.defects {
                    self.defect(Some((number, line)), path, what);
                }
                if let Some((line, what)) = parsed.stopped {
                    self.unread(Some((number, line)), path, what);
                }
                self.known.insert(path.clone(), parsed.directives.clone());
                parsed.directives
            }
        };
        self.open.push(path.clone());
        let directives = self.expanded(directives);
        self.open.pop();
        directives
    }

    fn expanded(&mut self, directives: Vec<Directive>) -> Vec<Directive> {
        let mut out = Vec::with_capacity(directives.len());
        for mut directive in directives {
            self.count += 1;
            if self.count > DIRECTIVES {
                let at = Some((directive.file, directive.line));
                self.unread(at, &TreePath::root(), format!("more than {DIRECTIVES} directives, includes counted"));
                return out;
            }
            if let Some(block) = &mut directive.block {
                let inner = std::mem::take(&mut block.directives);
                block.directives = self.expanded(inner);
            }
            match directive.argument(0) {
                Some(pattern) if directive.name() == "include" && directive.words.len() == 2 => {
                    let at = (directive.file, directive.line);
                    out.extend(self.include(pattern, at));
                }
                _ => out.push(directive),
            }
        }
        out
    }

    fn include(&mut self, pattern: &str, at: (usize, u32)) -> Vec<Directive> {
        let path = self.base.join(pattern);
        if !pattern.contains(['*', '?', '[']) {
            return self.included(&path, at);
        }
        let mut out = Vec::new();
        for path in self.glob(&path, at) {
            out.extend(self.included(&path, at));
        }
        out
    }

    fn included(&mut self, path: &TreePath, at: (usize, u32)) -> Vec<Directive> {
        if self.open.contains(path) {
            self.defect(Some(at), path, format!("{path} includes itself: nginx opens it until it may open no more"));
            return Vec::new();
        }
        if self.open.len() > DEPTH {
            self.unread(Some(at), path, format!("includes are nested more than {DEPTH} deep"));
            return Vec::new();
        }
        self.file(path, Some(at))
    }

    /// The paths that a pattern matches, as glob(3) in the C locale: a leading dot only by a dot, sorted by bytes.
    fn glob(&mut self, pattern: &TreePath, at: (usize, u32)) -> Vec<TreePath> {
        let tree = self.tree;
        let mut found = vec![TreePath::root()];
        let parts: Vec<&[u8]> = pattern.components().collect();
        for (n, part) in parts.iter().enumerate() {
            let mut next = Vec::new();
            for dir in &found {
                self.places += 1;
                if self.places > PLACES {
                    self.unread(Some(at), pattern, format!("more than {PLACES} places are looked at for patterns"));
                    return Vec::new();
                }
                if !part.iter().any(|b| matches!(b, b'*' | b'?' | b'[' | b'\\')) {
                    next.push(dir.join(part));
                    continue;
                }
                let names = match tree.resolve(dir) {
                    Ok(resolved) => tree.names_nofollow(&resolved.path).map_err(ReadError::Io),
                    Err(e) => Err(e),
                };
                let names = match names {
                    Ok(names) => names,
                    // glob(3) passes over what it can't list; of what only we may not list, nothing can be said.
                    Err(e) => {
                        if is_ours(&e) {
                            self.unread(Some(at), pattern, format!("opendir() \"{dir}\" failed: {e}"));
                        }
                        continue;
                    }
                };
                self.places += names.len();
                let fits = |name: &Vec<u8>| (name.first() != Some(&b'.') || part.first() == Some(&b'.')) && matches(part, name);
                next.extend(names.into_iter().filter(fits).map(|name| dir.join(name)));
            }
            let last = n + 1 == parts.len();
            let stays = |path: &TreePath| match tree.resolve(path).map(|r| r.node) {
                // It is told when it is to be read.
                Err(e) if is_ours(&e) => true,
                // A dangling link matches too: nginx then fails to open it.
                Err(_) | Ok(None) => last && tree.node_nofollow(path).is_ok_and(|n| n.is_some()),
                Ok(Some(node)) => last || node.kind == NodeKind::Directory,
            };
            next.retain(stays);
            found = next;
        }
        found.sort();
        found
    }
}

/// Whether an error is this program's: a master that runs as root has no such one.
fn is_ours(error: &ReadError) -> bool {
    match error {
        ReadError::TooLarge(_) => true,
        ReadError::Io(e) => e.kind() == std::io::ErrorKind::PermissionDenied,
        ReadError::Missing | ReadError::NotAFile(_) | ReadError::LinkLoop => false,
    }
}

/// fnmatch(3) within one component.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Iterative, with one point to come back to: the last star.
    let (mut p, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => class(&pattern[p..], name[n]),
            Some(b'\\') if pattern.get(p + 1) == Some(&name[n]) => Some(2),
            Some(byte) if *byte == name[n] => Some(1),
            _ => None,
        };
        match (step, back) {
            (Some(len), _) => {
                p += len;
                n += 1;
            }
            (None, Some((star, at))) => {
                p = star;
                n = at + 1;
                back = Some((star, at + 1));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// The length of the bracket expression if it takes this byte. Without its end, a bracket stands for itself.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let start = 1 + usize::from(negated);
    let Some(len) = pattern.get(start + 1..).and_then(|rest| rest.iter().position(|b| *b == b']')) else {
        return (byte == b'[').then_some(1);
    };
    let members = &pattern[start..start + 1 + len];
    let mut taken = false;
    let mut i = 0;
    while i < members.len() {
        if members.get(i + 1) == Some(&b'-') && i + 2 < members.len() {
            taken |= (members[i]..=members[i + 2]).contains(&byte);
            i += 3;
        } else {
            taken |= members[i] == byte;
            i += 1;
        }
    }
    (taken != negated).then_some(start + 1 + len + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    fn read_tree(files: &[(&str, &str)]) -> Instance {
        let tree = MemoryTree::default();
        for (path, text) in files {
            tree.file(*path, *text);
        }
        let mut instance = Instance::new("nginx", "/etc/nginx/nginx.conf".into(), None);
        read(&tree, &mut instance);
        instance
    }

    fn names(instance: &Instance) -> Vec<&str> {
        instance.directives.iter().map(Directive::name).collect()
    }

    #[test]
    fn a_glob_is_sorted_and_may_match_nothing() {
        let instance = read_tree(&[
            ("/etc/nginx/nginx.conf", "include conf.d/*.conf; include none/*.conf; z;"),
            ("/etc/nginx/conf.d/b.conf", "b;"),
            ("/etc/nginx/conf.d/a.conf", "a { include snippets/s.conf; }"),
            ("/etc/nginx/conf.d/.hidden.conf", "hidden;"),
            ("/etc/nginx/conf.d/c.conf.bak", "c;"),
            ("/etc/nginx/snippets/s.conf", "s;"),
        ]);
        assert_eq!(instance.defects, []);
        assert_eq!(names(&instance), ["a", "b", "z"]);
        assert_eq!(instance.directives[0].children()[0].name(), "s");
        assert_eq!(instance.path_of(&instance.directives[1]), &"/etc/nginx/conf.d/b.conf".into());
    }

    #[test]
    fn a_missing_file_and_a_loop_are_defects_with_their_line() {
        let instance = read_tree(&[("/etc/nginx/nginx.conf", "a;\ninclude nope.conf;\n")]);
        assert_eq!((instance.defects.len(), instance.defects[0].line), (1, Some(2)));
        assert!(instance.defects[0].what.starts_with("open() \"/etc/nginx/nope.conf\" failed"), "{:?}", instance.defects);
        let instance = read_tree(&[("/etc/nginx/nginx.conf", &"include nginx.conf;".repeat(3))]);
        assert_eq!((instance.defects.len(), instance.unread.len()), (3, 0), "{:?}", instance.defects);
        assert!(instance.defects[0].what.contains("includes itself"), "{:?}", instance.defects);
        assert!(!instance.is_whole());
    }

    #[test]
    fn files_that_double_what_they_include_end() {
        let file = |n: usize| format!("include {0}.conf; include {0}.conf;", n + 1);
        let mut files: Vec<(String, String)> = (0..40).map(|n| (format!("/etc/nginx/{n}.conf"), file(n))).collect();
        files.push(("/etc/nginx/nginx.conf".to_owned(), "include 0.conf;".to_owned()));
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let instance = read_tree(&files);
        assert_eq!(instance.defects, [], "nginx has no such bound");
        assert!(!instance.unread.is_empty() && instance.unread.len() <= DEFECTS && !instance.is_whole());
    }

    #[test]
    fn what_only_this_program_may_not_read_is_no_defect() {
        use std::io::ErrorKind::{IsADirectory, PermissionDenied};
        assert!(is_ours(&ReadError::Io(PermissionDenied.into())) && is_ours(&ReadError::TooLarge(1)));
        assert!(!is_ours(&ReadError::Io(IsADirectory.into())) && !is_ours(&ReadError::Missing));
    }

    #[test]
    fn patterns_match_as_the_shell_does() {
        for (pattern, name, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("*", "x", true),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x", "[]x", true),
            ("\\*", "*", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }
}
