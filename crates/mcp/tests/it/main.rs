//! The client against real programs: one that behaves, the same one when it does not, and the
//! reference servers.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod confinement;
#[cfg(test)]
mod hidden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod http;
#[cfg(test)]
mod orphans;
#[cfg(test)]
mod pinning;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod running;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod support;
