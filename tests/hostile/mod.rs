//! Chains that a server may send to make its clients work: what the tests judge, and `examples/hostile.rs` measures.

use certdoctor::{
    base::At,
    path::{Rejection, Verdict},
    x509::Certificate,
};

/// When they are judged; they are valid then.
pub const AT: At = At(1_795_309_200);

/// One chain with the anchors that it is judged by.
pub struct Shape {
    pub name: &'static str,
    pub presented: Vec<Certificate>,
    pub anchors: Vec<Certificate>,
}

/// A certificate authority.
pub struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

fn params(name: &str, ca: bool) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::new(if ca { Vec::new() } else { vec![name.to_owned()] }).expect("a name");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    if ca {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    }
    params
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        Authority { issuer: rcgen::Issuer::new(params(name, true), key) }
    }

    /// A certificate for `subject` (a CA's own name and key), signed by this authority.
    pub fn sign(&self, name: &str, subject: &Authority) -> Certificate {
        let signed = params(name, true).signed_by(subject.issuer.key(), &self.issuer).expect("signs");
        Certificate::parse(signed.der()).expect("parses")
    }

    fn leaf(&self) -> Certificate {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let mut params = params("localhost", false);
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&key, &self.issuer).expect("signs");
        Certificate::parse(signed.der()).expect("parses")
    }
}

/// Every shape.
pub fn shapes() -> Vec<Shape> {
    vec![cycle(), crowd(), twins(), deep(), mesh()]
}

/// A signs B, B signs A.
fn cycle() -> Shape {
    let (a, b) = (Authority::new("A"), Authority::new("B"));
    Shape { name: "cycle", presented: vec![a.leaf(), b.sign("A", &a), a.sign("B", &b)], anchors: Vec::new() }
}

/// 10,000 issuers of one name, each signed by another of that name; none signed the leaf.
fn crowd() -> Shape {
    let others: Vec<Authority> = (0..100).map(|_| Authority::new("A")).collect();
    let mut presented = vec![Authority::new("A").leaf()];
    presented.extend((0..10_000).map(|i| others[i / 100].sign("A", &others[i % 100])));
    Shape { name: "crowd", presented, anchors: Vec::new() }
}

/// 10,000 issuers of one name and one key: each did sign the leaf, and its own issuer is missing.
fn twins() -> Shape {
    let (a, b) = (Authority::new("A"), Authority::new("B"));
    let mut presented = vec![a.leaf()];
    presented.extend((0..10_000).map(|_| b.sign("A", &a)));
    Shape { name: "twins", presented, anchors: Vec::new() }
}

/// A chain of 1,000 to a trusted root.
fn deep() -> Shape {
    let mut authorities = vec![Authority::new("0")];
    let mut presented = Vec::new();
    for i in 1..=1_000 {
        let next = Authority::new(&i.to_string());
        presented.push(authorities[i - 1].sign(&i.to_string(), &next));
        authorities.push(next);
    }
    presented.push(authorities[1_000].leaf());
    presented.reverse();
    Shape { name: "deep", presented, anchors: vec![authorities[0].sign("0", &authorities[0])] }
}

/// Every CA of a layer is signed by every CA of the next: paths grow exponentially.
fn mesh() -> Shape {
    let layers: Vec<Vec<Authority>> = (0..8).map(|l| (0..4).map(|_| Authority::new(&format!("L{l}"))).collect()).collect();
    let mut presented = vec![layers[0][0].leaf()];
    for l in 1..layers.len() {
        for below in &layers[l - 1] {
            presented.extend(layers[l].iter().map(|above| above.sign(&format!("L{}", l - 1), below)));
        }
    }
    Shape { name: "mesh", presented, anchors: Vec::new() }
}

/// The budget that ended the search, in the client's own terms or in the model's.
pub fn budget(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Trusted { .. } => None,
        Verdict::Unknown(why) => {
            ["gives up", "no bound", "too many", "can't follow"].iter().any(|w| why.contains(w)).then(|| why.clone())
        }
        Verdict::Untrusted { errors, .. } => errors.iter().find_map(|e| match &e.rejection {
            Rejection::BudgetExceeded(name, size) => Some(format!("{name}: {size}")),
            _ => None,
        }),
    }
}
