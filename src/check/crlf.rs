//! CD405.

use crate::{
    facts::Store,
    finding::{Evidence, Finding},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** The configuration was saved with Windows line ends. Each name then ends in a carriage return and no
    /// file has such a name. Debian's tool warns for every line and exits 0: with local certificates it makes a bundle of these
    /// alone, without any it leaves the bundle as it is, and with `--fresh` it takes every link away. Alpine's tool writes an
    /// *empty bundle*, and every client trusts nothing.
    ///
    /// **How it is found.** CR LF in the configuration; the effect is worked out from the sources that the tool would still find.
    ///
    /// **What to do.** Take the carriage returns out, then refresh; not the other way round.
    ///
    /// **Sources.** Measured with update-ca-certificates of Debian 12 and Alpine 3.23; the tools' sources.
    "CD405" "crlf" Error "the configuration has Windows line ends"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let Some(configuration) = &store.configuration else { continue };
        let lines = configuration.bytes.windows(2).filter(|pair| pair == b"\r\n").count();
        if lines == 0 {
            continue;
        }
        let path = &configuration.path;
        let message = format!("{path} has Windows line ends: {}", effect(store));
        let mut finding = Finding::new(&CHECK, path.to_string(), message);
        finding.facts.push(("lines", lines.to_string()));
        let first = configuration.bytes.split_inclusive(|b| *b == b'\n').position(|l| l.ends_with(b"\r\n"));
        let line = first.and_then(|i| u32::try_from(i + 1).ok());
        finding.evidence = vec![Evidence::file(path, line, "configuration")];
        let strip = format!("sed -i 's/\\r$//' {}", support::shell(&path.to_string()));
        let mended = Mended { line_ends: true, ..Mended::default() };
        finding.remedies.push(support::repair(store, path, "take the carriage returns out", Some(strip), false, &mended));
        out.push(finding);
    }
}

/// What the next refresh does to the store as it is.
fn effect(store: &Store) -> String {
    let plain = support::refresh_effect(store, false, &Mended::default());
    let fresh = support::refresh_effect(store, true, &Mended::default());
    let found = support::enabled(store).any(|s| s.file.is_read());
    match (plain.harm(), fresh.harm()) {
        (Some(_), _) if !found => "the next refresh writes an empty bundle".into(),
        (Some(harm), _) => format!("the next refresh {harm}"),
        (None, Some(harm)) => format!("a refresh finds none of the listed files, and with --fresh it {harm}"),
        (None, None) => "a refresh does not find what those lines name".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::{
        facts::{Selection, Source},
        finding::Severity,
    };

    /// A list with a carriage return, as the store is read with it.
    fn spoiled() -> Store {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        configure(&mut store, "# list\nmozilla/U.crt\r\n");
        store.sources[0].selection = Selection::Unlisted;
        store.sources.push(Source {
            file: missing("/usr/share/ca-certificates/mozilla/U.crt\r"),
            ..source("mozilla/U.crt\r", "", Selection::Enabled)
        });
        store
    }

    #[test]
    fn catches() {
        let mut store = spoiled();
        let finding = World::at(LAB).store(store.clone()).one(&CHECK);
        assert!(finding.message.ends_with("with --fresh it takes Lab USERTrust RSA CA out"), "{}", finding.message);
        assert_eq!((finding.severity, finding.evidence[0].line), (Severity::Error, Some(2)));
        let command = finding.remedies[0].command.as_deref();
        assert_eq!(command, Some("sed -i 's/\\r$//' /etc/ca-certificates.conf && update-ca-certificates"));
        store.kind = "alpine";
        assert!(World::at(LAB).store(store).one(&CHECK).message.ends_with("writes an empty bundle"));
    }

    #[test]
    fn tells_what_a_local_certificate_makes_of_it() {
        let mut store = spoiled();
        store.sources.push(source("corp.crt", STORE_A, Selection::Enabled));
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert!(finding.message.ends_with("the next refresh takes Lab USERTrust RSA CA out"), "{}", finding.message);
    }

    #[test]
    fn is_silent_about_plain_lines() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
    }
}
