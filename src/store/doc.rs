//! `docs/stores.md`, from the kinds themselves.

use super::ALL;

/// The document.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Stores\n\nMade by `certdoctor generate docs stores` from the kinds in `src/store/`; a test compares it.\n",
    );
    for kind in ALL {
        let refresh =
            (kind.refresh_command)(false).map_or("none: nothing is generated".to_owned(), |argv| format!("`{}`", argv.join(" ")));
        out.push_str(&format!("\n## {} (`{}`)\n\n{}\n\nRefresh on a live host: {refresh}.\n", kind.title, kind.id, kind.about));
    }
    out
}
