//! CD901.

use crate::finding::Finding;

use super::{Case, Check, support};

rule! {
    /// **What it means.** A real client on this host gave another verdict than the tool's model of it. One of them is wrong: the
    /// model, or what it was told (the client reads another store, runs with another configuration, or is another version than it
    /// says). The real client is right about itself; take the model's other answers for this client with care.
    ///
    /// **How it is found.** `certdoctor verify` asks both, one after the other, about the same target.
    ///
    /// **What to do.** Look at the two answers; report it with both, so that the model can be put right.
    ///
    /// **Sources.** `docs/clients.md` says which models were measured against which real versions.
    "CD901" "model-and-client-disagree" Warning "a real client and its model disagree"
}

/// The facts of a run hold no real client's answers: `verify` has them and makes the finding by [`disagreement`].
fn run(_: &Case<'_>, _: &mut Vec<Finding>) {}

/// The finding that `client` (as `version` says of itself) answered `real` about `target`, and its model `model`.
#[must_use]
pub fn disagreement(client: &str, version: &str, target: &str, real: &str, model: &str) -> Finding {
    let check: &Check = &CHECK;
    let mut finding =
        Finding::new(check, client, format!("{client} and its model disagree about {target}: {real} against {model}"));
    finding.facts = vec![("version", version.to_owned()), ("client says", real.to_owned()), ("model says", model.to_owned())];
    finding.targets = vec![target.to_owned()];
    let command = format!("certdoctor verify -v --format json {}", support::shell(target));
    finding.remedies.push(support::by_hand("believe the client, and report both answers", Some(command)));
    finding
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn is_made_by_verify() {
        let finding = disagreement("openssl-3", "OpenSSL 3.0.17", "example.com", "refused", "trusted");
        assert_eq!(finding.code, "CD901");
        assert_eq!(finding.message, "openssl-3 and its model disagree about example.com: refused against trusted");
    }

    #[test]
    fn is_never_found_in_facts() {
        World::at(LAB).presenting("localhost", CHAIN_PLAIN).accepted(&OPENSSL, Vec::new()).silent(&CHECK);
    }
}
