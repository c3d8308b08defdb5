// A person at a browser, in the test of chat-web: starts Chromium, opens the page, prints the lines that it shows, and types there
// what comes by standard input.
"use strict";

const { Browser, run } = require("../../../tests/browser/browser.js");

// What runs in the page: each line that it shows is told.
const WATCH = `document.addEventListener("DOMContentLoaded", () => {
  const log = document.getElementById("log");
  for (const line of log.children) tell(line.textContent);
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const line of addedNodes) tell(line.textContent);
  }).observe(log, { childList: true });
});`;

class ChatBrowser extends Browser {
  constructor(program, profile) {
    super(program, profile);
    this.loaded = new Promise((resolve) => { this.onLoad = resolve; });
  }

  onEvent(method, params) {
    if (method === "Runtime.bindingCalled") console.log(params.payload);
    if (method === "Page.loadEventFired") this.onLoad();
  }

  async prepare() {
    await this.ask("Runtime.addBinding", { name: "tell" });
    await this.ask("Page.addScriptToEvaluateOnNewDocument", { source: WATCH });
    await this.ask("Emulation.setFocusEmulationEnabled", { enabled: true });
  }

  async type(line) {
    await this.ask("Runtime.evaluate", { expression: 'document.getElementById("input").focus()' });
    await this.ask("Input.insertText", { text: line });
    const enter = { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 };
    await this.ask("Input.dispatchKeyEvent", { type: "keyDown", text: "\r", ...enter });
    await this.ask("Input.dispatchKeyEvent", { type: "keyUp", ...enter });
  }

  // Leaves the page first, as a person does who closes its tab.
  async close() {
    this.isClosing = true;
    await this.ask("Page.close");
    await super.close();
  }
}

run(async (program, profile, url) => {
  const browser = new ChatBrowser(program, profile);
  await browser.open(url);
  await browser.loaded;
  console.log("! the page is open");
  const lines = require("node:readline").createInterface({ input: process.stdin });
  for await (const line of lines) await browser.type(line);
  await browser.close();
});
