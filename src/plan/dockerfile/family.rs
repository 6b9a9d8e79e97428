//! Which distribution an image is made of, told from its name.

use std::fmt;

/// What an image is made of, as far as its trust store goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Alpine: with the tool of `ca-certificates`, or with the bundle alone.
    Alpine,
    /// Arch and its derivatives.
    Arch,
    /// busybox: a shell, but no store.
    Busybox,
    /// Debian, Ubuntu and what is made of them.
    Debian,
    /// A bundle, but neither shell nor tool: distroless, chiseled Ubuntu, Chainguard's static images.
    Distroless,
    /// Red Hat, CentOS, Rocky, Alma, Oracle, Amazon Linux, Fedora.
    RedHat,
    /// Nothing.
    Scratch,
    /// SUSE and openSUSE.
    Suse,
    /// Windows.
    Windows,
    /// Wolfi: Alpine's package manager over Chainguard's packages.
    Wolfi,
}

/// A part of the tag that says what the image is made of, whatever its name. Official images put the distribution into the tag
/// (`python:3.8-alpine3.11`, `node:20-bullseye`); a trailing version (`alpine3.11`, `debian12`, `el9`) is cut before the comparison.
const TAG_PARTS: [(&str, Family); 38] = [
    ("al", Family::RedHat), // amazoncorretto:17-al2023
    ("alpine", Family::Alpine),
    ("amazonlinux", Family::RedHat),
    ("bionic", Family::Debian),
    ("bookworm", Family::Debian),
    ("bullseye", Family::Debian),
    ("buster", Family::Debian),
    ("centos", Family::RedHat),
    ("chiseled", Family::Distroless), // mcr.microsoft.com/dotnet/runtime:8.0-jammy-chiseled; before `jammy`, see `of_tag`
    ("debian", Family::Debian),
    ("distroless", Family::Distroless),
    ("el", Family::RedHat),
    ("fedora", Family::RedHat),
    ("focal", Family::Debian),
    ("forky", Family::Debian),
    ("jammy", Family::Debian),
    ("jessie", Family::Debian),
    ("leap", Family::Suse),
    ("ltsc", Family::Windows), // windows tags: ltsc2022
    ("nanoserver", Family::Windows),
    ("noble", Family::Debian),
    ("ol", Family::RedHat), // mysql:8.0-oraclelinux9 and openjdk:17-ol8
    ("oracle", Family::RedHat),
    ("oraclelinux", Family::RedHat),
    ("plucky", Family::Debian),
    ("questing", Family::Debian),
    ("resolute", Family::Debian),
    ("rocky", Family::RedHat),
    ("rockylinux", Family::RedHat),
    ("sid", Family::Debian),
    ("stretch", Family::Debian),
    ("trixie", Family::Debian),
    ("trusty", Family::Debian),
    ("ubi", Family::RedHat),
    ("ubuntu", Family::Debian),
    ("windowsservercore", Family::Windows),
    ("wolfi", Family::Wolfi),
    ("xenial", Family::Debian),
];

/// What `latest` of a repository is made of (registry, `library/` and tag cut off); a name that ends with `/` stands for everything below.
/// From the repositories' own Dockerfiles; images that changed their base over time (`openjdk`, `mysql`) are told by their tags only.
const REPOSITORIES: &[(&str, Family)] = &[
    ("alma", Family::RedHat),
    ("almalinux", Family::RedHat),
    ("almalinux/", Family::RedHat),
    ("alpine", Family::Alpine),
    ("alpine/", Family::Alpine),
    ("amazon/aws-cli", Family::RedHat),
    ("amazon/aws-lambda-", Family::RedHat),
    ("amazoncorretto", Family::RedHat),
    ("amazonlinux", Family::RedHat),
    ("apache/airflow", Family::Debian),
    ("archlinux", Family::Arch),
    ("archlinux/", Family::Arch),
    ("bash", Family::Alpine),
    ("bitnami/", Family::Debian),
    ("bitnamilegacy/", Family::Debian),
    ("buildpack-deps", Family::Debian),
    ("busybox", Family::Busybox),
    ("caddy", Family::Alpine),
    ("cassandra", Family::Debian),
    ("centos", Family::RedHat),
    ("centos/", Family::RedHat),
    ("chainguard/wolfi-base", Family::Wolfi),
    ("chainguard/", Family::Distroless),
    ("cimg/", Family::Debian), // CircleCI's images are made of Ubuntu
    ("composer", Family::Alpine),
    ("dart", Family::Debian),
    ("debian", Family::Debian),
    ("distroless/", Family::Distroless), // gcr.io/distroless/static-debian12
    ("docker", Family::Alpine),
    ("dotnet/", Family::Debian), // mcr.microsoft.com/dotnet: Debian up to 9, Ubuntu from 10
    ("drupal", Family::Debian),
    ("eclipse-temurin", Family::Debian), // Ubuntu
    ("elixir", Family::Debian),
    ("erlang", Family::Debian),
    ("fedora", Family::RedHat),
    ("fedora/", Family::RedHat),
    ("gcc", Family::Debian),
    ("ghost", Family::Debian),
    ("golang", Family::Debian),
    ("google/cloud-sdk", Family::Debian),
    ("gradle", Family::Debian), // Ubuntu, through eclipse-temurin
    ("haproxy", Family::Debian),
    ("hashicorp/terraform", Family::Alpine),
    ("haskell", Family::Debian),
    ("httpd", Family::Debian),
    ("influxdb", Family::Debian),
    ("jenkins/jenkins", Family::Debian),
    ("jupyter/", Family::Debian), // Ubuntu
    ("kalilinux/", Family::Debian),
    ("mariadb", Family::Debian), // Ubuntu
    ("maven", Family::Debian),   // Ubuntu, through eclipse-temurin
    ("memcached", Family::Debian),
    ("mongo", Family::Debian), // Ubuntu
    ("nextcloud", Family::Debian),
    ("nginx", Family::Debian),
    ("nginxinc/nginx-unprivileged", Family::Debian),
    ("node", Family::Debian),
    ("nvidia/cuda", Family::Debian), // Ubuntu, unless the tag says ubi or rockylinux
    ("opensuse/", Family::Suse),
    ("oraclelinux", Family::RedHat),
    ("perl", Family::Debian),
    ("phusion/", Family::Debian), // Ubuntu
    ("php", Family::Debian),
    ("postgres", Family::Debian),
    ("pypy", Family::Debian),
    ("python", Family::Debian),
    ("r-base", Family::Debian),
    ("rabbitmq", Family::Debian), // Ubuntu
    ("redis", Family::Debian),
    ("registry", Family::Alpine),
    ("rockylinux", Family::RedHat),
    ("rockylinux/", Family::RedHat),
    ("ruby", Family::Debian),
    ("rust", Family::Debian),
    ("scratch", Family::Scratch),
    ("selenium/", Family::Debian), // Ubuntu
    ("suse/", Family::Suse),
    ("swift", Family::Debian), // Ubuntu
    ("telegraf", Family::Debian),
    ("tomcat", Family::Debian), // Ubuntu, through eclipse-temurin
    ("traefik", Family::Alpine),
    ("ubi", Family::RedHat), // redhat/ubi9, ubi8/ubi, ubi9-minimal
    ("ubi-init", Family::RedHat),
    ("ubi-micro", Family::RedHat),
    ("ubi-minimal", Family::RedHat),
    ("ubuntu", Family::Debian),
    ("ubuntu/", Family::Debian),
    ("vault", Family::Alpine),
    ("windows", Family::Windows),
    ("windows/", Family::Windows), // mcr.microsoft.com/windows/servercore
    ("wordpress", Family::Debian),
];

/// Images whose own `USER` is not root, by their Dockerfiles: what to go back to.
const USERS: &[(&str, &str)] = &[
    ("apache/airflow", "airflow"),
    ("bitnami/", "1001"),
    ("bitnamilegacy/", "1001"),
    ("chainguard/", "65532"),
    ("cimg/", "circleci"),
    ("jenkins/jenkins", "jenkins"),
    ("jupyter/", "1000"),
    ("nginxinc/nginx-unprivileged", "101"),
    ("selenium/", "1200"),
];

/// A reference, taken apart.
struct Reference<'a> {
    /// Registry and `library/` cut off.
    repository: &'a str,
    tag: &'a str,
}

impl Family {
    /// What the image of this name is made of: by its tag where that says so, else by its repository; the registry and the digest
    /// don't matter. `None` when the tables know neither: then `--family` or `--root` must say it.
    #[must_use]
    pub fn of_image(image: &str) -> Option<Family> {
        let lower = image.trim().to_ascii_lowercase();
        let reference = Reference::read(&lower);
        let by_repository = lookup(REPOSITORIES, reference.repository).or_else(|| {
            // ubi8/ubi, redhat/ubi9-minimal, arm64v8/debian, mirrors such as registry.example/mirror/debian
            let last = reference.repository.rsplit('/').next().unwrap_or_default();
            let (first, rest) = last.split_once('-').map_or((last, ""), |(first, rest)| (first, rest));
            let cut = if rest.is_empty() { cut_version(first).to_owned() } else { format!("{}-{rest}", cut_version(first)) };
            lookup(REPOSITORIES, last).or_else(|| lookup(REPOSITORIES, &cut))
        });
        match by_repository {
            // `debian:…`, `alpine:edge`, `scratch` and distroless images are what their name says, whatever the tag.
            Some(Family::Alpine | Family::Busybox | Family::Distroless | Family::Scratch | Family::Windows) => by_repository,
            // `slim` is Debian's word, but Oracle Linux has it too.
            _ => of_tag(reference.tag)
                .or(by_repository)
                .or_else(|| of_tag(reference.repository.rsplit('/').next()?))
                .or_else(|| reference.tag.split('-').any(|part| part == "slim").then_some(Family::Debian)),
        }
    }

    /// Reads `--family` and the `ID` of an os-release file.
    #[must_use]
    pub fn parse(name: &str) -> Option<Family> {
        Some(match name.to_ascii_lowercase().as_str() {
            "alpine" => Family::Alpine,
            "arch" | "manjaro" => Family::Arch,
            "busybox" => Family::Busybox,
            "debian" | "ubuntu" | "kali" | "linuxmint" | "raspbian" => Family::Debian,
            "distroless" => Family::Distroless,
            "almalinux" | "amzn" | "centos" | "fedora" | "ol" | "redhat" | "rhel" | "rocky" => Family::RedHat,
            "scratch" => Family::Scratch,
            "opensuse" | "opensuse-leap" | "opensuse-tumbleweed" | "sles" | "suse" => Family::Suse,
            "windows" => Family::Windows,
            "wolfi" => Family::Wolfi,
            _ => return None,
        })
    }

    /// What to do where there is no recipe; `None` where there is one.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Family::Alpine | Family::Debian => return None,
            Family::Arch => {
                "put the certificate into /etc/ca-certificates/trust-source/blocklist/ with COPY and run update-ca-trust; no snippet is made \
                 for this family"
            }
            Family::Busybox => {
                "this image has no trust store; whatever brings one in (COPY --from, an application's own bundle) is the place to fix"
            }
            Family::Distroless => {
                "this image has a bundle, but no shell to change it with; patch a Dockerfile (certdoctor dockerfile FILE), which takes the \
                 bundle through a Debian stage, or rebuild on a newer base"
            }
            Family::RedHat => {
                "put the certificate into /etc/pki/ca-trust/source/blocklist/ (blacklist/ up to EL 8 and Amazon Linux 2) with COPY and run \
                 update-ca-trust; no snippet is made for this family"
            }
            Family::Scratch => {
                "there is nothing in this image; the stage or build context that the store is copied from is the place to fix"
            }
            Family::Suse => {
                "put the certificate into /etc/pki/trust/blocklist/ with COPY and run update-ca-certificates -f; no snippet is made for this \
                 family"
            }
            Family::Windows => {
                "there are no such store files; put the certificate into the Disallowed store (certutil -addstore Disallowed FILE)"
            }
            Family::Wolfi => {
                "its images are rebuilt daily: pull a newer one; where that can't be, --family alpine makes the instruction for images with apk"
            }
        })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Alpine => "Alpine",
            Family::Arch => "Arch",
            Family::Busybox => "busybox",
            Family::Debian => "Debian or Ubuntu",
            Family::Distroless => "distroless",
            Family::RedHat => "Red Hat family",
            Family::Scratch => "scratch",
            Family::Suse => "SUSE",
            Family::Windows => "Windows",
            Family::Wolfi => "Wolfi",
        })
    }
}

/// The user that an image's own configuration sets, where it is known not to be root.
#[must_use]
pub fn default_user(image: &str) -> Option<&'static str> {
    let lower = image.trim().to_ascii_lowercase();
    let reference = Reference::read(&lower);
    match lookup(USERS, reference.repository) {
        None if reference.repository.starts_with("distroless/") && reference.tag.contains("nonroot") => Some("65532"),
        user => user,
    }
}

impl<'a> Reference<'a> {
    fn read(image: &'a str) -> Self {
        let name = image.split('@').next().unwrap_or_default();
        let slash = name.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match name[slash..].find(':') {
            Some(colon) => (&name[..slash + colon], &name[slash + colon + 1..]),
            None => (name, ""),
        };
        // Docker's rule: the first component is a registry when it has a dot or a port, or is localhost.
        let repository = match name.split_once('/') {
            Some((registry, rest)) if registry.contains(['.', ':']) || registry == "localhost" => rest,
            _ => name,
        };
        Reference { repository: repository.strip_prefix("library/").unwrap_or(repository), tag }
    }
}

/// The entry for a repository: itself, else the longest prefix that ends with `/` or `-`.
fn lookup<T: Copy>(table: &[(&str, T)], repository: &str) -> Option<T> {
    let exact = table.iter().find(|(name, _)| *name == repository);
    let below = || {
        let prefixes = table.iter().filter(|(name, _)| name.ends_with(['/', '-']) && repository.starts_with(name));
        prefixes.max_by_key(|(name, _)| name.len())
    };
    exact.or_else(below).map(|(_, value)| *value)
}

/// What the parts of a tag say; `8.0-jammy-chiseled` is chiseled.
fn of_tag(tag: &str) -> Option<Family> {
    let parts = tag.split(['-', '_', '.']).filter_map(|part| {
        let part = cut_version(part);
        TAG_PARTS.iter().find(|(name, _)| *name == part)
    });
    parts.max_by_key(|(_, family)| *family == Family::Distroless).map(|(_, family)| *family)
}

fn cut_version(part: &str) -> &str {
    part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
}
