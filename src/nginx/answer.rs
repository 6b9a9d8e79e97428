//! Who answers an HTTP request, and with what: the phases of `ngx_http_core_run_phases`, for one GET.
//!
//! Absent on purpose: what other modules do with a request that gets as far as them. Where an answer depends on more than the request for a
//! challenge and the configuration, it is [`Outcome::Unknown`].

use std::net::IpAddr;

use super::{
    location::{self, Found, Kind},
    model::Model,
    server::{Selection, Server},
    value::{Pattern, Values},
};
use crate::facts::renewal::nginx::{Directive, Instance, named};

/// How often a request may begin again (`NGX_HTTP_MAX_URI_CHANGES`).
const CHANGES: usize = 10;

/// A request.
pub struct Request<'a> {
    /// The local address that it comes to.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// Whether it comes over TLS.
    pub tls: bool,
    /// The `Host` header.
    pub host: &'a str,
    /// The path, without arguments.
    pub path: &'a str,
    /// Who asks; `None` for a certificate authority, whose address nobody knows beforehand.
    pub client: Option<IpAddr>,
    /// What lies at a path: `Some(true)` for a file, `Some(false)` for a directory.
    pub lies_at: &'a dyn Fn(&str) -> Option<bool>,
}

/// What answers.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// The server; `None` when none listens there.
    pub server: Option<Selection<'a>>,
    /// The locations, each in the one before; none when the server's own block answers.
    pub locations: Vec<&'a Directive>,
    /// With what.
    pub outcome: Outcome,
    /// The directive that decides.
    pub by: Option<&'a Directive>,
}

/// With what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The regular file at this path, if it is there.
    File(String),
    /// A redirect: status and where to.
    Redirect(u16, String),
    /// This status, and no file.
    Status(u16),
    /// This text.
    Text(u16),
    /// Another server, or a program, answers: the directive's argument.
    Handler(String),
    /// No server listens there.
    NoServer,
    /// It depends on what is not known: why.
    Unknown(&'static str),
}

impl Instance {
    /// [`Model::answer`], for one request.
    #[must_use]
    pub fn answer(&self, request: &Request<'_>) -> Answer<'_> {
        Model::new(self).answer(request)
    }
}

impl<'a> Model<'a> {
    /// What answers this request.
    #[must_use]
    pub fn answer(&self, request: &Request<'_>) -> Answer<'a> {
        let none = |outcome| Answer { server: None, locations: Vec::new(), outcome, by: None };
        if !self.instance.is_whole() {
            return none(Outcome::Unknown("the configuration can't be read to its end"));
        }
        let Some(selection) = self.select(request.address, request.port, request.host) else { return none(Outcome::NoServer) };
        let early = match () {
            () if selection.tls != request.tls => Some(Outcome::Status(400)),
            () if selection.listen.proxy_protocol => Some(Outcome::Unknown("the PROXY protocol is expected there")),
            () => None,
        };
        if let Some(outcome) = early {
            let by = selection.listen.directive;
            return Answer { server: Some(selection), locations: Vec::new(), outcome, by };
        }
        let values = values(self, selection.server, request);
        let mut run = Run {
            model: self,
            request,
            server: selection.server,
            values,
            uri: request.path.to_owned(),
            at: Vec::new(),
            by: None,
            internal: false,
            in_place: true,
        };
        let outcome = run.go();
        Answer {
            server: Some(selection),
            outcome,
            by: run.by,
            locations: run.at.into_iter().filter(|d| d.name() == "location").collect(),
        }
    }
}

/// The variables of a request for a challenge.
fn values<'a>(model: &Model<'a>, server: Server<'a>, request: &Request<'_>) -> Values<'a> {
    let host = request.host.rsplit_once(':').map_or(request.host, |(h, _)| h).trim_end_matches('.').to_ascii_lowercase();
    let path = request.path.to_owned();
    let known = [
        ("host", host.clone()),
        ("http_host", request.host.to_owned()),
        ("server_name", server.names().first().map_or(String::new(), |n| (*n).to_owned())),
        ("server_port", request.port.to_string()),
        ("scheme", if request.tls { "https" } else { "http" }.to_owned()),
        ("https", if request.tls { "on" } else { "" }.to_owned()),
        ("request_method", "GET".to_owned()),
        ("request_uri", path),
        ("args", String::new()),
        ("query_string", String::new()),
        ("is_args", String::new()),
        ("http_x_forwarded_proto", String::new()),
        ("http_upgrade", String::new()),
        ("http_cookie", String::new()),
        ("http_referer", String::new()),
        ("http_authorization", String::new()),
        ("http_origin", String::new()),
        ("ssl_protocol", String::new()),
        ("remote_user", String::new()),
    ];
    let mut values = Values {
        known: known.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect(),
        numbered: Vec::new(),
        maps: model.of_http(server.http, "map").to_vec(),
        ..Values::default()
    };
    // Named parts of the server's name, if a pattern chose it.
    for pattern in server.names().iter().filter_map(|n| n.strip_prefix('~')) {
        if let Some(Some((_, named))) = Pattern::new(pattern, false).and_then(|p| p.captures(&host)) {
            values.known.extend(named.into_iter().map(|(name, value)| (name, Some(value))));
            break;
        }
    }
    values
}

struct Run<'a, 'r> {
    model: &'r Model<'a>,
    request: &'r Request<'r>,
    server: Server<'a>,
    values: Values<'a>,
    uri: String,
    /// The blocks below the server's in which the request stands: locations, and an `if` at the end.
    at: Vec<&'a Directive>,
    by: Option<&'a Directive>,
    internal: bool,
    /// Whether the path is still the one that chose the location: `alias` needs that.
    in_place: bool,
}

/// What a list of the rewrite module's directives came to.
enum Rewritten {
    /// Nothing: the request goes on.
    On,
    /// The path is another: a location is searched again.
    Elsewhere,
    Done(Outcome),
}

/// Where a request goes on.
enum Next {
    Done(Outcome),
    /// From the server's rewrite phase, with another path (an internal redirect).
    Server,
    /// In a named location.
    Named(String),
}

impl<'a> Run<'a, '_> {
    fn go(&mut self) -> Outcome {
        for _ in 0..CHANGES {
            self.at.clear();
            let mut outcome = match self.rewrite(self.server.directive) {
                Rewritten::Done(outcome) => Next::Done(outcome),
                Rewritten::On | Rewritten::Elsewhere => self.locate(),
            };
            for _ in 0..CHANGES {
                let Next::Named(name) = &outcome else { break };
                outcome = self.enter_named(name.clone());
            }
            match outcome {
                Next::Done(outcome) => return self.after_error_pages(outcome),
                Next::Server => self.internal = true,
                Next::Named(_) => break,
            }
        }
        Outcome::Status(500)
    }

    /// A page for an error may be anything, the file of the challenge too.
    fn after_error_pages(&self, outcome: Outcome) -> Outcome {
        let code = match &outcome {
            Outcome::Status(code) if *code >= 400 => code.to_string(),
            _ => return outcome,
        };
        let pages = self.inherited("error_page");
        match pages.iter().any(|d| d.arguments().any(|a| a == code)) {
            true => Outcome::Unknown("an error_page answers"),
            false => outcome,
        }
    }

    /// Searches a location, again while the rewrite module changes the path, and goes on there.
    fn locate(&mut self) -> Next {
        for _ in 0..=CHANGES {
            match location::find(self.server.directive, &self.uri) {
                Found::Unknown(directive) => {
                    self.by = Some(directive);
                    return Next::Done(Outcome::Unknown("a location's pattern is not understood"));
                }
                Found::Locations(path, captures) => {
                    self.at = path;
                    self.in_place = true;
                    if let Some((numbered, named)) = captures {
                        self.values.numbered = numbered;
                        self.values.known.extend(named.into_iter().map(|(n, v)| (n, Some(v))));
                    }
                }
            }
            let Some(block) = self.at.last().copied() else { return self.content() };
            if let Some(internal) = self.inherited("internal").first().filter(|_| !self.internal) {
                self.by = Some(internal);
                return Next::Done(Outcome::Status(404));
            }
            match self.rewrite(block) {
                Rewritten::Done(outcome) => return Next::Done(outcome),
                Rewritten::On => return self.content(),
                Rewritten::Elsewhere => {}
            }
        }
        Next::Done(Outcome::Status(500))
    }

    fn enter_named(&mut self, name: String) -> Next {
        let wanted = |d: &&Directive| location::kind(d) == Some(Kind::Named(&name));
        let Some(block) = self.server.directive.children().iter().find(wanted) else { return Next::Done(Outcome::Status(500)) };
        self.at = vec![block];
        self.internal = true;
        match self.rewrite(block) {
            Rewritten::Done(outcome) => Next::Done(outcome),
            Rewritten::On => self.content(),
            Rewritten::Elsewhere => self.locate(),
        }
    }

    /// Runs a block's `return`, `rewrite`, `if`, `set` and `break`, in their order (ngx_http_rewrite_module).
    fn rewrite(&mut self, block: &'a Directive) -> Rewritten {
        let mut changed = false;
        match self.rewrite_in(block, &mut changed) {
            Some(done) => done,
            None if changed => Rewritten::Elsewhere,
            None => Rewritten::On,
        }
    }

    /// `None` when the list came to its end.
    fn rewrite_in(&mut self, block: &'a Directive, changed: &mut bool) -> Option<Rewritten> {
        for directive in block.children() {
            match directive.name() {
                "set" => {
                    let (Some(name), Some(value)) = (directive.argument(0), directive.argument(1)) else { continue };
                    let value = self.expand(value);
                    self.values.known.insert(name.trim_start_matches('$').to_owned(), value);
                }
                "break" => {
                    self.in_place &= !*changed;
                    return Some(Rewritten::On);
                }
                "return" => {
                    self.by = Some(directive);
                    return Some(Rewritten::Done(self.returned(directive)));
                }
                "rewrite" => {
                    if let Some(done) = self.rewrite_one(directive, changed) {
                        return Some(done);
                    }
                }
                "if" => match self.holds(directive) {
                    Some(true) => {
                        // In a location, an `if` that holds is a location of its own for what follows; the last one counts.
                        if block.name() == "location" {
                            while self.at.last().is_some_and(|d| d.name() == "if") {
                                self.at.pop();
                            }
                            self.at.push(directive);
                        }
                        if let Some(done) = self.rewrite_in(directive, changed) {
                            return Some(done);
                        }
                    }
                    Some(false) => {}
                    None if directive.children().iter().all(|d| is_harmless(d.name())) => {}
                    None => {
                        self.by = Some(directive);
                        return Some(Rewritten::Done(Outcome::Unknown("an `if` asks for what is not known beforehand")));
                    }
                },
                // Lua, JavaScript and their kin may do anything here.
                name if name.starts_with("rewrite_by_") => {
                    self.by = Some(directive);
                    return Some(Rewritten::Done(Outcome::Unknown("a program rewrites the request")));
                }
                _ => {}
            }
        }
        None
    }

    fn returned(&self, directive: &Directive) -> Outcome {
        let Some(first) = directive.argument(0) else { return Outcome::Unknown("a `return` without a value") };
        let url = |text: &str| self.expand(text);
        match (first.parse::<u16>(), directive.argument(1)) {
            (Ok(code @ (301 | 302 | 303 | 307 | 308)), Some(to)) => match url(to) {
                Some(to) => Outcome::Redirect(code, to),
                None => Outcome::Redirect(code, to.to_owned()),
            },
            (Ok(code), Some(_)) => Outcome::Text(code),
            (Ok(code), None) => Outcome::Status(code),
            (Err(_), _) => Outcome::Redirect(302, url(first).unwrap_or_else(|| first.to_owned())),
        }
    }

    fn rewrite_one(&mut self, directive: &'a Directive, changed: &mut bool) -> Option<Rewritten> {
        let (Some(pattern), Some(replacement)) = (directive.argument(0), directive.argument(1)) else { return None };
        let flag = directive.argument(2).unwrap_or_default();
        let Some(found) = Pattern::new(pattern, false).and_then(|p| p.captures(&self.uri)) else {
            self.by = Some(directive);
            return Some(Rewritten::Done(Outcome::Unknown("a rewrite's pattern is not understood")));
        };
        let (numbered, named) = found?;
        self.values.numbered = numbered;
        self.values.known.extend(named.into_iter().map(|(n, v)| (n, Some(v))));
        self.by = Some(directive);
        // A question mark at its end keeps the arguments of the request away.
        let to = self.expand(replacement.strip_suffix('?').unwrap_or(replacement));
        let absolute = ["http://", "https://", "$scheme"].iter().any(|p| replacement.starts_with(p));
        if absolute || matches!(flag, "redirect" | "permanent") {
            let code = if flag == "permanent" { 301 } else { 302 };
            return Some(Rewritten::Done(Outcome::Redirect(code, to.unwrap_or_else(|| replacement.to_owned()))));
        }
        let Some(to) = to else {
            return Some(Rewritten::Done(Outcome::Unknown("a rewrite depends on what is not known beforehand")));
        };
        self.by = None;
        // A rewritten request may enter locations that are `internal`.
        self.internal = true;
        self.uri = to.split('?').next().unwrap_or_default().to_owned();
        match flag {
            "last" => Some(Rewritten::Elsewhere),
            "break" => {
                self.in_place = false;
                Some(Rewritten::On)
            }
            _ => {
                *changed = true;
                None
            }
        }
    }

    /// Whether the condition of an `if` holds; `None` when that is not known.
    fn holds(&mut self, directive: &Directive) -> Option<bool> {
        let joined: Vec<&str> = directive.arguments().collect();
        let count = joined.len();
        let strip = |(n, word): (usize, &str)| {
            let word = if n == 0 { word.strip_prefix('(').unwrap_or(word) } else { word };
            let word = if n + 1 == count { word.strip_suffix(')').unwrap_or(word) } else { word };
            word.to_owned()
        };
        let mut words: Vec<String> = joined.into_iter().enumerate().map(strip).collect();
        // `( $a` and `"b" )`: brackets may stand alone.
        if words.first().is_some_and(String::is_empty) {
            words.remove(0);
        }
        if words.len() != 3 && words.last().is_some_and(String::is_empty) {
            words.pop();
        }
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [variable] => {
                let value = self.expand(variable)?;
                Some(!value.is_empty() && value != "0")
            }
            [variable, op @ ("=" | "!="), text] => Some((self.expand(variable)? == self.expand(text)?) == (*op == "=")),
            [variable, op, pattern] if op.trim_start_matches('!').starts_with('~') => {
                let found = Pattern::new(pattern, op.ends_with('*'))?.captures(&self.expand(variable)?)?;
                let matched = found.is_some();
                if let Some((numbered, named)) = found {
                    self.values.numbered = numbered;
                    self.values.known.extend(named.into_iter().map(|(n, v)| (n, Some(v))));
                }
                Some(matched != op.starts_with('!'))
            }
            [test, path] => {
                let path = self.expand(path)?;
                let lies = (self.request.lies_at)(&path);
                let holds = match test.trim_start_matches('!') {
                    "-f" => lies == Some(true),
                    "-d" => lies == Some(false),
                    "-e" => lies.is_some(),
                    _ => return None,
                };
                Some(holds != test.starts_with('!'))
            }
            _ => None,
        }
    }

    /// The text with its variables; those that depend on where the request stands are added here.
    fn expand(&self, text: &str) -> Option<String> {
        if !text.contains('$') {
            return Some(text.to_owned());
        }
        let mut values = self.values.clone();
        for name in ["uri", "document_uri"] {
            values.known.insert(name.to_owned(), Some(self.uri.clone()));
        }
        if text.contains("document_root") || text.contains("request_filename") {
            values.known.insert("document_root".to_owned(), self.root().and_then(|(root, _)| self.plain(&root)));
            values.known.insert("request_filename".to_owned(), self.file(&self.uri).ok());
        }
        values.expand(text)
    }

    fn plain(&self, root: &str) -> Option<String> {
        let root = self.values.expand(root)?;
        self.model.instance.from_prefix(&root).map(|p| p.to_string())
    }

    /// The innermost directives of this name, which inner blocks inherit.
    fn inherited(&self, name: &str) -> Vec<&'a Directive> {
        for block in self.inner() {
            let own: Vec<&Directive> = block.children().iter().filter(|d| d.name() == name).collect();
            if !own.is_empty() {
                return own;
            }
        }
        self.model.of_http(self.server.http, name).to_vec()
    }

    /// The blocks in which the request stands, up to the server's.
    fn inner(&self) -> impl Iterator<Item = &'a Directive> + use<'a, '_> {
        self.at.iter().rev().copied().chain([self.server.directive])
    }

    /// The `root` or `alias` in force, and the block that has it.
    fn root_and_block(&self) -> Option<(&'a Directive, &'a Directive)> {
        let is_root = |d: &&Directive| matches!(d.name(), "root" | "alias");
        let inner = self.inner().find_map(|block| Some((block.children().iter().find(is_root)?, block)));
        inner.or_else(|| Some((self.model.of_http(self.server.http, "root").first().copied()?, self.server.http)))
    }

    /// The `root` or `alias` in force: its value, and for an `alias` the location that has it.
    fn root(&self) -> Option<(String, Option<&'a Directive>)> {
        if let Some((directive, block)) = self.root_and_block() {
            let value = directive.argument(0)?.to_owned();
            return Some((value, (directive.name() == "alias").then_some(block)));
        }
        Some(("html".to_owned(), None))
    }

    /// The file of a path here.
    fn file(&self, uri: &str) -> Result<String, Outcome> {
        let unknown = Outcome::Unknown("the root depends on what is not known beforehand");
        let (value, alias) = self.root().ok_or(unknown.clone())?;
        let value = if value.contains('$') { self.values_with_uri().expand(&value).ok_or(unknown)? } else { value };
        let Some(block) = alias else {
            let root = self.absolute(&value)?;
            return Ok(format!("{}{uri}", root.strip_suffix('/').unwrap_or(&root)));
        };
        if !self.in_place {
            return Err(Outcome::Status(500));
        }
        let value = self.absolute(&value)?;
        let block = if block.name() == "if" {
            self.at.iter().rev().copied().find(|d| d.name() == "location").unwrap_or(block)
        } else {
            block
        };
        match location::kind(block) {
            Some(Kind::Pattern { .. }) => Ok(value),
            Some(Kind::Exact(path) | Kind::Prefix { path, .. }) => {
                Ok(format!("{value}{}", uri.get(path.len()..).unwrap_or_default()))
            }
            _ => Err(Outcome::Unknown("an alias in a named location")),
        }
    }

    /// A `root` or `alias`, which counts from the prefix; the slash at its end stays, since it counts for an `alias`.
    fn absolute(&self, value: &str) -> Result<String, Outcome> {
        if value.starts_with('/') {
            return Ok(value.to_owned());
        }
        let prefix = self.model.instance.prefix.as_ref();
        let prefix = prefix.ok_or(Outcome::Unknown("the root counts from a prefix that is not known here"))?;
        Ok(format!("{}/{value}", prefix.to_string().trim_end_matches('/')))
    }

    fn values_with_uri(&self) -> Values<'a> {
        let mut values = self.values.clone();
        for name in ["uri", "document_uri"] {
            values.known.insert(name.to_owned(), Some(self.uri.clone()));
        }
        values
    }

    /// Access, `try_files`, content.
    fn content(&mut self) -> Next {
        if let Some(outcome) = self.access() {
            return Next::Done(outcome);
        }
        let block = self.at.last().copied().unwrap_or(self.server.directive);
        if let Some(try_files) = block.named("try_files").next()
            && let Some(next) = self.try_files(try_files)
        {
            return next;
        }
        // A handler is not inherited, but for an `if` from its location.
        let own = if block.name() == "if" { 2 } else { 1 };
        for block in self.at.iter().rev().take(own) {
            if let Some(handler) = block.children().iter().find(|d| is_handler(d.name())) {
                self.by = Some(handler);
                return Next::Done(Outcome::Handler(handler.argument(0).unwrap_or(handler.name()).to_owned()));
            }
        }
        if self.uri.ends_with('/') {
            return Next::Done(Outcome::Unknown("a directory's index answers"));
        }
        self.by = self.root_directive();
        Next::Done(self.file(&self.uri).map_or_else(|outcome| outcome, Outcome::File))
    }

    fn root_directive(&self) -> Option<&'a Directive> {
        self.root_and_block().map(|(directive, _)| directive)
    }

    /// `None` when a file was found, and the content is that of the path now.
    fn try_files(&mut self, directive: &'a Directive) -> Option<Next> {
        let arguments: Vec<&str> = directive.arguments().collect();
        let (last, tried) = arguments.split_last()?;
        let unknown = Next::Done(Outcome::Unknown("try_files depends on what is not known beforehand"));
        for text in tried {
            let (text, directory) = text.strip_suffix('/').map_or((*text, false), |t| (t, true));
            let Some(name) = self.expand(text) else { return Some(unknown) };
            let path = match self.tried(&name) {
                Ok(path) => path,
                Err(outcome) => return Some(Next::Done(outcome)),
            };
            if (self.request.lies_at)(&path) == Some(!directory) {
                // Here `alias` is taken off the name, so the path still is of this location.
                let kept = self.prefix_of_alias().filter(|prefix| !name.starts_with(*prefix)).map(str::to_owned);
                self.uri = kept.unwrap_or_default() + &name + if directory { "/" } else { "" };
                return None;
            }
        }
        self.by = Some(directive);
        if let Some(code) = last.strip_prefix('=') {
            return Some(Next::Done(code.parse().map_or(Outcome::Unknown("try_files ends with no status"), Outcome::Status)));
        }
        if last.starts_with('@') {
            return Some(Next::Named((*last).to_owned()));
        }
        let Some(uri) = self.expand(last) else { return Some(unknown) };
        self.uri = uri.split('?').next().unwrap_or_default().to_owned();
        Some(Next::Server)
    }

    /// The prefix that an `alias` in force replaces.
    fn prefix_of_alias(&self) -> Option<&'a str> {
        let (_, block) = self.root()?;
        match location::kind(block?) {
            Some(Kind::Exact(path) | Kind::Prefix { path, .. }) => Some(path),
            _ => None,
        }
    }

    /// Where `try_files` looks for a name: below `root`; below `alias` without the location's prefix, if it begins with that.
    fn tried(&self, name: &str) -> Result<String, Outcome> {
        match self.root() {
            Some((value, Some(_))) => {
                if self.prefix_of_alias().is_none() || value.contains('$') {
                    return Err(Outcome::Unknown("try_files with an alias in a pattern's location"));
                }
                let rest = self.prefix_of_alias().and_then(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
                Ok(format!("{}{rest}", self.absolute(&value)?))
            }
            _ => self.file(name),
        }
    }

    /// `allow` and `deny`, then `auth_basic` (with `satisfy any`, one of them is enough).
    fn access(&mut self) -> Option<Outcome> {
        for name in ["auth_request", "access_by_lua", "access_by_lua_block", "access_by_lua_file", "auth_jwt"] {
            if let Some(found) = self.inherited(name).first().filter(|d| d.argument(0) != Some("off")) {
                self.by = Some(found);
                return Some(Outcome::Unknown("a program decides who may read"));
            }
        }
        let limits =
            self.at.iter().rev().find_map(|b| b.named("limit_except").next()).filter(|l| !l.arguments().any(|m| m == "GET"));
        if limits.is_some() {
            self.by = limits;
            return Some(Outcome::Unknown("limit_except decides who may read"));
        }
        let rule = match self.rule() {
            Ok(rule) => rule,
            Err(by) => {
                self.by = Some(by);
                return Some(Outcome::Unknown("it depends on the client's address"));
            }
        };
        let denied = rule.filter(|r| r.name() == "deny");
        let auth = self.inherited("auth_basic").first().copied().filter(|d| d.argument(0) != Some("off"));
        // Without a file of users it is as if it were off.
        let auth = auth.filter(|_| !self.inherited("auth_basic_user_file").is_empty());
        let any = self.inherited("satisfy").first().is_some_and(|d| d.argument(0) == Some("any"));
        let (by, code) = match (auth, denied) {
            (Some(_), None) if any && rule.is_some() => return None,
            (Some(auth), None) => (auth, 401),
            (Some(auth), Some(_)) if any => (auth, 401),
            (_, Some(denied)) => (denied, 403),
            (None, None) => return None,
        };
        self.by = Some(by);
        Some(Outcome::Status(code))
    }

    /// The innermost block with rules of access; inner blocks inherit them only when they have none.
    fn rules(&self) -> Vec<&'a Directive> {
        for block in self.inner() {
            let own: Vec<&Directive> = block.children().iter().filter(|d| matches!(d.name(), "allow" | "deny")).collect();
            if !own.is_empty() {
                return own;
            }
        }
        let of_http = |name| self.model.of_http(self.server.http, name).iter().copied();
        let mut rules: Vec<&Directive> = of_http("allow").chain(of_http("deny")).collect();
        // In the order of the configuration, which is that of the children.
        rules.sort_by_key(|d| std::ptr::from_ref(*d));
        rules
    }

    /// The `allow` or `deny` that hits the client, if one does; `Err` when a rule's address is not understood.
    fn rule(&self) -> Result<Option<&'a Directive>, &'a Directive> {
        for rule in self.rules() {
            let network = rule.argument(0).unwrap_or_default();
            let hits = match (network, self.request.client) {
                ("all", _) => true,
                ("unix:", _) => false,
                // A certificate authority asks from anywhere: a rule for some addresses is not for it.
                (_, None) => false,
                (network, Some(client)) => contains(network, client).ok_or(rule)?,
            };
            if hits {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }
}

/// Whether an address lies in `address` or `address/bits`.
fn contains(network: &str, client: IpAddr) -> Option<bool> {
    let (address, bits) = network.split_once('/').unwrap_or((network, "128"));
    let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?);
    let same = |a: &[u8], b: &[u8], bits: u32| {
        let bits = usize::try_from(bits).unwrap_or(usize::MAX).min(a.len() * 8);
        let whole = bits / 8;
        let rest = bits % 8;
        a[..whole] == b[..whole] && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0)
    };
    Some(match (address, client) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(&a.octets(), &b.octets(), bits),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(&a.octets(), &b.octets(), bits),
        _ => false,
    })
}

/// Directives in an `if` that change nothing about which file answers.
fn is_harmless(name: &str) -> bool {
    matches!(name, "add_header" | "access_log" | "expires" | "limit_rate" | "set" | "more_set_headers" | "gzip")
}

/// Whether a directive of a location answers requests itself.
fn is_handler(name: &str) -> bool {
    name.ends_with("_pass") && !name.starts_with("internal_")
        || name.starts_with("content_by_")
        || matches!(
            name,
            "stub_status" | "empty_gif" | "js_content" | "echo" | "perl" | "uwsgi" | "api" | "status" | "push_stream_publisher"
        )
}

impl Instance {
    /// The server-level directive that would answer before any location is looked at, if one would: a new location has no effect then.
    #[must_use]
    pub fn before_locations<'a>(&'a self, answer: &Answer<'a>) -> Option<&'a Directive> {
        let (server, by) = (answer.server.as_ref()?.server, answer.by?);
        let of_rewrite = |d: &&Directive| matches!(d.name(), "return" | "rewrite" | "if");
        let holds = |d: &&Directive| std::ptr::eq(*d, by) || d.children().iter().any(|c| std::ptr::eq(c, by));
        if !answer.locations.is_empty() {
            return None;
        }
        server.directive.children().iter().filter(of_rewrite).find(holds)
    }

    /// The `http` blocks' directives of this name.
    pub fn in_http<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Directive> {
        named(&self.directives, "http").flat_map(move |http| http.named(name))
    }
}
