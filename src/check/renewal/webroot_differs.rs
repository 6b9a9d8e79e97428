//! CD730.

use super::{
    super::Case,
    support::{self, Fault},
};
use crate::finding::Finding;

rule! {
    /// **What it means.** The manager puts the challenge's file into one directory, and nginx looks for it in another: 404, and the
    /// renewal fails.
    ///
    /// **How it is found.** Both sides are computed: the manager's webroot (certbot's `webroot_map`), and the directory that nginx's `root` and
    /// `alias` come to for the challenge's path. Links on the way are resolved.
    ///
    /// **What to do.** Make one side the other: `certdoctor renewal --apply` gives nginx a location with the manager's webroot.
    ///
    /// **Sources.** RFC 8555, section 8.3; certbot's webroot plugin; measured with nginx 1.22.1.
    "CD730" "webroot-differs" Warning "nginx looks for challenges in another directory than the manager's webroot"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for failing in support::failing(renewal) {
        if let Fault::Elsewhere(path) = &failing.fault {
            let shown = path.to_string();
            let directory = shown.split("/.well-known/").next().unwrap_or(&shown);
            let webroot = &failing.challenges[0].webroot;
            out.push(failing.finding(
                &CHECK,
                format!("nginx looks for the challenges of {} in {directory}, not in {webroot}", failing.names()),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_another_directory() {
        for text in [
            "server {\n  listen 80;\n  server_name a.test;\n  root /var/www/html;\n}",
            "server {\n  listen 80;\n  server_name a.test;\n  root /var/www/html;\n  location / { try_files $uri $uri/ =404; }\n}",
        ] {
            let finding = World::at(LAB).webroot("a.test", "/var/www/le").nginx(text).one(&CHECK);
            assert_eq!(finding.message, "nginx looks for the challenges of a.test in /var/www/html, not in /var/www/le");
            let after = nginx_patched(&nginx(text), &finding);
            World::at(LAB).webroot("a.test", "/var/www/le").renewal(|r| r.nginx.instances.push(after)).silent(&CHECK);
        }
    }

    #[test]
    fn is_silent_where_a_link_leads_to_the_same() {
        let text = "server { listen 80; server_name a.test; root /var/www/html; }";
        let mut instance = nginx(text);
        instance.directories.push(crate::facts::renewal::nginx::Directory {
            path: "/var/www/html".into(),
            real: "/var/www/le".into(),
            exists: true,
            closed: None,
        });
        World::at(LAB).webroot("a.test", "/var/www/le").renewal(|r| r.nginx.instances.push(instance)).silent(&CHECK);
    }
}
