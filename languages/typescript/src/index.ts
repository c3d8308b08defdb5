/**
 * Clients for browsers and Node, and what generated code stands on.
 *
 * @module
 */

export { Client, StreamingClient } from "./client/client.js";
export type { ClientParts } from "./client/parts.js";
export type { ClientConnection } from "./client/client-connection.js";
export { topics } from "./client/topics.js";
export { plainUrls, urls } from "./client/urls.js";
export type { ClientHandler, ClientOptions, ConnectionState, Credential, DescribedSchema, Reconnect } from "./client/options.js";
export { clears } from "./connection/clearing.js";
export { inboundMessages } from "./connection/inbound.js";
export { inboundCalls } from "./connection/inbound-calls.js";
export type { CallOptions, ClearedState, Context, RequestStream, SendOptions } from "./connection/options.js";
export { ResponseStream } from "./connection/response-stream.js";
export { json, messagePack, protobuf, type Codec, type Compression } from "./codec/index.js";
export { ClosedError, ConnectError, Status, type Code, type Detail, type StatusOptions } from "./errors.js";
export { otherSide } from "./protocol.js";
export type { Kind, Member, MessageCodec, Protocol, Shape } from "./protocol.js";
export { deliveries } from "./session/deliveries.js";
export { droppable } from "./session/droppable.js";
export { metadata } from "./session/metadata.js";
export { resumption } from "./session/resume.js";
export type { Identity, Metadata, Subscribe } from "./session/index.js";
export type { ClientSettings, ConnectionSettings } from "./settings/defaults.js";
export { SettingError } from "./settings/values.js";
export type { ByteStream, StreamSink, Transport } from "./transport/transport.js";
export { webSocket, type WebSocketClass, type WebSocketLike } from "./transport/websocket.js";
