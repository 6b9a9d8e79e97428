//! `renewal`: why a certificate of this host was not renewed, or is not the one being served; with the patch.
//!
//! `--apply` changes files only, under the rules of `fix`, and never issues anything: what is to be run afterwards is printed.

use super::{Failure, Outcome, Session, fix};
use crate::{
    base::TreePath,
    cli::RenewalArgs,
    edit::{Applicability, Change},
    facts::{Facts, Renewal, renewal::Lineage},
    finding::{Finding, Intent, Remedy, Severity},
    host::interrupt,
    judge::{self, Judgement},
    plan::{self, ApplyOptions, Plan, Proposal},
    renewal,
    report::{AppliedReport, PlanReport, Report},
};

pub(super) fn run(session: &Session<'_>, names: &[String], args: &RenewalArgs) -> Result<Outcome, Failure> {
    if args.self_test {
        return self_test(session, names);
    }
    let (facts, judgement) = look(session, names, args)?;
    let plan = plan::patch(&*session.tree, &proposals(&judgement), session.machine.now)?;
    if args.diff && !args.apply {
        let status = if args.check && !plan.is_empty() { 3 } else { 0 };
        return Ok(Outcome { out: plan::diff(&*session.tree, &plan.steps)?, err: fix::said(session, &plan, &[]), status });
    }
    let mut shown = fix::plan_report(session, &plan)?;
    let in_build = || "have the build of the image make these changes: --diff prints them".to_owned();
    shown.instead = session.global.image.is_some().then(in_build);
    if args.apply && !plan.is_empty() {
        return apply(session, names, args, &judgement, &plan, shown);
    }
    let mut report = session.report("renewal", facts, judgement);
    let status = match (args.check, plan.is_empty()) {
        (true, false) => 3,
        _ => u8::from(report.has_failures()),
    };
    report.applied = args.apply.then(|| AppliedReport { refreshed: true, ..AppliedReport::default() });
    report.plan = Some(shown);
    Ok(session.finish(&report, status))
}

/// Whether each challenge's file comes from the web server as it runs, a line each.
fn self_test(session: &Session<'_>, names: &[String]) -> Result<Outcome, Failure> {
    if !session.is_live() {
        return Err(Failure("--self-test asks the web server of this host; in an unpacked root none runs".to_owned()));
    }
    let host = session.renewal_host();
    let mut renewal = session.gather_renewal(false)?.renewal.unwrap_or_default();
    known(&renewal, names)?;
    let about = |c: &crate::facts::renewal::HttpChallenge| {
        names.is_empty() || names.iter().any(|n| c.name.eq_ignore_ascii_case(n) || c.lineage.1.eq_ignore_ascii_case(n))
    };
    renewal.challenges.retain(about);
    if renewal.challenges.is_empty() {
        return Err(Failure("no certificate here is validated by a file in a webroot; nothing to test".to_owned()));
    }
    let proofs = renewal::self_test(&host, &*session.tree, &renewal);
    let line = |proof: &crate::facts::renewal::Proof| {
        let challenge = &proof.challenge;
        match &proof.outcome {
            Ok(()) => format!("served      {}  from {}\n", challenge.name, challenge.webroot),
            Err(why) => format!("NOT SERVED  {}  from {}: {why}\n", challenge.name, challenge.webroot),
        }
    };
    let out: String = proofs.iter().map(line).collect();
    let status = u8::from(proofs.iter().any(|p| p.outcome.is_err()));
    Ok(Outcome { out: out.into_bytes(), err: String::new(), status })
}

/// Gathers and judges, and keeps what is about these names.
fn look(session: &Session<'_>, names: &[String], args: &RenewalArgs) -> Result<(Facts, Judgement), Failure> {
    let mut facts = session.gather_renewal(args.public)?;
    if let (Some(renewal), false) = (&mut facts.renewal, names.is_empty()) {
        known(renewal, names)?;
        renewal.lineages.retain(|l| names.iter().any(|name| is_called(l, name)));
    }
    let judgement = session.judge(&facts, args.watch_days)?;
    if names.is_empty() {
        return Ok((facts, judgement));
    }
    let lineages = facts.renewal.as_ref().map(|r| r.lineages.as_slice()).unwrap_or_default();
    let concerns = |f: &Finding| f.lineages.is_empty() || lineages.iter().any(|l| f.is_about(l));
    let mut judgement = judgement;
    judgement.keep(&facts, session.at, concerns);
    Ok((facts, judgement))
}

/// Whether each of these names means a certificate.
fn known(renewal: &Renewal, names: &[String]) -> Result<(), Failure> {
    let Some(name) = names.iter().find(|name| !renewal.lineages.iter().any(|l| is_called(l, name))) else { return Ok(()) };
    let known: Vec<&str> = renewal.lineages.iter().map(|l| l.name.as_str()).collect();
    let known = if known.is_empty() { "no manager keeps any".to_owned() } else { known.join(", ") };
    Err(Failure(format!("no certificate of this host is called `{name}`; known: {known}")))
}

/// Whether a person who says `name` means this lineage: its name, or one that its certificate carries.
fn is_called(lineage: &Lineage, name: &str) -> bool {
    lineage.name.eq_ignore_ascii_case(name) || lineage.names().iter().any(|n| n.eq_ignore_ascii_case(name))
}

/// What can be patched, the causes first: a contradiction is decided for them.
fn proposals(judgement: &Judgement) -> Vec<Proposal<'_>> {
    let causes = judgement.headlines.iter().filter_map(|h| h.cause);
    let rest = 0..judgement.findings.len();
    let mut order: Vec<usize> = Vec::new();
    for index in causes.chain(rest) {
        if !order.contains(&index) {
            order.push(index);
        }
    }
    let proposal = |finding: &usize| {
        let finding = &judgement.findings[*finding];
        let (remedy, changes) = finding.remedies.iter().find_map(|r| Some((r, patch(r)?)))?;
        Some(Proposal { code: finding.code, summary: &remedy.text, applicability: remedy.applicability, changes })
    };
    order.iter().filter_map(proposal).collect()
}

/// The changes of a remedy that this command may make.
fn patch(remedy: &Remedy) -> Option<&[Change]> {
    match &remedy.intent {
        Intent::Patch(changes) if remedy.applicability != Applicability::Manual => Some(changes),
        _ => None,
    }
}

fn apply(
    session: &Session<'_>,
    names: &[String],
    args: &RenewalArgs,
    before: &Judgement,
    plan: &Plan,
    shown: PlanReport,
) -> Result<Outcome, Failure> {
    let live = session.is_live();
    let mut options = ApplyOptions::new(session.machine.now, live);
    if let Some(dir) = &args.backup_dir {
        options.backup_directory = fix::backup_directory(session, dir)?;
    }
    let exec = live.then_some(session.machine.exec);
    interrupt::watch_hangup();
    let applied = plan::apply(&*session.tree, exec, plan, &options).map_err(|e| session.in_root(e))?;
    let outcome = look(session, names, args).map(|(facts, judgement)| {
        let mut wrong = wrong(session, before, &judgement, plan);
        if wrong.is_empty() && live {
            let host = session.renewal_host();
            let renewal = facts.renewal.clone().unwrap_or_default();
            wrong.extend(renewal::prove(&host, &*session.tree, session.machine.exec, &renewal, &changed(plan)).err());
            // Without handshakes, a finding that is gone proves nothing.
            wrong.extend(interrupt::asked().then(|| "interrupted before the outcome was proven".to_owned()));
        }
        (facts, judgement, wrong)
    });
    let mut done = AppliedReport {
        backup: Some(applied.id.clone()),
        changed: fix::summary(plan, false),
        refreshed: true,
        undo: args.backup_dir.as_ref().map(|d| format!(" --backup-dir {}", d.display())).unwrap_or_default(),
        ..AppliedReport::default()
    };
    let (facts, judgement) = match outcome {
        Ok((facts, judgement, wrong)) if wrong.is_empty() => (facts, judgement),
        failed => {
            let why = match failed {
                Ok((_, _, wrong)) => wrong.join("; "),
                Err(Failure(why)) => format!("can't look at the outcome: {why}"),
            };
            let put_back = plan::roll_back(&*session.tree, &applied).map_or_else(|rest| format!("; {rest}"), |()| String::new());
            let mut why = why + &put_back;
            let (facts, judgement) = look(session, names, args)?;
            if let (true, Some(renewal)) = (live, &facts.renewal)
                && let Err(e) = renewal::reload(session.machine.exec, renewal, &changed(plan))
            {
                why += &format!("; {e}");
            }
            done.rolled_back = Some(why);
            (facts, judgement)
        }
    };
    drop(applied);
    let mut report: Report = session.report("renewal", facts, judgement);
    report.plan = Some(shown);
    let failed = done.rolled_back.is_some();
    done.unwell = report.has_failures();
    report.applied = Some(done);
    let status = u8::from(failed || report.has_failures());
    Ok(session.finish(&report, status))
}

/// The files of a plan.
fn changed(plan: &Plan) -> Vec<TreePath> {
    plan.steps.iter().filter_map(|s| s.edit.path().cloned()).collect()
}

/// Why the outcome is not what was meant: a server refuses its configuration, a finding is still there that the plan was to cure, an
/// error is new, or a certificate that the plan is about can now not be validated.
fn wrong(session: &Session<'_>, before: &Judgement, after: &Judgement, plan: &Plan) -> Vec<String> {
    let mut wrong = Vec::new();
    let paths = changed(plan);
    let host = session.renewal_host();
    if host.live {
        for manager in renewal::ALL {
            wrong.extend((manager.accepts)(&host, session.machine.exec, &paths).err());
        }
    }
    let codes: Vec<&str> = plan.steps.iter().flat_map(|s| s.because.iter().copied()).collect();
    wrong.extend(not_cured(&before.findings, &after.findings, &codes));
    wrong
}

/// The findings that stand against a plan that was to cure these codes.
fn not_cured(before: &[Finding], after: &[Finding], codes: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let planned: Vec<_> = before.iter().filter(|f| codes.contains(&f.code)).flat_map(|f| &f.lineages).collect();
    for finding in after {
        let was = before.iter().any(|f| f.code == finding.code && f.subject == finding.subject);
        if was && codes.contains(&finding.code) && finding.remedies.iter().any(|r| patch(r).is_some()) {
            wrong.push(format!("{} is still there: {}", finding.code, finding.message));
        }
        let fails_otherwise = finding.severity == Severity::Warning
            && judge::is_of_validation(finding.code)
            && finding.lineages.iter().any(|lineage| planned.contains(&lineage));
        // What is mended is renewed when the manager runs next, not by this command.
        let waits = judge::waits_for_renewal(finding.code) && finding.lineages.iter().all(|lineage| planned.contains(&lineage));
        if !was && !waits && (finding.severity == Severity::Error || fails_otherwise) {
            wrong.push(format!("{} is new: {}", finding.code, finding.message));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::of_lineage as finding;

    #[test]
    fn another_failure_of_the_same_validation_is_not_what_was_meant() {
        let before = [finding("CD708", Severity::Warning, "a.test")];
        let wrong = |code, severity, name| not_cured(&before, &[finding(code, severity, name)], &["CD708"]).len();
        assert_eq!(wrong("CD730", Severity::Warning, "a.test"), 1);
        assert_eq!(wrong("CD730", Severity::Warning, "b.test"), 0, "of another certificate");
        assert_eq!(wrong("CD753", Severity::Warning, "a.test"), 0, "no matter of validation");
        assert_eq!(wrong("CD753", Severity::Error, "b.test"), 1);
        assert_eq!(wrong("CD766", Severity::Error, "a.test"), 0, "the next run renews it");
        assert_eq!(wrong("CD766", Severity::Error, "b.test"), 1);
        assert_eq!(wrong("CD708", Severity::Warning, "a.test"), 0, "nothing more can be patched");
    }

    #[test]
    fn names_are_compared_without_regard_to_case() {
        let lineage = Lineage { manager: "certbot", name: "MyCert".to_owned(), path: "/x".into(), chain: Vec::new() };
        assert!(is_called(&lineage, "MyCert") && is_called(&lineage, "mycert") && !is_called(&lineage, "my"));
    }
}
