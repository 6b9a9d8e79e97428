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

/// The order of `Ord`, likewise. For names, in searches and sorts.
#[must_use]
pub fn order(one: &[u8], other: &[u8]) -> Ordering {
    let ((one, one_rest), (other, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    match one.iter().zip(other).find(|(a, b)| a != b) {
        Some((a, b)) => u64::from_be_bytes(*a).cmp(&u64::from_be_bytes(*b)),
        None if one.len() == other.len() => one_rest.iter().cmp(other_rest),
        // The shorter one has less than a chunk to say about the next of the longer one.
        None if one.len() < other.len() => one_rest.iter().cmp(&other[one.len()]),
        None => one[other.len()].iter().cmp(other_rest),
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
            assert!(same(one, one));
            assert!(!same(one, &bytes[..=len]) && !same(&bytes[..=len], one));
            assert_eq!(order(one, &bytes[..=len]), Ordering::Less);
            for at in 0..len {
                let mut other = one.to_vec();
                other[at] ^= 0x80;
                assert!(!same(one, &other), "{len} {at}");
                for shorter in [0, 1, 7, 8, 9].map(|less| &one[..len.saturating_sub(less)]) {
                    assert_eq!(order(shorter, &other), shorter.cmp(&other), "{len} {at}");
                    assert_eq!(order(&other, shorter), other.as_slice().cmp(shorter), "{len} {at}");
                }
            }
        }
    }
}
