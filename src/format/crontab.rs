//! Tables of cron (`crontab(5)`), of the system (with a user) or of a user.

/// One job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its line, from 1.
    pub line: u32,
    /// When, as written: five fields, or `@daily`.
    pub when: String,
    /// The user, in a table of the system.
    pub user: Option<String>,
    /// What is run.
    pub command: String,
}

/// The most jobs of one table.
const JOBS: usize = 10_000;

/// The jobs of a table. Variables, comments and what is no job are left out.
#[must_use]
pub fn parse(bytes: &[u8], of_system: bool) -> Vec<Job> {
    let text = String::from_utf8_lossy(bytes);
    let job = |(line, text): (u32, &str)| {
        let text = text.trim();
        if text.starts_with('#') {
            return None;
        }
        let fields = if text.starts_with('@') { 1 } else { 5 };
        let (when, mut rest) = split(text, fields)?;
        if fields == 5 && !when.split_ascii_whitespace().all(is_field) {
            return None;
        }
        let mut user = None;
        if of_system {
            let (name, command) = split(rest, 1)?;
            user = Some(name.to_owned());
            rest = command;
        }
        Some(Job { line, when: when.to_owned(), user, command: rest.to_owned() })
    };
    (1..).zip(text.lines()).filter_map(job).take(JOBS).collect()
}

fn is_field(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit() || c == '*' || c.is_ascii_alphabetic()) && !word.contains('=')
}

/// The first `n` words as they are written, and what follows.
fn split(text: &str, n: usize) -> Option<(&str, &str)> {
    let mut rest = text;
    for _ in 0..n {
        rest = rest.trim_start();
        rest = &rest[rest.find([' ', '\t'])?..];
    }
    let head = text[..text.len() - rest.len()].trim();
    Some((head, rest.trim_start())).filter(|(_, rest)| !rest.is_empty())
}

/// The longest gap in days between two days on which a job runs; `None` for a form that is not understood.
#[must_use]
pub fn longest_gap(when: &str) -> Option<u32> {
    match when {
        "@hourly" | "@daily" | "@midnight" => return Some(1),
        "@weekly" => return Some(7),
        "@monthly" => return Some(31),
        "@yearly" | "@annually" => return Some(366),
        _ => {}
    }
    let fields: Vec<&str> = when.split_ascii_whitespace().collect();
    let [_, _, day, month, weekday] = fields[..] else { return None };
    let months = field(month, 1, 12, &MONTHS)?;
    let days = field(day, 1, 31, &[])?;
    let week = weekdays(weekday)?;
    // A day counts by either field when both are restricted.
    let either = !day.starts_with('*') && !weekday.starts_with('*');
    Days { months, days, weekdays: week, either }.longest_gap()
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const WEEK: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The days of a week as bits, Sunday first; names and 0 to 7.
pub(super) fn weekdays(text: &str) -> Option<u64> {
    let bits = field(text, 0, 7, &WEEK)?;
    Some((bits | bits >> 7) & 0x7f)
}

/// The numbers that a field names, as bits: `*`, `*/2`, `1-5`, `1,15`, `3/10`, names.
pub(super) fn field(text: &str, low: u32, high: u32, names: &[&str]) -> Option<u64> {
    let number = |word: &str| {
        let named = names.iter().position(|n| word.len() >= 3 && word.to_ascii_lowercase().starts_with(n));
        named.and_then(|at| u32::try_from(at).ok().map(|at| at + low)).or_else(|| word.parse().ok())
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(r, s)| (r, Some(s)));
        let step: u32 = step.map_or(Some(1), |s| s.parse().ok()).filter(|s| *s > 0)?;
        let (from, to) = match range {
            "*" => (low, high),
            range => match range.split_once('-') {
                Some((from, to)) => (number(from)?, number(to)?),
                None if part.contains('/') => (number(range)?, high),
                None => (number(range)?, number(range)?),
            },
        };
        if from < low || to > high || from > to {
            return None;
        }
        bits |= (from..=to).step_by(step as usize).fold(0_u64, |bits, n| bits | 1 << n);
    }
    Some(bits)
}

/// On which days something runs, as bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Days {
    pub(super) months: u64,
    pub(super) days: u64,
    pub(super) weekdays: u64,
    /// Whether a day of the month or one of the week is enough.
    pub(super) either: bool,
}

impl Default for Days {
    fn default() -> Self {
        Days { months: u64::MAX, days: u64::MAX, weekdays: 0x7f, either: false }
    }
}

impl Days {
    /// The longest gap in days, over four years (with a 29 February). `None` when it never runs.
    pub(super) fn longest_gap(self) -> Option<u32> {
        const LENGTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut number = 0;
        let mut last: Option<u32> = None;
        let mut longest = 0;
        for year in 0..8_u32 {
            for (month, length) in (1_u32..).zip(LENGTHS) {
                let length = length + u32::from(month == 2 && year % 4 == 0);
                for day in 1..=length {
                    number += 1;
                    let (of_month, of_week) = (self.days >> day & 1 == 1, self.weekdays >> (number % 7) & 1 == 1);
                    let runs = if self.either { of_month || of_week } else { of_month && of_week };
                    if self.months >> month & 1 == 1 && runs {
                        longest = longest.max(last.map_or(0, |last| number - last));
                        last = Some(number);
                    }
                }
            }
        }
        (longest > 0).then_some(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tables_of_system_and_user() {
        let text =
            b"# x\nSHELL=/bin/sh\n0 */12 * * * root test -x /usr/bin/certbot && certbot -q renew\n@daily root\tcertbot renew\n";
        let jobs = parse(text, true);
        assert_eq!(jobs.len(), 2);
        assert_eq!((jobs[0].line, jobs[0].when.as_str(), jobs[0].user.as_deref()), (3, "0 */12 * * *", Some("root")));
        assert_eq!(jobs[0].command, "test -x /usr/bin/certbot && certbot -q renew");
        assert_eq!(jobs[1].command, "certbot renew");
        assert_eq!(parse(b"17 3 1 * * certbot renew", false)[0].command, "certbot renew");
        assert_eq!(parse(b"a\n* * *\n\0\n", false), []);
    }

    #[test]
    fn gaps() {
        for (when, gap) in [
            ("0 */12 * * *", Some(1)),
            ("@monthly", Some(31)),
            ("0 0 1 * *", Some(31)),
            ("0 0 1,15 * *", Some(17)),
            ("0 0 * * 0", Some(7)),
            ("0 0 * * 7", Some(7)),
            ("0 0 * * mon-fri", Some(3)),
            ("0 0 1 * mon", Some(7)),
            ("0 0 1 */2 *", Some(62)),
            ("0 0 31 2 *", None),
            ("x", None),
        ] {
            assert_eq!(longest_gap(when), gap, "{when}");
        }
    }
}
