//! From what a person types after `--client` to a profile.

use std::borrow::Cow;

use super::{ALL, Client, Engine, Profile};
use crate::path::boringssl;

/// No client of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no client `{asked}` is known;{} certdoctor list clients shows all", hint(.nearest.as_deref()))]
pub struct UnknownClient {
    /// What was asked for.
    pub asked: String,
    /// The most similar identifier, if one is similar.
    pub nearest: Option<String>,
}

/// Finds the client: `openssl-1.0.2n+trusted_first`, any version in between, or a bare family, which is its newest profile.
///
/// # Errors
/// [`UnknownClient`] for a family or an option that doesn't exist. A version outside all ranges of its family is found, but answers
/// [`crate::path::Verdict::Unknown`].
pub fn resolve(id: &str) -> Result<Client, UnknownClient> {
    let mut parts = id.split('+');
    let base = parts.next().unwrap_or_default();
    let unknown = || UnknownClient { asked: id.to_owned(), nearest: nearest(id) };
    let (profile, outside) = profile(&mode_first(base)).ok_or_else(unknown)?;
    let mut engine = profile.engine;
    for option in parts {
        engine = with_option(engine, option).ok_or_else(unknown)?;
    }
    Ok(Client { id: id.to_owned(), profile, engine, outside })
}

/// The two modes of `vfychain` stand last in what people write (`nss-3.87-classic`), and first in the names of the families.
fn mode_first(base: &str) -> Cow<'_, str> {
    match base.strip_prefix("nss-").and_then(|rest| rest.rsplit_once('-')) {
        Some((version, mode @ ("classic" | "pkix"))) => Cow::Owned(format!("nss-{mode}-{version}")),
        _ => Cow::Borrowed(base),
    }
}

/// The same client in each later version of its family, the earliest first, with the options that it was asked for.
#[must_use]
pub fn newer(client: &Client) -> Vec<Client> {
    let from = |profile: &Profile| Version::of(profile.range.0);
    let mut later: Vec<&'static Profile> =
        ALL.iter().copied().filter(|p| p.family == client.profile.family && from(p) > from(client.profile)).collect();
    later.sort_by_key(|profile| from(profile));
    let options: Vec<&str> = client.id.split('+').skip(1).collect();
    let with_options = |profile: &'static Profile| {
        // An option that the later version does not have is its default there.
        let engine = options.iter().fold(profile.engine, |engine, option| with_option(engine, option).unwrap_or(engine));
        Client { engine, ..profile.client() }
    };
    later.into_iter().map(with_options).collect()
}

fn profile(base: &str) -> Option<(&'static Profile, Option<String>)> {
    if let Some(profile) = ALL.iter().find(|p| p.id == base) {
        return Some((profile, None));
    }
    // `gnutls-cli` is a family and so is `gnutls`: the longest name wins.
    let named = |p: &&&Profile| base == p.family || base.strip_prefix(p.family).is_some_and(|rest| rest.starts_with('-'));
    let family = ALL.iter().filter(named).map(|p| p.family).max_by_key(|family| family.len())?;
    let members = || ALL.iter().filter(|p| p.family == family);
    // The last version of a range may stand for everything after it (`3`), so the first one decides.
    let newest = members().max_by(|a, b| Version::of(a.range.0).cmp(&Version::of(b.range.0)))?;
    let Some(version) = base.get(family.len() + 1..) else { return Some((newest, None)) };
    let version = Version::of(version);
    if version.0.is_empty() {
        return None;
    }
    if let Some(profile) = members().find(|p| version.is_in(p.range)) {
        return Some((profile, None));
    }
    let modelled = members().map(|p| p.versions).collect::<Vec<_>>().join(", ");
    Some((newest, Some(format!("{base} is outside the versions that are modelled ({modelled})"))))
}

pub(super) fn with_option(engine: Engine, option: &str) -> Option<Engine> {
    match engine {
        Engine::Openssl(mut policy) => {
            match option {
                "partial" | "partial_chain" => policy.partial_chain = true,
                "strict" => policy.strict = true,
                // The default from 1.1.0 on.
                "trusted_first" => {}
                _ => policy.level = option.strip_prefix("seclevel")?.parse().ok().filter(|level| *level <= 5)?,
            }
            Some(Engine::Openssl(policy))
        }
        Engine::OpensslLegacy(mut policy) => {
            match option {
                "no_alt_chains" => policy.alternative_chains = false,
                "partial" | "partial_chain" => policy.partial_chain = true,
                "strict" => policy.strict = true,
                "trusted_first" => policy.trusted_first = true,
                _ => return None,
            }
            Some(Engine::OpensslLegacy(policy))
        }
        Engine::Boringssl(_) => {
            matches!(option, "partial" | "partial_chain").then_some(Engine::Boringssl(boringssl::Policy { partial_chain: true }))
        }
        Engine::Libressl(mut policy) => {
            match option {
                "partial" | "partial_chain" => policy.partial_chain = true,
                "verify_result" => policy.reads_error = true,
                _ => return None,
            }
            Some(Engine::Libressl(policy))
        }
        Engine::Wolfssl(mut policy) => {
            match option {
                "alt_cert_chains" => policy.alternative_chains = true,
                "no_alt_cert_chains" => policy.alternative_chains = false,
                _ => return None,
            }
            Some(Engine::Wolfssl(policy))
        }
        Engine::Gnutls(_)
        | Engine::Go(_)
        | Engine::Java
        | Engine::Libpki(_)
        | Engine::Mbedtls(_)
        | Engine::MozillaPkix
        | Engine::Nss
        | Engine::NssPkix
        | Engine::Platform(_)
        | Engine::Pyca(_)
        | Engine::Webpki(_) => None,
    }
}

/// A version: numbers, the last of which may carry letters (`1.0.2zh`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(Vec<(u32, usize, String)>);

impl Version {
    /// Empty if the text is no version.
    fn of(text: &str) -> Version {
        let part = |part: &str| {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let letters = part[digits..].to_ascii_lowercase();
            let plain = letters.bytes().all(|b| b.is_ascii_lowercase());
            Some((part[..digits].parse().ok()?, letters.len(), letters)).filter(|_| plain)
        };
        Version(text.split('.').map(part).collect::<Option<_>>().unwrap_or_default())
    }

    fn is_in(&self, (low, high): (&str, &str)) -> bool {
        let (low, high) = (Version::of(low), Version::of(high));
        let cut = |length: usize| {
            let mut parts = self.0.clone();
            parts.resize(parts.len().max(length), (0, 0, String::new()));
            parts
        };
        cut(low.0.len()) >= low.0 && cut(high.0.len())[..high.0.len()] <= high.0[..]
    }
}

/// The identifier with the smallest edit distance, unless that is more than two slips; the first of equals.
fn nearest(asked: &str) -> Option<String> {
    let ids = ALL.iter().flat_map(|p| [p.id, p.family]);
    let best = ids.map(|id| (distance(asked, id), id)).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= 2).then(|| best.1.to_owned())
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |id| format!(" did you mean `{id}`?"))
}

/// Levenshtein's distance; long input is cut, nobody types it.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, c) in b.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, d) in a.iter().enumerate() {
            let replaced = corner + usize::from(c != *d);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(asked: &str) -> &'static str {
        resolve(asked).expect("is known").profile.id
    }

    #[test]
    fn versions_fall_into_their_range() {
        assert_eq!(id("openssl-1.0.2n"), "openssl-1.0.2");
        assert_eq!(id("openssl-1.0.2zh"), "openssl-1.0.2");
        assert_eq!(id("openssl-1.0.2a"), "openssl-1.0.2a");
        assert_eq!(id("openssl-1.1.1g"), "openssl-1.1.1g");
        assert_eq!(id("openssl-1.1.1w"), "openssl-1.1.1");
        assert_eq!(id("openssl-3.0.22"), "openssl-3.0");
        assert_eq!(id("openssl-3.6.5"), "openssl-3.6");
        assert_eq!(id("openssl-3"), "openssl-3.0");
        assert_eq!(id("node-8.17.0"), "node-4");
        assert_eq!(id("node-8"), "node-4");
        for (version, profile) in [
            ("2.9.2", "2.5.1"),
            ("3.1.2", "2.5.1"),
            ("3.2.1", "3.1.3"),
            ("3.2.3", "3.2.2"),
            ("3.2.6", "3.2.4"),
            ("3.2.7", "3.2.7"),
            ("3.3.1", "3.3.0"),
            ("3.3.4", "3.3.2"),
            ("3.3.6", "3.3.5"),
            ("3.9.2", "3.4.0"),
            ("4.3.2", "3.4.0"),
        ] {
            assert_eq!(id(&format!("libressl-{version}")), format!("libressl-{profile}"));
        }
        assert_eq!(id("boringssl-x509+partial"), "boringssl-x509");
        assert_eq!(id("git-openssl"), "git-openssl-2");
    }

    #[test]
    fn a_family_is_its_newest_profile() {
        assert_eq!(id("openssl"), "openssl-3.6");
        assert_eq!(id("node"), "node-24");
        assert_eq!(id("python"), "python-3.13");
    }

    #[test]
    fn later_versions_come_in_their_order_with_the_options_asked_for() {
        let later = newer(&resolve("openssl-1.1.1g+seclevel2").expect("is known"));
        let ids: Vec<&str> = later.iter().map(|c| c.profile.id).collect();
        assert_eq!(ids, ["openssl-1.1.1", "openssl-3.0", "openssl-3.6"]);
        assert!(later.iter().all(|c| matches!(c.engine, Engine::Openssl(p) if p.level == 2)));
        assert!(newer(&resolve("openssl-3.6").expect("is known")).is_empty());
        let ids: Vec<String> = newer(&resolve("node-8").expect("is known")).into_iter().map(|c| c.id).collect();
        assert_eq!(ids, ["node-10", "node-12", "node-14", "node-18", "node-22", "node-24"]);
    }

    #[test]
    fn what_was_asked_is_echoed() {
        let client = resolve("openssl-1.0.2n+trusted_first").expect("is known");
        assert_eq!(client.id, "openssl-1.0.2n+trusted_first");
        assert!(matches!(client.engine, Engine::OpensslLegacy(p) if p.trusted_first));
    }

    #[test]
    fn unknown_names_get_a_suggestion() {
        assert_eq!(resolve("opensll-3.0").expect_err("is unknown").nearest.as_deref(), Some("openssl-3.0"));
        assert!(resolve("openssl-3.0+fast").is_err());
        assert!(resolve("openssl-new").is_err());
        assert!(resolve("").is_err());
        assert!(resolve("openssl-9.9").expect("the family is known").outside.is_some());
    }

    #[test]
    fn profiles_are_sorted_and_ranges_do_not_overlap() {
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id), "{ALL:?}");
        for a in ALL {
            assert!(a.id.starts_with(a.family), "{a:?}");
            for end in [a.range.0, a.range.1] {
                let covering = ALL.iter().filter(|p| p.family == a.family && Version::of(end).is_in(p.range)).count();
                assert_eq!(covering, 1, "{} {end}", a.family);
            }
        }
    }

    #[test]
    fn the_default_clients_exist() {
        assert!(super::super::default_clients().is_ok());
    }
}
