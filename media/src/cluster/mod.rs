//! The nodes' agreement on who publishes a room: the rules of the table that they share, and of a node that shares it.
//!
//! A node holds a *lease*, which lapses unless it is renewed, and *claims* on rooms, each with an *epoch* that no other
//! claim ever had. A claim is valid while its process's lease is; then any node may take the room over.

pub mod claims;
mod holder;
pub mod leases;
pub mod numbers;
pub mod offers;
pub mod process;
pub mod standing;

#[cfg(test)]
mod tests;
