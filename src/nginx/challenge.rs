//! What a certificate authority gets when it asks for the file of a challenge (RFC 8555, section 8.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    answer::{Answer, Outcome, Request},
    model::Model,
    server::Chosen,
};
use crate::{
    base::TreePath,
    facts::renewal::{
        HttpChallenge,
        nginx::{Directive, Instance},
    },
};

/// The path below which challenges lie.
pub const DIRECTORY: &str = "/.well-known/acme-challenge/";

/// A token as good as any: 43 letters, as Let's Encrypt's have.
pub const TOKEN: &str = "certdoctor-0123456789-0123456789-0123456789";

/// Redirects that are followed (boulder, va/http.go, `maxRedirect`).
const REDIRECTS: usize = 10;

/// The course of one validation.
#[derive(Clone, Debug)]
pub struct Course<'a> {
    /// Every answer, redirects first.
    pub answers: Vec<Answer<'a>>,
    /// How it ends.
    pub end: End,
}

/// How a validation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The file that the manager puts there is served.
    Served,
    /// A file of the same request in another place: nginx looks there, and finds nothing.
    OtherFile(TreePath),
    /// Anything else that answers; see the last answer.
    Wrong,
    /// It can't be said.
    Unknown(&'static str),
}

impl Instance {
    /// [`Model::addresses`], once.
    #[must_use]
    pub fn addresses(&self, port: u16) -> Vec<IpAddr> {
        Model::new(self).addresses(port)
    }

    /// [`Model::challenge`], for one name.
    #[must_use]
    pub fn challenge(&self, challenge: &HttpChallenge, address: IpAddr) -> Course<'_> {
        Model::new(self).challenge(challenge, address)
    }

    /// The path with the links of the directories on the way resolved, as far as they were looked at.
    #[must_use]
    pub fn real(&self, path: &TreePath) -> TreePath {
        let on_the_way = self.directories.iter().filter(|d| path.starts_with(&d.path));
        match on_the_way.max_by_key(|d| d.path.as_bytes().len()) {
            Some(directory) => {
                let rest = &path.as_bytes()[directory.path.as_bytes().len()..];
                directory.real.join(rest.strip_prefix(b"/").unwrap_or(rest))
            }
            None => path.clone(),
        }
    }

    /// The unspecified address of a family.
    #[must_use]
    pub fn any(is_ipv6: bool) -> IpAddr {
        if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
    }
}

impl<'a> Model<'a> {
    /// What a validation gets from this local address.
    #[must_use]
    pub fn challenge(&self, challenge: &HttpChallenge, address: IpAddr) -> Course<'a> {
        let path = format!("{DIRECTORY}{TOKEN}");
        let file = self.instance.real(&challenge.webroot.join(&path[1..]));
        // What a `try_files` ends with is taken to be there; that nginx would go round in circles without it helps nobody.
        let lies_at = |asked: &str| {
            if self.fallbacks.iter().any(|page| asked.ends_with(page)) {
                return Some(true);
            }
            let asked = self.instance.real(&TreePath::new(asked));
            if asked == file { Some(true) } else { file.starts_with(&asked).then_some(false) }
        };
        let mut answers: Vec<Answer<'a>> = Vec::new();
        let (mut port, mut tls, mut host, mut uri) = (challenge.port, false, challenge.name.clone(), path);
        let end = loop {
            let request = Request { address, port, tls, host: &host, path: &uri, client: None, lies_at: &lies_at };
            let answer = self.answer(&request);
            let outcome = answer.outcome.clone();
            answers.push(answer);
            match outcome {
                Outcome::File(found) => {
                    let found = self.instance.real(&TreePath::new(found));
                    let looked_for = found.name() == file.name();
                    break match () {
                        () if found == file => End::Served,
                        () if looked_for || found.to_string().ends_with(TOKEN) => End::OtherFile(found),
                        () => End::Wrong,
                    };
                }
                Outcome::Unknown(why) => break End::Unknown(why),
                Outcome::Redirect(_, to) if to.contains('$') => {
                    break End::Unknown("it is redirected to what is not known beforehand");
                }
                // Followed as boulder does: ports 80 and 443 only, and here only as far as this server itself answers.
                Outcome::Redirect(_, to) if answers.len() <= REDIRECTS => match target(&to, &host, port, tls) {
                    // "Only ports 80 and 443 are supported" (boulder, va/http.go).
                    Some(next) if ![80, 443, challenge.port].contains(&next.0) => break End::Wrong,
                    Some(next) => {
                        let here = self.select(address, next.0, &next.2).is_some_and(|s| s.chosen == Chosen::ByName);
                        let same_name = next.2 == host;
                        if !here && !same_name {
                            break End::Unknown("it is redirected to another host");
                        }
                        // Somebody else may terminate TLS for this name.
                        if !here && self.select(address, next.0, &next.2).is_none() {
                            break End::Unknown("it is redirected to a port where this server does not listen");
                        }
                        (port, tls, host, uri) = next;
                    }
                    None => break End::Wrong,
                },
                _ => break End::Wrong,
            }
        };
        Course { answers, end }
    }
}

/// The pages that `try_files` directives in this block end with.
pub(super) fn fallback_pages<'a>(block: &'a Directive, out: &mut Vec<&'a str>) {
    for directive in block.children() {
        let last = directive.arguments().last().filter(|_| directive.name() == "try_files");
        let page = last.and_then(|l| l.split('?').next()).filter(|p| p.starts_with('/') && !p.contains('$') && p.len() > 1);
        out.extend(page);
        fallback_pages(directive, out);
    }
}

/// Port, TLS, host and path of a redirect's target; `None` for what is not followed.
fn target(to: &str, host: &str, port: u16, tls: bool) -> Option<(u16, bool, String, String)> {
    let path = |rest: &str| {
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        if path.is_empty() { "/".to_owned() } else { path.to_owned() }
    };
    if to.starts_with('/') {
        return Some((port, tls, host.to_owned(), path(to)));
    }
    let (tls, rest) = match to.split_once("://")? {
        ("https", rest) => (true, rest),
        ("http", rest) => (false, rest),
        _ => return None,
    };
    let (authority, rest) = rest.find('/').map_or((rest, "/"), |n| rest.split_at(n));
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (authority, if tls { 443 } else { 80 }),
    };
    Some((port, tls, name.to_ascii_lowercase(), path(rest)))
}

impl<'a> Course<'a> {
    /// The first answer: what is to be changed stands there.
    #[must_use]
    pub fn first(&self) -> Option<&Answer<'a>> {
        self.answers.first()
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<&Answer<'a>> {
        self.answers.last()
    }

    /// The directive that decides at the end.
    #[must_use]
    pub fn by(&self) -> Option<&'a Directive> {
        self.last().and_then(|a| a.by)
    }
}
