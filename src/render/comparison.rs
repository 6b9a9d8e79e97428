//! Where two targets part, for every form that tells it.

use crate::{facts::Presented, path::Verdict, report::Report};

/// The position of the first certificate above the leaf (which is 0, and differs by nature) that is not the same in both chains, or that
/// only one of them sends; `None` when above the leaf both send the same.
pub(super) fn part(a: &Presented, b: &Presented) -> Option<usize> {
    (1..a.certificates.len().max(b.certificates.len())).find(|at| a.certificates.get(*at) != b.certificates.get(*at))
}

/// The clients that do not say the same about the first two targets, with what they say of each.
pub(super) fn clients(report: &Report) -> Vec<(&str, [&Verdict; 2])> {
    let of = |endpoint: usize| crate::check::of_endpoint(&report.verdicts, endpoint).iter();
    let pairs = of(0).filter_map(|v| Some((v, of(1).find(|w| w.client == v.client)?)));
    let apart = pairs.filter(|(v, w)| v.verdict.is_trusted() != w.verdict.is_trusted());
    apart.map(|(v, w)| (v.client.as_str(), [&v.verdict, &w.verdict])).collect()
}
