//! Certificate policies as OpenSSL evaluates them: `X509_policy_check` (crypto/x509/pcy_tree.c, pcy_cache.c, pcy_map.c), which is RFC
//! 5280, section 6.1 from the top down, with a user set that is empty unless the caller names one.

use std::collections::BTreeSet;

use crate::x509::{Certificate, elements, elements_exactly, oid_text, read_tlv};

/// What the caller demands (`X509_V_FLAG_…` of the same names).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// POLICY_CHECK: policies are evaluated at all.
    pub check: bool,
    /// EXPLICIT_POLICY: a policy must hold from the beginning.
    pub explicit: bool,
    /// INHIBIT_ANY: anyPolicy matches nothing.
    pub inhibit_any: bool,
    /// INHIBIT_MAP: policy mappings don't count.
    pub inhibit_map: bool,
}

/// How the evaluation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Valid,
    /// A policy is demanded and none is left.
    NoPolicy,
    /// Extensions contradict each other or can't be read; [`Policies::of`] tells whose.
    Invalid,
}

const ANY: &str = "2.5.29.32.0";

/// What one certificate says.
#[derive(Default)]
pub(super) struct Policies {
    /// certificatePolicies is there.
    present: bool,
    any: bool,
    named: Vec<Policy>,
    explicit_skip: Option<u32>,
    map_skip: Option<u32>,
    any_skip: Option<u32>,
}

#[derive(Clone)]
struct Policy {
    id: String,
    expected: Vec<String>,
    mapped: Mapped,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mapped {
    No,
    Named,
    /// Made from anyPolicy by a mapping.
    Any,
}

impl Policies {
    /// `policy_cache_new`; `None` for `EXFLAG_INVALID_POLICY`.
    pub(super) fn of(certificate: &Certificate) -> Option<Policies> {
        let mut found = Policies::default();
        if let Some(value) = lone(certificate, "2.5.29.36")? {
            let (outer, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
            for part in elements_exactly(outer.value)? {
                match part.tag {
                    0x80 => found.explicit_skip = Some(number(part.value)?),
                    0x81 => found.map_skip = Some(number(part.value)?),
                    _ => return None,
                }
            }
            found.explicit_skip.or(found.map_skip)?;
        }
        let Some(value) = lone(certificate, "2.5.29.32")? else { return Some(found) };
        found.read_policies(value)?;
        if let Some(value) = lone(certificate, "2.5.29.33")? {
            found.read_mappings(value)?;
        }
        if let Some(value) = lone(certificate, "2.5.29.54")? {
            let (skip, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x02)?;
            found.any_skip = Some(number(skip.value)?);
        }
        Some(found)
    }

    /// Without any policy, or with one named twice, the extension is bad (`policy_cache_create`).
    fn read_policies(&mut self, value: &[u8]) -> Option<()> {
        let (outer, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
        self.present = true;
        let list = elements_exactly(outer.value).filter(|l| !l.is_empty())?;
        for information in list {
            let id = elements(information.value).next().filter(|t| t.tag == 0x06)?;
            let id = oid_text(id.value).into_owned();
            let seen = if id == ANY { std::mem::replace(&mut self.any, true) } else { self.named.iter().any(|p| p.id == id) };
            if seen {
                return None;
            }
            if id != ANY {
                self.named.push(Policy { expected: Vec::new(), id, mapped: Mapped::No });
            }
        }
        Some(())
    }

    /// `ossl_policy_cache_set_mapping`: nothing maps to or from anyPolicy.
    fn read_mappings(&mut self, value: &[u8]) -> Option<()> {
        let (outer, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
        let list = elements_exactly(outer.value).filter(|l| !l.is_empty())?;
        for mapping in list {
            let ids: Vec<String> = elements(mapping.value).map(|t| oid_text(t.value).into_owned()).collect();
            let [from, to] = &ids[..] else { return None };
            if from == ANY || to == ANY {
                return None;
            }
            match self.named.iter_mut().find(|p| p.id == *from) {
                Some(policy) => {
                    if policy.mapped == Mapped::No {
                        policy.mapped = Mapped::Named;
                    }
                    policy.expected.push(to.clone());
                }
                None if self.any => {
                    self.named.push(Policy { id: from.clone(), expected: vec![to.clone()], mapped: Mapped::Any });
                }
                None => {}
            }
        }
        Some(())
    }
}

/// The contents of an extension: `Some(None)` without it, `None` when it stands twice.
fn lone<'a>(certificate: &'a Certificate, oid: &str) -> Option<Option<&'a [u8]>> {
    match certificate.extensions().iter().filter(|e| e.oid == oid).count() {
        0 => Some(None),
        1 => Some(certificate.extension(oid).map(|(_, value)| value)),
        _ => None,
    }
}

fn number(value: &[u8]) -> Option<u32> {
    if value.is_empty() || value[0] & 0x80 != 0 {
        return None;
    }
    let significant = &value[value.iter().take_while(|b| **b == 0).count()..];
    (significant.len() <= 4).then(|| significant.iter().fold(0, |acc, b| acc << 8 | u32::from(*b)))
}

/// One node of a level; the level before holds its parent.
struct Node {
    policy: Policy,
    /// `None` when the parent is that level's anyPolicy.
    parent: Option<usize>,
    alive: bool,
}

#[derive(Default)]
struct Level {
    nodes: Vec<Node>,
    any: bool,
    inhibit_any: bool,
    inhibit_map: bool,
}

/// Evaluates a path, leaf first; the last certificate's policies don't count. `wanted` are the caller's policies.
pub(super) fn check(chain: &[Certificate], wanted: &[&str], demands: Demands) -> Outcome {
    let Some((_, below)) = chain.split_last().filter(|(_, below)| !below.is_empty()) else {
        return if demands.explicit { Outcome::NoPolicy } else { Outcome::Valid };
    };
    let length = u32::try_from(below.len()).unwrap_or(u32::MAX);
    let start = |inhibited: bool| if inhibited { 0 } else { length.saturating_add(1) };
    let (mut explicit, mut any_skip, mut map_skip) =
        (start(demands.explicit), start(demands.inhibit_any), start(demands.inhibit_map));
    let mut empty = false;
    let mut caches = Vec::new();
    for certificate in below.iter().rev() {
        if explicit == 0 && empty {
            break;
        }
        let Some(cache) = Policies::of(certificate) else { return Outcome::Invalid };
        empty |= !cache.present;
        if explicit > 0 {
            if !is_self_issued(certificate) {
                explicit -= 1;
            }
            explicit = cache.explicit_skip.map_or(explicit, |skip| skip.min(explicit));
        }
        caches.push(cache);
    }
    let explicit = explicit == 0;
    let failed = if explicit { Outcome::NoPolicy } else { Outcome::Valid };
    if empty {
        return failed;
    }
    let mut levels = vec![Level { any: true, ..Level::default() }];
    for (depth, certificate) in below.iter().enumerate().rev() {
        let cache = &caches[below.len() - 1 - depth];
        let self_issued = is_self_issued(certificate);
        let inhibit_any = !cache.any || (any_skip == 0 && (!self_issued || depth == 0));
        any_skip = fewer(any_skip, self_issued, cache.any_skip);
        let inhibit_map = map_skip == 0;
        map_skip = fewer(map_skip, self_issued, cache.map_skip);
        let level = Level { inhibit_any, inhibit_map, ..Level::default() };
        levels.push(level);
        link(&mut levels, cache);
        if !prune(&mut levels) {
            return failed;
        }
    }
    if !explicit || is_satisfied(&levels, wanted) { Outcome::Valid } else { Outcome::NoPolicy }
}

fn fewer(skip: u32, self_issued: bool, said: Option<u32>) -> u32 {
    if skip == 0 {
        return 0;
    }
    let left = if self_issued { skip } else { skip - 1 };
    said.map_or(left, |said| said.min(left))
}

/// `tree_link_nodes` and `tree_link_any`.
fn link(levels: &mut [Level], cache: &Policies) {
    let [.., last, current] = levels else { return };
    for policy in &cache.named {
        let before = current.nodes.len();
        for (index, node) in last.nodes.iter().enumerate().filter(|(_, n)| n.alive) {
            let own = last.inhibit_map || node.policy.mapped == Mapped::No;
            let matches = if own { node.policy.id == policy.id } else { node.policy.expected.contains(&policy.id) };
            if matches {
                current.nodes.push(Node { policy: policy.clone(), parent: Some(index), alive: true });
            }
        }
        if current.nodes.len() == before && last.any {
            current.nodes.push(Node { policy: policy.clone(), parent: None, alive: true });
        }
    }
    if current.inhibit_any {
        return;
    }
    for (index, node) in last.nodes.iter().enumerate().filter(|(_, n)| n.alive) {
        let children: BTreeSet<&str> =
            current.nodes.iter().filter(|n| n.parent == Some(index)).map(|n| n.policy.id.as_str()).collect();
        let unmatched: Vec<String> = if last.inhibit_map || node.policy.mapped != Mapped::Named {
            if children.is_empty() { vec![node.policy.id.clone()] } else { Vec::new() }
        } else {
            node.policy.expected.iter().filter(|id| !children.contains(id.as_str())).cloned().collect()
        };
        for id in unmatched {
            let policy = Policy { id, expected: Vec::new(), mapped: Mapped::No };
            current.nodes.push(Node { policy, parent: Some(index), alive: true });
        }
    }
    current.any = last.any;
}

/// Drops what may not be mapped and what has no child; whether anything is left.
fn prune(levels: &mut [Level]) -> bool {
    if let Some(current) = levels.last_mut().filter(|l| l.inhibit_map) {
        for node in &mut current.nodes {
            node.alive &= node.policy.mapped == Mapped::No;
        }
    }
    for depth in (0..levels.len() - 1).rev() {
        let (above, below) = levels.split_at_mut(depth + 1);
        let (Some(level), Some(children)) = (above.last_mut(), below.first()) else { return false };
        let has_child = |parent: Option<usize>| children.nodes.iter().any(|n| n.alive && n.parent == parent);
        for (index, node) in level.nodes.iter_mut().enumerate() {
            node.alive &= has_child(Some(index));
        }
        level.any &= children.any || has_child(None);
    }
    levels[0].any
}

/// `tree_calculate_authority_set` and `tree_calculate_user_set`. The nodes of the authority set are those whose parent is anyPolicy.
fn is_satisfied(levels: &[Level], wanted: &[&str]) -> bool {
    let any_at_end = levels.last().is_some_and(|l| l.any);
    let authority = levels
        .windows(2)
        .filter(|pair| pair[0].any)
        .flat_map(|pair| pair[1].nodes.iter().filter(|n| n.alive && n.parent.is_none()).map(|n| n.policy.id.as_str()));
    let authority: BTreeSet<&str> = authority.collect();
    if wanted.contains(&ANY) {
        return any_at_end || !authority.is_empty();
    }
    wanted.iter().any(|id| any_at_end || authority.contains(id))
}

fn is_self_issued(certificate: &Certificate) -> bool {
    certificate.canonical_subject() == certificate.canonical_issuer()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A self-signed certificate with certificatePolicies of these OIDs (their contents).
    fn with_policies(ids: &[&[u8]]) -> Certificate {
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("params");
        let tlv = |tag: u8, value: &[u8]| [&[tag, u8::try_from(value.len()).expect("short")], value].concat();
        let list: Vec<u8> = ids.iter().flat_map(|id| tlv(0x30, &tlv(0x06, id))).collect();
        params.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 32], tlv(0x30, &list)));
        let key = rcgen::KeyPair::generate().expect("a key");
        Certificate::parse(params.self_signed(&key).expect("signs").der()).expect("parses")
    }

    const ONE: &[u8] = &[0x2a, 0x03];
    const ANY_POLICY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];

    #[test]
    fn a_policy_must_hold_only_when_one_is_demanded() {
        let plain = with_policies(&[ONE]);
        let chain = [plain.clone(), plain];
        let explicit = Demands { check: true, explicit: true, ..Demands::default() };
        assert_eq!(check(&chain, &["1.2.3"], explicit), Outcome::Valid);
        assert_eq!(check(&chain, &["1.2.4"], explicit), Outcome::NoPolicy);
        assert_eq!(check(&chain, &["1.2.4"], Demands { explicit: false, ..explicit }), Outcome::Valid);
        assert_eq!(check(&chain, &["1.2.4", "2.5.29.32.0"], explicit), Outcome::Valid);
        // Without a policy of the caller none can hold.
        assert_eq!(check(&chain, &[], explicit), Outcome::NoPolicy);
        assert_eq!(check(&chain[..1], &["1.2.3"], explicit), Outcome::NoPolicy);
    }

    #[test]
    fn any_policy_stands_for_what_is_wanted_unless_inhibited() {
        let any = with_policies(&[ANY_POLICY]);
        let chain = [any.clone(), any];
        let explicit = Demands { check: true, explicit: true, ..Demands::default() };
        assert_eq!(check(&chain, &["1.2.3"], explicit), Outcome::Valid);
        assert_eq!(check(&chain, &["1.2.3"], Demands { inhibit_any: true, ..explicit }), Outcome::NoPolicy);
    }

    #[test]
    fn a_policy_named_twice_is_invalid() {
        let twice = with_policies(&[ONE, ONE]);
        assert_eq!(check(&[twice.clone(), twice], &[], Demands { check: true, ..Demands::default() }), Outcome::Invalid);
    }
}
