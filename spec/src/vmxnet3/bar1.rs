//! BAR1, the virtual-device page: always the hypervisor's, in both modes.

crate::registers! {
    /// BAR1, the virtual-device page: 32-bit registers on an 8-byte stride.
    ///
    /// Source: vmxnet3_defs.h, VMXNET3_REG_VRRS to VMXNET3_REG_ECR; DCR and PTCR from version 7.
    pub enum Bar1 in 0x1000 = "BAR1" {
        /// Version report: a bit a version offered. A write of one bit selects it, until a function reset.
        0x00 => Vrrs = "VRRS": Rw, reset 1;
        /// UPT version report; bit 0 is UPT1.
        0x08 => Uvrs = "UVRS": Rw, reset 1;
        /// Low half of the driver-shared address; latched until `Dsah` is written.
        0x10 => Dsal = "DSAL": Wo, reset 0;
        /// High half of the driver-shared address; writing it installs both halves.
        0x18 => Dsah = "DSAH": Wo, reset 0;
        /// A write runs a command; a read returns the last command's answer.
        0x20 => Cmd = "CMD": Rw, reset 0;
        /// MAC bytes 0 to 3, byte 0 in bits 7:0; latched until `Mach` is written.
        0x28 => Macl = "MACL": Rw, reset 0;
        /// MAC bytes 4 and 5; writing it installs the address.
        0x30 => Mach = "MACH": Rw, reset 0;
        /// Interrupt cause, INTx only: 1 when this device asserts the line; the read acknowledges.
        0x38 => Icr = "ICR": Rc, reset 0;
        /// Event cause: writing a one clears that event in the driver-shared area.
        0x40 => Ecr = "ECR": W1c, reset 0;
        /// Device capabilities, version 7: DCR0 reads as what can be granted, and takes what is wanted; the others are not used.
        0x48[8; 8] => Dcr(u8) = "DCR": Rw, reset 0, since 7;
        /// Pass-through capabilities, version 7: PTCR0 reads as what the adapter can, or as `DCR_ERROR`; the others are not used.
        0x88[6; 8] => Ptcr(u8) = "PTCR": Ro, reset 0, since 7;
        /// Wireless, named in headers, used by no driver.
        0xf00 => Wsal = "WSAL": Rw, reset 0;
        /// Wireless, named in headers, used by no driver.
        0xf08 => Wsah = "WSAH": Rw, reset 0;
        /// Wireless, named in headers, used by no driver.
        0xf18 => Wcmd = "WCMD": Rw, reset 0;
    }
    gaps { 0x0b8..0xf00, 0xf10..0xf18, 0xf20..0x1000 }
}
