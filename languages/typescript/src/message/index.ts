/**
 * Messages: what generated code stands on.
 *
 * @packageDocumentation
 */

export type { Init, MessageType } from "./types.js";
