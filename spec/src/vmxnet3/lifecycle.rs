//! Whether the device is active, as a total step.

use super::Command;

/// Before and after a successful ACTIVATE_DEV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lifecycle {
    /// No ring DMA, no event, no queue interrupt.
    #[default]
    Inactive,
    /// Full operation.
    Active,
}

impl Lifecycle {
    /// Where `command` leads, given whether it succeeded. Total: an unknown or failed command leaves the state, except that a
    /// failed ACTIVATE_DEV of an active device has quiesced it.
    ///
    /// Source: linux vmxnet3_drv.c, vmxnet3_activate_dev and vmxnet3_quiesce_dev; re-activation is a choice of ours (open).
    pub const fn after(self, command: Command, succeeded: bool) -> Self {
        match (self, command) {
            (_, Command::ActivateDev) => {
                if succeeded {
                    Self::Active
                } else {
                    Self::Inactive
                }
            }
            (_, Command::QuiesceDev | Command::ResetDev) => Self::Inactive,
            (state, _) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_activate_makes_a_device_active() {
        for &(code, ..) in Command::TABLE {
            let command = Command::from(code);
            let after = Lifecycle::Inactive.after(command, true);
            assert_eq!(after == Lifecycle::Active, command == Command::ActivateDev);
        }
        assert_eq!(Lifecycle::Active.after(Command::Unknown(7), true), Lifecycle::Active);
        assert_eq!(Lifecycle::Active.after(Command::ResetDev, true), Lifecycle::Inactive);
    }
}
