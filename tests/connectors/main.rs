//! The connectors against the stand-ins, through real HTTP on the loopback address. Nothing here
//! waits: what has to happen at a certain moment is made to happen by a fault.

#[cfg(test)]
mod builtin;
#[cfg(test)]
mod http;
#[cfg(test)]
mod medusa;
#[cfg(test)]
mod pimcore;
#[cfg(test)]
mod references;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod world;
