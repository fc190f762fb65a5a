//! The connectors against the stand-ins, through real HTTP on the loopback address. Nothing here
//! waits: what has to happen at a certain moment is made to happen by a fault.

mod builtin;
mod http;
mod medusa;
mod pimcore;
mod sandbox;
mod speed;
mod world;
