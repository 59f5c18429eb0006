//! What the processor offers that compiled code may depend on.
//!
//! The C library has asked it already when the program starts. To ask again takes seven of its
//! instructions, which a virtual machine's host answers: 10 us each on the tests' host, of an exec
//! that takes 1.5 ms.

/// Architecture and features, as part of the key of compiled code.
///
/// The compiler uses what it finds, so an artifact belongs to the processor it was made on.
#[must_use]
pub fn identity() -> String {
    let mut parts = vec![std::env::consts::ARCH];
    parts.extend(
        FEATURES
            .iter()
            .filter(|feature| has(feature))
            .map(|feature| feature.name),
    );
    parts.join("+")
}

/// Whether it has a feature, by the standard library's name; `None` for one that compiled code does
/// not depend on.
#[must_use]
pub fn detect(name: &str) -> Option<bool> {
    FEATURES
        .iter()
        .find(|feature| feature.name == name)
        .map(has)
}

/// A feature.
struct Feature {
    name: &'static str,
    /// What the standard library finds.
    std: fn() -> bool,
    /// Which of the C library's leaves has it, of which register, and the bit there.
    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    at: (u32, usize, u32),
}

/// The C library's numbers of leaves (`sys/platform/x86.h`) and of registers.
#[cfg(target_arch = "x86_64")]
mod leaf {
    pub const BASIC: u32 = 0;
    pub const SEVEN: u32 = 1;
    pub const EXTENDED: u32 = 2;
    pub const SEVEN_ONE: u32 = 6;
    pub const EAX: usize = 0;
    pub const EBX: usize = 1;
    pub const ECX: usize = 2;
}

macro_rules! x86_features {
    ($($name:tt $leaf:ident $register:ident $bit:literal)*) => {
        #[cfg(target_arch = "x86_64")]
        const FEATURES: &[Feature] = &[$(Feature {
            name: $name,
            std: || std::arch::is_x86_feature_detected!($name),
            #[cfg(target_env = "gnu")]
            at: (leaf::$leaf, leaf::$register, $bit),
        }),*];
    };
}

// Bits from Intel's manual, volume 2A, CPUID.
x86_features! {
    "cmpxchg16b" BASIC ECX 13
    "sse3" BASIC ECX 0
    "ssse3" BASIC ECX 9
    "sse4.1" BASIC ECX 19
    "sse4.2" BASIC ECX 20
    "popcnt" BASIC ECX 23
    "avx" BASIC ECX 28
    "avx2" SEVEN EBX 5
    "fma" BASIC ECX 12
    "bmi1" SEVEN EBX 3
    "bmi2" SEVEN EBX 8
    "lzcnt" EXTENDED ECX 5
    "avx512f" SEVEN EBX 16
    "avx512dq" SEVEN EBX 17
    "avx512vl" SEVEN EBX 31
    "avx512vbmi" SEVEN ECX 1
    "avx512bitalg" SEVEN ECX 12
    "avx512vnni" SEVEN ECX 11
    "avxvnni" SEVEN_ONE EAX 4
}

macro_rules! aarch64_features {
    ($($name:tt)*) => {
        #[cfg(target_arch = "aarch64")]
        const FEATURES: &[Feature] = &[$(Feature {
            name: $name,
            std: || std::arch::is_aarch64_feature_detected!($name),
        }),*];
    };
}

aarch64_features! { "lse" "paca" "pacg" "bti" "fp16" "dotprod" "i8mm" }

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
fn has(feature: &Feature) -> bool {
    let (leaf, register, bit) = feature.at;
    match glibc::active(leaf, register) {
        Some(active) => active & 1 << bit != 0,
        None => (feature.std)(),
    }
}

#[cfg(not(all(target_arch = "x86_64", target_env = "gnu")))]
fn has(feature: &Feature) -> bool {
    (feature.std)()
}

/// What glibc 2.33 and later found when the program started.
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
mod glibc {
    /// `struct cpuid_feature` of `bits/platform/x86.h`: what a leaf says in EAX to EDX, and what of
    /// it a program may use here.
    #[repr(C)]
    struct Leaf {
        offered: [u32; 4],
        active: [u32; 4],
    }

    unsafe extern "C" {
        fn __x86_get_cpuid_feature_leaf(leaf: u32) -> *const Leaf;
    }

    /// What may be used of a register of a leaf.
    pub fn active(leaf: u32, register: usize) -> Option<u32> {
        // SAFETY: for any number it returns a pointer to memory of the C library that nothing
        // changes after the program's start, all zero for a leaf that it does not have.
        let leaf = unsafe { __x86_get_cpuid_feature_leaf(leaf).as_ref() }?;
        // It has not asked: then the leaf says nothing at all.
        (leaf.offered != [0; 4]).then_some(leaf.active[register])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_and_the_standard_library_find_the_same() {
        for feature in FEATURES {
            assert_eq!(
                detect(feature.name),
                Some((feature.std)()),
                "{}",
                feature.name
            );
        }
        assert_eq!(detect("sse5"), None);
        assert!(identity().starts_with(std::env::consts::ARCH));
    }
}
