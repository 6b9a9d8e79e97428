//! Which location a path falls into (`ngx_http_core_find_location` in src/http/ngx_http_core_module.c).

use super::value::{Captures, Pattern};
use crate::facts::renewal::nginx::Directive;

/// How a location is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// `= /x`
    Exact(&'a str),
    /// `@x`, reached only from inside.
    Named(&'a str),
    /// `/x`; with `^~` patterns are not tried afterwards.
    Prefix { path: &'a str, final_: bool },
    /// `~ x` and, without regard to case, `~* x`.
    Pattern { pattern: &'a str, caseless: bool },
}

/// How this location is found; `None` for what is no location.
pub(super) fn kind(directive: &Directive) -> Option<Kind<'_>> {
    if directive.name() != "location" || directive.block.is_none() {
        return None;
    }
    let first = directive.argument(0)?;
    let (modifier, path) = match directive.argument(1) {
        Some(path) => (first, path),
        None => {
            let glued = ["=", "^~", "~*", "~"].into_iter().find(|m| first.starts_with(m)).unwrap_or("");
            (glued, &first[glued.len()..])
        }
    };
    Some(match modifier {
        "=" => Kind::Exact(path),
        "^~" => Kind::Prefix { path, final_: true },
        "~" => Kind::Pattern { pattern: path, caseless: false },
        "~*" => Kind::Pattern { pattern: path, caseless: true },
        _ if path.starts_with('@') => Kind::Named(path),
        _ => Kind::Prefix { path, final_: false },
    })
}

/// What a search found.
pub(super) enum Found<'a> {
    /// These locations, each in the one before; none when nothing fits.
    Locations(Vec<&'a Directive>, Option<Captures>),
    /// A pattern on the way is not understood.
    Unknown(&'a Directive),
}

/// Searches the locations in `block` for `uri`.
pub(super) fn find<'a>(block: &'a Directive, uri: &str) -> Found<'a> {
    let mut path = Vec::new();
    let mut captures = None;
    match search(block, uri, &mut path, &mut captures) {
        Ok(_) => Found::Locations(path, captures),
        Err(unknown) => Found::Unknown(unknown),
    }
}

/// Adds to `path` what fits; whether the search is over (an exact name, or a pattern, was met).
fn search<'a>(
    block: &'a Directive,
    uri: &str,
    path: &mut Vec<&'a Directive>,
    captures: &mut Option<Captures>,
) -> Result<bool, &'a Directive> {
    let mut best: Option<(&Directive, usize, bool)> = None;
    for directive in block.children() {
        match kind(directive) {
            Some(Kind::Exact(name)) if name == uri => {
                path.push(directive);
                return Ok(true);
            }
            Some(Kind::Prefix { path, final_ }) if uri.starts_with(path) && best.is_none_or(|(_, len, _)| path.len() > len) => {
                best = Some((directive, path.len(), final_));
            }
            _ => {}
        }
    }
    let depth = path.len();
    let mut final_here = false;
    if let Some((directive, _, final_)) = best {
        final_here = final_;
        path.push(directive);
        if search(directive, uri, path, captures)? {
            return Ok(true);
        }
    }
    if !final_here {
        for directive in block.children() {
            let Some(Kind::Pattern { pattern, caseless }) = kind(directive) else { continue };
            let found = Pattern::new(pattern, caseless).and_then(|p| p.captures(uri)).ok_or(directive)?;
            if let Some(found) = found {
                path.truncate(depth);
                path.push(directive);
                *captures = Some(found);
                search(directive, uri, path, captures)?;
                return Ok(true);
            }
        }
    }
    Ok(false)
}
