// The page of the chat: what people type goes to the room by the generated client, and what the room says is shown.
//
// With the package `msip` it becomes chat.js, which the server has within it. To write that anew:
//
//     MSIP_UPDATE=1 cargo test -p msip-tests --test languages bundle

import { ChatClient, type ChatClientHandler } from "../../../../languages/typescript/examples/chat/chat.js";

/** What the page shows, and where it connects to. */
interface Page {
  readonly url: string;
  readonly log: HTMLElement;
  readonly form: HTMLFormElement;
  readonly input: HTMLInputElement;
}

function show({ log }: Page, line: string): void {
  const shown = document.createElement("div");
  // Never as HTML: others have written it.
  shown.textContent = line;
  log.append(shown);
  log.scrollTop = log.scrollHeight;
}

/** What the room says, as lines; and the way into it, after each connect. */
export function roomHandler(name: string, tell: (line: string) => void, isActive: () => boolean): ChatClientHandler {
  return {
    // Whoever was away has left the room.
    async onConnected(client) {
      const { motd, users } = await client.connectReq({ user: name });
      tell(`* ${motd}`);
      tell(`* in the room: ${users.join(", ")}`);
    },
    onDisconnected: ({ message }) => tell(`! ${message}; trying to come back`),
    onMessageInd: ({ user, text }) => tell(`<${user}> ${text}`),
    onJoinedInd: ({ user }) => tell(`* ${user} entered`),
    onLeftInd: ({ user }) => tell(`* ${user} left`),
    // Is anyone there? Whoever looks at the page.
    onPresenceReq: () => ({ active: isActive() }),
  };
}

async function enter(page: Page, name: string): Promise<ChatClient | undefined> {
  const handler = roomHandler(name, (line) => show(page, line), () => document.hasFocus());
  try {
    const chat = await ChatClient.connect(page.url, { handler, name: "chat-web" });
    page.input.placeholder = "say something, or /who";
    void chat.connection.closed.then(({ message }) => show(page, `! ${message}; reload the page to come back`));
    return chat;
  } catch (error) {
    show(page, `! ${(error as Error).message}`);
    return undefined;
  }
}

async function speak(page: Page, chat: ChatClient, line: string): Promise<void> {
  try {
    if (line === "/who") {
      const { people } = await chat.whoReq({});
      show(page, `* in the room: ${people.map(({ user, active }) => user + (active ? "" : " (away)")).join(", ")}`);
    } else {
      await chat.messageInd({ text: line });
      show(page, `> ${line}`);
    }
  } catch (error) {
    show(page, `! ${(error as Error).message}`);
  }
}

function startPage(page: Page): void {
  let entering: Promise<ChatClient | undefined> | undefined;
  let chat: ChatClient | undefined;
  const begin = async (name: string): Promise<void> => {
    if (entering !== undefined) return;
    entering = enter(page, name);
    chat = await entering;
    // Another name may do.
    if (chat === undefined) entering = undefined;
  };
  page.form.onsubmit = (event) => {
    event.preventDefault();
    const line = page.input.value.trim();
    if (line === "") return;
    page.input.value = "";
    if (chat === undefined) void begin(line);
    else void speak(page, chat, line);
  };
  addEventListener("pagehide", () => void chat?.close());
  // ?name=ada enters at once.
  const name = new URLSearchParams(location.search).get("name");
  if (name !== null) void begin(name);
}

export { ChatClient };

if (typeof document !== "undefined") {
  startPage({
    url: document.body.dataset["url"] ?? "",
    log: document.getElementById("log") as HTMLElement,
    form: document.getElementById("form") as HTMLFormElement,
    input: document.getElementById("input") as HTMLInputElement,
  });
}
