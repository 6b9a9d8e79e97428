//! CD727.

use super::{
    super::Case,
    support::{self, Fault},
};
use crate::finding::Finding;

rule! {
    /// **What it means.** A `return`, `rewrite` or `if` stands directly in the server. nginx runs these before it looks at any location,
    /// so a location for `/.well-known/acme-challenge/` has no effect there, however it is written. `certbot --redirect` itself writes such a
    /// server.
    ///
    /// **How it is found.** From the configuration: the directive that answers the challenge's path is a child of the server.
    ///
    /// **What to do.** Move it into `location /` and add `location ^~ /.well-known/acme-challenge/`: `certdoctor renewal --apply` does both
    /// where nothing else changes by it.
    ///
    /// **Sources.** ngx_http_rewrite_module ("the directives of this module specified on the server level are executed sequentially"); measured
    /// with nginx 1.22.1.
    "CD727" "redirect-before-locations" Warning "a directive of the server answers challenges before any location is looked at"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for failing in support::failing(renewal) {
        if let Fault::BeforeLocations(directive) = failing.fault {
            let message = format!(
                "`{}` in the server itself answers the challenges of {} before any location is looked at",
                directive.name(),
                failing.names()
            );
            out.push(failing.finding(&CHECK, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    const TLS: &str = "server { listen 443 ssl; server_name a.test www.a.test; location / { proxy_pass http://127.0.0.1:1; } }";

    fn cured(text: &str) -> String {
        let text = format!("{text}\n{TLS}");
        let finding = World::at(LAB).webroot("a.test", "/var/www/le").nginx(&text).one(&CHECK);
        let after = nginx_patched(&nginx(&text), &finding);
        let shown = String::from_utf8(after.files[0].bytes.clone()).expect("text");
        World::at(LAB).webroot("a.test", "/var/www/le").renewal(|r| r.nginx.instances.push(after)).silent(&CHECK);
        shown
    }

    #[test]
    fn catches_what_certbot_writes_and_its_patch_moves_it() {
        let text = "server {\n    if ($host = www.a.test) {\n        return 301 https://$host$request_uri;\n    } # managed by Certbot\n\n\n    \
                    if ($host = a.test) {\n        return 301 https://$host$request_uri;\n    } # managed by Certbot\n\n\n    listen 80;\n    \
                    server_name a.test www.a.test;\n    return 404; # managed by Certbot\n}";
        let after = cured(text);
        assert!(after.contains("    location / {\n        if ($host = www.a.test) {\n            return 301 https://$host$request_uri;\n        }\n        if"), "{after}");
    }

    #[test]
    fn catches_a_return_beside_a_location_without_effect() {
        let after = cured(
            "server {\n    listen 80;\n    server_name a.test;\n    return 301 https://$host$request_uri;\n    location /.well-known/acme-challenge/ { root /var/www/le; }\n}",
        );
        assert_eq!(after.matches("location ^~ /.well-known/acme-challenge/").count(), 1, "{after}");
        let after = cured(
            "server {\n    listen 80;\n    server_name a.test;\n    return 301 https://$host$request_uri;\n    location /x { root /x; }\n}",
        );
        assert!(after.contains("if ($request_uri !~ \"^/\\.well-known/acme-challenge/\") {"), "{after}");
    }

    #[test]
    fn is_silent_where_it_is_for_others() {
        let text = "server { listen 80; server_name a.test; if ($host = b.test) { return 301 https://b.test/; } location / { root /var/www/le; } }";
        World::at(LAB).webroot("a.test", "/var/www/le").nginx(text).silent(&CHECK);
    }
}
