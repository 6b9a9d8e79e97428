//! `docs/findings.md`, from the checks themselves.

use super::ALL;

/// Every finding with its explanation, as the Markdown of `docs/findings.md`.
#[must_use]
pub fn findings_markdown() -> String {
    let mut out = String::from(
        "# Findings\n\nGenerated from the checks in `src/check`; `certdoctor explain CDnnn` prints the same text. A code is never \
         used again for another meaning.\n\n| code | name | severity | what is wrong |\n|---|---|---|---|\n",
    );
    for check in ALL {
        let severity = format!("{:?}", check.severity).to_lowercase();
        out +=
            &format!("| [{}](#{}) | `{}` | {severity} | {} |\n", check.code, check.code.to_lowercase(), check.slug, check.title);
    }
    out += "\nThe severity is the usual one; a finding may be graded up or down by what it does on the host at hand.\n";
    for check in ALL {
        out += &format!("\n## {}\n\n`{}`: {}.\n\n{}", check.code, check.slug, check.title, check.text());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_a_section_for_each_code() {
        let text = findings_markdown();
        for check in ALL {
            assert!(text.contains(&format!("\n## {}\n", check.code)), "{}", check.code);
        }
    }
}
