//! The program, as a process of its own: how it starts and stops, what it says, and what it stands.

#![cfg(unix)]

mod admin;
mod crowd;
mod mip;
mod packaging;
mod process;
mod signals;
mod slow;
mod starting;
