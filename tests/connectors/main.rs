//! The connectors against the stand-ins, through real HTTP on the loopback address. Nothing here
//! waits: what has to happen at a certain moment is made to happen by a fault.

#[cfg(test)]
mod asked;
#[cfg(test)]
mod builtin;
#[cfg(test)]
mod command;
#[cfg(test)]
mod datahub;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod http;
#[cfg(test)]
mod medusa;
#[cfg(test)]
mod pimcore;
#[cfg(test)]
mod pimcore_answers;
#[cfg(test)]
mod pimcore_fields;
#[cfg(test)]
mod pimcore_rest;
#[cfg(test)]
mod references;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod upsert;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
#[path = "../../benches/figures/witness.rs"]
mod witness;
#[cfg(test)]
mod world;
