//! What a driver configures in `DriverShared`, as the blocks that the header has, and the ways in which the same bytes are read.

use super::shared::{CoalesceScheme, DriverShared, IntrConf, IntrConfExt, MiscConf, RxFilterConf, VariableLenConf};
use super::{RssFields, RxCompDesc, RxCompDescExt, RxDesc, TxCompDesc, TxDesc, parameter};
use crate::layout::Layout;

crate::layout! {
    /// Configuration, read by the device only while it runs a command.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_DSDevRead.
    pub struct DsDevRead([u8; 688]) = "Vmxnet3_DSDevRead" {
        /// General configuration.
        [0..72] misc, set_misc: MiscConf;
        /// Interrupts.
        [72..112] intr_conf, set_intr_conf: IntrConf = "intrConf";
        /// Receive filter.
        [112..640] rx_filter_conf, set_rx_filter_conf: RxFilterConf = "rxFilterConf";
        /// Where `UPT1_RSSConf` lies; valid with the RSS feature.
        [640..656] rss_conf_desc, set_rss_conf_desc: VariableLenConf = "rssConfDesc";
        /// Where `Vmxnet3_PMConf` lies.
        [656..672] pm_conf_desc, set_pm_conf_desc: VariableLenConf = "pmConfDesc";
        /// Unused.
        [672..688] plugin_conf_desc, set_plugin_conf_desc: VariableLenConf = "pluginConfDesc";
    }
}

crate::layout! {
    /// Extended configuration, version 6. In force instead of `devRead.intrConf` with more than 8 TX or 16 RX queues; a device that
    /// has no more never touches it, since older drivers end their area before it.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_DSDevReadExt; linux vmxnet3_drv.c, vmxnet3_setup_driver_shared.
    pub struct DsDevReadExt([u8; 80]) = "Vmxnet3_DSDevReadExt", since 6 {
        /// Interrupts of up to 65 vectors.
        [0..80] intr_conf_ext, set_intr_conf_ext: IntrConfExt = "intrConfExt";
    }
}

/// A block of [`DriverShared`] through the block that holds it.
macro_rules! through {
    ($outer:ident, $set_outer:ident: $($doc:literal $get:ident, $set:ident: $ty:ty;)*) => {
        impl DriverShared { $(
            #[doc = $doc]
            #[inline]
            pub fn $get(&self) -> $ty { self.$outer().$get() }
            #[doc = concat!("Sets `", stringify!($get), "`.")]
            #[inline]
            pub fn $set(&mut self, value: $ty) {
                let mut outer = self.$outer();
                outer.$set(value);
                self.$set_outer(outer);
            }
        )* }
    };
}
through! {
    dev_read, set_dev_read:
    "General configuration." misc, set_misc: MiscConf;
    "Interrupts." intr_conf, set_intr_conf: IntrConf;
    "Receive filter." rx_filter_conf, set_rx_filter_conf: RxFilterConf;
    "Where `UPT1_RSSConf` lies; valid with the RSS feature." rss_conf_desc, set_rss_conf_desc: VariableLenConf;
    "Where `Vmxnet3_PMConf` lies." pm_conf_desc, set_pm_conf_desc: VariableLenConf;
    "Unused." plugin_conf_desc, set_plugin_conf_desc: VariableLenConf;
}
through! {
    dev_read_ext, set_dev_read_ext:
    "Extended interrupts, version 6." intr_conf_ext, set_intr_conf_ext: IntrConfExt;
}

/// Bytes that are read as one of several structures, all from the first byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The vendor's name of the union.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Size in bytes.
    pub bytes: usize,
    /// The structure and the field of it that are the union, where it is not a whole by itself.
    pub place: Option<(&'static str, &'static str)>,
    /// Name of the member, and what it is read as.
    pub members: &'static [(&'static str, &'static Layout)],
}

/// Every union.
pub const OVERLAYS: &[Overlay] = &[CMD_INFO, COALESCE_PARA, GENERIC_DESC];

/// What `cu.cmdInfo` holds: which of them, the command says that is being run; afterwards it means nothing.
pub const CMD_INFO: Overlay = Overlay {
    name: "Vmxnet3_CmdInfo",
    doc: "Parameters of a command, from version 3; valid while it runs.\n\nSource: vmxnet3_defs.h, Vmxnet3_CmdInfo.",
    bytes: 16,
    place: Some(("Vmxnet3_DriverShared", "cu.cmdInfo")),
    members: &[
        ("varConf", VariableLenConf::LAYOUT),
        ("setPolling", parameter::SetPolling::LAYOUT),
        ("setRssFields", RssFields::LAYOUT),
        ("ringBufSize", parameter::RingBufferSize::LAYOUT),
    ],
};

/// What [`CoalesceScheme::coal_para`] holds, by mode.
pub const COALESCE_PARA: Overlay = Overlay {
    name: "Vmxnet3_CoalescePara",
    doc: "Parameters of a coalescing scheme, by its mode. The header leaves the union without a name.\n\nSource: vmxnet3_defs.h, Vmxnet3_CoalesceScheme, coalPara.",
    bytes: 12,
    place: Some(("Vmxnet3_CoalesceScheme", "coalPara")),
    members: &[("coalRbc", CoalesceRbc::LAYOUT), ("coalStatic", CoalesceStatic::LAYOUT)],
};

/// A cell of a ring, before one knows of which.
pub const GENERIC_DESC: Overlay = Overlay {
    name: "Vmxnet3_GenericDesc",
    doc: "A cell of any ring of descriptors or completions.\n\nSource: vmxnet3_defs.h, Vmxnet3_GenericDesc.",
    bytes: 16,
    place: None,
    members: &[
        ("txd", TxDesc::LAYOUT),
        ("rxd", RxDesc::LAYOUT),
        ("tcd", TxCompDesc::LAYOUT),
        ("rcd", RxCompDesc::LAYOUT),
        ("rcdExt", RxCompDescExt::LAYOUT),
    ],
};

crate::layout! {
    /// Parameter of the coalescing mode by rate.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_CoalesceRbc.
    pub struct CoalesceRbc(u32) = "Vmxnet3_CoalesceRbc", by Both, since 3 {
        /// Interrupts a second, [`COALESCE_RATE_MIN`](super::shared::COALESCE_RATE_MIN) to
        /// [`COALESCE_RATE_MAX`](super::shared::COALESCE_RATE_MAX).
        [31:0] rate, set_rate: u32 = "rbc_rate";
    }
}

crate::layout! {
    /// Parameters of the static coalescing mode: packets, at most [`COALESCE_DEPTH_MAX`](super::shared::COALESCE_DEPTH_MAX) each.
    ///
    /// Source: vmxnet3_defs.h, Vmxnet3_CoalesceStatic; linux vmxnet3_ethtool.c, vmxnet3_set_coalesce.
    pub struct CoalesceStatic([u8; 12]) = "Vmxnet3_CoalesceStatic", by Both, since 3 {
        /// Packets that the driver posts before it rings.
        [0..4] tx_depth, set_tx_depth: u32;
        /// Transmit completions before an interrupt.
        [4..8] tx_comp_depth, set_tx_comp_depth: u32;
        /// Received packets before an interrupt.
        [8..12] rx_depth, set_rx_depth: u32;
    }
}

impl CoalesceScheme {
    /// The parameter of the mode by rate.
    pub fn rbc(&self) -> CoalesceRbc {
        CoalesceRbc(self.coal_para()[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Declared;

    #[test]
    fn blocks_lie_where_the_flat_view_of_the_header_has_them() {
        let at = |name| DriverShared::LAYOUT.offset(name);
        let places = ["devRead.misc", "devRead.intrConf", "devRead.rxFilterConf", "devRead.rssConfDesc"].map(at);
        assert_eq!(places, [8, 80, 120, 648]);
        let places = ["devRead.pmConfDesc", "devRead.pluginConfDesc", "ecr", "devReadExt.intrConfExt"].map(at);
        assert_eq!(places, [664, 680, 696, 720]);
        assert_eq!(at("devRead.misc.uptFeatures"), 24);
    }

    #[test]
    fn a_block_is_set_and_read_through_the_one_that_holds_it() {
        let mut shared = DriverShared::default();
        let mut misc = MiscConf::default();
        misc.set_mtu(1500);
        shared.set_misc(misc);
        let mut ext = IntrConfExt::default();
        ext.set_num_intrs(65);
        shared.set_intr_conf_ext(ext);
        assert_eq!((shared.misc().mtu(), shared.intr_conf_ext().num_intrs()), (1500, 65));
        assert_eq!((shared.0[56], shared.0[721]), (0xdc, 65));
    }

    #[test]
    fn every_member_fits_its_union() {
        for overlay in OVERLAYS {
            for (name, layout) in overlay.members {
                assert!(layout.bytes() <= overlay.bytes, "{}.{name}", overlay.name);
            }
        }
        assert_eq!(CMD_INFO.bytes, VariableLenConf::LAYOUT.bytes());
        assert_eq!(<CoalesceStatic as Declared>::LAYOUT.bytes(), COALESCE_PARA.bytes);
    }
}
