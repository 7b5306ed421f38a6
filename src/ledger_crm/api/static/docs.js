// Shows /openapi.json as a page. Text is only ever set as text, never as markup.
"use strict";

const el = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
};

// The little of Markdown that our own texts use: paragraphs, `code`, **strong**.
const prose = (text) => (text || "").split(/\n{2,}/).filter(Boolean).map((paragraph) => {
  const p = el("p");
  for (const part of paragraph.replace(/``/g, "`").split(/(`[^`]+`|\*\*[^*]+\*\*)/)) {
    if (part.startsWith("`")) p.append(el("code", {}, part.slice(1, -1)));
    else if (part.startsWith("**")) p.append(el("strong", {}, part.slice(2, -2)));
    else p.append(part);
  }
  return p;
});

const main = (spec) => {
  const resolve = (thing) => {
    if (!thing || !thing.$ref) return thing || {};
    return thing.$ref.slice(2).split("/").reduce((at, step) => at[step], spec);
  };
  const nameOf = (schema) => schema.$ref ? schema.$ref.split("/").pop() : "";

  const brief = (schema) => {
    if (!schema) return "";
    if (schema.$ref) return nameOf(schema);
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
    if ("const" in schema) return JSON.stringify(schema.const);
    const either = schema.anyOf || schema.oneOf;
    if (either) return either.map(brief).join(" | ");
    if (schema.type === "array") return `list of ${brief(schema.items || schema.prefixItems?.[0])}`;
    const limits = [];
    if (schema.format) limits.push(schema.format);
    if ("minimum" in schema) limits.push(`≥ ${schema.minimum}`);
    if ("maximum" in schema) limits.push(`≤ ${schema.maximum}`);
    if (schema.minLength) limits.push(`at least ${schema.minLength} long`);
    if (schema.maxLength) limits.push(`at most ${schema.maxLength} long`);
    if (schema.pattern) limits.push(`like ${schema.pattern}`);
    return [schema.type || "anything", ...limits].join(", ");
  };

  // One of many, which have a section of their own.
  const APART = "Fact";

  // Every member of a schema, and of the schemas that it names, each of those once.
  const shape = (schema, seen = new Set()) => {
    const name = nameOf(schema);
    if (name && seen.has(name)) return [];
    if (name) seen.add(name);
    const found = resolve(schema);
    if (name === APART) {
      return [el("h4", {}, name), el("p", {}, el("a", { href: "#facts" }, "One of the facts."))];
    }
    const nested = [...(found.anyOf || []), ...(found.oneOf || []), ...(found.items ? [found.items] : [])];
    const shown = [];
    if (found.properties) {
      const required = new Set(found.required || []);
      const rows = Object.entries(found.properties).map(([key, value]) => {
        nested.push(value);
        const preset = "default" in value ? `default ${JSON.stringify(value.default)}` : "";
        return el("tr", {}, el("td", {}, key), el("td", {}, required.has(key) ? "required" : preset),
          el("td", {}, brief(value)));
      });
      shown.push(el("h4", {}, name || "Body"), ...prose(found.description), el("table", {}, ...rows));
    }
    return [...shown, ...nested.flatMap((each) => shape(each, seen))];
  };

  const details = (title, children, open = false) => {
    if (!children.length) return "";
    return el("details", open ? { open: "" } : {}, el("summary", {}, title), ...children);
  };

  const value = (example) => el("pre", {}, JSON.stringify(example.value, null, 2));

  const show = (path, method, operation) => {
    const article = el("article", { id: operation.operationId },
      el("h3", {}, operation.summary),
      el("div", { class: "address" }, el("span", { class: "method" }, method.toUpperCase()), " ", path),
      ...prose(operation.description));
    const parameters = (operation.parameters || []).map(resolve);
    if (parameters.length) {
      article.append(el("table", {}, ...parameters.map((each) => el("tr", {},
        el("td", {}, each.name), el("td", {}, each.in + (each.required ? ", required" : "")),
        el("td", {}, brief(each.schema), ...prose(each.description))))));
    }
    const body = operation.requestBody?.content["application/json"];
    if (body) {
      for (const example of Object.values(body.examples || {})) {
        article.append(el("p", { class: "hint" }, `Example: ${example.summary}`), value(example));
      }
      article.append(details("Body", shape(body.schema)));
    }
    const outcomes = [];
    for (const [status, unresolved] of Object.entries(operation.responses)) {
      const response = resolve(unresolved);
      const content = Object.values(response.content || {})[0];
      outcomes.push(el("tr", {}, el("td", {}, status), el("td", {}, ...prose(response.description),
        el("span", { class: "hint" }, brief(content?.schema), " ", Object.keys(response.headers || {}).join(", ")))));
      if (status < "300" && content) {
        const examples = Object.values(content.examples || {}).map((each) => value(resolve(each)));
        article.append(details("Answer", [...examples, ...shape(content.schema)]));
      }
    }
    article.append(details("Responses", [el("table", {}, ...outcomes)]));
    return article;
  };

  const index = document.getElementById("index");
  const page = document.getElementById("operations");
  page.replaceChildren(...prose(spec.info.description));
  for (const tag of spec.tags) {
    const section = el("section", { class: "tag" }, el("h2", {}, tag.name), ...prose(tag.description));
    const list = el("ul");
    for (const [path, item] of Object.entries(spec.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (operation.tags?.[0] !== tag.name) continue;
        section.append(show(path, method, operation));
        list.append(el("li", {}, el("a", { href: `#${operation.operationId}` }, operation.summary)));
      }
    }
    index.append(el("h2", {}, tag.name), list);
    page.append(section);
  }
  const facts = resolve(spec.components.schemas[APART]);
  index.append(el("h2", {}, el("a", { href: "#facts" }, "facts")));
  page.append(el("section", { class: "tag", id: "facts" }, el("h2", {}, "facts"), ...prose(facts.description),
    ...Object.entries(facts.discriminator.mapping).map(([kind, ref]) => details(kind, shape({ $ref: ref })))));
  if (location.hash) document.querySelector(location.hash)?.scrollIntoView();
};

fetch("/openapi.json").then((answer) => answer.json()).then(main).catch((fault) => {
  document.getElementById("operations").replaceChildren(el("p", {}, `The document could not be shown: ${fault.message}`));
});
