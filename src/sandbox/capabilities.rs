//! Linux capabilities of the container's process.

use oci_spec::runtime::{Capability, LinuxCapabilities};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::failure::{Doing, Failure};

/// The five sets that config.json names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    bounding: u64,
    effective: u64,
    permitted: u64,
    inheritable: u64,
    ambient: u64,
}

impl Sets {
    /// Reads `process.capabilities`; without it the process has none.
    pub fn parse(config: Option<&LinuxCapabilities>) -> Self {
        let Some(config) = config else {
            return Self::default();
        };
        let bits = |set: &Option<std::collections::HashSet<Capability>>| {
            set.iter()
                .flatten()
                .fold(0, |bits, capability| bits | 1 << number(*capability))
        };
        Self {
            bounding: bits(config.bounding()),
            effective: bits(config.effective()),
            permitted: bits(config.permitted()),
            inheritable: bits(config.inheritable()),
            ambient: bits(config.ambient()),
        }
    }

    /// The sets of the virtual kernel's process. First as an exec would leave them to a program
    /// without capabilities of its own, which is what config.json's writer counts on
    /// (capabilities(7)): a user other than root keeps the ambient ones alone. Nothing is executed
    /// here after the user has changed, so it is done by hand. Then without those that no host
    /// call can make use of ([`USEFUL`]); and since nothing is executed later either, there is
    /// nothing to inherit.
    pub fn for_guests(self, user: u32) -> Self {
        let ambient = self.ambient & self.permitted & self.inheritable;
        let (effective, permitted) = match user {
            0 => (self.effective, self.permitted),
            _ => (ambient, ambient),
        };
        let useful = USEFUL
            .iter()
            .fold(0, |bits, capability| bits | 1 << number(*capability));
        Self {
            bounding: self.bounding & useful,
            effective: effective & useful,
            permitted: permitted & useful,
            inheritable: 0,
            ambient: 0,
        }
    }

    /// The sets without what the runtime cannot give: `available` is its own permitted set. The
    /// specification wants the container to start without them.
    fn limited_to(self, available: u64) -> Self {
        let permitted = self.permitted & available;
        let inheritable = self.inheritable & available;
        Self {
            bounding: self.bounding,
            effective: self.effective & permitted,
            permitted,
            inheritable,
            // The kernel's rule: ambient only what is permitted and inheritable.
            ambient: self.ambient & permitted & inheritable,
        }
    }

    /// Drops everything outside the bounding set. Must come before the user changes.
    pub fn drop_bounding(&self) -> Result<(), Failure> {
        for number in (0..64).filter(|number| self.bounding & 1 << number == 0) {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            match rustix::thread::remove_capability_from_bounding_set(capability) {
                Ok(()) => {}
                // The first number that the kernel does not know ends the list.
                Err(Errno::INVAL) => break,
                // Who may drop none need not have this one.
                Err(error) => match rustix::thread::capability_is_in_bounding_set(capability) {
                    Ok(false) => {}
                    Ok(true) => {
                        let doing = format!("dropping capability {number} from the bounding set");
                        return Err(Failure::new(doing, error));
                    }
                    Err(_) => break,
                },
            }
        }
        Ok(())
    }

    /// Sets the others, after the user has changed with capabilities kept.
    pub fn apply(&self) -> Result<(), Failure> {
        let own = rustix::thread::capabilities(None).doing(|| "reading capabilities")?;
        let sets = self.limited_to(own.permitted.bits());
        let set = CapabilitySet::from_bits_retain;
        rustix::thread::clear_ambient_capability_set().doing(|| "clearing ambient capabilities")?;
        let target = CapabilitySets {
            effective: set(sets.effective),
            permitted: set(sets.permitted),
            inheritable: set(sets.inheritable),
        };
        rustix::thread::set_capabilities(None, target).doing(|| "setting capabilities")?;
        for number in (0..64).filter(|number| sets.ambient & 1 << number != 0) {
            rustix::thread::configure_capability_in_ambient_set(set(1 << number), true)
                .doing(|| format!("raising ambient capability {number}"))?;
        }
        Ok(())
    }
}

/// What guests' files and sockets can need of those that config.json grants: root reads, writes and
/// owns what is not its own, and binds low ports. Everything else is for calls that the second wall
/// ([`crate::seccomp::wall`]) kills for anyway.
const USEFUL: [Capability; 5] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::NetBindService,
];

/// All capabilities in the order of the kernel's numbers (`linux/capability.h`).
const ORDER: [Capability; 41] = {
    use Capability::*;
    [
        Chown,
        DacOverride,
        DacReadSearch,
        Fowner,
        Fsetid,
        Kill,
        Setgid,
        Setuid,
        Setpcap,
        LinuxImmutable,
        NetBindService,
        NetBroadcast,
        NetAdmin,
        NetRaw,
        IpcLock,
        IpcOwner,
        SysModule,
        SysRawio,
        SysChroot,
        SysPtrace,
        SysPacct,
        SysAdmin,
        SysBoot,
        SysNice,
        SysResource,
        SysTime,
        SysTtyConfig,
        Mknod,
        Lease,
        AuditWrite,
        AuditControl,
        Setfcap,
        MacOverride,
        MacAdmin,
        Syslog,
        WakeAlarm,
        BlockSuspend,
        AuditRead,
        Perfmon,
        Bpf,
        CheckpointRestore,
    ]
};

/// The names of all capabilities, for `features`.
pub fn names() -> Vec<String> {
    ORDER
        .iter()
        .map(|capability| format!("CAP_{}", capability.to_string().trim_start_matches("CAP_")))
        .collect()
}

/// The kernel's number of a capability.
fn number(capability: Capability) -> u32 {
    let at = ORDER.iter().position(|known| *known == capability);
    at.expect("the table has every variant of the enumeration") as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (capability, number) in [
            (Capability::Chown, 0),
            (Capability::NetBindService, 10),
            (Capability::SysAdmin, 21),
            (Capability::Mknod, 27),
            (Capability::Syslog, 34),
            (Capability::CheckpointRestore, 40),
        ] {
            assert_eq!(super::number(capability), number);
        }
    }

    #[test]
    fn without_the_field_there_are_none() {
        assert_eq!(Sets::parse(None), Sets::default());
    }

    #[test]
    fn a_user_other_than_root_keeps_the_ambient_ones_alone() {
        let sets = Sets {
            bounding: 7,
            effective: 7,
            permitted: 7,
            inheritable: 3,
            ambient: 5,
        };
        assert_eq!(sets.for_guests(0).effective, 7);
        let user = sets.for_guests(1000);
        // Ambient only where it is inheritable too.
        assert_eq!((user.effective, user.permitted, user.bounding), (1, 1, 7));
        let plain = Sets {
            inheritable: 0,
            ambient: 0,
            ..sets
        };
        assert_eq!(plain.for_guests(1).permitted, 0);
    }

    #[test]
    fn guests_leave_what_they_cannot_use() {
        let all = u64::MAX >> 23;
        let sets = Sets {
            bounding: all,
            effective: all,
            permitted: all,
            inheritable: all,
            ambient: all,
        };
        for user in [0, 1000] {
            let left = sets.for_guests(user);
            // chown, dac_override, dac_read_search, fowner, net_bind_service.
            let expected = 0b1111 | 1 << 10;
            assert_eq!((left.effective, left.permitted), (expected, expected));
            assert_eq!(left.bounding, expected);
            assert_eq!((left.inheritable, left.ambient), (0, 0));
        }
    }

    #[test]
    fn what_the_runtime_lacks_is_left_out_everywhere() {
        let all = Sets {
            bounding: 7,
            effective: 7,
            permitted: 7,
            inheritable: 7,
            ambient: 7,
        };
        let limited = all.limited_to(0b101);
        assert_eq!(
            limited,
            Sets {
                bounding: 7,
                effective: 5,
                permitted: 5,
                inheritable: 5,
                ambient: 5
            }
        );
        let uneven = Sets {
            ambient: 7,
            permitted: 7,
            ..Sets::default()
        };
        assert_eq!(uneven.limited_to(7).ambient, 0);
    }
}
