//! A client and a server that talk: sends, calls and handlers in both directions.
