/**
 * Servers, for Node.
 *
 * @module
 */

export { Broadcast } from "./broadcast.js";
export type { ClientIdentity, ConnectRequest, ServerHandler, ServerOptions, ServerSettings } from "./options.js";
export { Peer } from "./peer.js";
export { Server } from "./server.js";
export type { ServerConnection } from "./server-connection.js";
