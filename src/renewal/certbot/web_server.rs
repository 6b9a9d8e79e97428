//! Who answers on port 80 by its configuration, for a root in which nothing runs: as much of nginx's and Apache's as that takes.

use crate::{base::TreePath, facts::renewal::Certbot, host::Tree};

/// Where each program's configuration lies: files, and folders with files.
const PLACES: [(&str, &[&str], &[&str]); 2] = [
    ("nginx", &["/etc/nginx/nginx.conf"], &["/etc/nginx/conf.d", "/etc/nginx/sites-enabled"]),
    (
        "Apache",
        &["/etc/apache2/ports.conf", "/etc/httpd/conf/httpd.conf"],
        &["/etc/apache2/conf-enabled", "/etc/apache2/sites-enabled", "/etc/httpd/conf.d"],
    ),
];

const LIMIT: u64 = 1 << 20;

pub(super) fn read(tree: &dyn Tree, certbot: &mut Certbot) {
    for (program, files, folders) in PLACES {
        let mut paths: Vec<TreePath> = files.iter().map(|f| TreePath::from(*f)).collect();
        for folder in folders {
            let Ok(resolved) = tree.resolve(&TreePath::from(*folder)) else { continue };
            let names = tree.names_nofollow(&resolved.path).unwrap_or_default();
            paths.extend(names.into_iter().take(1000).map(|n| resolved.path.join(n)));
        }
        for path in paths {
            let Ok((bytes, _)) = tree.read(&path, LIMIT) else { continue };
            look(program, &path, &String::from_utf8_lossy(&bytes), certbot);
        }
    }
}

fn look(program: &'static str, path: &TreePath, text: &str, certbot: &mut Certbot) {
    let mut in_challenge = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        for statement in line.split_inclusive(['{', '}', ';']) {
            let closes = statement.contains('}');
            let mut words = statement.trim().trim_end_matches([';', '{', '}']).split_ascii_whitespace();
            let directive = words.next().unwrap_or_default();
            let argument = words.next().unwrap_or_default();
            if directive.eq_ignore_ascii_case("listen") && is_80(argument, program) {
                certbot.port_80.push((program, path.clone(), number));
            }
            if directive == "location" && statement.contains("/.well-known/acme-challenge") {
                in_challenge = true;
            } else if in_challenge && directive == "root" && argument.starts_with('/') {
                certbot.challenge_roots.push((argument.to_owned(), path.clone(), number));
            }
            in_challenge &= !closes;
        }
    }
}

/// Whether what is listened to is port 80: `80`, `*:80`, `[::]:80`, and nginx's address without a port.
fn is_80(argument: &str, program: &str) -> bool {
    let port = argument.rsplit_once(':').map_or(argument, |(_, port)| port);
    let without_port = program == "nginx" && !argument.starts_with("unix:") && argument.parse::<std::net::Ipv4Addr>().is_ok();
    port == "80" || without_port
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    #[test]
    fn port_80_and_the_challenges_directory_are_found() {
        let tree = MemoryTree::new();
        let text = "server {\n  listen 8080; # listen 80;\n  listen [::]:80;\n  location ^~ /.well-known/acme-challenge/ { root /srv/acme; }\n  root /srv;\n}\n";
        tree.file("/etc/nginx/conf.d/a.conf", text);
        tree.file("/etc/apache2/ports.conf", "Listen 8443\n");
        let mut certbot = Certbot::default();
        read(&tree, &mut certbot);
        assert_eq!(certbot.port_80, [("nginx", "/etc/nginx/conf.d/a.conf".into(), 3)]);
        assert_eq!(certbot.challenge_roots, [("/srv/acme".to_owned(), "/etc/nginx/conf.d/a.conf".into(), 4)]);
    }
}
