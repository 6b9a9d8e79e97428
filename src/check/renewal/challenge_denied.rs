//! CD728.

use super::{
    super::Case,
    support::{self, Fault},
};
use crate::finding::Finding;

rule! {
    /// **What it means.** nginx refuses the challenge's file with 403 or 401: a rule against files that begin with a dot
    /// (`location ~ /\. { deny all; }`), a list of allowed addresses, a password. Certificate authorities ask from addresses that nobody knows
    /// beforehand, and have no password.
    ///
    /// **How it is found.** From the configuration: the `deny` or `auth_basic` in force where the challenge's path ends.
    ///
    /// **What to do.** A location with `^~`, which wins over patterns, with `allow all;` and `auth_basic off;`: `certdoctor renewal --apply` writes
    /// it.
    ///
    /// **Sources.** ngx_http_access_module, ngx_http_auth_basic_module; measured with nginx 1.22.1 (`access forbidden by rule`).
    "CD728" "challenge-denied" Warning "nginx denies the file of a challenge"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for failing in support::failing(renewal).iter().filter(|f| matches!(f.fault, Fault::Denied)) {
        let by = failing.course.by().map_or("", |d| d.name());
        out.push(failing.finding(&CHECK, format!("`{by}` keeps everybody from the challenges of {}", failing.names())));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_rule_against_dotfiles_and_a_password() {
        for text in [
            "server {\n  listen 80;\n  server_name a.test;\n  root /var/www/le;\n  location ~ /\\. { deny all; }\n  location /.well-known/acme-challenge/ { }\n}",
            "auth_basic x; auth_basic_user_file /u; server {\n  listen 80;\n  server_name a.test;\n  root /var/www/le;\n}",
            "server {\n  listen 80;\n  server_name a.test;\n  root /var/www/le;\n  allow 10.0.0.0/8;\n  deny all;\n}",
        ] {
            let finding = World::at(LAB).webroot("a.test", "/var/www/le").nginx(text).one(&CHECK);
            let after = nginx_patched(&nginx(text), &finding);
            World::at(LAB).webroot("a.test", "/var/www/le").renewal(|r| r.nginx.instances.push(after)).silent(&CHECK);
        }
    }

    #[test]
    fn is_silent_where_the_path_is_open() {
        let text = "server { listen 80; server_name a.test; root /var/www/le; location ~ /\\.(?!well-known) { deny all; } }";
        World::at(LAB).webroot("a.test", "/var/www/le").nginx(text).silent(&CHECK);
    }
}
