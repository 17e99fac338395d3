//! Where a device stands in a migration, and which steps lead where.
//!
//! Source: linux/vfio.h, enum vfio_device_mig_state; libvfio-user, include/vfio-user.h, enum vfio_user_device_mig_state, and
//! lib/migration.c, `transitions`. Without PRE_COPY and peer-to-peer states. There is no ERROR state: a step that fails leaves the
//! device where it stood, and a reset of the function does not move it.

/// Where a device stands in a migration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Migration {
    /// It stands still.
    Stop,
    /// It works.
    #[default]
    Running,
    /// It stands still and its state is read.
    StopCopy,
    /// It stands still and a state is written into it.
    Resuming,
}

impl Migration {
    /// Every state and its number.
    pub const TABLE: &'static [(u32, Self)] =
        &[(1, Self::Stop), (2, Self::Running), (3, Self::StopCopy), (4, Self::Resuming)];

    /// Its number.
    pub fn number(self) -> u32 {
        Self::TABLE.iter().find(|(_, state)| *state == self).map_or(0, |&(number, _)| number)
    }

    /// The state of this number, if it is one that is offered.
    pub fn by_number(number: u32) -> Option<Self> {
        Self::TABLE.iter().find(|(known, _)| *known == number).map(|&(_, state)| state)
    }

    /// The next step on the way to `to`: everything leads over [`Migration::Stop`]. `None` when it is there.
    pub fn next(self, to: Self) -> Option<Self> {
        match (self, to) {
            _ if self == to => None,
            (Self::Stop, to) => Some(to),
            _ => Some(Self::Stop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_of_legal_steps_and_copies_only_at_its_ends() {
        for &(_, from) in Migration::TABLE {
            for &(number, to) in Migration::TABLE {
                assert_eq!(Migration::by_number(number), Some(to));
                let mut way = vec![from];
                while let Some(next) = way.last().and_then(|at| at.next(to)) {
                    assert!((*way.last().unwrap() == Migration::Stop) != (next == Migration::Stop), "{way:?}");
                    way.push(next);
                }
                assert!(way.len() <= 3 && way.last() == Some(&to), "{way:?}");
            }
        }
        assert_eq!((Migration::by_number(0), Migration::by_number(6)), (None, None));
    }
}
