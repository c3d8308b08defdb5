/**
 * The protocol without input and output: bytes go in and come out, time is given, and what happened is polled.
 *
 * A driver does, in a loop: `receive` with what the transport has, `handleTimeout` when `timeout` is due, `poll` until nothing is
 * left, and `transmit` as long as the transport takes more.
 *
 * @module
 */

export { Budget, FLOOR, SUSPENDED_SESSION, heldBy, limitMemory } from "./budget.js";
export { ClientSession, type BeginOptions } from "./client.js";
export * from "./event.js";
export { Accepting, ServerSession, type ReceivedHello } from "./server.js";
export { Session, type BodyOptions, type SendOptions } from "./session.js";
export { inboundCalls } from "./inbound-calls.js";
export { inboundMessages } from "./inbound-messages.js";
export { everyPart, type SessionParts } from "./parts.js";
export type { Settings } from "./settings.js";
export { canSendItem, endAnswers, sendAnswerItem, sendItem, sessionStreams, type SessionStreams } from "./streams.js";
export type { Phase } from "./state.js";
export { readSubscribed, subscribe, topics, unsubscribe, type SessionTopics } from "./topics.js";
export { ClosedError, ConnectError, Status, type Code, type Detail } from "../errors.js";
export { CodecId, CompressionId, type Hello, type Identity, type Metadata, type Subscribe, type Welcome } from "../wire/messages.js";
