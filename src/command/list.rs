//! `list`: what this program knows.

use serde_json::json;

use super::Outcome;
use crate::{
    check,
    cli::{Format, Listing},
    client, render, renewal, store,
};

pub(super) fn run(what: Listing, format: Format) -> Outcome {
    let rows: Vec<[String; 3]> = match what {
        Listing::Clients => client::ALL.iter().map(|c| [c.id.to_owned(), c.versions.to_owned(), c.title.to_owned()]).collect(),
        Listing::Findings => check::ALL.iter().map(|c| [c.code.to_owned(), c.slug.to_owned(), c.title.to_owned()]).collect(),
        Listing::Formats => render::ALL.iter().map(|f| [f.name.to_owned(), String::new(), f.about.to_owned()]).collect(),
        Listing::Managers => renewal::ALL.iter().map(|m| [m.id.to_owned(), String::new(), m.title.to_owned()]).collect(),
        Listing::Stores => store::ALL.iter().map(|k| [k.id.to_owned(), String::new(), k.title.to_owned()]).collect(),
    };
    if format == Format::Json {
        let keys = match what {
            Listing::Clients => ["id", "versions", "title"],
            Listing::Findings => ["code", "slug", "title"],
            Listing::Formats | Listing::Managers | Listing::Stores => ["id", "", "title"],
        };
        let objects: Vec<_> = rows
            .iter()
            .map(|row| {
                let pairs = keys.iter().zip(row).filter(|(key, _)| !key.is_empty());
                json!(pairs.map(|(k, v)| ((*k).to_owned(), json!(v))).collect::<serde_json::Map<_, _>>())
            })
            .collect();
        let key = match what {
            Listing::Clients => "clients",
            Listing::Findings => "findings",
            Listing::Formats => "formats",
            Listing::Managers => "managers",
            Listing::Stores => "stores",
        };
        return Outcome::text(render::json::envelope("list", key, json!(objects)));
    }
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let mut out = String::new();
    for [a, b, c] in &rows {
        let middle = if second == 0 { String::new() } else { format!("{b:<second$}  ") };
        out.push_str(format!("{a:<first$}  {middle}{c}").trim_end());
        out.push('\n');
    }
    Outcome::text(out)
}
