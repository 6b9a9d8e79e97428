//! Comparing bytes.

use std::cmp::Ordering;

/// Whether two slices are equal. musl's `memcmp`, which `==` ends in, takes one byte at a time; the compiler makes vector instructions
/// of comparing arrays. For what is long or is compared often.
#[must_use]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let ((one, one_rest), (other, other_rest)) = (one.as_chunks::<16>(), other.as_chunks::<16>());
    let (rest, other_tail) = (one_rest.as_chunks::<4>(), other_rest.as_chunks::<4>());
    one.len() == other.len()
        && one_rest.len() == other_rest.len()
        && one.iter().zip(other).all(|(a, b)| u128::from_ne_bytes(*a) == u128::from_ne_bytes(*b))
        && rest.0.iter().zip(other_tail.0).all(|(a, b)| u32::from_ne_bytes(*a) == u32::from_ne_bytes(*b))
        && rest.1.iter().zip(other_tail.1).all(|(a, b)| a == b)
}

/// The order of `Ord`, without musl's `memcmp` where the first eight octets tell already. For names, in searches.
#[must_use]
pub fn order(one: &[u8], other: &[u8]) -> Ordering {
    let head = |bytes: &[u8]| bytes.first_chunk().copied().map(u64::from_be_bytes);
    match (head(one), head(other)) {
        (Some(a), Some(b)) if a != b => a.cmp(&b),
        _ => one.cmp(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_the_operators_tell() {
        let bytes: Vec<u8> = (0..100).collect();
        for len in 0..bytes.len() {
            let one = &bytes[..len];
            assert!(same(one, &one.to_vec()));
            assert!(!same(one, &bytes[..=len]) && !same(&bytes[..=len], one));
            assert_eq!(order(one, &bytes[..=len]), Ordering::Less);
            for at in 0..len {
                let mut other = one.to_vec();
                other[at] ^= 0x80;
                assert!(!same(one, &other), "{len} {at}");
                assert_eq!(order(one, &other), one.cmp(&other), "{len} {at}");
            }
        }
    }
}
