//! Which instruction set the kernels use.

use std::fmt;
use std::sync::OnceLock;

/// The environment variable that overrides the choice.
pub const VARIABLE: &str = "MAMBAFLEET_ISA";

/// An instruction set that this processor has: a value exists only where that has been found out,
/// so that the kernels may rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(pub(crate) Kind);

/// The instruction sets there is code for on this architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Plain Rust.
    Portable,
    /// 256 bits with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512 bits, the foundation alone.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 128 bits.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

/// The override names no instruction set of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownIsa {
    /// What it says.
    pub asked: String,
}

impl Isa {
    /// Plain Rust, which runs everywhere.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// Those of this machine, the fastest last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut kinds = vec![Kind::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 {
                kinds.push(Kind::Avx2);
            }
            if avx2 && is_x86_feature_detected!("avx512f") {
                kinds.push(Kind::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            kinds.push(Kind::Neon);
        }
        kinds.into_iter().map(Self).collect()
    }

    /// The one that this process uses: the fastest, or what `MAMBAFLEET_ISA`
    /// names. It is chosen at the first call and stays.
    ///
    /// # Errors
    /// [`UnknownIsa`] when the variable names none of [`Isa::available`].
    pub fn current() -> Result<Self, UnknownIsa> {
        static CURRENT: OnceLock<Result<Isa, UnknownIsa>> = OnceLock::new();
        let choose = || Self::choose(std::env::var_os(VARIABLE).as_deref());
        CURRENT.get_or_init(choose).clone()
    }

    /// The fastest one, or the one asked for; nothing and an empty word ask for none.
    fn choose(asked: Option<&std::ffi::OsStr>) -> Result<Self, UnknownIsa> {
        let asked = asked.map(std::ffi::OsStr::to_string_lossy).unwrap_or_default();
        let mut available = Self::available().into_iter();
        let found = if asked.is_empty() {
            available.next_back()
        } else {
            available.find(|isa| isa.name() == asked)
        };
        found.ok_or_else(|| UnknownIsa { asked: asked.into_owned() })
    }

    /// The name that `MAMBAFLEET_ISA` knows it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for UnknownIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
        write!(
            f,
            "{VARIABLE} is \"{}\", but this machine has {}",
            self.asked.escape_debug(),
            names.join(", ")
        )
    }
}

impl std::error::Error for UnknownIsa {}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn each_available_one_can_be_asked_for_and_the_fastest_one_is_the_default() {
        let available = Isa::available();
        assert_eq!(available[0], Isa::PORTABLE);
        for isa in &available {
            assert_eq!(Isa::choose(Some(OsStr::new(isa.name()))), Ok(*isa));
        }
        for nothing in [None, Some(OsStr::new(""))] {
            assert_eq!(Isa::choose(nothing).as_ref(), Ok(available.last().unwrap()));
        }
    }

    #[test]
    fn what_this_machine_lacks_is_refused_with_a_list() {
        for asked in ["AVX2", "mmx", "portable "] {
            let error = Isa::choose(Some(OsStr::new(asked))).unwrap_err().to_string();
            assert!(error.contains(asked) && error.contains("has portable"), "{error}");
        }
    }
}
