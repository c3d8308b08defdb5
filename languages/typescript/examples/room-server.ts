/**
 * A room in which people talk: the server of the chat, in Node.js.
 *
 *     node room-server.js tcp://127.0.0.1:7400 ws://127.0.0.1:7401/chat
 */

import { Status } from "msip";
import { ChatServer, type ChatPeer, type ChatServerHandler } from "./chat/chat.server.js";

const names = new Map<ChatPeer, string>();

/** The name of somebody who has entered. */
function nameOf(peer: ChatPeer): string {
  const name = names.get(peer);
  if (name === undefined) throw new Status("FAILED_PRECONDITION", "say who you are first, by connect_req");
  return name;
}

const handler: ChatServerHandler = {
  onConnectReq({ user }, { peer }) {
    if (!/^[\w-]{1,20}$/.test(user)) throw new Status("INVALID_ARGUMENT", "a name has 1 to 20 letters, digits, - or _");
    if ([...names.values()].includes(user)) throw new Status("ALREADY_EXISTS", `${user} is in the room already`);
    names.set(peer, user);
    room.others(peer).joinedInd({ user });
    return { motd: "welcome", users: [...names.values()] };
  },
  onMessageInd({ text }, { peer }) {
    room.others(peer).messageInd({ user: nameOf(peer), text });
  },
  async onWhoReq(_, context) {
    // Everybody is asked at once, within what remains of the caller's time.
    const people = [...names].map(async ([peer, user]) => {
      const answer = await peer.presenceReq({}, context.onward()).catch(() => undefined);
      return { user, active: answer?.active ?? false };
    });
    return { people: await Promise.all(people) };
  },
  onClientDisconnected(peer) {
    const user = names.get(peer);
    names.delete(peer);
    if (user !== undefined) room.everyone().leftInd({ user });
  },
};

const [url = "tcp://127.0.0.1:7400", ...also] = process.argv.slice(2);
const room = await ChatServer.listen(url, handler, { name: "room-server", also });
console.log(`listening at ${room.urls.join(", ")}`);
process.once("SIGINT", () => void room.close());
