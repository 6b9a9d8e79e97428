//! CD407.

use crate::{
    facts::ConfLineKind,
    finding::{Evidence, Finding, Severity},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** A certificate whose file name has a blank, a comma or a parenthesis is deselected by `!`. Debian's tool
    /// makes links under a name in which these are replaced (` ` and `,` by `_`, `(` and `)` by `=`), but looks for the unmapped
    /// name when it takes one away: the bundle loses the certificate, link and hash stay, and OpenSSL, curl and Go go on trusting
    /// it.
    ///
    /// **How it is found.** Names behind `!` with such a character; whether the link is still there decides between warning and
    /// note.
    ///
    /// **What to do.** Refresh with `--fresh`, which makes all links again.
    ///
    /// **Sources.** `add()` and `remove()` of Debian's update-ca-certificates (bookworm to sid); recorded run
    /// `fixtures/roots/debian` 24.
    "CD407" "deselect-name-mapped" Note "`!` on a name with blank, comma or parenthesis leaves the link behind"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in case.facts.stores.iter().filter(|s| s.kind == "debian") {
        let Some(configuration) = &store.configuration else { continue };
        for line in &configuration.lines {
            let ConfLineKind::Deselected(name) = &line.kind else { continue };
            let base = name.rsplit(|b| *b == b'/').next().unwrap_or_default();
            if !base.iter().any(|b| b" ,()".contains(b)) {
                continue;
            }
            let link = link_name(base);
            let left = store.directory.iter().flat_map(|d| &d.entries).find(|e| e.name == link);
            let shown = support::text(name);
            let message = match left {
                Some(left) => format!("{shown} is deselected, but {} still trusts it", left.file.path),
                None => format!("{shown} is deselected, and its name makes Debian's tool leave its link behind"),
            };
            let mut finding = Finding::new(&CHECK, &shown, message);
            finding.severity = if left.is_some() { Severity::Warning } else { Severity::Note };
            finding.evidence = vec![Evidence::file(&configuration.path, Some(line.number), "deselected here")];
            finding.evidence.extend(left.map(|e| Evidence::file(&e.file.path, None, "link left behind")));
            let text = "make all links again (a plain run does not)";
            finding.remedies.push(support::repair(store, &store.location, text, None, true, &Mended::default()));
            out.push(finding);
        }
    }
}

/// The name that Debian's tool gives the link of a source.
pub(super) fn link_name(base: &[u8]) -> Vec<u8> {
    let stem = base.strip_suffix(b".crt").unwrap_or(base);
    let mapped = stem.iter().map(|b| match b {
        b' ' | b',' => b'_',
        b'(' | b')' => b'=',
        other => *other,
    });
    mapped.chain(*b".pem").collect()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::facts::Selection;

    #[test]
    fn catches() {
        let mut store = debian(&[("mozilla/My Root (1).crt", STORE_U)]);
        for entry in &mut store.directory.as_mut().expect("a directory").entries {
            if entry.hash.is_none() {
                entry.name = b"My_Root_=1=.pem".to_vec();
            }
        }
        configure(&mut store, "!mozilla/My Root (1).crt\n");
        store.sources[0].selection = Selection::Deselected;
        let finding = World::at(LAB).store(store.clone()).one(&CHECK);
        assert_eq!(finding.severity, Severity::Warning);
        assert_eq!(finding.evidence[0].line, Some(1));
        store.directory = None;
        assert_eq!(World::at(LAB).store(store).one(&CHECK).severity, Severity::Note);
    }

    #[test]
    fn is_silent_about_plain_names_and_alpine() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        configure(&mut store, "!mozilla/U.crt\n");
        World::at(LAB).store(store.clone()).silent(&CHECK);
        configure(&mut store, "!mozilla/My U.crt\n");
        store.kind = "alpine";
        World::at(LAB).store(store).silent(&CHECK);
    }
}
