//! The configuration with its includes, as `ngx_conf_include` takes them: relative to the main file's directory; with `*`, `?` or `[` a
//! glob whose matches are taken in the order of their bytes, and none is none; without, a file that must be there.

use std::collections::BTreeMap;

use crate::{
    base::{Fingerprint, Limits, TreePath},
    facts::renewal::nginx::{ConfFile, Defect, Directive, Instance},
    format::nginx,
    host::{NodeKind, Tree},
};

/// Includes in includes. nginx has no limit but that of open files.
const DEPTH: usize = 20;

/// Files in all.
const FILES: usize = 10_000;

/// Directives in all: a file may be included by every server.
const DIRECTIVES: usize = 2_000_000;

/// Reads the instance's main file and all that it includes.
pub(super) fn read(tree: &dyn Tree, instance: &mut Instance) {
    let mut reader =
        Reader { tree, base: instance.conf.parent(), files: Vec::new(), known: BTreeMap::new(), defects: Vec::new(), count: 0 };
    let directives = reader.file(&instance.conf, 0, None);
    instance.directives = directives;
    instance.files = reader.files;
    instance.defects = reader.defects;
}

struct Reader<'a> {
    tree: &'a dyn Tree,
    base: TreePath,
    files: Vec<ConfFile>,
    /// The number of each file, and what stands in it, includes unread.
    known: BTreeMap<TreePath, (usize, Vec<Directive>)>,
    defects: Vec<Defect>,
    count: usize,
}

impl Reader<'_> {
    fn defect(&mut self, at: Option<(usize, u32)>, path: &TreePath, what: String) {
        let (path, line) = match at {
            Some((file, line)) => (self.files[file].path.clone(), Some(line)),
            None => (path.clone(), None),
        };
        self.defects.push(Defect { path, line, what });
    }

    /// The directives of a file, its includes in place. `asked` is the directive that named it.
    fn file(&mut self, path: &TreePath, depth: usize, asked: Option<(usize, u32)>) -> Vec<Directive> {
        let directives = match self.known.get(path) {
            Some((_, directives)) => directives.clone(),
            None => {
                let (bytes, resolved) = match self.tree.read(path, Limits::DEFAULT.file) {
                    Ok(read) => read,
                    Err(e) => {
                        self.defect(asked, path, format!("open() \"{path}\" failed: {e}"));
                        return Vec::new();
                    }
                };
                if self.files.len() == FILES {
                    self.defect(asked, path, format!("more than {FILES} files are included"));
                    return Vec::new();
                }
                let number = self.files.len();
                let parsed = nginx::parse(&bytes, number);
                self.files.push(ConfFile { path: path.clone(), real: resolved.path, read: Fingerprint::of(&bytes), bytes });
                for (line, what) in parsed.defects {
                    self.defect(Some((number, line)), path, what);
                }
                self.known.insert(path.clone(), (number, parsed.directives.clone()));
                parsed.directives
            }
        };
        self.expanded(directives, depth)
    }

    fn expanded(&mut self, directives: Vec<Directive>, depth: usize) -> Vec<Directive> {
        let mut out = Vec::with_capacity(directives.len());
        for mut directive in directives {
            self.count += 1;
            if self.count > DIRECTIVES {
                if self.count == DIRECTIVES + 1 {
                    let at = Some((directive.file, directive.line));
                    self.defect(at, &TreePath::root(), format!("more than {DIRECTIVES} directives, includes counted"));
                }
                return out;
            }
            if let Some(block) = &mut directive.block {
                let inner = std::mem::take(&mut block.directives);
                block.directives = self.expanded(inner, depth);
            }
            match directive.argument(0) {
                Some(pattern) if directive.name() == "include" && directive.words.len() == 2 => {
                    let at = (directive.file, directive.line);
                    out.extend(self.include(pattern, depth, at));
                }
                _ => out.push(directive),
            }
        }
        out
    }

    fn include(&mut self, pattern: &str, depth: usize, at: (usize, u32)) -> Vec<Directive> {
        let path = self.base.join(pattern);
        if depth == DEPTH {
            self.defect(Some(at), &path, format!("includes are nested more than {DEPTH} deep: does {path} include itself?"));
            return Vec::new();
        }
        if !pattern.contains(['*', '?', '[']) {
            return self.file(&path, depth + 1, Some(at));
        }
        let mut out = Vec::new();
        for path in glob(self.tree, &path) {
            out.extend(self.file(&path, depth + 1, Some(at)));
        }
        out
    }
}

/// The paths that a pattern matches, as glob(3) in the C locale: a leading dot only by a dot, sorted by bytes.
fn glob(tree: &dyn Tree, pattern: &TreePath) -> Vec<TreePath> {
    let mut found = vec![TreePath::root()];
    let parts: Vec<&[u8]> = pattern.components().collect();
    for (n, part) in parts.iter().enumerate() {
        let mut next = Vec::new();
        for dir in &found {
            if !part.iter().any(|b| matches!(b, b'*' | b'?' | b'[' | b'\\')) {
                next.push(dir.join(part));
                continue;
            }
            let Ok(resolved) = tree.resolve(dir) else { continue };
            let names = tree.names_nofollow(&resolved.path).unwrap_or_default();
            let fits = |name: &Vec<u8>| (name.first() != Some(&b'.') || part.first() == Some(&b'.')) && matches(part, name);
            next.extend(names.into_iter().filter(fits).map(|name| dir.join(name)));
            if next.len() > FILES {
                break;
            }
        }
        let last = n + 1 == parts.len();
        let stays = |path: &TreePath| match tree.resolve(path).ok().and_then(|r| r.node) {
            // A dangling link matches too: nginx then fails to open it.
            None => last && tree.node_nofollow(path).is_ok_and(|n| n.is_some()),
            Some(node) => last || node.kind == NodeKind::Directory,
        };
        next.retain(stays);
        found = next;
    }
    found.sort();
    found
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
        let instance = read_tree(&[("/etc/nginx/nginx.conf", "include nginx.conf;")]);
        assert_eq!(instance.defects.len(), 1, "{:?}", instance.defects);
        assert!(!instance.is_whole());
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
