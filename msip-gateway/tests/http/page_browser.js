// A person at the page of a gateway: starts Chromium, opens the page, tries methods, and prints what it shows.
"use strict";

const { Browser, run } = require("../../../tests/browser/browser.js");

class PageBrowser extends Browser {
  complaints = [];

  onEvent(method, params) {
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.text);
    // What a server has answered with is logged as an error too, by the network.
    if (method === "Log.entryAdded" && params.entry.source !== "network") this.complaints.push(params.entry.text);
  }

  async prepare() {
    await this.ask("Log.enable");
  }

  async run(expression) {
    const { result, exceptionDetails } = await this.ask("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails.exception ?? exceptionDetails)}`);
    return result.value;
  }

  // Waits in the page until this is true, whatever changes there meanwhile.
  until(condition) {
    return this.run(`new Promise((resolve, reject) => {
      const check = () => { const found = (() => { ${condition} })(); if (found) { observer.disconnect(); resolve(found); } };
      const observer = new MutationObserver(check);
      observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
      setTimeout(() => reject(new Error(document.body.innerText)), 60000);
      check();
    })`);
  }
}

const VIEW = (name) => `const view = document.querySelector('[data-method="${name}"]'); const status = view.querySelector('form + p');`;

async function trying(browser, name, body) {
  await browser.run(`(() => { document.querySelector('[data-method="${name}"]').open = true; })()`);
  await browser.until(`${VIEW(name).replace("const status", "const form = view.querySelector('form'); if (!form) return false; const status")} return true;`);
  await browser.run(`(() => { ${VIEW(name)}
    const text = view.querySelector('textarea');
    if (text && ${JSON.stringify(body ?? null)} !== null) text.value = ${JSON.stringify(body ?? "")};
    view.querySelector('button').click();
  })()`);
}

const ended = (browser, name) => browser.until(`${VIEW(name)}
  return !/^(Sent|.*listening)|^$/.test(status.textContent) && status.textContent + ", " + view.querySelector('form ~ div').innerText;`);

run(async (program, profile, url) => {
  const browser = new PageBrowser(program, profile);
  await browser.open(url);
  await browser.until("return document.body?.dataset.ready;");
  console.log(`title: ${await browser.run("document.title")}`);
  console.log(`methods: ${await browser.run("document.querySelectorAll('details.method').length")}`);

  await trying(browser, "post /v1/rest/sum_req", '{"n": 5, "more": [1, 2]}');
  const nameless = await browser.run(`[...document.querySelectorAll('input, textarea, button, summary')]
    .filter((one) => !(one.labels?.length || one.textContent.trim() || one.ariaLabel)).length`);
  console.log(nameless ? `${nameless} controls have no name` : "every control has a name");
  const sum = await ended(browser, "post /v1/rest/sum_req");
  await browser.run(`(() => { const find = document.getElementById('find'); find.value = 'SUM_req'; find.dispatchEvent(new Event('input')); })()`);
  const found = await browser.run(`[...document.querySelectorAll('details.method')].filter((one) => !one.hidden)
    .map((one) => one.dataset.method).join()`);
  console.log(`found: ${found.replace(/^post/, "POST")}`);
  await browser.run(`(() => { const find = document.getElementById('find'); find.value = ''; find.dispatchEvent(new Event('input')); })()`);
  console.log(`sum: ${sum.match(/^200 OK/)}, ${sum.match(/"sum": "8"/)}`);

  await trying(browser, "post /v1/rest/page_req", "{");
  console.log(`not JSON: ${(await ended(browser, "post /v1/rest/page_req")).split(":")[0]}`);
  await trying(browser, "post /v1/rest/fail_req", "{}");
  const fail = await ended(browser, "post /v1/rest/fail_req");
  console.log(`fail: ${fail.match(/^500 Internal Server Error/)}, ${fail.match(/"code": "UNKNOWN"/)}`);

  await trying(browser, "post /v1/rest/count_req", '{"to": 2}');
  await ended(browser, "post /v1/rest/count_req");
  const events = await browser.run(`[...document.querySelectorAll('ol.events li')].map((one) => one.textContent)`);
  console.log(`count: ${events.length} events, the last is ${events.at(-1).split(":")[0]}`);

  await trying(browser, "post /v1/rest/feed_req", '{"n": 1}\n{"n": 2}\n');
  console.log(`feed: ${(await ended(browser, "post /v1/rest/feed_req")).match(/^200 OK/)}`);

  await trying(browser, "get /v1/rest/events");
  await browser.until(`${VIEW("get /v1/rest/events")} return status.textContent.endsWith('listening…');`);
  await browser.run(`(() => { ${VIEW("get /v1/rest/events")} view.querySelector('button.quiet').click(); })()`);
  console.log(`events: ${(await ended(browser, "get /v1/rest/events")).split(".")[0].toLowerCase()}`);

  console.log(browser.complaints.length ? browser.complaints.join("\n") : "nothing was refused by the policy, and no error was logged");
  await browser.close();
});
