//! Names of capabilities, and giving up what a container is not to have.

use super::{StartError, failure::During, user::User};
use crate::sys::credentials::{self, Capability};

/// The bits for names without `CAP_`. An unknown name is refused: dropping it in silence would give more than asked.
pub(super) fn set(names: &[String]) -> Result<Capability, StartError> {
    names.iter().try_fold(Capability::empty(), |set, name| match Capability::from_name(name) {
        Some(capability) => Ok(set | capability),
        None => Err(StartError::setup("capabilities", format_args!("no capability is named {name:?}"))),
    })
}

/// Gives up everything outside `set`, for this process and all it will start.
///
/// The order is what makes it work: the bounding set while CAP_SETPCAP is there, groups and user while CAP_SETGID and
/// CAP_SETUID are, the rest at last. A user other than root gets an empty effective set, as after an execve.
pub(super) fn become_user(user: &User, set: Capability) -> Result<(), StartError> {
    let had = credentials::bounding_set().during("capabilities")?;
    for capability in had.difference(set).iter() {
        credentials::drop_from_bounding_set(capability).during("capabilities")?;
    }
    credentials::keep_capabilities(true).during("capabilities")?;
    credentials::set_groups(&user.groups).during("user")?;
    credentials::set_gid(user.gid).during("user")?;
    credentials::set_uid(user.uid).during("user")?;
    credentials::keep_capabilities(false).during("capabilities")?;
    let effective = if user.uid == 0 { set.intersection(had) } else { Capability::empty() };
    credentials::set_capabilities(effective).during("capabilities")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_default_set_is_the_known_number() {
        let names = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE";
        let names: Vec<String> = names.split(' ').map(str::to_owned).collect();
        assert_eq!(set(&names).unwrap().bits(), 0xa804_25fb);
        assert!(set(&["CAP_CHOWN".to_owned()]).is_err());
    }
}
