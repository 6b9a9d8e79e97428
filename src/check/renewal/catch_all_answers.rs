//! CD733.

use super::{
    super::Case,
    support::{self, Fault},
};
use crate::finding::Finding;

rule! {
    /// **What it means.** A location has one page for everything that it does not find (`try_files $uri /index.html`, as single-page
    /// applications have), and it looks in another directory than the manager's webroot. A challenge gets 200 with the wrong text; who looks at the
    /// status alone takes it for well.
    ///
    /// **How it is found.** From the configuration: the file that answers is not the one that the manager puts there.
    ///
    /// **What to do.** `location ^~ /.well-known/acme-challenge/` with the manager's webroot: `certdoctor renewal --apply` writes it.
    ///
    /// **Sources.** ngx_http_core_module (`try_files`); measured with nginx 1.22.1 (200 with another body).
    "CD733" "catch-all-answers" Warning "a page for everything answers challenges"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for failing in support::failing(renewal).iter().filter(|f| matches!(f.fault, Fault::CatchAll)) {
        out.push(failing.finding(&CHECK, format!("a page for everything answers the challenges of {}", failing.names())));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    const SPA: &str = "server {\n  listen 80;\n  server_name a.test;\n  root /var/www/app;\n  location / { try_files $uri $uri/ /index.html; }\n}";

    #[test]
    fn catches_a_single_page_application() {
        let finding = World::at(LAB).webroot("a.test", "/var/www/le").nginx(SPA).one(&CHECK);
        let after = nginx_patched(&nginx(SPA), &finding);
        World::at(LAB).webroot("a.test", "/var/www/le").renewal(|r| r.nginx.instances.push(after)).silent(&CHECK);
    }

    #[test]
    fn is_silent_where_the_webroot_is_the_applications() {
        World::at(LAB).webroot("a.test", "/var/www/app").nginx(SPA).silent(&CHECK);
    }
}
