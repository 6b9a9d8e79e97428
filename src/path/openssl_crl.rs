//! Revocation lists as OpenSSL uses them: `check_revocation` and what it calls (crypto/x509/x509_vfy.c), from choosing a list by score
//! to the path of a list's issuer.
//!
//! Absent on purpose: fetching. A list is an input, like an anchor.

use super::{
    Question, Rejection,
    openssl::{self, Policy},
    openssl_rules::{Errors, authority_key_id_fits, is_proxy},
};
use crate::{
    base::At,
    x509::{ALL_REASONS, Certificate, Crl, DistributionPoint, GeneralName, PointName, SignatureError, distribution_points},
};

/// What the caller demands (`X509_V_FLAG_…` of the same names).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Whose revocation is checked.
    pub check: Reach,
    /// EXTENDED_CRL_SUPPORT: indirect lists, lists for some reasons, issuers outside the path.
    pub extended: bool,
    /// USE_DELTAS.
    pub deltas: bool,
}

/// Whose revocation is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Nobody's.
    #[default]
    Nobody,
    /// The leaf's: CRL_CHECK.
    Leaf,
    /// Everybody's: CRL_CHECK_ALL.
    All,
}

const NO_CRITICAL: u32 = 0x100;
const SCOPE: u32 = 0x080;
const TIME: u32 = 0x040;
const ISSUER_NAME: u32 = 0x020;
const ISSUER_CERT: u32 = 0x018;
const SAME_PATH: u32 = 0x008;
const KEY_ID: u32 = 0x004;
const DELTA_TIME: u32 = 0x002;

/// `check_revocation` over a path; `nested` is set while the issuer of a list is verified.
pub(super) fn check(question: &Question<'_>, policy: &Policy, nested: bool, chain: &[Certificate], errors: &mut Errors<'_>) {
    let last = match policy.crl.check {
        Reach::Nobody => return,
        Reach::Leaf if nested => return,
        Reach::Leaf => 0,
        Reach::All => chain.len() - 1,
    };
    for depth in 0..=last {
        if errors.stopped() {
            return;
        }
        let points = chain[depth].extension("2.5.29.31");
        Subject {
            question,
            policy,
            nested,
            chain,
            depth,
            points: points.map(|(_, value)| distribution_points(value, chain[depth].issuer())).unwrap_or_default(),
        }
        .check(errors);
    }
}

/// One certificate whose revocation is asked for.
struct Subject<'a> {
    question: &'a Question<'a>,
    policy: &'a Policy,
    nested: bool,
    chain: &'a [Certificate],
    depth: usize,
    points: Vec<DistributionPoint>,
}

/// The list that was chosen.
struct Chosen<'a> {
    crl: &'a Crl,
    delta: Option<&'a Crl>,
    issuer: &'a Certificate,
    score: u32,
    reasons: u16,
}

impl<'a> Subject<'a> {
    fn certificate(&self) -> &'a Certificate {
        &self.chain[self.depth]
    }

    /// `check_cert`: lists are sought until every reason is covered.
    fn check(&self, errors: &mut Errors<'_>) {
        if is_proxy(self.certificate()) {
            return;
        }
        let mut covered = 0;
        while covered != ALL_REASONS {
            let before = covered;
            let Some(chosen) = self.choose(covered) else {
                return errors.push(3, self.depth, Rejection::Other("no revocation list for it".to_owned()));
            };
            covered = chosen.reasons;
            self.check_list(chosen.crl, &chosen, errors);
            if errors.stopped() {
                return;
            }
            let mut taken_back = false;
            if let Some(delta) = chosen.delta {
                self.check_list(delta, &chosen, errors);
                if errors.stopped() {
                    return;
                }
                taken_back = self.look_up(delta, errors);
            }
            if !taken_back && !errors.stopped() {
                self.look_up(chosen.crl, errors);
            }
            if errors.stopped() {
                return;
            }
            if covered == before {
                return errors.push(3, self.depth, Rejection::Other("no revocation list for every reason".to_owned()));
            }
        }
    }

    /// `get_crl_sk`: the best score; of equals the newest.
    fn choose(&self, covered: u16) -> Option<Chosen<'a>> {
        let mut best: Option<Chosen<'a>> = None;
        for crl in self.question.extra.crls {
            let Some(found) = self.score(crl, covered) else { continue };
            if let Some(best) = &best {
                let newer = crl.this_update() > best.crl.this_update();
                if found.score < best.score || (found.score == best.score && !newer) {
                    continue;
                }
            }
            best = Some(found);
        }
        let mut best = best?;
        self.find_delta(&mut best);
        Some(best)
    }

    /// `get_crl_score`; `None` for a list that can't be about the certificate.
    fn score(&self, crl: &'a Crl, covered: u16) -> Option<Chosen<'a>> {
        let scope = crl.scope();
        let said = scope.and_then(|s| s.reasons);
        let reasons = said.unwrap_or(ALL_REASONS);
        let indirect = scope.is_some_and(|s| s.indirect);
        if scope.is_some_and(crate::x509::Scope::is_invalid) {
            return None;
        }
        if !self.policy.crl.extended {
            if indirect || said.is_some() {
                return None;
            }
        } else if said.is_some() {
            if reasons & !covered == 0 {
                return None;
            }
        } else if crl.base_number().is_some() {
            return None;
        }
        let mut score = 0;
        if crl.issuer().canonical() == self.certificate().canonical_issuer() {
            score |= ISSUER_NAME;
        } else if !indirect {
            return None;
        }
        if !crl.has_unhandled_critical() {
            score |= NO_CRITICAL;
        }
        if is_current(crl, self.question.at) {
            score |= TIME;
        }
        let (issuer, kind) = self.issuer_of(crl, score)?;
        score |= kind;
        let mut chosen = Chosen { crl, delta: None, issuer, score, reasons: covered };
        if let Some(reasons) = self.covers(crl, score) {
            if reasons & !covered == 0 {
                return None;
            }
            chosen.reasons |= reasons;
            chosen.score |= SCOPE;
        }
        Some(chosen)
    }

    /// `crl_akid_check`: who signed the list, and how near it stands.
    fn issuer_of(&self, crl: &Crl, score: u32) -> Option<(&'a Certificate, u32)> {
        let fits = |candidate: &Certificate| authority_key_id_fits(crl.authority_key_id(), candidate);
        let next = (self.depth + 1).min(self.chain.len() - 1);
        if score & ISSUER_NAME != 0 && fits(&self.chain[next]) {
            return Some((&self.chain[next], KEY_ID | ISSUER_CERT));
        }
        let name = crl.issuer().canonical();
        let signs = |candidate: &&Certificate| candidate.canonical_subject() == name && fits(candidate);
        if let Some(above) = self.chain[next + 1..].iter().find(signs) {
            return Some((above, KEY_ID | SAME_PATH));
        }
        if !self.policy.crl.extended {
            return None;
        }
        self.question.untrusted().iter().find(signs).map(|sent| (sent, KEY_ID))
    }

    /// `crl_crldp_check`: the reasons that list and certificate agree on, if they mean the same distribution point.
    fn covers(&self, crl: &Crl, score: u32) -> Option<u16> {
        let scope = crl.scope();
        let is_ca = self.certificate().is_ca();
        if scope.is_some_and(|s| s.only_attributes || (is_ca && s.only_users) || (!is_ca && s.only_cas)) {
            return None;
        }
        let reasons = scope.and_then(|s| s.reasons).unwrap_or(ALL_REASONS);
        let same_issuer = score & ISSUER_NAME != 0;
        for point in &self.points {
            let issuer_fits = if point.issuer.is_empty() { same_issuer } else { names(&point.issuer, &crl.issuer().canonical()) };
            if issuer_fits && scope.is_none_or(|s| same_point(point.point.as_ref(), s.point.as_ref())) {
                return Some(reasons & point.reasons.unwrap_or(ALL_REASONS));
            }
        }
        (scope.is_none_or(|s| s.point.is_none()) && same_issuer).then_some(reasons)
    }

    /// `get_delta_sk`.
    fn find_delta(&self, chosen: &mut Chosen<'a>) {
        let freshest = self.certificate().extension("2.5.29.46").is_some() || chosen.crl.extension("2.5.29.46").is_some();
        if !self.policy.crl.deltas || !freshest {
            return;
        }
        let delta = self.question.extra.crls.iter().find(|crl| is_delta_of(crl, chosen.crl));
        if delta.is_some_and(|delta| is_current(delta, self.question.at)) {
            chosen.score |= DELTA_TIME;
        }
        chosen.delta = delta;
    }

    /// `check_crl`.
    fn check_list(&self, crl: &Crl, chosen: &Chosen<'_>, errors: &mut Errors<'_>) {
        let depth = self.depth;
        if crl.base_number().is_none() {
            if chosen.issuer.key_usage().is_some_and(|usage| !usage.crl_sign()) {
                errors.push_plain(35, depth);
            }
            if chosen.score & SCOPE == 0 {
                errors.push_plain(44, depth);
            }
            if chosen.score & SAME_PATH == 0 && !errors.stopped() && !self.issuer_has_path(chosen.issuer, errors) {
                errors.push_plain(54, depth);
            }
        }
        if chosen.score & TIME == 0 {
            self.check_time(crl, chosen, errors);
        }
        if chosen.issuer.defects().contains(&crate::x509::Defect::BadPublicKey) {
            return errors.push_plain(6, depth);
        }
        if errors.stopped() {
            return;
        }
        match self.question.signatures.verify_crl(crl, chosen.issuer) {
            Ok(()) if crl.names_one_algorithm() => {}
            Ok(()) | Err(SignatureError::Invalid | SignatureError::KeyMismatch) => {
                errors.push(8, depth, Rejection::InvalidSignature);
            }
            Err(SignatureError::Unsupported(what)) => errors.unsupported(what),
        }
    }

    /// `check_crl_path`: the list's issuer, verified for itself, must end at the same anchor; not while that is being done already.
    fn issuer_has_path(&self, issuer: &Certificate, errors: &mut Errors<'_>) -> bool {
        if self.nested {
            return false;
        }
        let (path, good) = errors.nested(|errors| openssl::verify(self.question, self.policy, issuer, true, errors));
        good && path.last() == self.chain.last()
    }

    /// `check_crl_time`.
    fn check_time(&self, crl: &Crl, chosen: &Chosen<'_>, errors: &mut Errors<'_>) {
        let at = self.question.at;
        match crl.this_update() {
            None => errors.push(15, self.depth, Rejection::DateUnreadable),
            Some(not_before) if not_before > at => errors.push(11, self.depth, Rejection::NotYetValid { not_before, at }),
            Some(_) => {}
        }
        match crl.next_update() {
            Some(None) => errors.push(16, self.depth, Rejection::DateUnreadable),
            Some(Some(not_after)) if not_after <= at && chosen.score & DELTA_TIME == 0 => {
                errors.push(12, self.depth, Rejection::Expired { not_after, at });
            }
            Some(Some(_)) | None => {}
        }
    }

    /// `cert_crl`: whether the entry was taken back.
    fn look_up(&self, crl: &Crl, errors: &mut Errors<'_>) -> bool {
        if crl.has_unhandled_critical() {
            errors.push_plain(36, self.depth);
            if errors.stopped() {
                return false;
            }
        }
        let issuer = self.certificate().canonical_issuer();
        let own = crl.issuer().canonical() == issuer;
        let entry = crl.revoked(self.certificate().serial()).iter().find(|entry| match &entry.issuer {
            None => own,
            Some(list) => names(list, issuer),
        });
        match entry {
            Some(entry) if entry.removed => return true,
            Some(_) => errors.push_plain(23, self.depth),
            None => {}
        }
        false
    }
}

/// Whether a directory name of the list is `name` (canonical).
fn names(list: &[GeneralName], name: &[u8]) -> bool {
    list.iter().any(|n| matches!(n, GeneralName::Directory(n) if n.canonical() == name))
}

/// `idp_check_dp`: whether a certificate's distribution point and a list's are one; without a name it is any.
pub(super) fn same_point(certificate: Option<&PointName>, list: Option<&PointName>) -> bool {
    match (certificate, list) {
        (None, _) | (_, None) => true,
        (Some(PointName::Relative(a)), Some(PointName::Relative(b))) => a == b,
        (Some(PointName::Relative(name)), Some(PointName::Full(list)))
        | (Some(PointName::Full(list)), Some(PointName::Relative(name))) => names(list, name),
        (Some(PointName::Full(a)), Some(PointName::Full(b))) => a.iter().any(|a| b.iter().any(|b| same_name(a, b))),
    }
}

/// `GENERAL_NAME_cmp`.
fn same_name(a: &GeneralName, b: &GeneralName) -> bool {
    match (a, b) {
        (GeneralName::Directory(a), GeneralName::Directory(b)) => a.canonical() == b.canonical(),
        _ => a == b,
    }
}

/// Both dates are readable and now lies between them.
fn is_current(crl: &Crl, at: At) -> bool {
    crl.this_update().is_some_and(|start| start <= at) && crl.next_update().is_none_or(|end| end.is_some_and(|end| at < end))
}

/// `check_delta_base`.
fn is_delta_of(delta: &Crl, base: &Crl) -> bool {
    let (Some(since), Some(number), Some(base_number)) = (delta.base_number(), delta.number(), base.number()) else {
        return false;
    };
    let same = |oid: &str| delta.extension(oid) == base.extension(oid);
    delta.issuer().canonical() == base.issuer().canonical()
        && same("2.5.29.35")
        && same("2.5.29.28")
        && !is_greater(since, base_number)
        && is_greater(number, base_number)
}

fn is_greater(a: &[u8], b: &[u8]) -> bool {
    (a.len(), a) > (b.len(), b)
}
