//! Guests: driver models as plain data, scheduled one micro-operation at a time.
//!
//! A guest sees the declarations in `spec` and its [`GuestPort`], never a device. Any number of device steps fits between two of
//! its accesses, because each call of a guest's `step` makes one.

pub mod hostile;
pub mod packet;
pub mod script;
pub mod shape;
pub mod traffic;
pub mod tunnel;
pub mod vmxnet3;

use spec::event::Bar;

/// What a guest can reach: its own memory and the registers of its function.
pub trait GuestPort {
    /// Stores to guest memory. A store outside it is the port's to drop.
    fn store(&mut self, pa: u64, bytes: &[u8]);

    /// Loads from guest memory. Bytes outside it read as the port pleases.
    fn load(&mut self, pa: u64, into: &mut [u8]);

    /// Writes a 32-bit register. False: the vCPU is blocked, or the posted write did not fit, and nothing happened; the guest does
    /// the same again later.
    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool;

    /// Reads a 32-bit register. `None`: the vCPU is blocked, and nothing happened.
    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32>;

    /// The 4 little-endian bytes at `pa`.
    fn load_u32(&mut self, pa: u64) -> u32 {
        let mut le = [0; 4];
        self.load(pa, &mut le);
        u32::from_le_bytes(le)
    }

    /// The 16 little-endian bytes at `pa`: a descriptor or a completion.
    fn load_cell(&mut self, pa: u64) -> u128 {
        let mut le = [0; 16];
        self.load(pa, &mut le);
        u128::from_le_bytes(le)
    }

    /// Stores the low 8 bytes of a descriptor, its address, which drivers store first.
    fn store_address(&mut self, cell_pa: u64, cell: u128) {
        self.store(cell_pa, &(cell as u64).to_le_bytes());
    }

    /// Stores one of the four dwords of a descriptor.
    fn store_dword(&mut self, cell_pa: u64, dword: u32, cell: u128) {
        let value = (cell >> (dword % 4 * 32)) as u32;
        self.store(cell_pa.wrapping_add(u64::from(dword % 4) * 4), &value.to_le_bytes());
    }
}

impl<P: GuestPort> GuestPort for &mut P {
    fn store(&mut self, pa: u64, bytes: &[u8]) {
        (**self).store(pa, bytes);
    }
    fn load(&mut self, pa: u64, into: &mut [u8]) {
        (**self).load(pa, into);
    }
    fn write(&mut self, bar: Bar, offset: u32, value: u32) -> bool {
        (**self).write(bar, offset, value)
    }
    fn read(&mut self, bar: Bar, offset: u32) -> Option<u32> {
        (**self).read(bar, offset)
    }
}
