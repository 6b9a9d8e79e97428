//! Which certbots are installed, with which plugins: told by what package managers leave behind, no program is run.

use std::collections::BTreeSet;

use crate::{
    base::TreePath,
    facts::renewal::certbot::{Installed, OWN_PLUGINS},
    host::{NodeKind, Tree},
};

/// Bytes read of Debian's status file; a desktop's has 10 MB.
const STATUS: u64 = 64 << 20;

/// Where Python keeps packages: a folder whose `python3*` are looked into, or one with a `lib` of that kind.
const PYTHONS: [&str; 9] = [
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/opt/certbot/lib",
    "/opt/certbot/lib64",
    "/opt/eff.org/certbot/venv/lib",
    "/root/.local/lib",
    "/opt/letsencrypt/lib",
];

/// Every certbot of a tree.
pub(super) fn read(tree: &dyn Tree) -> Vec<Installed> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let debian = debian(tree);
    for lib in PYTHONS {
        for python in names(tree, &lib.into()).into_iter().filter(|n| n.starts_with(b"python3")) {
            for packages in ["site-packages", "dist-packages"] {
                let path = TreePath::from(lib).join(&python).join(packages);
                let Ok(real) = tree.resolve(&path) else { continue };
                // `lib64` is often a link to `lib`.
                if real.node.is_some() && seen.insert(real.path) {
                    found.extend(package(tree, lib, &path, debian.as_deref()));
                }
            }
        }
    }
    // The status file alone: files were left out of the image.
    if let Some(version) = debian
        && !found.iter().any(|i| i.how == DEBIAN)
    {
        found.push(Installed { how: DEBIAN, path: "/var/lib/dpkg/status".into(), version: Some(version), plugins: None });
    }
    found.extend(snap(tree));
    found
}

const DEBIAN: &str = "Debian package";

/// Where RPM keeps its database; where it is, nothing else puts packages into /usr/lib (pip and pipx use /usr/local and their own).
const RPMS: [&str; 2] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];

fn names(tree: &dyn Tree, path: &TreePath) -> Vec<Vec<u8>> {
    tree.resolve(path).ok().and_then(|r| tree.names_nofollow(&r.path).ok()).unwrap_or_default()
}

/// The version of Debian's package, if it is installed (`dpkg-query(1)`: the last word of `Status`).
fn debian(tree: &dyn Tree) -> Option<String> {
    let (bytes, _) = tree.read(&"/var/lib/dpkg/status".into(), STATUS).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let paragraph = text.split("\n\n").find(|p| p.starts_with("Package: certbot\n") || p.contains("\nPackage: certbot\n"))?;
    let field = |name: &str| paragraph.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
    field("Status:").filter(|s| s.ends_with(" installed"))?;
    field("Version:").map(str::to_owned)
}

/// The certbot in a folder of Python packages.
fn package(tree: &dyn Tree, lib: &str, path: &TreePath, debian: Option<&str>) -> Option<Installed> {
    let names = names(tree, path);
    let text = |name: &[u8]| std::str::from_utf8(name).ok().map(str::to_owned);
    let infos = names.iter().filter_map(|n| text(n)).filter(|n| n.ends_with(".dist-info") || n.ends_with(".egg-info"));
    let infos: Vec<String> = infos.collect();
    let certbot = infos.iter().find(|n| n.starts_with("certbot-") && n[8..].starts_with(|c: char| c.is_ascii_digit()))?;
    let version = certbot["certbot-".len()..].trim_end_matches(".dist-info").trim_end_matches(".egg-info");
    let version = version.split_once("-py").map_or(version, |(v, _)| v);
    let mut plugins = BTreeSet::new();
    for info in &infos {
        let entries = path.join(info).join("entry_points.txt");
        let Ok((bytes, _)) = tree.read(&entries, 1 << 16) else { continue };
        let entries = String::from_utf8_lossy(&bytes);
        let ours =
            entries.lines().map(str::trim).skip_while(|l| *l != "[certbot.plugins]").skip(1).take_while(|l| !l.starts_with('['));
        plugins.extend(ours.filter_map(|l| l.split_once('=')).map(|(name, _)| name.trim().to_owned()));
    }
    plugins.retain(|p| !OWN_PLUGINS.contains(&p.as_str()));
    // Debian's Python packages lie where nothing else is put.
    let of_debian = debian.is_some() && path.as_bytes() == b"/usr/lib/python3/dist-packages";
    let of_rpm = lib.starts_with("/usr/lib") && RPMS.iter().any(|database| tree.exists(&TreePath::from(*database)));
    let how = match (of_debian, of_rpm) {
        (true, _) => DEBIAN,
        (_, true) => "RPM package",
        _ => "Python package",
    };
    Some(Installed { how, path: path.join(certbot), version: Some(version.to_owned()), plugins: Some(plugins) })
}

/// The snap, mounted or not.
fn snap(tree: &dyn Tree) -> Option<Installed> {
    let current = TreePath::from("/snap/certbot/current");
    let link = tree.resolve(&current).ok()?;
    if link.node.is_none() && link.links.is_empty() {
        return None;
    }
    let yaml = tree.read(&current.join("meta/snap.yaml"), 1 << 16).map(|(bytes, _)| bytes).unwrap_or_default();
    let yaml = String::from_utf8_lossy(&yaml).into_owned();
    let version = yaml.lines().find_map(|l| l.strip_prefix("version:")).map(|v| v.trim().trim_matches(['\'', '"']).to_owned());
    let others = names(tree, &"/snap".into()).into_iter().filter_map(|n| String::from_utf8(n).ok());
    let mut plugins: BTreeSet<String> = others.filter_map(|n| n.strip_prefix("certbot-").map(str::to_owned)).collect();
    // The snap carries these two itself.
    plugins.extend(["apache".to_owned(), "nginx".to_owned()]);
    let is_folder = |name: &String| {
        tree.resolve(&TreePath::from("/snap").join(format!("certbot-{name}")))
            .is_ok_and(|r| r.node.is_some_and(|n| n.kind == NodeKind::Directory))
    };
    plugins.retain(|name| matches!(name.as_str(), "apache" | "nginx") || is_folder(name));
    Some(Installed { how: "snap", path: current, version, plugins: Some(plugins) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    const STATUS: &str =
        "Package: certbot\nStatus: install ok installed\nVersion: 2.1.0-4\n\nPackage: x\nStatus: deinstall ok config-files\n";

    #[test]
    fn package_pip_and_snap_are_told_apart() {
        let tree = MemoryTree::new();
        tree.file("/var/lib/dpkg/status", STATUS);
        let entries = "[certbot.plugins]\nwebroot = a\nnginx = b:C\n\n[console_scripts]\ncertbot = d\n";
        tree.file("/usr/lib/python3/dist-packages/certbot-2.1.0.egg-info/entry_points.txt", entries);
        tree.file("/opt/certbot/lib/python3.11/site-packages/certbot-5.8.0.dist-info/METADATA", "x");
        tree.symlink("/opt/certbot/lib64", "lib");
        tree.symlink("/snap/certbot/current", "4482");
        tree.file("/snap/certbot/4482/meta/snap.yaml", "name: certbot\nversion: 5.1.0\n");
        let found = read(&tree);
        let told: Vec<_> = found.iter().map(|i| (i.how, i.version.as_deref())).collect();
        assert_eq!(told, [("Debian package", Some("2.1.0")), ("Python package", Some("5.8.0")), ("snap", Some("5.1.0"))]);
        assert_eq!(found[0].plugins.as_ref().map(|p| p.len()), Some(1));
        assert_eq!(read(&MemoryTree::new()), []);
    }

    #[test]
    fn fedoras_is_an_rpm() {
        let tree = MemoryTree::new();
        tree.file("/usr/lib/sysimage/rpm/rpmdb.sqlite", "x");
        tree.file("/usr/lib/python3.13/site-packages/certbot-4.1.1.dist-info/METADATA", "x");
        tree.file("/usr/local/lib/python3.13/site-packages/certbot-5.8.0.dist-info/METADATA", "x");
        assert_eq!(read(&tree).iter().map(|i| i.how).collect::<Vec<_>>(), ["RPM package", "Python package"]);
    }

    #[test]
    fn a_removed_package_is_none() {
        let tree = MemoryTree::new();
        tree.file("/var/lib/dpkg/status", STATUS.replace("install ok installed", "deinstall ok config-files"));
        assert_eq!(read(&tree), []);
    }
}
