//! Whether Apache is told to listen on port 80, for a root in which nothing runs: as much of its configuration as that takes.

use crate::{base::TreePath, facts::renewal::Apache, host::Tree};

/// Its program; a package that was removed leaves its configuration behind.
const PROGRAMS: [&str; 4] = ["/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/bin/httpd", "/usr/local/apache2/bin/httpd"];

/// Where its configuration lies: files, and folders with files.
const FILES: [&str; 2] = ["/etc/apache2/ports.conf", "/etc/httpd/conf/httpd.conf"];
const FOLDERS: [&str; 3] = ["/etc/apache2/conf-enabled", "/etc/apache2/sites-enabled", "/etc/httpd/conf.d"];

const LIMIT: u64 = 1 << 20;

pub(super) fn read(tree: &dyn Tree) -> Apache {
    let mut apache = Apache::default();
    if !PROGRAMS.iter().any(|program| tree.exists(&TreePath::from(*program))) {
        return apache;
    }
    let mut paths: Vec<TreePath> = FILES.iter().map(|f| TreePath::from(*f)).collect();
    for folder in FOLDERS {
        let Ok(resolved) = tree.resolve(&TreePath::from(folder)) else { continue };
        let names = tree.names_nofollow(&resolved.path).unwrap_or_default();
        paths.extend(names.into_iter().take(1000).map(|n| resolved.path.join(n)));
    }
    for path in paths {
        let Ok((bytes, _)) = tree.read(&path, LIMIT) else { continue };
        for (number, line) in (1..).zip(String::from_utf8_lossy(&bytes).lines()) {
            let mut words = line.split_ascii_whitespace();
            let listens = words.next().is_some_and(|w| w.eq_ignore_ascii_case("listen"));
            // `80`, `*:80`, `[::]:80`; a protocol may follow.
            if listens && words.next().is_some_and(|w| w.rsplit_once(':').map_or(w, |(_, port)| port) == "80") {
                apache.on_80.push((path.clone(), number));
            }
        }
    }
    apache
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    #[test]
    fn port_80_is_found_and_other_ports_are_not() {
        let tree = MemoryTree::new();
        tree.file("/etc/apache2/ports.conf", "# Listen 80\nListen 8080\nListen 127.0.0.1:443 https\n");
        tree.file("/etc/httpd/conf/httpd.conf", "ServerRoot /etc/httpd\n  listen [::]:80\n");
        assert_eq!(read(&tree), Apache::default(), "its package was removed");
        tree.file("/usr/sbin/httpd", "x");
        assert_eq!(read(&tree).on_80, [("/etc/httpd/conf/httpd.conf".into(), 2)]);
    }
}
