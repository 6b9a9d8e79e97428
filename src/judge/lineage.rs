//! One root cause for each lineage: what came first made the rest.

use crate::{
    base::At,
    facts::{Renewal, renewal::Lineage},
    finding::{Finding, Severity},
};

/// The answer for one lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// Index into [`Renewal::lineages`].
    pub lineage: usize,
    /// The finding that explains it; `None` when nothing is wrong.
    pub cause: Option<usize>,
    /// The other findings about it.
    pub also_seen: Vec<usize>,
}

/// Has no stage: any of them may be behind it.
const LAST_RENEWAL_FAILED: &str = "CD765";

/// Where in a renewal's course a finding stands: the client never came to issue, validation failed, or what was issued is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Client,
    Validation,
    Serving,
}

impl Stage {
    fn of(code: &str) -> Option<Stage> {
        match code.strip_prefix("CD7")?.parse().ok()? {
            1..=25_u8 => Some(Stage::Client),
            26..=50 => Some(Stage::Validation),
            51..=64 => Some(Stage::Serving),
            _ => None,
        }
    }
}

/// The headline of every lineage. The findings are sorted, the worst first.
pub(super) fn headlines(renewal: &Renewal, findings: &[Finding], at: At) -> Vec<Headline> {
    let headline = |(index, lineage): (usize, &Lineage)| {
        let mut about: Vec<usize> = (0..findings.len()).filter(|i| findings[*i].is_about(lineage)).collect();
        // A good file that is not served is a matter of serving; a file that has lapsed was not renewed, and then what did not even
        // begin comes before what failed.
        let is_good = lineage.leaf().is_some_and(|leaf| !leaf.is_expired(at));
        let order = match is_good {
            true => [Stage::Serving, Stage::Client, Stage::Validation],
            false => [Stage::Client, Stage::Validation, Stage::Serving],
        };
        let explains =
            |i: &&usize, stage| findings[**i].severity >= Severity::Warning && Stage::of(findings[**i].code) == Some(stage);
        let worst = about.iter().map(|i| findings[*i].severity).max();
        let first = |only: Option<Severity>| {
            order.iter().find_map(|stage| {
                about.iter().find(|i| explains(i, *stage) && only.is_none_or(|s| findings[**i].severity == s)).copied()
            })
        };
        // A warning on the way explains no failure when an error is at hand.
        let staged = first(worst).or_else(|| first(None));
        // What only says that it failed is the headline when nothing says why.
        let cause = staged.or_else(|| about.iter().find(|i| findings[**i].code == LAST_RENEWAL_FAILED).copied());
        about.retain(|i| Some(*i) != cause);
        Headline { lineage: index, cause, also_seen: about }
    };
    renewal.lineages.iter().enumerate().map(headline).collect()
}
