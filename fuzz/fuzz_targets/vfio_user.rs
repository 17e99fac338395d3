//! See the target of the same name in the library.
#![cfg_attr(fuzzing, no_main)]
vnic_fuzz::target!(vfio_user);
