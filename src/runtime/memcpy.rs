//! `memcpy` and `memmove` for the static binary on x86_64. musl's own move everything by `rep movsq` and single `movsb`, and starting such an
//! instruction takes longer than copying the names and paths of which a scan has some fifteen thousand: it was a twentieth of its time.
//!
//! It must be written in assembly, since a compiler may make a call to `memcpy` out of any loop that copies.

/// Moves `rdx` octets from `rsi` to `rdi`, which may overlap; returns `rdi` in `rax` (System V ABI). Up to 128 octets by loads and stores
/// that may overlap each other in the middle, all loads before the stores; more by `rep movsb`, which is made for it, unless they overlap
/// in the way in which the last ones must go first.
macro_rules! copy {
    ($memcpy:literal, $memmove:literal) => {
        std::arch::global_asm!(
            ".pushsection .text.memcpy,\"ax\",@progbits",
            concat!(".globl ", $memcpy),
            concat!(".type ", $memcpy, ",@function"),
            concat!(".globl ", $memmove),
            concat!(".type ", $memmove, ",@function"),
            ".p2align 5",
            concat!($memcpy, ":"),
            concat!($memmove, ":"),
            "mov rax, rdi",
            "22:",
            "cmp rdx, 16",
            "jb 29f",
            "cmp rdx, 32",
            "ja 23f",
            // 16 to 32
            "movups xmm0, [rsi]",
            "movups xmm1, [rsi + rdx - 16]",
            "movups [rdi], xmm0",
            "movups [rdi + rdx - 16], xmm1",
            "ret",
            // below 16
            "29:",
            "cmp edx, 8",
            "jae 24f",
            "cmp edx, 4",
            "jae 25f",
            "test edx, edx",
            "jz 26f",
            // 1 to 3: the first, the middle and the last
            "movzx ecx, byte ptr [rsi]",
            "movzx r8d, byte ptr [rsi + rdx - 1]",
            "mov r9, rdx",
            "shr r9, 1",
            "movzx r10d, byte ptr [rsi + r9]",
            "mov [rdi], cl",
            "mov [rdi + r9], r10b",
            "mov [rdi + rdx - 1], r8b",
            "26:",
            "ret",
            // 4 to 7
            "25:",
            "mov ecx, [rsi]",
            "mov r8d, [rsi + rdx - 4]",
            "mov [rdi], ecx",
            "mov [rdi + rdx - 4], r8d",
            "ret",
            // 8 to 15
            "24:",
            "mov rcx, [rsi]",
            "mov r8, [rsi + rdx - 8]",
            "mov [rdi], rcx",
            "mov [rdi + rdx - 8], r8",
            "ret",
            "23:",
            "cmp rdx, 64",
            "ja 27f",
            // 33 to 64
            "movups xmm0, [rsi]",
            "movups xmm1, [rsi + 16]",
            "movups xmm2, [rsi + rdx - 32]",
            "movups xmm3, [rsi + rdx - 16]",
            "movups [rdi], xmm0",
            "movups [rdi + 16], xmm1",
            "movups [rdi + rdx - 32], xmm2",
            "movups [rdi + rdx - 16], xmm3",
            "ret",
            "27:",
            "cmp rdx, 128",
            "ja 28f",
            // 65 to 128
            "movups xmm0, [rsi]",
            "movups xmm1, [rsi + 16]",
            "movups xmm2, [rsi + 32]",
            "movups xmm3, [rsi + 48]",
            "movups xmm4, [rsi + rdx - 64]",
            "movups xmm5, [rsi + rdx - 48]",
            "movups xmm6, [rsi + rdx - 32]",
            "movups xmm7, [rsi + rdx - 16]",
            "movups [rdi], xmm0",
            "movups [rdi + 16], xmm1",
            "movups [rdi + 32], xmm2",
            "movups [rdi + 48], xmm3",
            "movups [rdi + rdx - 64], xmm4",
            "movups [rdi + rdx - 48], xmm5",
            "movups [rdi + rdx - 32], xmm6",
            "movups [rdi + rdx - 16], xmm7",
            "ret",
            // more
            "28:",
            "mov rcx, rdi",
            "sub rcx, rsi",
            "cmp rcx, rdx",
            "jb 30f",
            "mov rcx, rdx",
            "rep movsb",
            "ret",
            // more, to a place behind the first and before the last: from the end on, and what is left as above
            "30:",
            "movups xmm0, [rsi + rdx - 16]",
            "movups xmm1, [rsi + rdx - 32]",
            "movups [rdi + rdx - 16], xmm0",
            "movups [rdi + rdx - 32], xmm1",
            "sub rdx, 32",
            "cmp rdx, 32",
            "ja 30b",
            "jmp 22b",
            concat!(".size ", $memcpy, ", . - ", $memcpy),
            concat!(".size ", $memmove, ", . - ", $memmove),
            ".popsection",
        );
    };
}

// The linker finds it before it looks into musl's archive.
#[cfg(all(target_env = "musl", not(test)))]
copy!("memcpy", "memmove");

#[cfg(test)]
mod tests {
    #![expect(unsafe_code, reason = "calls what it tests")]

    copy!("certdoctor_copy", "certdoctor_move");

    unsafe extern "C" {
        fn certdoctor_copy(to: *mut u8, from: *const u8, len: usize) -> *mut u8;
    }

    #[test]
    fn copies_every_length_from_and_to_everywhere() {
        let from: Vec<u8> = (0..700u32).map(|n| (n * 7 % 251) as u8).collect();
        for len in (0..300).chain([511, 512, 513, 600]) {
            for (a, b) in [(0, 0), (1, 0), (0, 1), (3, 8), (15, 17), (31, 5)] {
                let mut to = vec![0xaa_u8; 700];
                // SAFETY: both hold a whole run of this length behind these places.
                let said = unsafe { certdoctor_copy(to.as_mut_ptr().add(b), from.as_ptr().add(a), len) };
                assert_eq!(said, unsafe { to.as_mut_ptr().add(b) });
                assert_eq!(to[b..b + len], from[a..a + len], "{len} octets from {a} to {b}");
                assert!(to[..b].iter().chain(&to[b + len..]).all(|octet| *octet == 0xaa), "{len} octets from {a} to {b}");
            }
        }
    }

    #[test]
    fn moves_every_length_by_any_distance() {
        let whole: Vec<u8> = (0..1400u32).map(|n| (n * 7 % 251) as u8).collect();
        for len in (0..300).chain([511, 512, 513, 600]) {
            for distance in [0, 1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 250, 599] {
                for (from, to) in [(50, 50 + distance), (50 + distance, 50)] {
                    let (mut ours, mut theirs) = (whole.clone(), whole.clone());
                    theirs.copy_within(from..from + len, to);
                    let start = ours.as_mut_ptr();
                    // SAFETY: a whole run of this length lies behind both places.
                    let said = unsafe { certdoctor_copy(start.add(to), start.add(from), len) };
                    assert_eq!(said, unsafe { start.add(to) });
                    assert!(ours == theirs, "{len} octets from {from} to {to}");
                }
            }
        }
    }
}
