//! Here-documents: by Debian 13's buildah, since Debian 12's knows none.

use certdoctor::format::dockerfile::Dockerfile;

use crate::{
    ANCHORS,
    builder::{Builder, Said},
};

/// What looks like instructions and comments within, two here-documents of one instruction, quoted words, something after them.
const SHELL: &str = "\
# syntax=docker/dockerfile:1
FROM localhost/debian:bullseye
RUN cat - /dev/fd/3 <<'FROM scratch' 3<<\"USER\" >/said && echo $0 >>/said
FROM nowhere AS other
USER nobody
FROM scratch
# certdoctor:begin
CMD [\"$HOME\"]
USER
RUN <<EOF
# USER nobody
set -eu
update-ca-certificates \\
    --fresh
EOF
CMD [\"/bin/sh\"]
";
const SHELL_SAID: &str = "FROM nowhere AS other\nUSER nobody\n# certdoctor:begin\nCMD [\"$HOME\"]\n/bin/sh\n";

/// Another shell, tabs, one user before and another after.
const TABS: &str = "\
FROM localhost/debian:bullseye AS base
USER nobody
RUN <<-EOF bash
\t[[ $(id -un) == nobody ]]
\t\techo \"by $(id -un)\" >/tmp/who
\tEOF
USER root
RUN <<-'END'
\tupdate-ca-certificates
\tEND
FROM base
USER 1000
RUN <<EOF
id -u >/tmp/id
EOF
";

/// Files from the Dockerfile itself, in the middle of a stage that a bundle is copied from.
const FILES: &str = "\
FROM localhost/debian:bullseye AS certs
COPY <<-corp.crt <<\"other.crt\" /usr/local/share/ca-certificates/
@corp@corp.crt
@other@other.crt
RUN <<EOF
update-ca-certificates
EOF
COPY --chmod=600 <<EOF /root/later
RUN apt-get install ca-certificates
EOF
FROM scratch
COPY --from=certs /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY <<EOF /etc/issue
built
EOF
";

/// Another escape character, another shell, something lent to one instruction.
const LENT: &str = "\
# escape=`
# syntax=docker/dockerfile:1
FROM localhost/debian:bullseye
SHELL [\"/bin/bash\", \"-euo\", \"pipefail\", \"-c\"]
RUN --mount=type=bind,source=Test_Living_Root.crt,target=/lent.crt `
    cp /lent.crt /usr/local/share/ca-certificates/corp.crt; `
    [[ $- == *e* ]]
RUN --mount=type=bind,source=.,target=/lent <<EOF
[[ -e /lent/Test_Dead_Root.crt ]]
update-ca-certificates
EOF
USER 1000
CMD [\"/bin/sh\"]
";

const ONBUILD: &str = "\
FROM localhost/debian:bullseye
RUN update-ca-certificates
ONBUILD RUN <<EOF
USER nobody
update-ca-certificates --fresh
EOF
USER 1000
";

#[test]
fn here_documents_are_built_with_the_patch_among_them() {
    let Some(builder) = Builder::trixie() else { return };
    let Some(base) = builder.debian("bullseye") else { return };
    builder.handshakes(&base, true);
    builder.old_client(&base, false);

    let build = |dockerfile: &str, image: &str, more: &[&str]| -> Said {
        let patched = builder.patched(dockerfile, &base, &ANCHORS);
        let said = builder.build(&patched, image, more).succeeds(&["2 removed"]);
        // As many instructions as we see, so that none of ours is part of a here-document.
        said.succeeds(&[&format!("STEP 1/{}: FROM", in_first_stage(&patched))])
    };
    build(SHELL, "localhost/shell", &[]);
    builder.handshakes("localhost/shell", false);
    builder.old_client("localhost/shell", true);
    builder.run("localhost/shell", &[], "cat /said").succeeds(&[SHELL_SAID]);

    build(TABS, "localhost/tabs", &[]);
    builder.handshakes("localhost/tabs", false);
    builder.run("localhost/tabs", &[], "cat /tmp/who /tmp/id; id -u").succeeds(&["by nobody\n1000\n1000\n"]);

    // Tabs go where `<<-` stands.
    let corp = builder.pki.living.lines().map(|line| format!("\t{line}\n")).collect::<String>();
    let files = FILES.replace("@corp@", &corp).replace("@other@", &builder.pki.living);
    build(&files, "localhost/files", &[]).succeeds(&["2 removed"]);
    builder.bundle("localhost/files", false);
    builder.files("localhost/files", |root| {
        assert_eq!(std::fs::read_to_string(root.join("etc/issue")).expect("read"), "built\n");
    });

    // Only Docker's own format has SHELL.
    build(LENT, "localhost/lent", &["--format", "docker"]);
    builder.handshakes("localhost/lent", false);
    builder.files("localhost/lent", |root| assert!(!root.join("lent/Dockerfile").exists(), "what was lent is gone"));

    // In Docker's format this buildah keeps an ONBUILD without its here-document, so that nothing can be made of the image, patched or not.
    build(ONBUILD, "localhost/parent", &[]);
    builder.handshakes("localhost/parent", false);
}

/// Where each instruction begins and ends is asked of the real builder too: it tells their number before it runs the first.
#[test]
fn here_documents_end_where_buildah_sees_them_end() {
    let Some(builder) = Builder::trixie() else { return };
    // The instruction, and what may be within or after it.
    let cases = [
        "RUN <<EOF\nFROM x\n\nEOF",
        "RUN <<-EOF bash\n\ta\n\t\tEOF",
        "RUN <<EOF\n\tEOF\n EOF\nEOF \nEOF",
        "RUN cat <<A - 3<<-\"B\" >x <<'C D'\nB\nA\n\t\tB\nC D",
        "RUN <<eo\\'f\neof\neo'f",
        "RUN <<\\EOF\n\\EOF\nEOF",
        "RUN <<\"e\\o\\\"f\"\neof\ne\\o\"f",
        "RUN <<e'o'f\ne'o'f\neof",
        "RUN <<$X\nX\n$X",
        "RUN --mount=type=bind,source=.,target=/x <<EOF\nCMD\nEOF",
        "RUN a && \\\n  <<EOF b && \\\n  # c <<F\n  d\nUSER x\nEOF",
        "COPY <<a <<b /\nb\na\na\nb",
        "ADD <<EOF /x\nRUN y\nEOF",
        "ONBUILD RUN <<EOF\nUSER x\nEOF",
        "RUN [\"a\", \"<<EOF\"]\nEOF",
        "ENV A=<<EOF\nEOF",
        "CMD <<EOF\nEOF",
        "RUN cat<<EOF; cat <<<EOF; cat <<\nEOF",
        "RUN echo \"a <<EOF\" 'b <<EOF'\nEOF",
        "RUN <<EOF echo ${X:-/a} ${Y%%.*} ${Z:1:2} \"${W}\" $$ ${@} $'a'\nUSER\nEOF",
        "RUN <<EOF echo it's\nEOF",
        "RUN <<EOF echo \"a\nEOF",
        "RUN <<EOF echo ${X\nEOF",
        "RUN <<EOF echo ${X^^}\nEOF",
        "RUN <<EOF echo \"${#X}\"\nEOF",
        "RUN cat <<- EOF\nEOF",
        "RUN echo $((1 << 2))\nUSER x",
    ];
    let differ: Vec<String> = cases.iter().filter_map(|case| differs(&builder, case)).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    // With the line ends of Windows.
    assert_eq!(differs(&builder, "RUN <<EOF\r\nUSER x\r\nEOF\r\nUSER y\r"), None);
    // What has no end is refused by both.
    let open = "FROM scratch\nRUN <<EOF\nUSER x\n";
    builder.build(open, "localhost/open", &[]).fails(&["unterminated heredoc"]);
    assert!(!Dockerfile::parse(open.as_bytes()).defects.is_empty());
}

/// What differs, when buildah sees another number of instructions in this than we do.
fn differs(builder: &Builder, case: &str) -> Option<String> {
    let text = format!("FROM scratch\n{case}\n");
    let ours = format!("STEP 1/{}: FROM", Dockerfile::parse(text.as_bytes()).instructions().count());
    let said = builder.build(&text, "localhost/counted", &[]);
    (!said.text.contains(&ours)).then(|| format!("{ours}\n{text}{}", said.text))
}

/// The number of instructions that buildah tells with the first of them: those of its stage.
fn in_first_stage(dockerfile: &str) -> usize {
    let file = Dockerfile::parse(dockerfile.as_bytes());
    let stages = file.stages(&std::collections::BTreeMap::new());
    let first = stages.first().expect("a stage");
    file.instructions().filter(|(at, ..)| (first.from..first.body.end).contains(at)).count()
}
