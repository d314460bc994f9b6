// Reads the visible content of the status page. This file is the body of a function.
const text = (of, selector) => of.querySelector(selector)?.textContent ?? "";
return {
  headline: text(document, "#headline"),
  name: text(document, "#name"),
  cards: [...document.querySelectorAll(".card")].map(card => ({
    ordinal: Number(card.dataset.key),
    standing: text(card, ".badge"),
    facts: Object.fromEntries([...card.querySelectorAll("dt")].map(dt => [dt.textContent, dt.nextSibling.textContent])),
    links: [...card.querySelectorAll("a")].map(a => a.href),
  })),
  rows: [...document.querySelectorAll("#resources tbody tr")].map(row => ({
    resource: row.dataset.resource,
    served: text(row, "td:nth-of-type(2)"), seen: text(row, "td:nth-of-type(3)"), cover: text(row, "td:nth-of-type(4)"),
    link: row.querySelector("a").href,
  })),
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  outside: performance.getEntriesByType("resource").map(of => of.name).filter(name => !name.startsWith(location.origin)),
};
