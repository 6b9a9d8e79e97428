//! CD405.

use crate::{
    edit::Applicability,
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** The configuration was saved with Windows line ends. Each name then ends in a carriage return and no
    /// file has such a name. Debian's tool warns for every line, exits 0 and changes nothing, so that the store never follows the
    /// list again; Alpine's tool writes an *empty bundle*, and every client trusts nothing.
    ///
    /// **How it is found.** CR LF in the configuration.
    ///
    /// **What to do.** Take the carriage returns out, then refresh.
    ///
    /// **Sources.** Measured with update-ca-certificates of Debian 12 and Alpine 3.23; the tools' sources.
    "CD405" "crlf" Warning "the configuration has Windows line ends"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let Some(configuration) = &store.configuration else { continue };
        let lines = configuration.bytes.windows(2).filter(|pair| pair == b"\r\n").count();
        if lines == 0 {
            continue;
        }
        let path = &configuration.path;
        let effect = if store.kind == "alpine" {
            "the next refresh writes an empty bundle"
        } else {
            "the refresh tool finds none of its files and changes nothing"
        };
        let message = format!("{path} has Windows line ends: {effect}");
        let mut finding = Finding::new(&CHECK, path.to_string(), message);
        finding.facts.push(("lines", lines.to_string()));
        let first = configuration.bytes.split_inclusive(|b| *b == b'\n').position(|l| l.ends_with(b"\r\n"));
        let line = first.and_then(|i| u32::try_from(i + 1).ok());
        finding.evidence = vec![Evidence::file(path, line, "configuration")];
        let strip = format!("sed -i 's/\\r$//' {}", support::shell(&path.to_string()));
        let command = support::refresh(store, false).map_or(strip.clone(), |refresh| format!("{strip} && {refresh}"));
        let text = "take the carriage returns out and refresh";
        finding.remedies.push(Remedy::new(Intent::Repair(path.clone()), Applicability::Manual, text, Some(command)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        configure(&mut store, "# list\nmozilla/U.crt\r\n");
        let finding = World::at(LAB).store(store.clone()).one(&CHECK);
        assert!(finding.message.ends_with("changes nothing"), "{}", finding.message);
        assert_eq!(finding.evidence[0].line, Some(2));
        store.kind = "alpine";
        assert!(World::at(LAB).store(store).one(&CHECK).message.ends_with("writes an empty bundle"));
    }

    #[test]
    fn is_silent_about_plain_lines() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
    }
}
