//! The plan, what was applied, and who must be restarted.

use super::{Style, plural};
use crate::{
    edit::{Applicability, Edit},
    report::Report,
};

/// Writes the plan and what became of it.
pub(super) fn plan(out: &mut String, report: &Report, style: Style) {
    if let Some(plan) = &report.plan {
        if !plan.advice.is_empty() {
            out.push('\n');
        }
        for advice in &plan.advice {
            out.push_str(&format!("{advice}\n"));
        }
        if !plan.diff.is_empty() && report.applied.is_none() {
            out.push('\n');
            for line in String::from_utf8_lossy(&plan.diff).lines() {
                let line = match line.as_bytes().first() {
                    Some(b'+') if !line.starts_with("+++") => style.good(line),
                    Some(b'-') if !line.starts_with("---") => style.severity(crate::finding::Severity::Error, line),
                    Some(b'@') => style.dim(line),
                    _ => style.bold(line),
                };
                out.push_str(&format!("{line}\n"));
            }
        }
        if report.applied.is_none() && !plan.steps.is_empty() {
            out.push_str("\nsteps\n");
            let mut generated = 0;
            for step in &plan.steps {
                if step.generated && report.verbosity < 1 {
                    generated += 1;
                    continue;
                }
                let how = match step.applicability {
                    Applicability::Auto => "",
                    // Only `fix` has the option; elsewhere --apply is the consent.
                    Applicability::Ask if report.command == "fix" => " (needs --yes)",
                    Applicability::Ask => " (read it before --apply: this host may have its reasons)",
                    Applicability::Manual => " (by hand)",
                };
                let run = if let Edit::Run { argv } = &step.edit { format!(": {}", argv.join(" ")) } else { String::new() };
                out.push_str(&format!("  - {}{run}{how}\n", step.summary));
            }
            if generated > 0 {
                out.push_str(&format!("  - then {} in generated files: -v shows them\n", plural(generated, "change")));
            }
        }
        for note in &plan.notes {
            out.push_str(&format!("{} {note}\n", style.bold("note:")));
        }
        for (subject, why) in plan.undone() {
            out.push_str(&format!("{} {subject}: {why}\n", style.warn("not done:")));
        }
    }
    if let Some(applied) = &report.applied {
        out.push('\n');
        for change in &applied.changed {
            out.push_str(&format!("{} {change}\n", style.good("done:")));
        }
        if let Some(refresh) = &applied.refresh {
            out.push_str(&format!("{} {refresh}\n", style.bold("refresh:")));
        }
        if let Some(why) = &applied.rolled_back {
            out.push_str(&format!("{} {why}\n", style.bad("rolled back:")));
        }
    }
}

/// Writes the processes that hold the old store.
pub(super) fn restart(out: &mut String, report: &Report, style: Style) {
    let Some(holders) = &report.restart else { return };
    if holders.is_empty() {
        out.push_str("\nno running process was seen to hold the old store\n");
        return;
    }
    out.push_str(&format!("\n{}\n", style.bold("these processes started before the change and may hold the old store")));
    for holder in holders {
        let unit = holder.unit.as_ref().map(|u| format!("  systemctl restart {u}")).unwrap_or_default();
        out.push_str(&format!("  {:>7}  {:<20}  {}{unit}\n", holder.pid, holder.command, holder.why));
    }
}
