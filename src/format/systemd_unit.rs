//! Unit files of systemd (`systemd.syntax(7)`), as far as timers and their services need: sections, keys, continued lines.

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The section: `Timer`.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value, continued lines joined; empty resets a list.
    pub value: String,
    /// Its first line, from 1.
    pub line: u32,
}

/// The most assignments of one file.
const ASSIGNMENTS: usize = 10_000;

/// The assignments in file order. What is none is left out, as systemd does with a warning.
#[must_use]
pub fn parse(bytes: &[u8]) -> Vec<Assignment> {
    let text = String::from_utf8_lossy(bytes);
    let mut section = String::new();
    let mut found = Vec::new();
    let mut lines = (1_u32..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if found.len() == ASSIGNMENTS {
            break;
        }
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        let mut whole = line.to_owned();
        while let Some(so_far) = whole.strip_suffix('\\') {
            whole.truncate(so_far.trim_end().len());
            let Some((_, more)) = lines.by_ref().find(|(_, l)| !l.trim_start().starts_with(['#', ';'])) else { break };
            whole.push(' ');
            whole.push_str(more.trim());
        }
        if let Some((key, value)) = whole.split_once('=') {
            let value = value.trim().to_owned();
            found.push(Assignment { section: section.clone(), key: key.trim().to_owned(), value, line: number });
        }
    }
    found
}

/// Which days `OnCalendar=` names, as the longest gap between two of them in days (`systemd.time(7)`); `None` for a form that is not
/// understood.
#[must_use]
pub fn longest_gap(calendar: &str) -> Option<u32> {
    let word = calendar.trim().to_ascii_lowercase();
    let words: Vec<&str> =
        word.split_ascii_whitespace().filter(|w| *w != "utc" && !w.contains('/') || w.contains(['-', ':'])).collect();
    match words.as_slice() {
        ["minutely" | "hourly" | "daily"] => return Some(1),
        ["weekly"] => return Some(7),
        ["monthly"] => return Some(31),
        ["quarterly"] => return Some(92),
        ["semiannually" | "semi-annually"] => return Some(184),
        ["yearly" | "annually"] => return Some(366),
        _ => {}
    }
    let mut days = super::crontab::Days::default();
    for word in words {
        if word.contains(':') {
            continue;
        }
        if word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            days.weekdays = super::crontab::weekdays(&word.replace("..", "-"))?;
            continue;
        }
        let mut fields = word.rsplitn(3, '-');
        let (day, month, year) = (fields.next()?, fields.next()?, fields.next().unwrap_or("*"));
        if year != "*" {
            return None;
        }
        days.days = super::crontab::field(&day.replace("..", "-"), 1, 31, &[])?;
        days.months = super::crontab::field(&month.replace("..", "-"), 1, 12, &[])?;
    }
    days.longest_gap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continued_lines_are_one_value() {
        let found = parse(
            b"; x\n[Service]\nExecStart=/usr/bin/certbot \\\n# no\n  -q renew\nExecStart=\nnothing\n[Timer]\nOnCalendar = daily",
        );
        let told: Vec<_> = found.iter().map(|a| (a.section.as_str(), a.key.as_str(), a.value.as_str(), a.line)).collect();
        assert_eq!(
            told,
            [
                ("Service", "ExecStart", "/usr/bin/certbot -q renew", 3),
                ("Service", "ExecStart", "", 6),
                ("Timer", "OnCalendar", "daily", 9)
            ]
        );
    }

    #[test]
    fn gaps_of_calendars() {
        for (calendar, gap) in [
            ("*-*-* 00,12:00:00", Some(1)),
            ("*-*-* 3:00", Some(1)),
            ("03:14", Some(1)),
            ("weekly", Some(7)),
            ("Mon *-*-* 03:00:00", Some(7)),
            ("Mon,Thu 03:00", Some(4)),
            ("Mon..Fri 03:00", Some(3)),
            ("*-*-01 03:00", Some(31)),
            ("*-01,07-01 03:00", Some(184)),
            ("monthly", Some(31)),
            ("*-*-1/10 00:00", Some(10)),
            ("2026-01-01 00:00", None),
            ("hodgepodge", None),
        ] {
            assert_eq!(longest_gap(calendar), gap, "{calendar}");
        }
    }
}
