//! The cases of VMXNET3, in the order in which one reads its specification.

mod activation;
pub(crate) mod bad;
mod capabilities;
mod commands;
mod data;
mod filters;
mod hostile;
mod interrupts;
mod lifecycle;
mod limits;
mod offered;
mod registers;
mod restart;
mod rss_fields;
mod selection;
mod status;
mod version3;

use crate::case::Case;

/// A subject a list.
pub(crate) const CASES: &[&[Case]] = &[
    registers::CASES,
    commands::CASES,
    version3::CASES,
    selection::CASES,
    capabilities::CASES,
    rss_fields::CASES,
    limits::CASES,
    activation::CASES,
    restart::CASES,
    lifecycle::CASES,
    status::CASES,
    data::CASES,
    filters::CASES,
    interrupts::CASES,
    hostile::CASES,
    bad::CASES,
];
