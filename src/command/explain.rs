//! `explain`: what a finding means.

use super::{Failure, Outcome};
use crate::check;

pub(super) fn run(code: Option<&str>) -> Result<Outcome, Failure> {
    let Some(code) = code else {
        let lines = check::ALL.iter().map(|c| format!("{}  {:<36}  {}\n", c.code, c.slug, c.title));
        return Ok(Outcome::text(lines.collect::<String>()));
    };
    let found =
        check::find(code).ok_or_else(|| Failure(format!("no finding is called `{code}`; certdoctor explain lists them")))?;
    Ok(Outcome::text(format!("{} {}: {}\n\n{}\n", found.code, found.slug, found.title, found.text().trim())))
}
