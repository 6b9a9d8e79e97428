//! Who answers a challenge: the layouts of `fixtures/renewal/nginx/nginx-challenge-location-semantics.txt`, and a few hundred generated ones.

use std::{fs, net::IpAddr, path::Path};

use certdoctor::{
    facts::renewal::nginx::Instance,
    nginx::answer::{Outcome, Request},
};

use crate::{
    common,
    site::{self, Site},
};

const PATH: &str = "/.well-known/acme-challenge/tok";

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// The files that servers find.
fn files(site: &Site) {
    site.write(&format!("var/www/a{PATH}"), "A");
    site.write(&format!("var/www/b{PATH}"), "B");
    site.write("var/www/flat/tok", "FLAT");
    site.write("var/www/html/index.html", "INDEX");
    site.write("var/www/html/other/tok", "OTHER");
    site.write("var/www/html/acme-challenge/tok", "CUT");
    site.write("etc/nginx/users", "u:{PLAIN}p\n");
}

/// What the model says will come: status, and body or where to. `None` when it can't say.
fn expected(instance: &Instance, folder: &Path, port: u16, host: &str, path: &str) -> Option<(u16, String)> {
    let here = |path: &str| folder.join(path.trim_start_matches('/'));
    let lies_at = |path: &str| fs::metadata(here(path)).ok().map(|m| m.is_file());
    let request = Request { address: LOOPBACK, port, tls: false, host, path, client: Some(LOOPBACK), lies_at: &lies_at };
    Some(match instance.answer(&request).outcome {
        Outcome::File(path) => match lies_at(&path) {
            Some(true) => (200, String::from_utf8_lossy(&fs::read(here(&path)).expect("a file")).into_owned()),
            Some(false) => (301, String::new()),
            None => (404, String::new()),
        },
        Outcome::Redirect(code, to) => (code, to),
        Outcome::Status(code) | Outcome::Text(code) => (code, String::new()),
        // Every upstream of these layouts is dead.
        Outcome::Handler(_) => (502, String::new()),
        Outcome::NoServer => (0, String::new()),
        Outcome::Unknown(_) => return None,
    })
}

/// What nginx answers, in the same form.
fn real(port: u16, host: &str, path: &str) -> (u16, String) {
    let (status, location, body) = site::get(LOOPBACK, port, host, path);
    match (status, location) {
        (200, _) => (200, String::from_utf8_lossy(&body).into_owned()),
        (_, Some(location)) if status != 301 || location.starts_with("https:") => (status, location),
        _ => (status, String::new()),
    }
}

/// Starts nginx with these servers and compares each one's answer; how many the model could say something about.
fn compare(servers: &[(String, String)]) -> usize {
    let Some(nginx) = site::program() else { return 0 };
    let mut site = Site::new();
    files(&site);
    let port = site::free_port();
    let text: String = servers.iter().map(|(_, text)| text.replace("PORT", &port.to_string())).collect();
    site.configure(&text);
    let (accepted, said) = site.test(&nginx);
    assert!(accepted, "{said}\n{text}");
    let instance = site.instance();
    assert!(instance.is_whole(), "{:?}", instance.defects);
    site.start(&nginx, port);
    let mut known = 0;
    let mut wrong = Vec::new();
    for (host, text) in servers {
        let Some(expected) = expected(&instance, site.folder.path(), port, host, PATH) else { continue };
        known += 1;
        let got = real(port, host, PATH);
        let same = got.0 == expected.0 && (got.1 == expected.1 || got.0 >= 400 || expected.1.is_empty());
        if !same {
            wrong.push(format!("{host}: nginx {got:?}, the model {expected:?}\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), servers.len(), wrong.join("\n"));
    known
}

fn server(n: usize, inside: &str) -> (String, String) {
    let host = format!("s{n}.test");
    let text = format!("server {{\n    listen 127.0.0.1:PORT;\n    server_name {host};\n{inside}\n}}\n");
    (host, text)
}

#[test]
fn the_layouts_of_the_reference() {
    let layouts = [
        "location /.well-known/acme-challenge/ { root @/var/www/a; } location / { return 301 https://$host$request_uri; }",
        "location / { return 301 https://$host$request_uri; }",
        "return 301 https://$host$request_uri; location ^~ /.well-known/acme-challenge/ { root @/var/www/a; }",
        "if ($host = s3.test) { return 301 https://$host$request_uri; } location ^~ /.well-known/acme-challenge/ { root @/var/www/a; }",
        "location ~ /\\. { deny all; } location /.well-known/acme-challenge/ { root @/var/www/a; }",
        "location ~ /\\. { deny all; } location ^~ /.well-known/acme-challenge/ { root @/var/www/a; }",
        "location /.well-known/acme-challenge/ { root @/var/www/a/.well-known/acme-challenge; }",
        "location /.well-known/acme-challenge/ { alias @/var/www/a/.well-known/acme-challenge/; }",
        "location / { proxy_pass http://127.0.0.1:1; }",
        "auth_basic x; auth_basic_user_file @/etc/nginx/users; location / { root @/var/www/a; }",
        "root @/var/www/html; location / { try_files $uri $uri/ /index.html; }",
        "location /.well-known/acme-challenge { alias @/var/www/flat; }",
        "location ^~ /.well-known/acme-challenge/ { alias @/var/www/flat; }",
    ];
    let servers: Vec<_> = layouts.iter().enumerate().map(|(n, layout)| server(n, layout)).collect();
    let known = compare(&servers);
    assert!(known == layouts.len() || site::program().is_none(), "the model knows all of these: {known}");
}

/// A small generator of numbers, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// One, or (this often of ten) nothing.
    fn perhaps<'a>(&mut self, often: usize, of: &[&'a str]) -> &'a str {
        if self.below(10) < often { self.one(of) } else { "" }
    }
}

const AT_SERVER: &[&str] = &[
    "return 301 https://$host$request_uri;",
    "if ($host = nobody.test) { return 301 https://$host$request_uri; }",
    "if ($host ~ ^s\\d+\\.test$) { return 302 https://$server_name$uri; }",
    "if ($http_x_forwarded_proto != \"https\") { return 301 https://$host$request_uri; }",
    "if ($request_uri !~ ^/\\.well-known/acme-challenge/) { return 301 https://$host$request_uri; }",
    "if ($scheme = http) { rewrite ^ https://$host$request_uri? permanent; }",
    "rewrite ^/\\.well-known/(.*)$ /$1;",
    "rewrite ^/\\.well-known/acme-challenge/(.+)$ /other/$1 last;",
    "rewrite ^ https://elsewhere.test$uri redirect;",
    "rewrite ^/nothing$ /else;",
    "set $place a; set $no 0;",
    "if ($no) { return 403; }",
    "if (-f $document_root/.well-known/acme-challenge/tok) { return 418; }",
    "if (!-e $request_filename) { return 410; }",
    "if ($redirect) { return 307 https://$host$uri; }",
];

const ACCESS: &[&str] = &[
    "deny all;",
    "allow 127.0.0.0/8; deny all;",
    "deny 127.0.0.1; allow all;",
    "deny 10.0.0.0/8;",
    "auth_basic closed; auth_basic_user_file @/etc/nginx/users;",
    "auth_basic closed;",
    "auth_basic off;",
    "satisfy any; allow 127.0.0.1; deny all; auth_basic x; auth_basic_user_file @/etc/nginx/users;",
    "satisfy any; deny all; auth_basic x; auth_basic_user_file @/etc/nginx/users;",
];

const ROOTS: &[&str] =
    &["root @/var/www/a;", "root @/var/www/b/;", "root @/var/www/html;", "root @/var/www/none;", "root var/www/b;"];

const KEYS: &[&str] = &[
    "/",
    "/.well-known",
    "/.well-known/",
    "^~ /.well-known/acme-challenge/",
    "^~ /.well-known/acme",
    "= /.well-known/acme-challenge/tok",
    "= /.well-known/acme-challenge/",
    "~ /\\.",
    "~ /\\.(?!well-known)",
    "~ ^/\\.well-known/acme-challenge/(?<token>[-_a-z]+)$",
    "~* \\.(php|TOK)$",
    "~* /TOK$",
    "~ \"^/o{1}ther/\"",
    "/other/",
    "/acme-challenge/",
    "@app",
];

const BODIES: &[&str] = &[
    "return 404;",
    "return 301 https://$host$request_uri;",
    "return 200 text;",
    "try_files $uri $uri/ =404;",
    "try_files $uri /index.html;",
    "try_files /nothing $uri @app;",
    "try_files /nothing =410;",
    "proxy_pass http://127.0.0.1:1;",
    "internal;",
    "rewrite ^/\\.well-known/acme-challenge/(.*)$ /other/$1 last;",
    "rewrite ^/\\.well-known/acme-challenge/(.*)$ /other/$1 break;",
    "rewrite ^ /.well-known/acme-challenge/tok;",
    "if ($request_method = POST) { return 405; }",
    "if ($request_method = GET) { root @/var/www/b; }",
    "if (-f $request_filename) { break; } return 303 https://nobody.test/;",
    "default_type text/plain;",
    "",
    "",
];

/// One server of random parts.
fn generated(n: usize, numbers: &mut Numbers) -> (String, String) {
    let mut inside = String::new();
    for _ in 0..numbers.below(3) {
        inside += &format!("    {}\n", numbers.perhaps(5, AT_SERVER));
    }
    inside += &format!("    {}\n    {}\n", numbers.perhaps(8, ROOTS), numbers.perhaps(2, ACCESS));
    let mut keys: Vec<&str> = KEYS.to_vec();
    for _ in 0..numbers.below(5) {
        let key = keys.remove(numbers.below(keys.len()));
        inside += &location(key, numbers, true);
    }
    if keys.contains(&"@app") {
        inside += "    location @app { return 503; }\n";
    }
    // `set` makes the variables known everywhere.
    inside += "    set $place a; set $no 0; set $redirect '';\n";
    server(n, &inside)
}

fn location(key: &str, numbers: &mut Numbers, outer: bool) -> String {
    let alias = match key {
        "^~ /.well-known/acme-challenge/" | "= /.well-known/acme-challenge/" => "alias @/var/www/flat/;",
        "= /.well-known/acme-challenge/tok" => "alias @/var/www/flat/tok;",
        "~ ^/\\.well-known/acme-challenge/(?<token>[-_a-z]+)$" => "alias @/var/www/flat/$token;",
        "/.well-known" | "/.well-known/" => "alias @/var/www/html/;",
        _ => "root @/var/www/$place;",
    };
    let place = match numbers.below(4) {
        0 => alias,
        1 | 2 => numbers.one(ROOTS),
        _ => "",
    };
    let body = numbers.one(BODIES);
    let access = numbers.perhaps(3, ACCESS);
    let nested = match key {
        "/.well-known/" if outer && numbers.below(2) == 0 => {
            let inner = numbers.one(&["/.well-known/acme-challenge/", "~ tok$", "^~ /.well-known/acme-challenge/t"]);
            location(inner, numbers, false)
        }
        _ => String::new(),
    };
    // A path with `alias` beside a `root` of the same block is refused; so is `try_files` beside some.
    format!("    location {key} {{ {place} {body} {access}\n{nested} }}\n")
}

#[test]
fn generated_layouts_are_answered_as_nginx_answers_them() {
    let seed = std::env::var("CERTDOCTOR_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_126);
    let mut numbers = Numbers(seed);
    let (mut all, mut known) = (0, 0);
    for _ in 0..4 {
        let servers: Vec<_> = (0..120).map(|n| generated(n, &mut numbers)).collect();
        all += servers.len();
        known += compare(&servers);
    }
    if site::program().is_some() {
        eprintln!("seed {seed}: {known} of {all} layouts judged, all as nginx does");
        assert!(known * 10 > all * 9, "the model says nothing of too many: {known} of {all}");
    }
}

#[test]
fn servers_are_chosen_as_nginx_chooses_them() {
    let Some(nginx) = common::oracle("nginx") else { return };
    let mut site = Site::new();
    let port = site::free_port();
    let names = [
        "a.test www.a.test",
        "*.a.test",
        ".b.test",
        "mail.*",
        "~^w+\\.c\\.test$",
        "~^(?<sub>.+)\\.c\\.test$",
        "*.deep.a.test",
        "_",
        "a.test",
        "\"\"",
    ];
    let mut http = String::new();
    for (n, name) in names.iter().enumerate() {
        let default = if n == 7 { " default_server" } else { "" };
        http += &format!("server {{ listen 127.0.0.1:{port}{default}; server_name {name}; return 200 {n}; }}\n");
    }
    http += &format!("server {{ listen {port}; server_name www.a.test; return 200 wild; }}\n");
    site.configure(&http);
    let instance = site.instance();
    site.start(&nginx, port);
    let hosts = [
        "a.test",
        "www.a.test",
        "x.a.test",
        "x.deep.a.test",
        "deep.a.test",
        "b.test",
        "x.y.b.test",
        "mail.example",
        "mail.a.test",
        "ww.c.test",
        "q.c.test",
        "nobody",
        "A.TEST",
        "a.test.",
        "a.test:80",
        "_",
    ];
    for host in hosts {
        let (_, _, body) = site::get(LOOPBACK, port, host, "/");
        let selection = instance.select(LOOPBACK, port, host).expect("a server");
        let said = selection.server.directive.named("return").next().and_then(|d| d.argument(1)).expect("a return");
        assert_eq!(String::from_utf8_lossy(&body), said, "{host}");
    }
    let selection = instance.select(LOOPBACK, port, "a.test").expect("a server");
    assert_eq!(selection.ignored.len(), 1, "the second a.test is ignored");
    assert!(site.test(&nginx).1.contains("conflicting server name \"a.test\""));
}
