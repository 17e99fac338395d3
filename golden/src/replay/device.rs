//! The software body with its configuration plane and PCI function, as one device with registers.

use crate::import::{Region, RegisterAccess};
use model::host::Bare;
use model::memory::Memory;
use model::pci::Pci;
use model::plane::Request;
use model::vmxnet3::body::Body;
use model::vmxnet3::plane::Plane;
use spec::profile::Profile;
use spec::vmxnet3::Bar1;

/// Steps after which a body that does not come to rest is left alone; no recorded stimulus needs so many.
const STEPS: u32 = 1 << 20;

/// The device and the world around it.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub plane: Plane,
    pub body: Body,
    pub pci: Pci,
    pub host: Bare,
}

impl Device {
    /// At power-on, with MSI-X and bus mastering on: configuration space is not in the log.
    pub fn new(profile: &'static Profile, permanent_mac: [u8; 6], memory: Memory) -> Self {
        Self {
            plane: Plane::new(profile, permanent_mac),
            body: Body::new(profile),
            pci: Pci::with_msix(0),
            host: Bare::new(memory),
        }
    }

    /// What the device answers to a read.
    pub fn read(&mut self, access: &RegisterAccess) -> u64 {
        if access.width != 4 {
            return 0;
        }
        let value = match access.region {
            Region::Bar0 => self.plane.bar0(access.offset).map_or(0, |reg| self.body.read_bar0(reg)),
            Region::Bar1 => Bar1::decode(access.offset).map_or(0, |reg| {
                let icr = if reg == Bar1::Icr { self.body.read_icr(&mut self.host) } else { 0 };
                self.plane.read(reg, icr, &mut self.host)
            }),
            Region::MsixTable => self.pci.read_bar2(access.offset),
            Region::MsixPba => self.pci.read_bar2(model::pci::PBA_OFFSET + access.offset),
        };
        u64::from(value)
    }

    /// Applies a write and lets the device come to rest.
    pub fn write(&mut self, access: &RegisterAccess) {
        if access.width != 4 {
            return;
        }
        let value = access.value as u32;
        match access.region {
            Region::Bar0 => {
                if let Some(reg) = self.plane.bar0(access.offset) {
                    self.body.write_bar0(reg, value);
                }
            }
            Region::Bar1 => {
                if let Some(reg) = Bar1::decode(access.offset) {
                    let request = self.plane.write(reg, value, &mut self.host);
                    self.serve(request);
                }
            }
            Region::MsixTable => {
                self.pci.write_bar2(access.offset, value);
            }
            Region::MsixPba => {}
        }
        self.settle();
    }

    /// A frame arrives.
    pub fn offer(&mut self, frame: &[u8]) {
        self.body.offer(frame);
        self.settle();
    }

    fn settle(&mut self) {
        self.body.run(&mut self.host, STEPS);
        while let Some((direction, ..)) = self.body.take_error() {
            if let Some(request) = self.plane.event(direction.event(), &mut self.host) {
                // An event's request needs no answer.
                self.body.serve(request, &mut self.host);
            }
        }
        self.body.run(&mut self.host, STEPS);
    }

    fn serve(&mut self, request: Option<Request>) {
        if let Some(request) = request {
            let reply = self.body.serve(request, &mut self.host);
            self.plane.finish(reply, &mut self.host);
        }
    }
}
