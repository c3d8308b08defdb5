"use strict";
// Lists what the OpenAPI document has, and lets a person try it. Everything that comes from a server is put into the page as text.
(() => {
  const MAX_EVENTS = 1000;
  const base = new URL(document.body.dataset.openapi, location.href);
  const byId = (id) => document.getElementById(id);
  let lastId = 0;

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  // What a reference of the document means.
  function resolve(api, schema) {
    let found = schema ?? {};
    for (let depth = 0; found.$ref && depth < 8; depth++) {
      const path = found.$ref.slice(2).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
      found = path.reduce((at, part) => at?.[part], api) ?? {};
    }
    return found;
  }

  // A value of this schema, to begin with. A type that contains itself ends with an empty object.
  function example(api, schema, depth = 0) {
    const own = resolve(api, schema);
    if (schema?.default !== undefined) return schema.default;
    if (own.default !== undefined) return own.default;
    if (own.examples?.length) return own.examples[0];
    if (own.const !== undefined) return own.const;
    if (own.enum?.length) return own.enum[0];
    if (own.anyOf?.length) return example(api, own.anyOf[0], depth);
    switch (own.type) {
      case "object": {
        const made = {};
        if (depth > 3) return made;
        const skipped = new Set();
        // Of a oneof the first member.
        for (const part of own.allOf ?? []) {
          const names = (part.oneOf ?? []).flatMap((choice) => choice.required ?? []);
          for (const name of names.slice(1)) skipped.add(name);
        }
        for (const [name, property] of Object.entries(own.properties ?? {})) {
          if (!skipped.has(name) && !property.deprecated) made[name] = example(api, property, depth + 1);
        }
        return made;
      }
      case "array": return [];
      case "string": return "";
      case "integer": case "number": return 0;
      case "boolean": return false;
      case "null": return null;
      default: return depth ? null : {};
    }
  }

  // Calls `take` with each event of a stream of server-sent events: its name, id and data.
  async function eachEvent(body, take) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    let event = { name: "message", id: "", data: [] };
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const lines = text.split(/\r\n|\n|\r(?!$)/);
      text = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (event.data.length) take({ ...event, data: event.data.join("\n") });
          event = { name: "message", id: "", data: [] };
          continue;
        }
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const rest = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "data") event.data.push(rest);
        else if (field === "event") event.name = rest;
        else if (field === "id") event.id = rest;
      }
    }
  }

  function pretty(text) {
    try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
  }

  // One JSON value for each line, where the request is a stream.
  function lines(text) {
    const values = text.split("\n").filter((line) => line.trim());
    return values.map((line) => JSON.stringify(JSON.parse(line)) + "\n").join("");
  }

  class Method {
    constructor(api, path, verb, operation) {
      Object.assign(this, { api, path, verb, operation });
      const content = operation.requestBody?.content ?? {};
      this.requestType = Object.keys(content)[0];
      this.isRequestStream = this.requestType === "application/x-ndjson";
      const answers = operation.responses?.["200"]?.content ?? {};
      this.isStream = "text/event-stream" in answers;
      this.parameters = (operation.parameters ?? []).map((one) => resolve(api, one));
      this.view = this.build();
    }

    get name() { return `${this.verb} ${this.path}`; }

    matches(words) {
      const { operationId, summary, description } = this.operation;
      const text = [this.path, operationId, summary, description].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    }

    build() {
      const { operation } = this;
      const summary = element("summary", {},
        element("span", { className: "verb", textContent: this.verb.toUpperCase() }),
        element("h2", { className: "path", textContent: this.path }));
      if (this.isRequestStream) summary.append(element("span", { className: "badge", textContent: "sends a stream" }));
      if (this.isStream) summary.append(element("span", { className: "badge", textContent: "answers a stream" }));
      if (operation.deprecated) summary.append(element("span", { className: "badge", textContent: "deprecated" }));
      if (operation.summary) summary.append(element("span", { className: "brief", textContent: operation.summary }));
      const view = element("details", { className: "method" }, summary);
      view.classList.toggle("deprecated", Boolean(operation.deprecated));
      view.dataset.method = this.name;
      view.addEventListener("toggle", () => { if (view.open && !this.form) view.append(this.open()); });
      return view;
    }

    // The inside, made when it is first opened.
    open() {
      const inside = element("div");
      const { description, summary } = this.operation;
      if (description && description !== summary) inside.append(element("p", { textContent: description }));
      this.form = element("form", { noValidate: true });
      this.inputs = this.parameters.filter((one) => one.in === "query").map((one) => {
        const input = element("input", { autocomplete: "off", spellcheck: false });
        const label = element("label", {}, `${one.name} `, input);
        this.form.append(element("p", {}, label));
        return { name: one.name, input };
      });
      if (this.requestType) {
        const id = `body-${++lastId}`;
        const schema = this.operation.requestBody.content[this.requestType];
        const item = this.isRequestStream ? schema["x-msip-item"] : schema.schema;
        const first = example(this.api, item);
        const text = this.isRequestStream ? JSON.stringify(first) : JSON.stringify(first, null, 2);
        this.body = element("textarea", { id, value: text, spellcheck: false });
        const what = this.isRequestStream ? "Requests, one on each line" : "Request";
        this.form.append(element("h3", {}, element("label", { htmlFor: id, textContent: what })), this.body);
        this.form.append(this.shape("What a request may have", item));
      }
      this.send = element("button", { textContent: this.isStream && !this.requestType ? "Listen" : "Send" });
      this.stop = element("button", { type: "button", className: "quiet", textContent: "Stop", hidden: true });
      this.stop.addEventListener("click", () => this.aborter?.abort());
      this.form.append(element("p", {}, this.send, " ", this.stop));
      this.form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.run();
      });
      this.status = element("p");
      this.status.setAttribute("role", "status");
      this.output = element("div");
      inside.append(this.form, this.status, this.output);
      return inside;
    }

    shape(title, schema) {
      const text = JSON.stringify(resolve(this.api, schema), null, 2);
      return element("details", {}, element("summary", { textContent: title }), element("pre", { textContent: text }));
    }

    say(text, isBad = false) {
      this.status.textContent = text;
      this.status.classList.toggle("bad", isBad);
    }

    request() {
      const url = new URL(this.path.replace(/^\//, ""), base);
      for (const { name, input } of this.inputs) if (input.value) url.searchParams.append(name, input.value);
      const headers = { accept: this.isStream ? "text/event-stream, application/json" : "application/json" };
      const authorization = byId("authorization").value;
      if (authorization) headers.authorization = authorization;
      const init = { method: this.verb.toUpperCase(), headers, credentials: "omit", cache: "no-store" };
      if (this.requestType) {
        headers["content-type"] = this.requestType;
        init.body = this.isRequestStream ? lines(this.body.value) : JSON.stringify(JSON.parse(this.body.value || "{}"));
      }
      return [url, init];
    }

    async run() {
      this.aborter?.abort();
      const aborter = this.aborter = new AbortController();
      this.output.replaceChildren();
      let asked;
      try {
        asked = this.request();
      } catch (error) {
        this.say(`The request is not JSON: ${error.message}`, true);
        return;
      }
      this.send.disabled = true;
      this.stop.hidden = false;
      this.say("Sent…");
      const begun = performance.now();
      const took = () => `${Math.round(performance.now() - begun)} ms`;
      try {
        const response = await fetch(asked[0], { ...asked[1], signal: aborter.signal });
        const status = `${response.status} ${response.statusText}`.trim();
        if (/^text\/event-stream/.test(response.headers.get("content-type") ?? "")) {
          this.say(`${status}, listening…`);
          const count = await this.listen(response.body);
          this.say(`${status}, ended after ${count} event${count === 1 ? "" : "s"}, ${took()}`);
        } else {
          const text = await response.text();
          this.say(`${status}, ${took()}`, !response.ok);
          if (text) this.output.append(element("pre", { textContent: pretty(text), tabIndex: 0 }));
        }
      } catch (error) {
        this.say(aborter.signal.aborted ? "Stopped." : `No answer: ${error.message}`, !aborter.signal.aborted);
      } finally {
        if (this.aborter === aborter) {
          this.send.disabled = false;
          this.stop.hidden = true;
        }
      }
    }

    async listen(body) {
      let count = 0;
      const list = element("ol", { className: "events", tabIndex: 0 });
      list.setAttribute("aria-label", "Events");
      this.output.append(list);
      await eachEvent(body, ({ name, id, data }) => {
        count += 1;
        const label = [id, name === "message" ? "" : name].filter(Boolean).join(" ");
        const line = element("li", { textContent: label ? `${label}: ${data}` : data });
        line.classList.toggle("bad", name === "error");
        list.append(line);
        // The page's memory is bounded, however long it listens.
        if (list.children.length > MAX_EVENTS) list.firstChild.remove();
        list.scrollTop = list.scrollHeight;
      });
      return count;
    }
  }

  async function main() {
    const response = await fetch(base, { headers: { accept: "application/json" }, cache: "no-store" });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    const api = await response.json();
    const title = api.info?.title ?? "Methods";
    document.title = title;
    byId("title").textContent = title;
    byId("about").textContent = [api.info?.version, api.info?.summary].filter(Boolean).join(" · ");
    const methods = [];
    for (const [path, verbs] of Object.entries(api.paths ?? {})) {
      for (const [verb, operation] of Object.entries(verbs)) methods.push(new Method(api, path, verb, operation));
    }
    const main = byId("methods");
    main.replaceChildren(...methods.map((method) => method.view));
    if (!methods.length) main.append(element("p", { textContent: "There are no methods." }));
    byId("find").addEventListener("input", ({ target }) => {
      const words = target.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const method of methods) method.view.hidden = !method.matches(words);
    });
    main.removeAttribute("aria-busy");
    document.body.dataset.ready = String(methods.length);
  }

  main().catch((error) => {
    byId("status").textContent = `The OpenAPI document cannot be read: ${error.message}`;
    byId("methods").removeAttribute("aria-busy");
  });
})();
