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

/// Says only that it was not renewed.
const UNEXPLAINED: &str = "CD766";

/// Where in a renewal's course a finding stands: the client never came to issue, validation failed, or what was issued is not served.
/// What says that it was not renewed, but not at which stage it stopped, is unstaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Client,
    Validation,
    Unstaged,
    Serving,
}

impl Stage {
    fn of(code: &str) -> Option<Stage> {
        match code.strip_prefix("CD7")?.parse().ok()? {
            1..=25_u8 => Some(Stage::Client),
            26..=50 => Some(Stage::Validation),
            51..=64 => Some(Stage::Serving),
            65..=66 => Some(Stage::Unstaged),
            _ => None,
        }
    }
}

/// Leaves out that nothing tells why a certificate was not renewed, where another finding does.
pub(super) fn leave_out_explained(findings: &mut Vec<Finding>) {
    let explains = |f: &&Finding| {
        let stages = [Stage::Client, Stage::Validation, Stage::Unstaged];
        f.code != UNEXPLAINED && f.severity >= Severity::Warning && Stage::of(f.code).is_some_and(|stage| stages.contains(&stage))
    };
    let explained: Vec<_> = findings.iter().filter(explains).flat_map(|f| f.lineages.clone()).collect();
    findings.retain(|f| f.code != UNEXPLAINED || !f.lineages.iter().all(|lineage| explained.contains(lineage)));
}

/// Whether a finding of this code tells of the CA's validation or of what it answers.
#[must_use]
pub fn is_of_validation(code: &str) -> bool {
    Stage::of(code) == Some(Stage::Validation)
}

/// Whether a finding of this code says only that a certificate was not renewed.
#[must_use]
pub fn waits_for_renewal(code: &str) -> bool {
    Stage::of(code) == Some(Stage::Unstaged)
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
        // What only says that it was not renewed is the headline when nothing says why; how it is served is no reason for that.
        let unstaged = about.iter().find(|i| explains(i, Stage::Unstaged)).copied();
        let has_lapsed = lineage.leaf().is_some_and(|leaf| leaf.is_expired(at));
        let is_of_serving = staged.is_some_and(|i| Stage::of(findings[i].code) == Some(Stage::Serving));
        let cause = if has_lapsed && is_of_serving { unstaged.or(staged) } else { staged.or(unstaged) };
        about.retain(|i| Some(*i) != cause);
        Headline { lineage: index, cause, also_seen: about }
    };
    renewal.lineages.iter().enumerate().map(headline).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::testing::of_lineage as finding, x509::Certificate};

    #[test]
    fn only_what_says_why_explains() {
        let left = |code, severity, name| {
            let mut findings = vec![finding(code, severity, name), finding(UNEXPLAINED, Severity::Error, "a.test")];
            leave_out_explained(&mut findings);
            findings.iter().any(|f| f.code == UNEXPLAINED)
        };
        assert!(!left("CD701", Severity::Warning, "a.test"));
        assert!(!left("CD765", Severity::Warning, "a.test"));
        assert!(left("CD743", Severity::Note, "a.test"), "a limit that is over");
        assert!(left("CD701", Severity::Warning, "b.test"), "of another lineage");
        assert!(left("CD753", Severity::Warning, "a.test"), "what comes after renewal");
    }

    #[test]
    fn what_says_only_that_it_was_not_renewed_comes_behind_what_says_where_it_stopped() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).expect("a name");
        let chain = vec![Certificate::parse(params.self_signed(&key).expect("signs").der()).expect("parses")];
        let lineage = Lineage { manager: "certbot", name: "a.test".into(), path: "/a".into(), chain };
        let renewal = Renewal { lineages: vec![lineage], ..Renewal::default() };
        let cause = |codes: &[&str]| {
            let findings: Vec<_> = codes.iter().map(|code| finding(code, Severity::Warning, "a.test")).collect();
            headlines(&renewal, &findings, At(100_000_000_000))[0].cause.map(|i| codes[i].to_owned())
        };
        assert_eq!(cause(&["CD753", "CD766"]).as_deref(), Some("CD766"));
        assert_eq!(cause(&["CD727", "CD765"]).as_deref(), Some("CD727"));
        assert_eq!(cause(&["CD765"]).as_deref(), Some("CD765"));
    }
}
