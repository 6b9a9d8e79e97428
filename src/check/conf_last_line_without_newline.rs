//! CD409.

use crate::{
    edit::Applicability,
    facts::ConfLineKind,
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** The last line of the configuration has no newline, and Debian's tool (a shell `read` loop) never sees
    /// it: what it enables drops out of the bundle, what it deselects stays. Typical after `printf` or an editor without a final
    /// newline.
    ///
    /// **How it is found.** The last byte of the configuration, where the store's tool reads it so.
    ///
    /// **What to do.** Add the newline and refresh.
    ///
    /// **Sources.** POSIX, `read` utility; recorded run `fixtures/roots/debian` 25.
    "CD409" "conf-last-line-without-newline" Warning "the last line of the configuration is not seen"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let Some(configuration) = &store.configuration else { continue };
        for line in &configuration.lines {
            let ConfLineKind::Unseen(content) = &line.kind else { continue };
            let path = &configuration.path;
            let message =
                format!("{path} ends without a newline, so that its last line ({}) is not seen", support::text(content));
            let mut finding = Finding::new(&CHECK, path.to_string(), message);
            finding.evidence =
                vec![Evidence { span: Some(line.span.clone()), ..Evidence::file(path, Some(line.number), "not seen") }];
            let add = format!("echo >> {}", support::shell(&path.to_string()));
            let command = support::refresh(store, false).map_or(add.clone(), |refresh| format!("{add} && {refresh}"));
            let text = "add the newline and refresh";
            finding.remedies.push(Remedy::new(Intent::Repair(path.clone()), Applicability::Manual, text, Some(command)));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        configure(&mut store, "mozilla/U.crt\n!mozilla/A.crt");
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(
            finding.message,
            "/etc/ca-certificates.conf ends without a newline, so that its last line (!mozilla/A.crt) is not seen"
        );
        assert_eq!(finding.evidence[0].line, Some(2));
    }

    #[test]
    fn is_silent_about_whole_lines() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
    }
}
