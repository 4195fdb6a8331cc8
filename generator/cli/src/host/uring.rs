//! May this process use io_uring, and if not, why?

use super::number_of;

/// Tries it, and looks for the reason where it fails.
///
/// # Errors
/// Why it is not usable.
pub(crate) fn probe() -> Result<(), String> {
    brunt_engine::probe_uring().map_err(|error| {
        let switch = number_of("/proc/sys/kernel/io_uring_disabled");
        reason(switch).map_or_else(|| error.to_string(), str::to_owned)
    })
}

/// The kernel's switch (<https://docs.kernel.org/admin-guide/sysctl/kernel.html#io-uring-disabled>); kernels before
/// 6.6 have none.
const fn reason(switch: Option<u64>) -> Option<&'static str> {
    match switch {
        Some(2) => Some("kernel.io_uring_disabled is 2: for nobody"),
        Some(1) => Some("kernel.io_uring_disabled is 1: only for privileged processes"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_switch_is_a_reason() {
        for (switch, named) in [(None, false), (Some(0), false), (Some(1), true), (Some(2), true)] {
            assert_eq!(reason(switch).is_some(), named, "{switch:?}");
        }
    }
}
