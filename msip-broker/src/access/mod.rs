//! Who may do what: rights of principals, and what services enable for clients (docs/broker.md, "Keys and grants").

mod grant;
mod grants;
mod rights;
mod shared_rights;

pub use grant::{Grant, Uses};
pub use grants::Grants;
pub use rights::{Access, Checked, Filters, Principal, PrincipalLimits, Rights, Role};
pub(crate) use shared_rights::SharedRights;
