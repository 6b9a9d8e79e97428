//! `docs/managers.md`, from the managers themselves.

use super::ALL;

/// The document.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Certificate managers and servers\n\nMade by `certdoctor generate docs managers` from the files in `src/renewal/`; a test \
         compares it.\n",
    );
    for manager in ALL {
        out.push_str(&format!("\n## {} (`{}`)\n\n{}\n", manager.title, manager.id, manager.about));
    }
    out
}
