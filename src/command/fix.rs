//! `fix`: plan, show, apply, gather again, judge again — and roll back when the outcome is not what was meant.

use std::collections::BTreeSet;

use super::{
    Failure, Outcome, Session,
    naming::{self, file_is_called, is_called},
    verify,
};
use crate::{
    base::{Fingerprint, TreePath},
    check,
    cli::FixArgs,
    edit::Applicability,
    facts::{Anchor, Facts, Target, TargetSource},
    finding::{Finding, Intent},
    host::{interrupt, on_this_host, processes},
    judge::{self, Judgement},
    path::Verdict,
    plan::{self, ApplyOptions, Backup, Plan, Wanted},
    report::{self, AppliedReport, Holder, PlanReport, Report, Verification},
    store,
};

/// Days ahead in which an expiry is worth a word beside a fix.
const WITHIN: i64 = 30;

pub(super) fn run(session: &Session<'_>, typed: &[String], args: &FixArgs) -> Result<Outcome, Failure> {
    let asked = Asked::of(session, typed)?;
    let facts = session.gather(&asked.all)?;
    for endpoint in &facts.endpoints {
        if let Err(failure) = &endpoint.outcome {
            let why = failure.to_string();
            let guard = match asked.named.contains(&endpoint.target) {
                true => "",
                false => "; the policy guards it, and --policy none goes on without",
            };
            return Err(Failure(format!("no certificate from {}: {why}; nothing was changed{guard}", endpoint.target)));
        }
    }
    let judgement = session.judge(&facts, WITHIN)?;
    // What an earlier fix took out is no typing error; a backup that can't be read tells nothing.
    let past = plan::list(&*session.tree, &options(session, args)?.backup_directory).unwrap_or_default();
    let (wanted, mut unknown) = wanted(&facts, &judgement, args, &past, !asked.named.is_empty())?;
    let (wanted, protected) = unprotected(session, &facts, wanted);
    unknown.extend(naming::protects_nothing(session, &facts));
    unknown.extend(wanted.iter().filter(|w| !args.anchor.is_empty() && !w.certificate.is_expired(session.at)).map(|w| {
        let end = w.certificate.validity().not_after.map_or("ever".to_owned(), |end| end.to_string());
        format!("{} is valid until {end}: clients will refuse what chains to it alone", w.certificate.label())
    }));
    let inquiry = session.inquiry(WITHIN)?;
    let mut plan = plan::solve(&plan::Request {
        tree: &*session.tree,
        stores: &facts.stores,
        kinds: store::ALL,
        distrust: &wanted,
        options: plan::Options { comment_out: args.comment_out, force: args.force, yes: args.yes.clone() },
        endangers: &|gone| judge::endangered(&facts, &inquiry, gone),
        at: session.machine.now,
    });
    plan.refusals.extend(protected);
    if args.diff && !args.apply {
        let undone = !plan.refusals.is_empty() || !plan.needs_yes.is_empty();
        let status = if args.check && !plan.is_empty() { 3 } else { u8::from(undone) };
        return Ok(Outcome { out: plan::diff(&*session.tree, &plan.steps)?, err: said(session, &plan, &unknown), status });
    }
    let mut shown = plan_report(session, &plan)?;
    shown.notes.extend(unknown);
    let wanted: Vec<Fingerprint> = wanted.iter().map(|w| w.certificate.fingerprint()).collect();
    shown.instead = session.anew(&facts, &wanted).map(|anew| anew.unwrap_or_else(|why| why.to_string()));
    if !args.apply {
        let mut report = session.report("fix", facts, judgement);
        let status = match (args.check, plan.is_empty()) {
            (true, false) => 3,
            (true, true) => u8::from(!plan.refusals.is_empty() || !plan.needs_yes.is_empty()),
            (false, _) => super::session::status(&report),
        };
        report.plan = Some(shown);
        report.restart = args.restart_list.then(|| holders(session));
        return Ok(session.finish(&report, status));
    }
    apply(session, args, &asked, (facts, judgement), &plan, shown)
}

/// The targets of a run.
struct Asked {
    /// Those that were named: what concerns them is cured, and they must verify afterwards.
    named: Vec<Target>,
    /// These and what the policy guards: none may lose what it has.
    all: Vec<Target>,
}

impl Asked {
    fn of(session: &Session<'_>, typed: &[String]) -> Result<Self, Failure> {
        let named = session.targets(typed)?;
        let guarded = session.guarded()?.into_iter().filter(|guard| named.iter().all(|t| t.text != guard.text));
        let all = named.iter().cloned().chain(guarded).collect();
        Ok(Asked { named, all })
    }
}

/// What is wanted, without what the policy protects.
fn unprotected(session: &Session<'_>, facts: &Facts, wanted: Vec<Wanted>) -> (Vec<Wanted>, Vec<plan::Refused>) {
    let anchors: Vec<&Anchor> = facts.stores.iter().flat_map(|s| s.anchors()).collect();
    let (mut free, mut refused) = (Vec::new(), Vec::new());
    for one in wanted {
        let mut known = anchors.iter().filter(|a| a.certificate == one.certificate);
        match known.find_map(|anchor| naming::protection(session, &|name| is_called(anchor, name))) {
            None => free.push(one),
            Some((why, instead)) => refused.push(plan::Refused { subject: one.certificate.label(), why, instead }),
        }
    }
    (free, refused)
}

fn options(session: &Session<'_>, args: &FixArgs) -> Result<ApplyOptions, Failure> {
    let mut options = ApplyOptions::new(session.machine.now, session.is_live());
    options.no_refresh = args.no_refresh;
    if let Some(dir) = &args.backup_dir {
        options.backup_directory = backup_directory(session, dir)?;
    }
    Ok(options)
}

/// The findings of a look before, and the state after.
struct After {
    facts: Facts,
    judgement: Judgement,
    verified: Vec<Verification>,
    /// Why the outcome is not what was meant.
    wrong: Vec<String>,
}

fn apply(
    session: &Session<'_>,
    args: &FixArgs,
    asked: &Asked,
    (facts, judgement): (Facts, Judgement),
    plan: &Plan,
    shown: PlanReport,
) -> Result<Outcome, Failure> {
    let unfinished = !plan.refusals.is_empty() || !plan.needs_yes.is_empty();
    if plan.is_empty() {
        let mut report = session.report("fix", facts, judgement);
        let unwell = !asked.named.is_empty() && report.is_refused();
        let status = u8::from(unfinished || unwell);
        report.plan = Some(shown);
        report.applied = Some(AppliedReport { refreshed: true, unwell, ..AppliedReport::default() });
        return Ok(session.finish(&report, status));
    }
    let live = session.is_live();
    let options = options(session, args)?;
    let mut unrefreshed = false;
    let exec = live.then_some(session.machine.exec);
    interrupt::watch_hangup();
    let applied = plan::apply(&*session.tree, exec, plan, &options).map_err(|e| session.in_root(e))?;

    let after = match look_again(session, args, asked, (&facts, &judgement), plan) {
        Ok(after) => after,
        Err(Failure(why)) => {
            let end = plan::roll_back(&*session.tree, &applied)
                .map_or_else(|rest| rest.to_string(), |()| "everything was put back".into());
            return Err(Failure(format!("can't look at the outcome: {why}; {end}")));
        }
    };
    let mut done = AppliedReport {
        backup: Some(applied.id.clone()),
        changed: summary(plan, args.no_refresh),
        refresh: applied.runs.first().map(|run| {
            let status = run.status.map_or("ended by a signal".to_owned(), |s| format!("exit status {s}"));
            let said = format!("{} ({status})", run.argv.join(" "));
            // Debian's tool warns of its own bundle each time: its words matter when it complains.
            match run.output.lines().rev().find(|l| !l.trim().is_empty()) {
                Some(last) if run.status != Some(0) => format!("{said}: {last}"),
                _ => said,
            }
        }),
        refreshed: true,
        undo: args.backup_dir.as_ref().map(|d| format!(" --backup-dir {}", d.display())).unwrap_or_default(),
        ..AppliedReport::default()
    };
    let before = judgement.findings;
    let (after, failed) = if after.wrong.is_empty() {
        (after, false)
    } else {
        let mut why = after.wrong.join("; ");
        if let Err(trouble) = plan::roll_back(&*session.tree, &applied) {
            why.push_str(&format!("; putting back failed{trouble}"));
        }
        done.rolled_back = Some(why);
        let facts = session.gather(&asked.all)?;
        let judgement = session.judge(&facts, WITHIN)?;
        (After { facts, judgement, ..after }, true)
    };
    drop(applied);
    let mut shown = shown;
    if args.no_refresh && plan.steps.iter().any(|s| s.generated) {
        let command = plan.refreshes.first().map_or("the refresh".to_owned(), |r| r.argv.join(" "));
        shown
            .notes
            .push(format!("not refreshed, as asked for: bundle and links still trust what was taken out until {command} runs"));
        unrefreshed = true;
    }
    let mut report: Report = session.report("fix", after.facts, after.judgement);
    report.plan = Some(shown);
    done.refreshed = !unrefreshed;
    done.unwell = (!asked.named.is_empty() && report.is_refused()) || is_unwell(args, asked, &before, &report);
    let status = u8::from(failed || done.unwell);
    report.applied = Some(done);
    report.verified = after.verified;
    report.restart = args.restart_list.then(|| holders(session));
    let status = status.max(u8::from(!report.troubles().is_empty()));
    Ok(session.finish(&report, status))
}

/// Whether a finding that fails a run concerns what this one was asked to cure: what stood before, and was not asked about, makes a fix
/// that holds no failure.
fn is_unwell(args: &FixArgs, asked: &Asked, before: &[Finding], after: &Report) -> bool {
    let everything = args.anchor.is_empty() && asked.named.is_empty();
    let concerns = |finding: &Finding| {
        everything
            || finding.targets.iter().any(|text| asked.named.iter().any(|t| t.text == *text))
            || !before.iter().any(|b| b.code == finding.code && b.subject == finding.subject)
    };
    after.findings.iter().any(|f| f.severity >= after.fail_on && concerns(f))
}

/// Gathers and judges afresh, and compares with what was meant.
fn look_again(
    session: &Session<'_>,
    args: &FixArgs,
    asked: &Asked,
    before: (&Facts, &Judgement),
    plan: &Plan,
) -> Result<After, Failure> {
    let facts = session.gather(&asked.all)?;
    let judgement = session.judge(&facts, WITHIN)?;
    let mut wrong = Vec::new();
    if !args.no_refresh
        && let Err(deviations) = plan.expectation.check(&facts.stores, &plan.remove)
    {
        wrong.extend(deviations.iter().map(ToString::to_string));
    }
    let servers: Vec<Target> = asked.named.iter().filter(|t| matches!(t.source, TargetSource::Server { .. })).cloned().collect();
    let verified = verify::by_rustls(session, &facts, &servers)?;
    if interrupt::asked() && !asked.all.is_empty() {
        wrong.push("interrupted before the outcome was proven".to_owned());
        return Ok(After { facts, judgement, verified, wrong });
    }
    if args.force {
        // Whoever says so has been told which target loses its path; the handshakes are reported and decide the exit status only.
        return Ok(After { facts, judgement, verified, wrong });
    }
    wrong.extend(
        verified
            .iter()
            .filter(|v| v.trusted == Some(false))
            .map(|v| format!("the fresh handshake with {} failed: {}", v.target, v.text)),
    );
    for old in before.1.verdicts.iter().filter(|v| matches!(v.verdict, Verdict::Trusted { .. })) {
        let now = check::of_endpoint(&judgement.verdicts, old.endpoint).iter().find(|v| v.client == old.client);
        if now.is_some_and(|v| matches!(v.verdict, Verdict::Untrusted { .. })) {
            wrong.push(format!("{} trusted {} before and refuses it now", old.client, before.0.endpoints[old.endpoint].target));
        }
    }
    Ok(After { facts, judgement, verified, wrong })
}

/// The anchors that are to go, each with the codes that want it; and notes on names that no store knows.
///
/// # Errors
/// A name that no store knows, where every anchor that ever was selected is still known.
fn wanted(
    facts: &Facts,
    judgement: &Judgement,
    args: &FixArgs,
    past: &[Backup],
    at_targets: bool,
) -> Result<(Vec<Wanted>, Vec<String>), Failure> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut want = |certificate: &crate::x509::Certificate, code: &'static str, store: Option<&'static str>| match wanted
        .iter_mut()
        .find(|w| w.certificate == *certificate)
    {
        Some(known) if !known.because.contains(&code) => known.because.push(code),
        Some(_) => {}
        None => wanted.push(Wanted { certificate: certificate.clone(), because: vec![code], store }),
    };
    let mut unknown = Vec::new();
    if !args.anchor.is_empty() {
        let anchors: Vec<&Anchor> = facts.stores.iter().flat_map(|s| s.anchors()).collect();
        for name in &args.anchor {
            let meant: Vec<&Anchor> = anchors.iter().copied().filter(|a| is_called(a, name)).collect();
            let prints: BTreeSet<Fingerprint> = meant.iter().map(|a| a.certificate.fingerprint()).collect();
            if prints.len() > 1 {
                let list: Vec<String> = prints.iter().map(ToString::to_string).collect();
                return Err(Failure(format!(
                    "`{name}` means {} anchors; give the SHA-256 of one: {}",
                    prints.len(),
                    list.join(", ")
                )));
            }
            let is_known = !meant.is_empty();
            for anchor in meant {
                let code = judgement.findings.iter().find(|f| concerns(f, anchor)).map_or("asked-for", |f| f.code);
                want(&anchor.certificate, code, None);
            }
            if !is_known {
                if !may_be_gone(facts, past, name) {
                    return Err(Failure(format!(
                        "no store knows an anchor called `{name}`; certdoctor scan --format json lists them all"
                    )));
                }
                unknown.push(format!("no store holds an anchor called `{name}`: nothing to do for it"));
            }
        }
        return Ok((wanted, unknown));
    }
    let only = |f: &&Finding| args.only.is_empty() || args.only.iter().any(|c| c.eq_ignore_ascii_case(f.code) || c == f.slug);
    for finding in judgement.findings.iter().filter(only) {
        // With targets, only what concerns them; without, whatever has a remedy that is an anchor's removal.
        if at_targets && finding.targets.is_empty() {
            continue;
        }
        for remedy in &finding.remedies {
            if let Intent::Distrust(certificate, store) = &remedy.intent
                && remedy.applicability != Applicability::Manual
                && (!at_targets || !remedy.helps.is_empty())
            {
                want(certificate, finding.code, Some(*store).filter(|_| !at_targets));
            }
        }
    }
    Ok((wanted, unknown))
}

/// Whether an anchor of this name may have been taken out before: it is a source that is not selected, an earlier fix tells of it, or a
/// store was seen that forgets what is cut out of it. A whole SHA-256 is no typing error.
fn may_be_gone(facts: &Facts, past: &[Backup], name: &str) -> bool {
    let print = Fingerprint::parse(name);
    let is_source = |source: &crate::facts::Source| {
        source.file.certificates().any(|(_, certificate)| {
            let anchor = Anchor { certificate: certificate.clone(), origins: Vec::new() };
            is_called(&anchor, name)
        }) || file_is_called(&String::from_utf8_lossy(&source.name), name)
    };
    let is_told = |backup: &Backup| backup.summary.iter().any(|line| line.to_lowercase().contains(&name.to_lowercase()));
    print.is_some()
        || past.iter().any(is_told)
        || facts.stores.iter().any(|store| store.configuration.is_none() || store.sources.iter().any(is_source))
}

fn concerns(finding: &Finding, anchor: &Anchor) -> bool {
    finding.code.starts_with("CD3") && finding.evidence.iter().any(|e| e.fingerprint == Some(anchor.certificate.fingerprint()))
}

pub(super) fn plan_report(session: &Session<'_>, plan: &Plan) -> Result<PlanReport, Failure> {
    let mut step_diffs = Vec::new();
    for step in &plan.steps {
        let one = plan::diff(&*session.tree, std::slice::from_ref(step))?;
        step_diffs.push((!one.is_empty()).then_some(one));
    }
    Ok(PlanReport {
        diff: plan::diff(&*session.tree, &plan.steps)?,
        steps: plan.steps.clone(),
        step_diffs,
        advice: plan.advice.iter().map(|a| session.advice(a)).collect(),
        refusals: plan.refusals.iter().map(|r| (r.subject.clone(), r.why.clone(), r.instead.clone())).collect(),
        needs_yes: plan.needs_yes.iter().map(|n| n.certificate.label()).collect(),
        notes: Vec::new(),
        instead: None,
    })
}

/// What `--diff` says beside the diff, on standard error.
pub(super) fn said(session: &Session<'_>, plan: &Plan, unknown: &[String]) -> String {
    let mut out = String::new();
    for advice in &plan.advice {
        out.push_str(&format!("{}\n", session.advice(advice)));
    }
    for refused in &plan.refusals {
        out.push_str(&format!("not done: {}: {}; {}\n", refused.subject, refused.why, refused.instead));
    }
    for needs in &plan.needs_yes {
        let name = needs.certificate.label();
        out.push_str(&format!("not done: {name}: {}\n", report::needs_yes(&name)));
    }
    for note in unknown {
        out.push_str(&format!("note: {note}\n"));
    }
    out
}

/// What was done, one line each; generated outputs in one line.
pub(super) fn summary(plan: &Plan, no_refresh: bool) -> Vec<String> {
    let mut lines: Vec<String> = plan.steps.iter().filter(|s| !s.generated).map(|s| s.summary.clone()).collect();
    let generated = plan.steps.iter().filter(|s| s.generated).count();
    if generated > 0 && !no_refresh {
        lines.push(match generated {
            1 => "refreshed the generated files (1 change)".to_owned(),
            n => format!("refreshed the generated files ({n} changes)"),
        });
    }
    lines
}

/// Where `--backup-dir` lies in the tree.
pub(super) fn backup_directory(session: &Session<'_>, dir: &std::path::Path) -> Result<TreePath, Failure> {
    let place = on_this_host(dir)?;
    let Some(root) = &session.global.root else { return Ok(place) };
    // Within --root a backup is part of the tree: an absolute directory that begins with the root's path means the same.
    let root = on_this_host(root)?;
    Ok(match place.starts_with(&root) && root != TreePath::root() {
        true => TreePath::new(&place.as_bytes()[root.as_bytes().len()..]),
        false => TreePath::new(std::os::unix::ffi::OsStrExt::as_bytes(dir.as_os_str())),
    })
}

fn holders(session: &Session<'_>) -> Vec<Holder> {
    if !session.is_live() {
        return Vec::new();
    }
    let list = processes::restart_list(session.machine.now);
    list.processes.into_iter().map(|p| Holder { pid: p.pid, command: p.command, why: p.why.join(", "), unit: p.unit }).collect()
}
