//! Reading and writing without a derive.
