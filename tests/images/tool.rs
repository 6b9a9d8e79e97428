//! The static binary as a step of a build, and archives that a real builder wrote.

use std::{env, fs, path::PathBuf};

use serde_json::Value;

use crate::{
    builder::Builder,
    common::{certdoctor, skip},
};

/// Lent for one instruction, so that the image holds nothing of it: as README.md shows it.
fn mounted(base: &str, anchor: &str) -> String {
    let readme = include_str!("../../README.md");
    let (_, shown) = readme.split_once("  FROM scratch AS tool").expect("the instruction");
    let (shown, _) = shown.split_once("  ```").expect("its end");
    let own = [
        ("registry.example.com/base:bullseye", base),
        ("0687260331a72403d909f105e69bcf0d32e1bd2493ffc6d9206d11bcd6770739", anchor),
    ];
    let mut file = format!("FROM scratch AS tool{shown}").replace("\n  ", "\n");
    for (theirs, ours) in own {
        assert!(file.contains(theirs), "{file}");
        file = file.replace(theirs, ours);
    }
    file
}

/// For builders without mounts.
const COPIED: &str = "\
FROM localhost/debian:bookworm
COPY certdoctor /usr/local/bin/certdoctor
RUN certdoctor fix --anchor 'Test Dead Root' --apply
";

/// The static binary, into the build context; `None` after a visible skip.
fn into_context(builder: &Builder) -> Option<()> {
    let Some(folder) = env::var_os("CERTDOCTOR_DIST").map(PathBuf::from) else {
        skip("the static binary (scripts/dist makes it, CERTDOCTOR_DIST names its folder)");
        return None;
    };
    fs::copy(folder.join(format!("certdoctor-{}", env::consts::ARCH)), builder.context.join("certdoctor")).expect("copied");
    Some(())
}

#[test]
fn the_tool_is_a_step_of_a_build() {
    let Some(builder) = Builder::new() else { return };
    let Some(base) = builder.debian("bookworm") else { return };
    archives(&builder, &base);
    let Some(()) = into_context(&builder) else { return };
    builder.handshakes(&base, true);
    builder.old_client(&base, false);

    let sha256 = builder.pki.dead_sha256();
    builder.build(&mounted(&base, &sha256), "localhost/mounted", &[]).succeeds(&["done: deselect Test Dead Root"]);
    builder.handshakes("localhost/mounted", false);
    builder.old_client("localhost/mounted", true);
    builder.files("localhost/mounted", |root| {
        for left in ["mnt/certdoctor", "tmp/certdoctor", "var/lib/certdoctor", "usr/local/bin/certdoctor"] {
            // The mount point is the builder's.
            let bytes = fs::metadata(root.join(left)).map(|m| if m.is_file() { m.len() } else { 1 });
            assert!(bytes.as_ref().map_or(true, |n| *n == 0), "{left} stayed: {bytes:?}");
        }
    });

    // A base without the root: nothing to do, and nothing that ends the build.
    let gone = builder.build(&mounted("localhost/plain:bookworm", &sha256), "localhost/gone", &[]);
    gone.succeeds(&["nothing to do for it"]);

    builder.build(COPIED, "localhost/copied", &[]).succeeds(&["done: deselect Test Dead Root"]);
    builder.handshakes("localhost/copied", false);
    // What was changed in the build can be taken back in the image.
    builder
        .run("localhost/copied", &[], "certdoctor undo && grep Test_Dead /etc/ca-certificates.conf")
        .succeeds(&["\nmozilla/Test_Dead"]);

    // A target that has no other path is lost with the root: nothing is written, and the build ends there.
    fs::write(builder.context.join("only.pem"), builder.pki.only_path()).expect("written");
    let lost = COPIED.replace("--apply", "--apply --at 2020-01-01 /only.pem").replace("RUN ", "COPY only.pem /only.pem\nRUN ");
    let lost = lost.replace("2020-01-01", &builder.pki.day_of_health());
    builder.build(&lost, "localhost/lost", &[]).fails(&["not fixed", "exit status 1"]);
}

/// What `buildah push` writes says the same as the tree that it was made of.
fn archives(builder: &Builder, base: &str) {
    let at = ["--at", "2026-11-22", "--format", "json"];
    let scan = |option: &str, path: &std::path::Path| -> Value {
        let output = certdoctor().args(["scan", option]).arg(path).args(at).output().expect("the binary runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
    };
    let tree = builder.files(base, |root| scan("--root", root));
    for transport in ["docker-archive", "oci-archive"] {
        let file = builder.context.join(transport);
        builder.buildah(&["push", "-q", base, &format!("{transport}:{}:{base}", file.display())]);
        let image = scan("--image", &file);
        fs::remove_file(&file).expect("removed");
        assert_eq!(image["stores"], tree["stores"], "{transport}");
        assert!(!codes(&tree).is_empty() && codes(&image) == codes(&tree), "{transport}");
        assert!(image.to_string().contains("update-ca-certificates"), "{transport}: the step that brought it in is named");
    }
}

fn codes(report: &Value) -> Vec<&Value> {
    report["findings"].as_array().expect("findings").iter().map(|finding| &finding["code"]).collect()
}
