//! CD415.

use crate::{
    edit::Applicability,
    finding::{Finding, Intent, Remedy},
};

use super::Case;

rule! {
    /// **What it means.** No trust store was found where one is looked for. Programs that bring their own roots (Go with
    /// x509roots, rustls with webpki-roots, Node, Java) work; everything else refuses every server. Usual in images from scratch
    /// and in minimal images without `ca-certificates`.
    ///
    /// **How it is found.** None of the known kinds of stores is there, and no option names one.
    ///
    /// **What to do.** Install `ca-certificates`, copy a bundle into the image, or name one by `--CAfile`.
    ///
    /// **Sources.** `certdoctor list stores` names the places; GoogleContainerTools/distroless issue 668.
    "CD415" "no-store-found" Error "no trust store was found"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    if !case.facts.stores.is_empty() || case.facts.given.is_some() {
        return;
    }
    let mut finding =
        Finding::new(&CHECK, "trust store", "no trust store was found: clients without roots of their own refuse everything");
    let text = "install the package, or copy a bundle into the image";
    let command = "apt-get install ca-certificates || apk add ca-certificates";
    finding.remedies.push(Remedy::new(Intent::Trust(None), Applicability::Manual, text, Some(command.into())));
    out.push(finding);
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::{facts::Redirect, finding::Severity};

    #[test]
    fn catches() {
        assert_eq!(World::at(LAB).one(&CHECK).severity, Severity::Error);
    }

    #[test]
    fn is_silent_with_a_store_or_a_given_file() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
        let mut world = World::at(LAB);
        world.facts.given = Some(Redirect::default());
        world.silent(&CHECK);
    }
}
