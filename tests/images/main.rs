//! Dockerfiles, built: what `certdoctor dockerfile` puts into them, and the tool as a step of a build, by buildah on real roots
//! (`scripts/oracles/images.sh`), each proved by handshakes in the image.

#[path = "../common/mod.rs"]
mod common;

mod builder;
mod heredoc;
mod pki;
mod tool;

use std::fs;

use builder::Builder;
use common::fixture;

/// What the shapes take out: the night's root, and a real one.
const ANCHORS: [&str; 2] = ["Test Dead Root", "DST Root CA X3"];

/// A base image in an argument, comments, continued lines with a comment within, one user before and another after.
const USERS: &str = "\
# The base comes from outside.
ARG SUITE=bullseye
FROM localhost/debian:${SUITE} AS base
# Not root from here.
USER nobody
COPY Test_Living_Root.crt /usr/local/share/ca-certificates/corp.crt
RUN set -eu; \\
    # who runs this
    id -un >/tmp/who; \\
    true
USER 1000
CMD [\"/bin/sh\"]
";

/// The result holds a bundle and nothing else.
const BUNDLE_ONLY: &str = "\
FROM localhost/debian:bullseye AS certs
RUN true
FROM scratch
COPY --from=certs /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
";

/// The base image holds a bundle, and no shell to change it with.
const DISTROLESS: &str = "\
FROM localhost/debian:bullseye AS build
RUN echo built >/app
FROM localhost/distroless/static
COPY --from=build /app /app
";

const ONBUILD: &str = "\
FROM localhost/debian:bullseye
ONBUILD RUN update-ca-certificates --fresh
";

#[test]
fn what_is_patched_into_debian_11_builds_and_holds() {
    let Some(builder) = Builder::new() else { return };
    let Some(base) = builder.debian("bullseye") else { return };
    fs::copy(fixture("bundles/single/DST_Root_CA_X3.crt"), builder.context.join("dst.crt")).expect("copied");
    builder.handshakes(&base, true);
    builder.old_client(&base, false);
    let lent = format!("{}:/lent:ro", builder.context.display());
    // In 2020 the root was alive, so that only the store decides.
    let real = "openssl verify -attime 1600000000 /lent/dst.crt; echo status $?";
    builder.run(&base, &["-v", &lent], real).succeeds(&["status 0"]);

    // The snippet as it is printed, under a FROM.
    let snippet = builder.files(&base, |root| {
        let mut command = common::certdoctor();
        command.arg("dockerfile").arg("--root").arg(root);
        command.args(ANCHORS.iter().flat_map(|anchor| ["--anchor", anchor]));
        String::from_utf8(command.output().expect("the binary runs").stdout).expect("UTF-8")
    });
    builder.build(&format!("FROM {base}\n{snippet}"), "localhost/single", &[]).succeeds(&["0 added, 2 removed"]);
    builder.handshakes("localhost/single", false);
    builder.old_client("localhost/single", true);
    builder.run("localhost/single", &["-v", &lent], real).succeeds(&["status 2"]);

    let users = builder.patched(USERS, &base, &ANCHORS);
    builder.build(&users, "localhost/users", &[]).succeeds(&["2 removed"]);
    builder.run("localhost/users", &[], "cat /tmp/who; id -u").succeeds(&["nobody\n1000\n"]);
    builder.handshakes("localhost/users", false);
    builder.old_client("localhost/users", true);

    builder.build(BUNDLE_ONLY, "localhost/bundle", &[]).succeeds(&[]);
    builder.bundle("localhost/bundle", true);
    let patched = builder.patched(BUNDLE_ONLY, &base, &ANCHORS);
    builder.build(&patched, "localhost/bundle", &[]).succeeds(&["2 removed"]);
    builder.bundle("localhost/bundle", false);

    builder.build(BUNDLE_ONLY, "localhost/distroless/static", &[]).succeeds(&[]);
    let patched = builder.patched(DISTROLESS, &base, &ANCHORS);
    builder.build(&patched, "localhost/app", &[]).succeeds(&[]);
    builder.bundle("localhost/app", false);
    builder.files("localhost/app", |root| {
        assert_eq!(fs::read_to_string(root.join("app")).expect("read"), "built\n");
        assert!(!root.join("bin/sh").exists(), "no shell came with it");
    });

    // Only Docker's own format holds what is to be done in images built on this one.
    let patched = builder.patched(ONBUILD, &base, &ANCHORS);
    builder.build(&patched, "localhost/parent", &["--format", "docker"]).succeeds(&["2 removed"]);
    builder.build("FROM localhost/parent\nRUN true\n", "localhost/child", &[]).succeeds(&["Clearing symlinks"]);
    builder.handshakes("localhost/child", false);
    builder.old_client("localhost/child", true);
}

#[test]
fn what_is_patched_into_alpine_builds_and_holds() {
    let Some(builder) = Builder::new() else { return };
    let Some(base) = builder.alpine() else { return };
    builder.bundle(&base, true);
    let patched = builder.patched("FROM localhost/alpine:3\nCMD [\"sh\"]\n", &base, &ANCHORS[..1]);
    builder.build(&patched, "localhost/single", &[]).succeeds(&[]);
    builder.bundle("localhost/single", false);
}
