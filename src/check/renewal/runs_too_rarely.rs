//! CD704.

use super::support::certbot as support;
use crate::{
    base::shell,
    check::Case,
    edit::{Applicability, Change},
    facts::renewal::schedule::{JobKind, Table},
    finding::{Evidence, Finding, Intent, Remedy},
};

rule! {
    /// **What it means.** What renews runs so rarely that a certificate can expire between two runs: a monthly job with a certificate
    /// that is renewed 15 days before its end. Usually a drop-in or a table of cron that was made for longer lifetimes.
    ///
    /// **How it is found.** The longest gap between two runs, from the effective `OnCalendar=` (drop-ins with an empty value reset
    /// it) or the fields of cron, against the days between the moment at which this certbot takes the certificate to be due and its
    /// end.
    ///
    /// **What to do.** Run it twice a day, as certbot's authors ask: a run that has nothing to do costs nothing.
    ///
    /// **Sources.** systemd.time(7), crontab(5); letsencrypt.org/2025/12/02 (lifetimes become 45 days); certbot's user guide.
    "CD704" "runs-too-rarely" Warning "what renews runs too rarely"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some((renewal, all)) = support::host(case) else { return };
    let starting: Vec<_> = renewal.schedule.starting("certbot").collect();
    // One job that can't be told may run often.
    let gaps: Option<Vec<u32>> = starting.iter().map(|job| job.longest_gap).collect();
    let Some(gap) = gaps.and_then(|gaps| gaps.into_iter().min()) else { return };
    let Some(job) = starting.into_iter().find(|job| job.longest_gap == Some(gap)) else { return };
    let window = |subject: &support::Subject<'_>| {
        let leaf = subject.lineage.leaf()?;
        let due = support::due::due(subject.version(), subject.conf, leaf)?;
        Some(due.at.days_until(leaf.validity().not_after?))
    };
    let short = all.iter().filter_map(|s| Some((window(s)?, s))).filter(|(days, _)| *days < i64::from(gap));
    let Some((days, subject)) = short.min_by_key(|(days, _)| *days) else { return };
    let (when, path, line) = job.when.last().cloned().unwrap_or_else(|| (String::new(), job.path.clone(), 1));
    let message =
        format!("certbot is started every {gap} days, but {} is due only {days} days before it expires", subject.name());
    let mut finding = support::of_host(&CHECK, "schedule", &all, message);
    finding.lineages =
        all.iter().filter(|s| window(s).is_some_and(|d| d < i64::from(gap))).map(|s| ("certbot", s.name().to_owned())).collect();
    finding.facts.push(("schedule", when));
    finding.evidence = vec![Evidence::file(&path, Some(line), "says when")];
    let drop_in = job.timer().filter(|t| {
        path.as_bytes().starts_with(b"/etc/systemd/system/") && path.parent().name() == format!("{}.d", t.unit).as_bytes()
    });
    if drop_in.is_some() {
        let bytes = b"[Timer]\nOnCalendar=\nOnCalendar=*-*-* 00,12:00:00\nRandomizedDelaySec=43200\nPersistent=true\n".to_vec();
        let create = Change::Create { path: path.parent().join("zz-twice-a-day.conf"), bytes, mode: 0o644 };
        let text = "run the timer twice a day, by a further drop-in";
        let command = Some("systemctl daemon-reload && systemctl list-timers".to_owned());
        finding.remedies.push(Remedy::new(Intent::Patch(vec![create]), Applicability::Auto, text, command));
    }
    let file = shell(&path.to_string());
    let (text, command) = match &job.kind {
        JobKind::Timer(timer) => {
            let unit = shell(&timer.unit);
            ("run it twice a day", format!("systemctl edit {unit}   # [Timer] OnCalendar= and OnCalendar=*-*-* 00,12:00:00"))
        }
        // Only the time is replaced: the user and what the job does stay.
        JobKind::Cron { table: Table::System, .. } => {
            let fields =
                if finding.facts.iter().any(|(name, when)| *name == "schedule" && when.starts_with('@')) { 1 } else { 5 };
            let time = vec!["[^[:space:]]+"; fields].join("[[:space:]]+");
            ("run it twice a day", format!("sed -i -E '{line}s/^[[:space:]]*{time}/17 3,15 * * */' {file}"))
        }
        JobKind::Cron { table: Table::User(user), .. } => {
            ("run it twice a day", format!("crontab -u {} -e   # line {line}: 17 3,15 * * * instead of its time", shell(user)))
        }
        JobKind::Cron { table: Table::Script, .. } => {
            // /etc/cron.monthly, /etc/periodic/monthly
            let above = path.parent().parent();
            let daily = if above.as_bytes() == b"/etc" { above.join("cron.daily") } else { above.join("daily") };
            ("run it daily", format!("mv {file} {}/", shell(&daily.to_string())))
        }
    };
    finding.remedies.push(support::by_hand(text, command));
    out.push(finding);
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_monthly_drop_in() {
        let drop_in = "/etc/systemd/system/certbot.timer.d/rare.conf";
        let finding = World::renewing(|tree| tree.file(drop_in, "[Timer]\nOnCalendar=\nOnCalendar=monthly\n")).one(&CHECK);
        assert_eq!(finding.message, "certbot is started every 31 days, but a.test is due only 30 days before it expires");
        assert_eq!((finding.evidence[0].path.clone(), finding.evidence[0].line), (Some(drop_in.into()), Some(3)));
    }

    /// What the job does, and for whom, is not touched.
    #[test]
    fn the_command_is_that_of_the_kind_of_table() {
        let command = |path: &'static str, text: &'static str| {
            let finding = World::renewing(|tree| {
                tree.remove_directory(&"/usr/lib/systemd".into());
                tree.remove_directory(&TIMER_LINK.into());
                tree.file("/usr/sbin/cron", "x");
                tree.put(path, FILE, 0o755, text.as_bytes().to_vec());
            })
            .one(&CHECK);
            finding.remedies[0].command.clone().expect("a command")
        };
        assert_eq!(
            command("/etc/cron.monthly/certbot", "#!/bin/sh\ncertbot renew\n"),
            "mv /etc/cron.monthly/certbot /etc/cron.daily/"
        );
        let user = command("/var/spool/cron/crontabs/root", "0 3 1 * * certbot renew\n");
        assert_eq!(user, "crontab -u root -e   # line 1: 17 3,15 * * * instead of its time");
        let job = "# x\n\t0  3 1 * *\troot certbot renew --deploy-hook 'x | y'\n";
        let system = command("/etc/cron.d/certbot", job);
        let file = tempfile::NamedTempFile::new().expect("a file");
        #[expect(clippy::disallowed_methods, reason = "the command is run on a file of its own")]
        let after = {
            std::fs::write(file.path(), job).expect("written");
            let system = system.replace("/etc/cron.d/certbot", &file.path().display().to_string());
            assert!(std::process::Command::new("sh").args(["-c", &system]).status().expect("sh").success(), "{system}");
            std::fs::read_to_string(file.path()).expect("read")
        };
        assert_eq!(after, "# x\n17 3,15 * * *\troot certbot renew --deploy-hook 'x | y'\n");
    }

    #[test]
    fn is_silent_about_weekly_and_what_it_can_not_tell() {
        let with = |text: &str| {
            let text = text.to_owned();
            World::renewing(move |tree| tree.file("/etc/systemd/system/certbot.timer.d/a.conf", text)).silent(&CHECK);
        };
        with("[Timer]\nOnCalendar=\nOnCalendar=weekly\n");
        with("[Timer]\nOnCalendar=\nOnCalendar=2030-01-01 00:00\n");
    }
}
