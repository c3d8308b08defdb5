/** A protocol in several versions, with clients and servers of each: for tests of those that compare. */

import { Client, metadata, resumption, topics, urls, type CallOptions, type ClientHandler, type ClientOptions, type Context, type Member, type MessageCodec, type Protocol, type SendOptions, type Transport } from "../src/index.js";
import { fingerprintOf } from "../src/schema/fingerprint.js";
import { Pace } from "../src/schema/pace.js";
import { readDescription } from "../src/schema/read.js";
import { Peer, Server, type AttachOptions, type ServerHandler, type ServerOptions } from "../src/server/index.js";

const text: MessageCodec = {
  name: "notes.Note",
  encode: (message: string) => new TextEncoder().encode(message),
  decode: (bytes) => new TextDecoder().decode(bytes),
};

const ask: Member = { name: "ask_req", number: 1, message: text, kind: 2, shape: 3, handler: "onAskReq", answer: 1 };
const note: Member = { name: "note_ind", number: 2, message: text, kind: 1, shape: 1, handler: "onNoteInd" };

/** A version of the protocol, in which a note has these fields. */
export async function version(fields: string): Promise<Protocol & { readonly description: string }> {
  const description = `msip-description 1
package notes
client-to-server
1 ask_req COMMAND call single single 1 .notes.Note
2 note_ind EVENT one-way .notes.Note
server-to-client
1 ask_rsp EVENT answer .notes.Note
types
message notes.Note
${fields}
`;
  return {
    name: "notes",
    fingerprint: await fingerprintOf(readDescription(new TextEncoder().encode(description)), new Pace()),
    description,
    clientToServer: [ask, note],
    serverToClient: [{ name: "ask_rsp", number: 1, message: text, kind: 1, shape: 4 }],
  };
}

/** A client of any version. */
export class NotesClient extends Client {
  /** Connects with this version; the description is that of the options. */
  static connect({ description: _, ...protocol }: Protocol, endpoint: string | Transport, options: ClientOptions<ClientHandler<NotesClient>>): Promise<NotesClient> {
    return Client.open(NotesClient, protocol, endpoint, options, { metadata, resumption, topics, urls });
  }
  askReq(request: string, options?: CallOptions): Promise<string> {
    return this.call<string>(ask, request, options);
  }
  noteInd(message: string, options?: SendOptions): Promise<void> {
    return this.send(note, message, options);
  }
}

export class NotesPeer extends Peer {}

export interface NotesHandler extends ServerHandler<NotesPeer> {
  onAskReq?(request: string, context: Context<NotesPeer>): string | Promise<string>;
  onNoteInd?(message: string, context: Context<NotesPeer>): void | Promise<void>;
}

/** A server of any version. */
export class NotesServer extends Server<NotesPeer> {
  static listen(protocol: Protocol, handler: NotesHandler, options?: ServerOptions): Promise<NotesServer> {
    return Server.open(NotesServer, NotesPeer, protocol, "tcp://127.0.0.1:0", handler, options);
  }
  static attach(protocol: Protocol, endpoint: string, handler: NotesHandler, options?: AttachOptions): Promise<NotesServer> {
    return Server.attachTo(NotesServer, NotesPeer, protocol, endpoint, handler, options);
  }
}
