//! Two targets side by side: where their chains part, and which clients tell them apart. The answer to "why only our domain?".

use super::{super::comparison, Style};
use crate::{facts::Presented, path::Verdict, report::Report, x509::Certificate};

/// Columns of one side where there is no terminal to ask.
const SIDE: usize = 48;

/// One line of the table: what it is about, and both sides.
struct Row {
    what: String,
    sides: [String; 2],
    differs: bool,
}

/// Whether both sides presented something.
pub(super) fn is_possible(report: &Report) -> bool {
    report.facts.endpoints.iter().all(|endpoint| endpoint.outcome.is_ok())
}

/// Writes the table, or why there is none.
pub(super) fn table(out: &mut String, report: &Report, style: Style) {
    let [first, second] = report.facts.endpoints.as_slice() else { return };
    let (Ok(a), Ok(b)) = (&first.outcome, &second.outcome) else {
        for endpoint in [first, second] {
            let Err(failure) = &endpoint.outcome else { continue };
            let why = format!("can't compare: no certificate from {} ({failure})", endpoint.target);
            out.push_str(&format!("{} {}\n", style.bad("[x] "), style.fold(&why, 5, 5)));
        }
        out.push('\n');
        return;
    };
    let names = [first.target.text.clone(), second.target.text.clone()];
    let mut rows = connection(a, b);
    rows.extend(chain(a, b, report.at));
    let apart = comparison::clients(report);
    rows.extend(apart.iter().map(|(client, sides)| {
        let [a, b] = sides.map(say);
        row(format!("client {client}"), a, b)
    }));
    let what = rows.iter().map(|r| r.what.chars().count()).max().unwrap_or(0);
    let longest = rows.iter().map(|r| r.sides[0].chars().count()).chain([names[0].chars().count()]).max().unwrap_or(0);
    let side = longest.min(SIDE);
    out.push_str(&format!("{}\n", style.bold(&format!("     {:<what$}  {:<side$}  {}", "", names[0], names[1]))));
    for row in &rows {
        let mark = if row.differs { style.warn("[!] ") } else { style.dim("  = ") };
        let left = row.sides[0].clone();
        // A long left side has its own line, so that the columns stay straight.
        let line = match left.chars().count() > side {
            true => format!("{left}\n     {:<what$}  {:<side$}  {}", "", "", row.sides[1]),
            false => format!("{left:<side$}  {}", row.sides[1]),
        };
        out.push_str(format!("{mark} {:<what$}  {line}", row.what).trim_end());
        out.push('\n');
    }
    let said = match comparison::part(a, b) {
        Some(depth) if a.certificates.get(depth).is_some() && b.certificates.get(depth).is_some() => {
            format!("the chains part at certificate {depth}")
        }
        Some(depth) => format!("the chains part at certificate {depth}: one of them sends no more"),
        None if a.certificates.len() < 2 => "both send their leaf alone".to_owned(),
        None => "above the leaf both send the same".to_owned(),
    };
    let told = report.verdicts.len() / 2;
    out.push_str(&format!("{}\n\n", style.bold(&format!("{said}; {} of {told} clients tell them apart", apart.len()))));
}

fn say(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Trusted { .. } => "accepts".to_owned(),
        Verdict::Untrusted { errors, .. } => errors.first().map_or("refuses".to_owned(), |e| format!("refuses: {}", e.text)),
        Verdict::Unknown(why) => format!("can't say: {why}"),
    }
}

fn row(what: impl Into<String>, a: String, b: String) -> Row {
    Row { what: what.into(), differs: a != b, sides: [a, b] }
}

fn connection(a: &Presented, b: &Presented) -> Vec<Row> {
    let protocol = |p: &Presented| p.protocol.map_or("–".to_owned(), |p| p.name().to_owned());
    let cipher = |p: &Presented| p.cipher.clone().unwrap_or_else(|| "–".to_owned());
    let staple = |p: &Presented| if p.staple.is_some() { "stapled" } else { "none" }.to_owned();
    let mut rows = Vec::new();
    if a.peer.is_some() || b.peer.is_some() {
        rows.push(row("protocol", protocol(a), protocol(b)));
        rows.push(row("cipher", cipher(a), cipher(b)));
        rows.push(row("OCSP", staple(a), staple(b)));
    }
    rows
}

/// The certificates by position. Leaves differ by nature: what is compared is everything about them but the names.
fn chain(a: &Presented, b: &Presented, at: crate::base::At) -> Vec<Row> {
    let mut rows = Vec::new();
    for index in 0..a.certificates.len().max(b.certificates.len()) {
        let (x, y) = (a.certificates.get(index), b.certificates.get(index));
        let label = |c: Option<&Certificate>| c.map_or("(not sent)".to_owned(), Certificate::label);
        let issuer = |c: Option<&Certificate>| c.map_or(String::new(), |c| format!("issued by {}", c.issuer().label()));
        let key =
            |c: Option<&Certificate>| c.map_or(String::new(), |c| format!("{}, {}", c.public_key(), c.signature_algorithm()));
        let end = |c: Option<&Certificate>| {
            let end = c.and_then(|c| c.validity().not_after);
            end.map_or(String::new(), |end| format!("until {end}, {}", at.relative(end)))
        };
        let mut name = row(if index == 0 { "leaf".to_owned() } else { index.to_string() }, label(x), label(y));
        name.differs = if index == 0 { false } else { x != y };
        rows.push(name);
        rows.push(row("", issuer(x), issuer(y)));
        rows.push(row("", key(x), key(y)));
        let mut ends = row("", end(x), end(y));
        ends.differs &= index > 0;
        rows.push(ends);
    }
    rows
}
