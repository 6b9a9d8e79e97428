//! CD419.

use crate::{
    edit::Applicability,
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** An image built from this Dockerfile trusts what its base image trusts, and nothing in it takes out an anchor
    /// that is to go: one that has expired, or one that was named. Clients in the image that build their path to it refuse servers
    /// which everybody else accepts.
    ///
    /// **How it is found.** `certdoctor dockerfile FILE` looks for its own instruction in the stage that the image is made of; what
    /// other instructions do to the store is not followed. Whether the base image holds the anchor is found by `--image` or in the
    /// build itself: the instruction does nothing where there is nothing to do.
    ///
    /// **What to do.** `certdoctor dockerfile FILE --write` puts the instruction in; a base image that no longer holds the anchor is
    /// better still.
    ///
    /// **Sources.** docs.docker.com, Dockerfile reference (`FROM`, `RUN`, `COPY --from`).
    "CD419" "dockerfile-keeps-anchor" Warning "a Dockerfile does not take out an anchor that is to go"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(dockerfile) = &case.facts.dockerfile else { return };
    let Some(line) = dockerfile.wanting else { return };
    let names: Vec<String> = dockerfile
        .anchors
        .iter()
        .map(|(name, _, end)| match end.filter(|end| case.at > *end) {
            Some(end) => format!("{name} (expired {})", case.at.relative(end)),
            None => name.clone(),
        })
        .collect();
    let message = format!("an image built from {} may trust {} as its base image does", dockerfile.name, names.join(", "));
    let mut finding = Finding::new(&CHECK, &dockerfile.name, message);
    finding.facts = dockerfile.anchors.iter().map(|(_, print, _)| ("sha256", print.to_string())).collect();
    finding.facts.extend(dockerfile.warnings.iter().map(|warning| ("look at", warning.clone())));
    finding.evidence = vec![Evidence::file(&dockerfile.path, Some(line), "the instruction belongs after this line")];
    let command = format!("certdoctor dockerfile {} --write", support::shell(&dockerfile.name));
    let text = "put the instruction that takes them out in here";
    finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, Some(command)));
    out.push(finding);
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::{
        base::{At, Fingerprint},
        facts::Dockerfile,
    };

    fn world(wanting: Option<u32>) -> World {
        let mut world = World::at("2020-06-01");
        world.facts.dockerfile = Some(Dockerfile {
            path: "/Dockerfile".into(),
            name: "Dockerfile".into(),
            anchors: vec![("AddTrust".into(), Fingerprint::of(b""), Some(At(1_590_835_718)))],
            wanting,
            warnings: Vec::new(),
        });
        world
    }

    #[test]
    fn catches() {
        let finding = world(Some(3)).one(&CHECK);
        assert_eq!(
            finding.message,
            "an image built from Dockerfile may trust AddTrust (expired 1 day ago) as its base image does"
        );
        assert_eq!(finding.evidence[0].line, Some(3));
    }

    #[test]
    fn is_silent_when_the_instruction_is_there() {
        world(None).silent(&CHECK);
        World::at("2020-06-01").silent(&CHECK);
    }
}
