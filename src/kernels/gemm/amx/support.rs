//! Whether this process may use AMX: the CPU has it, the system saves its registers, and Linux has been asked.
//!
//! The tiles are 8 KiB of state a thread, so Linux hands them out on request only
//! (Documentation/arch/x86/xstate.rst of the kernel). Permission holds for all threads of the process and is not
//! given back.

use std::arch::x86_64::{__cpuid, __cpuid_count, __get_cpuid_max, _xgetbv};
use std::sync::OnceLock;

use super::super::avx512;

/// Bits of CPUID leaf 7, EDX.
const AMX_BF16: u32 = 1 << 22;
const AMX_TILE: u32 = 1 << 24;
/// Bit of CPUID leaf 1, ECX: the system has switched on `xgetbv`.
const OSXSAVE: u32 = 1 << 27;
/// Bits of XCR0: tile configuration and tile data are saved with a thread.
const TILE_STATE: u64 = 0b11 << 17;

/// Whether the kernels of this module run here, which lay operands out by AVX-512. The answer stays the same as long as
/// the process lives.
pub fn is_available() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        avx512::is_available()
            && has_instructions()
            && system_saves_tiles()
            && linux_permits_tiles()
    })
}

fn has_instructions() -> bool {
    let wanted = AMX_BF16 | AMX_TILE;
    __get_cpuid_max(0).0 >= 7 && __cpuid_count(7, 0).edx & wanted == wanted
}

fn system_saves_tiles() -> bool {
    // SAFETY: called behind the bit that says that `xgetbv` is there; register 0 always exists.
    #[target_feature(enable = "xsave")]
    unsafe fn xcr0() -> u64 {
        // SAFETY: passed on to the caller.
        unsafe { _xgetbv(0) }
    }
    // SAFETY: OSXSAVE is set.
    __cpuid(1).ecx & OSXSAVE != 0 && unsafe { xcr0() } & TILE_STATE == TILE_STATE
}

#[cfg(target_os = "linux")]
fn linux_permits_tiles() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: this call takes two numbers and touches no memory of ours. A kernel that does not know it answers -1.
    unsafe {
        libc::syscall(
            libc::SYS_arch_prctl,
            ARCH_REQ_XCOMP_PERM,
            XFEATURE_XTILEDATA,
        ) == 0
    }
}

/// Other systems have other ways to ask, which nobody has tried.
#[cfg(not(target_os = "linux"))]
fn linux_permits_tiles() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_has_all_that_it_needs() {
        if is_available() {
            assert!(avx512::is_available() && has_instructions() && system_saves_tiles());
        }
        #[cfg(target_os = "linux")]
        {
            // The flags of /proc/cpuinfo are the kernel's own reading of CPUID.
            let text = std::fs::read_to_string("/proc/cpuinfo").expect("Linux has it");
            let flags = text.lines().find(|line| line.starts_with("flags"));
            let flag = |name: &str| flags.is_some_and(|line| line.split(' ').any(|f| f == name));
            let listed = flag("amx_bf16") && flag("amx_tile");
            assert_eq!(has_instructions() && system_saves_tiles(), listed);
        }
    }
}
