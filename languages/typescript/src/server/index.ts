/**
 * Servers, for Node.
 *
 * @module
 */

export type { AttachOptions } from "../attach/options.js";
export { Broadcast } from "./broadcast.js";
export type { ClientIdentity, ConnectRequest, ServerHandler, ServerOptions, ServerSettings } from "./options.js";
export { Peer } from "./peer.js";
export type { PeerConnection } from "./peer-connection.js";
export { Server } from "./server.js";
