//! CD726.

use super::{
    super::Case,
    support::{self, Fault},
};
use crate::finding::Finding;

rule! {
    /// **What it means.** The certificate authority asks port 80 for a file below `/.well-known/acme-challenge/` (http-01). The manager
    /// puts the file into its webroot, but nginx answers that path with something else: a redirect, a proxy, a status. The next renewal
    /// fails.
    ///
    /// **How it is found.** From the configuration: which server takes the name on that port, which location takes the path, and what it
    /// does, as nginx's phases work. Redirects are followed as Let's Encrypt follows them. Where that can't be known (a program decides, a
    /// variable is not known, another host is named) nothing is said.
    ///
    /// **What to do.** Put `location ^~ /.well-known/acme-challenge/` with the manager's webroot into that server: `certdoctor renewal
    /// --apply` does. `^~` keeps locations with a pattern from being preferred.
    ///
    /// **Sources.** RFC 8555, section 8.3; ngx_http_core_module (`location`); measured with nginx 1.22.1, and compared with the real nginx over
    /// several hundred generated configurations in `tests/nginx`.
    "CD726" "challenge-not-served" Warning "nginx does not serve the file of a challenge"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for failing in support::failing(renewal).iter().filter(|f| matches!(f.fault, Fault::NotServed)) {
        let message =
            format!("nginx does not serve the challenges of {} from {}", failing.names(), failing.challenges[0].webroot);
        out.push(failing.finding(&CHECK, message));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    fn world(http: &str) -> World {
        World::at(LAB).webroot("a.test", "/var/www/le").nginx(http)
    }

    #[test]
    fn catches_a_redirect_for_everything_and_its_patch_cures_it() {
        let text = "server {\n    listen 80;\n    server_name a.test;\n    location / { return 301 https://$host$request_uri; }\n}\n\
                    server {\n    listen 443 ssl;\n    server_name a.test;\n    location / { proxy_pass http://127.0.0.1:8080; }\n}";
        let world = world(text);
        let finding = world.one(&CHECK);
        assert_eq!(finding.lineages, [("certbot", "a.test".to_owned())]);
        assert!(finding.facts.iter().any(|(_, f)| f.starts_with("301 to https://a.test/")), "{:?}", finding.facts);
        assert_eq!(finding.evidence[0].line, Some(10));
        let mut cured = World::at(LAB).webroot("a.test", "/var/www/le");
        let after = nginx_patched(&nginx(text), &finding);
        assert!(
            String::from_utf8_lossy(&after.files[0].bytes)
                .contains("server {\n    location ^~ /.well-known/acme-challenge/ {\n        root /var/www/le;\n")
        );
        cured = cured.renewal(|r| r.nginx.instances.push(after));
        cured.silent(&CHECK);
    }

    #[test]
    fn a_name_is_quoted_in_the_command() {
        let world =
            World::at(LAB).webroot("a';id;'.test", "/var/www/l e").nginx("server { listen 80; location / { return 404; } }");
        let command = world.one(&CHECK).remedies[0].command.clone().expect("a command");
        assert!(command.contains(r"-H 'Host: a'\'';id;'\''.test' http"), "{command}");
        assert!(command.contains("'/var/www/l e/.well-known/acme-challenge'/certdoctor"), "{command}");
    }

    #[test]
    fn a_ca_follows_no_redirect_to_another_port() {
        let text = "server { listen 80; server_name a.test; location / { return 301 https://$host:8443$request_uri; } }\n\
                    server { listen 8443 ssl; server_name a.test; root /var/www/le; }";
        let finding = world(text).one(&CHECK);
        assert!(finding.facts.iter().any(|(_, f)| f.starts_with("301 to https://a.test:8443/")), "{:?}", finding.facts);
        // Where it leads is not known.
        world("server { listen 80; server_name a.test; location / { return 301 https://$http_x_host$request_uri; } }")
            .silent(&CHECK);
    }

    #[test]
    fn an_alias_counts_from_the_prefix() {
        let location = "location /.well-known/acme-challenge/ { alias le/.well-known/acme-challenge/; }";
        let text = format!("server {{ listen 80; server_name a.test; {location} }}");
        let world = World::at(LAB).webroot("a.test", "/usr/share/nginx/le").nginx(&text);
        world.silent(&CHECK);
        world.silent(&super::super::webroot_differs::CHECK);
        world.silent(&super::super::challenge_path_doubled::CHECK);
    }

    #[test]
    fn is_silent_where_the_file_is_served_or_nothing_can_be_said() {
        world("server { listen 80; server_name a.test; location /.well-known/acme-challenge/ { root /var/www/le; } }")
            .silent(&CHECK);
        // Over the redirect: Let's Encrypt follows it.
        world(
            "server { listen 80; server_name a.test; return 301 https://$host$request_uri; }\n\
             server { listen 443 ssl; server_name a.test; root /var/www/le; }",
        )
        .silent(&CHECK);
        world("server { listen 80; server_name a.test; location / { if ($http_user_agent ~ x) { return 403; } } }")
            .silent(&CHECK);
        world("server { listen 80; server_name a.test; return 301 https://$host$request_uri; }").silent(&CHECK);
    }
}
