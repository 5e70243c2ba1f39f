//! `triaged`: ticket triage for service desks.
//!
//! Tickets arrive on a log ([`log`]), a stage ([`stage`]) turns each batch into outputs, and the
//! log commits outputs and positions together. The judgement itself ([`triage`]) is pure: same
//! ticket, same model and same policy give the same decision, always.
#![forbid(unsafe_code)]
#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the documentation is built with private items, for those who work on this code"
)]
// Panics on input are defects: what cannot happen is written so that the types say it, or carries
// an `expect` attribute with the reason. Tests may.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

pub mod admin;
pub mod bundle;
pub mod cli;
mod clock;
pub mod config;
pub mod controls;
pub mod desk;
pub mod files;
pub mod health;
pub mod log;
pub mod metrics;
pub mod page;
pub mod playbook;
pub mod playbook_dir;
pub mod resolve;
pub mod runbooks;
pub mod service;
pub mod stage;
mod sync;
pub mod topics;
pub mod train;
pub mod triage;
pub mod undo;
