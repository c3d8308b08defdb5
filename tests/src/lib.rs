//! Protocols and peers that the tests share.
