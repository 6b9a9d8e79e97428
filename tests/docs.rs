//! Generated documents are those in the repository. `UPDATE_DOCS=1 cargo test --test docs` writes them again.

use std::{fs, path::Path};

#[test]
fn findings_are_documented_as_they_are() {
    same("docs/findings.md", &certdoctor::check::findings_markdown());
    same("docs/managers.md", &certdoctor::renewal::markdown());
}

fn same(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(file.parent().expect("a directory")).expect("docs");
        fs::write(&file, text).expect("the document");
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(written == text, "{path} is not up to date: UPDATE_DOCS=1 cargo test --test docs");
}
