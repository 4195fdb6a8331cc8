//! What unprivileged processes need of the kernel programs: the memory with their time stamps, the terms of what may
//! be reached, and a session with the loader, which is the only privileged process.

pub mod grant;
pub mod session;
pub mod timing;
pub mod wire;
