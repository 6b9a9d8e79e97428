//! CD729.

use super::{
    super::Case,
    support::{self, Fault},
};
use crate::finding::Finding;

rule! {
    /// **What it means.** nginx puts the path of the challenge's file together wrongly. `root` is followed by the whole path of the
    /// request, so a root that ends in `.well-known/acme-challenge` has that part twice; `alias` takes the place of the location's path, and
    /// without its slash the file's name is glued to the directory's.
    ///
    /// **How it is found.** The path is computed as nginx computes it and compared with the one into which the manager puts the file.
    ///
    /// **What to do.** `root WEBROOT;`, and nothing of the path after it: `certdoctor renewal --apply` writes it.
    ///
    /// **Sources.** ngx_http_core_module (`root`, `alias`); measured with nginx 1.22.1 (`open() ".../acme-challenge/.well-known/acme-challenge/…" failed`).
    "CD729" "challenge-path-doubled" Warning "nginx puts the path of a challenge's file together wrongly"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for failing in support::failing(renewal) {
        if let Fault::Doubled(path) = &failing.fault {
            let shown = path.to_string().replace(crate::nginx::challenge::TOKEN, "TOKEN");
            out.push(failing.finding(&CHECK, format!("for the challenges of {} nginx opens {shown}", failing.names())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_doubled_root_and_an_alias_without_slash() {
        for (inside, opened) in [
            (
                "root /var/www/le/.well-known/acme-challenge;",
                "/var/www/le/.well-known/acme-challenge/.well-known/acme-challenge/TOKEN",
            ),
            ("alias /var/www/le/.well-known/acme-challenge;", "/var/www/le/.well-known/acme-challengeTOKEN"),
        ] {
            let text = format!(
                "server {{\n  listen 80;\n  server_name a.test;\n  location /.well-known/acme-challenge/ {{ {inside} }}\n}}"
            );
            let finding = World::at(LAB).webroot("a.test", "/var/www/le").nginx(&text).one(&CHECK);
            assert!(finding.message.ends_with(opened), "{}", finding.message);
            let after = nginx_patched(&nginx(&text), &finding);
            World::at(LAB).webroot("a.test", "/var/www/le").renewal(|r| r.nginx.instances.push(after)).silent(&CHECK);
        }
    }

    #[test]
    fn is_silent_where_alias_has_its_slash() {
        let text = "server { listen 80; server_name a.test; location /.well-known/acme-challenge/ { alias /var/www/le/.well-known/acme-challenge/; } }";
        World::at(LAB).webroot("a.test", "/var/www/le").nginx(text).silent(&CHECK);
    }
}
