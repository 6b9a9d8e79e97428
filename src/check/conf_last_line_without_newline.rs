//! CD409.

use crate::{
    facts::ConfLineKind,
    finding::{Evidence, Finding, Severity},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** The last line of the configuration has no newline, and Debian's tool (a shell `read` loop) never sees
    /// it: what it enables drops out of the bundle, what it deselects stays. Typical after `printf` or an editor without a final
    /// newline.
    ///
    /// **How it is found.** The last byte of the configuration, where the store's tool reads it so. It is an error where a
    /// certificate drops out.
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
            // The same name on another line keeps the certificate in.
            if support::selected(store, &Mended { last_line: true, ..Mended::default() }).count()
                > support::selected(store, &Mended::default()).count()
            {
                finding.severity = Severity::Error;
            }
            finding.evidence =
                vec![Evidence { span: Some(line.span.clone()), ..Evidence::file(path, Some(line.number), "not seen") }];
            let add = format!("echo >> {}", support::shell(&path.to_string()));
            let mended = Mended { last_line: true, ..Mended::default() };
            finding.remedies.push(support::repair(store, path, "add the newline", Some(add), false, &mended));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::facts::Selection;

    #[test]
    fn catches() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        configure(&mut store, "mozilla/U.crt\n!mozilla/A.crt");
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(
            finding.message,
            "/etc/ca-certificates.conf ends without a newline, so that its last line (!mozilla/A.crt) is not seen"
        );
        assert_eq!((finding.severity, finding.evidence[0].line), (Severity::Warning, Some(2)));
    }

    #[test]
    fn is_an_error_when_a_certificate_drops_out() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U), ("mozilla/A.crt", STORE_A)]);
        configure(&mut store, "mozilla/U.crt\nmozilla/A.crt");
        (store.sources[1].selection, store.sources[1].line) = (Selection::Unlisted, Some(2));
        let finding = World::at(LAB).store(store.clone()).one(&CHECK);
        let command = finding.remedies[0].command.as_deref();
        assert_eq!(command, Some("echo >> /etc/ca-certificates.conf && update-ca-certificates"));
        assert_eq!(finding.severity, Severity::Error);
        // The newline alone, while a refresh would do other harm.
        store.leftovers.push("/etc/ssl/certs/ca-certificates.crt.new".into());
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.remedies[0].command.as_deref(), Some("echo >> /etc/ca-certificates.conf"));
        assert!(finding.remedies[0].text.contains("don't refresh yet"), "{}", finding.remedies[0].text);
    }

    #[test]
    fn is_silent_about_whole_lines() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
    }
}
