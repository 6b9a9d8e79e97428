//! CD411.

use crate::{
    base::Limits,
    edit::Applicability,
    facts::{CertFile, FileState, Selection, SourceOwner, Upkeep},
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** A file of the store could not be read: permission, a loop of links, a folder, FIFO or device where a file
    /// should be, or a size beyond what any real list has. Programs that run as another user see the same, and know fewer anchors
    /// or none: of a bundle, that is an error. What it holds was *not checked*.
    ///
    /// **How it is found.** Opening it failed; the reason is told. FIFOs and devices are never opened.
    ///
    /// **What to do.** Make it readable for all (a list of anchors is no secret), or look again as a user who may read it. A link
    /// that leads to itself, and what is no file, has to go.
    ///
    /// **Sources.** open(2), path_resolution(7).
    "CD411" "unreadable-file" Warning "a file of the store can't be read"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let linked = store.directory.iter().flat_map(|d| &d.entries).filter(|e| e.hash.is_none() && e.link.is_some());
        let linked = linked.map(|e| ("hash directory", &e.file));
        let mut told = Vec::new();
        let no_files = store.sources.iter().filter(|s| s.owner == SourceOwner::Local && s.selection == Selection::Ignored);
        let no_files = no_files.filter(|s| !s.file.is_read()).map(|s| ("source", &s.file));
        for (part, file) in support::files(store).chain(linked).chain(no_files) {
            // Folders in the hash directory (`java`) are no certificate files and are meant to be there.
            let folder = part != "source" && part != "bundle" && file.state == FileState::NotAFile("directory");
            let Some(why) = why(file).filter(|_| !folder && !told.contains(&&file.real)) else { continue };
            told.push(&file.real);
            let message = format!("{} can't be read: {why}", file.path);
            let mut finding = Finding::new(&CHECK, file.path.to_string(), message);
            finding.facts.push(("store", store.title.clone()));
            if part == "bundle" {
                finding.severity = Severity::Error;
            }
            finding.evidence = vec![Evidence::file(&file.path, None, part)];
            let (named, real) = (support::shell(&file.path.to_string()), support::shell(&file.real.to_string()));
            let generated = part == "bundle" && matches!(store.upkeep, Upkeep::Generated { .. });
            let again = |remove: String| {
                let text = "take it away, and make the bundle again";
                support::repair(store, &file.path, text, Some(remove), false, &Mended::default())
            };
            let remedy = |text: &str, command: String| {
                Remedy::new(Intent::Repair(file.path.clone()), Applicability::Manual, text, Some(command))
            };
            finding.remedies.push(match &file.state {
                FileState::Unreadable(why) if is_loop(why) && generated => again(format!("rm {named}")),
                FileState::Unreadable(why) if is_loop(why) => {
                    remedy("take the link away, or make it lead to the certificate file", format!("rm {named}"))
                }
                FileState::Unreadable(_) => remedy("make it readable for all", format!("chmod a+r {real}")),
                FileState::NotAFile("directory") => {
                    remedy("look at what lies there, and put the certificate file in its place", format!("ls -la {named}"))
                }
                FileState::NotAFile(_) if generated => again(format!("rm {named}")),
                FileState::NotAFile(_) => remedy("take it away, or put the certificate file in its place", format!("rm {named}")),
                _ => remedy("look at what lies there, and put the certificate file back", format!("ls -lL {real}")),
            });
            out.push(finding);
        }
        if let Some((directory, Err(why))) = store.directory.as_ref().map(|d| (d, &d.state)) {
            let message = format!("{} can't be listed: {why}", directory.path);
            let mut finding = Finding::new(&CHECK, directory.path.to_string(), message);
            finding.severity = Severity::Error;
            finding.evidence = vec![Evidence::file(&directory.path, None, "hash directory")];
            let command = Some(format!("chmod a+rx {}", support::shell(&directory.real.to_string())));
            let intent = Intent::Repair(directory.path.clone());
            finding.remedies.push(Remedy::new(intent, Applicability::Manual, "make it readable for all", command));
            out.push(finding);
        }
    }
}

/// Whether the reason is a link that leads to itself, in the words of our own walk or of the operating system.
fn is_loop(why: &str) -> bool {
    why.contains("symbolic links")
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
        assert_eq!(finding.severity, Severity::Error);
        let mut store = debian(&[]);
        store.directory.as_mut().expect("a directory").state = Err("Permission denied".into());
        assert_eq!(World::at(LAB).store(store).one(&CHECK).subject, "/etc/ssl/certs");
    }

    #[test]
    fn tells_what_helps_against_loops_and_pipes() {
        let local = |name: &str, state: FileState| {
            let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
            let mut source = source(name, "", Selection::Ignored);
            source.file = CertFile { state, ..missing(&format!("/usr/local/share/ca-certificates/{name}")) };
            store.sources.push(source);
            let finding = World::at(LAB).store(store).one(&CHECK);
            (finding.severity, finding.remedies[0].command.clone().expect("a command"))
        };
        let folder = "/usr/local/share/ca-certificates";
        let looped = FileState::Unreadable("too many levels of symbolic links".into());
        assert_eq!(local("loop.crt", looped), (Severity::Warning, format!("rm {folder}/loop.crt")));
        assert_eq!(local("fifo.crt", FileState::NotAFile("FIFO")).1, format!("rm {folder}/fifo.crt"));
        assert_eq!(local("dir.crt", FileState::NotAFile("directory")).1, format!("ls -la {folder}/dir.crt"));
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
