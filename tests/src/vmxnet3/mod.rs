//! The cases of VMXNET3, in the order in which one reads its specification.

mod activation;
mod admitted;
pub(crate) mod bad;
mod capabilities;
mod checksums;
mod commands;
mod counters;
mod data;
mod drivers;
mod filters;
mod function;
mod hash_fields;
mod hostile;
mod interrupts;
mod large_bar;
mod lifecycle;
mod limits;
mod literal;
mod lro;
mod messages;
mod moderation;
mod offered;
mod offloads;
mod packets;
mod receiving;
mod registers;
mod restart;
mod rss_fields;
mod selection;
mod sending;
mod states;
mod status;
mod steering;
mod tunnels;
mod vectors;
mod verbs;
mod version3;
mod wide;

use crate::case::Case;

/// A subject a list.
pub(crate) const CASES: &[&[Case]] = &[
    function::CASES,
    registers::CASES,
    commands::CASES,
    states::CASES,
    version3::CASES,
    selection::CASES,
    capabilities::CASES,
    rss_fields::CASES,
    hash_fields::CASES,
    hash_fields::BY_VERSION,
    tunnels::CASES,
    tunnels::BY_VERSION,
    limits::CASES,
    wide::CASES,
    large_bar::CASES,
    limits::rings::CASES,
    limits::counts::CASES,
    limits::packets::CASES,
    limits::settings::CASES,
    literal::CASES,
    activation::CASES,
    restart::CASES,
    lifecycle::CASES,
    status::CASES,
    counters::CASES,
    data::CASES,
    sending::CASES,
    offloads::CASES,
    receiving::CASES,
    checksums::CASES,
    steering::CASES,
    filters::CASES,
    admitted::CASES,
    lro::CASES,
    lro::BY_VERSION,
    interrupts::CASES,
    vectors::CASES,
    messages::CASES,
    moderation::CASES,
    drivers::CASES,
    drivers::BY_VERSION,
    hostile::CASES,
    bad::CASES,
];
