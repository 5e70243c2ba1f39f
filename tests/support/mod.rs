//! What the tests on a real Kafka, the chaos runner and the end-to-end bench share.
#![allow(dead_code, reason = "each binary that includes this uses its own part of it")]

pub mod broker;
pub mod copying;
pub mod daemon;
pub mod feed;
pub mod jars;
pub mod node;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod storm;
pub mod verify;
