//! Recorded runs of real refresh tools: `fixtures/roots/SYSTEM/NN-name.case`, described in `fixtures/README.md`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{fixture, listing::Listing};

/// One recorded run.
#[derive(Clone, Debug)]
pub struct Case {
    /// `debian/01-deselect-bang`.
    pub name: String,
    /// The lines of the head: `system`, `before`, `shows`, `command`.
    pub head: BTreeMap<String, String>,
    /// The exit status of the command.
    pub status: i32,
    /// The sections, each with its lines, by name: `setup.listing.diff`, `output`, `listing.diff`, …
    pub sections: BTreeMap<String, String>,
}

impl Case {
    /// Reads a case.
    ///
    /// # Panics
    /// When the file isn't one.
    pub fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut case = Case { name: String::new(), head: BTreeMap::new(), status: -1, sections: BTreeMap::new() };
        let mut section: Option<&mut String> = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
                section = Some(case.sections.entry(name.to_owned()).or_default());
            } else if let Some(lines) = &mut section {
                lines.push_str(line);
                lines.push('\n');
            } else if let Some(status) = line.strip_prefix("rc=") {
                case.status = status.parse().unwrap_or_else(|e| panic!("{}: rc={status}: {e}", file.display()));
            } else if let Some((key, value)) = line.split_once(": ") {
                case.head.insert(key.to_owned(), value.to_owned());
            } else {
                panic!("{}: `{line}` is no line of a head", file.display());
            }
        }
        case.name = case.head.remove("case").unwrap_or_else(|| panic!("{}: no name", file.display()));
        case
    }

    /// Every case of a system (`debian`, `alpine`, …), sorted by name.
    pub fn all(system: &str) -> Vec<Self> {
        let folder = fixture("roots").join(system);
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut files: Vec<PathBuf> = entries.map(|e| e.expect("a folder entry").path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "case"));
        files.sort();
        files.iter().map(|f| Case::read(f)).collect()
    }

    /// The tree before the command, from the base listing of the system.
    pub fn before(&self, base: &Listing) -> Listing {
        base.patched(self.difference("setup.listing.diff"))
    }

    /// The tree after the command, from the one before it.
    pub fn after(&self, before: &Listing) -> Listing {
        before.patched(self.difference("listing.diff"))
    }

    fn difference(&self, section: &str) -> &str {
        self.sections.get(section).map(String::as_str).filter(|text| text.trim() != "(none)").unwrap_or_default()
    }
}
