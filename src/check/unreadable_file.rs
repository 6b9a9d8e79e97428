//! CD411.

use crate::{
    base::Limits,
    edit::Applicability,
    facts::{CertFile, FileState},
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** A file of the store could not be read: permission, a loop of links, a device where a file should be, or
    /// a size beyond what any real list has. Programs that run as another user see the same, and know fewer anchors or none. What
    /// it holds was *not checked*.
    ///
    /// **How it is found.** Opening it failed; the reason is told.
    ///
    /// **What to do.** Make it readable for all (a list of anchors is no secret), or look again as a user who may read it.
    ///
    /// **Sources.** open(2), path_resolution(7).
    "CD411" "unreadable-file" Warning "a file of the store can't be read"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let linked = store.directory.iter().flat_map(|d| &d.entries).filter(|e| e.hash.is_none() && e.link.is_some());
        let linked = linked.map(|e| ("hash directory", &e.file));
        let mut told = Vec::new();
        for (part, file) in support::files(store).chain(linked) {
            // Folders in the hash directory (`java`) are no certificate files and are meant to be there.
            let folder = part != "source" && part != "bundle" && file.state == FileState::NotAFile("directory");
            let Some(why) = why(file).filter(|_| !folder && !told.contains(&&file.real)) else { continue };
            told.push(&file.real);
            let message = format!("{} can't be read: {why}", file.path);
            let mut finding = Finding::new(&CHECK, file.path.to_string(), message);
            finding.facts.push(("store", store.title.clone()));
            finding.evidence = vec![Evidence::file(&file.path, None, part)];
            let shown = support::shell(&file.real.to_string());
            let (text, command) = match file.state {
                FileState::Unreadable(_) => ("make it readable for all", Some(format!("chmod a+r {shown}"))),
                _ => ("look at what lies there, and put the certificate file back", Some(format!("ls -lL {shown}"))),
            };
            finding.remedies.push(Remedy::new(Intent::Repair(file.path.clone()), Applicability::Manual, text, command));
            out.push(finding);
        }
        if let Some((directory, Err(why))) = store.directory.as_ref().map(|d| (d, &d.state)) {
            let message = format!("{} can't be listed: {why}", directory.path);
            let mut finding = Finding::new(&CHECK, directory.path.to_string(), message);
            finding.evidence = vec![Evidence::file(&directory.path, None, "hash directory")];
            let command = Some(format!("chmod a+rx {}", support::shell(&directory.real.to_string())));
            let intent = Intent::Repair(directory.path.clone());
            finding.remedies.push(Remedy::new(intent, Applicability::Manual, "make it readable for all", command));
            out.push(finding);
        }
    }
}

fn why(file: &CertFile) -> Option<String> {
    match &file.state {
        FileState::Missing | FileState::Read { .. } => None,
        FileState::NotAFile(what) => Some(format!("it is a {what}")),
        FileState::TooLarge(size) => Some(format!("it has {size} bytes, and more than {} are not read", Limits::DEFAULT.file)),
        FileState::Unreadable(why) => Some(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.bundle.as_mut().expect("a bundle").state = FileState::Unreadable("Permission denied".into());
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.message, "/etc/ssl/certs/ca-certificates.crt can't be read: Permission denied");
        let mut store = debian(&[]);
        store.directory.as_mut().expect("a directory").state = Err("Permission denied".into());
        assert_eq!(World::at(LAB).store(store).one(&CHECK).subject, "/etc/ssl/certs");
    }

    #[test]
    fn is_silent_about_folders_beside_the_links() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        let entries = &mut store.directory.as_mut().expect("a directory").entries;
        let mut folder = entries[0].clone();
        (folder.name, folder.hash, folder.link) = (b"java".to_vec(), None, None);
        folder.file = CertFile { state: FileState::NotAFile("directory"), ..missing("/etc/ssl/certs/java") };
        entries.push(folder);
        World::at(LAB).store(store).silent(&CHECK);
    }
}
