//! `docs/clients.md`, from the profiles themselves.

use std::collections::BTreeMap;

use super::{ALL, Effect};

/// One variable of a family, and the profiles that have it.
struct Line {
    value: String,
    source: &'static str,
    having: Vec<&'static str>,
}

/// The document.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Clients\n\n\
         Made by `certdoctor generate docs clients` from the profiles in `src/client/`; a test compares it.\n\n\
         A profile is a range of versions that behave alike. `--client` takes the identifier, any version in the range (`openssl-1.0.2k`), a\n\
         bare family (its newest profile), and options after a plus sign: `+trusted_first`, `+no_alt_chains`, `+partial`, `+strict`, `+seclevel2`;\n\
         for LibreSSL `+verify_result`, a client that reads the error that an accepted path may leave behind;\n\
         for wolfSSL `+alt_cert_chains`, `+no_alt_cert_chains`. NSS's two modes may stand last (`nss-3.87-classic`). `--client all` is every profile.\n\
         Outside every range the answer is \"can't say\".\n\n\
         *measured*: real binaries of that range were asked, and the model gave the same verdict in every case of `fixtures/clients/matrix.json`\n\
         (`tests/clients.rs`). *anchor dates*: whether the client refuses an anchor whose validity has passed.\n\n\
         | client | versions | what it is | measured | anchor dates | source |\n|---|---|---|---|---|---|\n",
    );
    for profile in ALL {
        let measured = if profile.measured { "yes" } else { "no" };
        let dates = if profile.ignores_anchor_dates { "**ignored**" } else { "checked" };
        out.push_str(&format!(
            "| `{}` | {} | {} | {measured} | {dates} | {} |\n",
            profile.id, profile.versions, profile.title, profile.source
        ));
    }
    out.push_str(
        "\n## Variables\n\n\
         By these one process is led to other anchors, or to other rules. For a client that refuses they are tried by judging again: unset where\n\
         they are set, and else set to what lies on the host. For clients that are not here none is tried; a keystore that JAVA_TOOL_OPTIONS names is not read.\n\n\
         | client | variable | value | source |\n|---|---|---|---|\n",
    );
    // One line for a variable of a family; where only some versions have it, they are named.
    let mut lines: BTreeMap<(&str, &str), Line> = BTreeMap::new();
    for profile in ALL {
        for setting in profile.settings {
            let value = match &setting.effect {
                Effect::File => "a file of anchors".to_owned(),
                Effect::Directories => "hash directories".to_owned(),
                Effect::Reads(value, _) | Effect::Rules(value, _) => format!("`{value}`"),
            };
            let line = lines.entry((profile.family, setting.variable));
            line.or_insert_with(|| Line { value, source: setting.source, having: Vec::new() }).having.push(profile.id);
        }
    }
    for ((family, variable), Line { value, source, having }) in lines {
        let all = ALL.iter().filter(|p| p.family == family).count() == having.len();
        let who = if all { format!("`{family}`") } else { format!("`{}`", having.join("`, `")) };
        out.push_str(&format!("| {who} | `{variable}` | {value} | {source} |\n"));
    }
    out
}
