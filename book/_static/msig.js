/* Explorers and the claims filter. No library, no network; without script the pages stay complete. */
(function () {
  "use strict";

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  async function explorer(root) {
    const store = await unpack(root.querySelector("script[data-msig-frames]").textContent);
    const inputs = [...root.querySelectorAll(".msig-control input, .msig-control select")];
    const frame = root.querySelector(".msig-frame");
    const said = root.querySelector(".msig-said");
    let shown = -1;
    function show() {
      let place = 0;
      inputs.forEach((input, k) => {
        place = place * store.sizes[k] + Number(input.value);
        if (input.type === "range") {
          const text = JSON.parse(input.dataset.shown)[Number(input.value)];
          input.setAttribute("aria-valuetext", text);
          input.parentElement.querySelector("output").textContent = text;
        }
      });
      if (place === shown) return;
      shown = place;
      frame.innerHTML = store.frames[store.order[place]];
      said.textContent = store.alts[place];
      root.dataset.frame = place;
    }
    inputs.forEach((input) => input.addEventListener("input", show));
    root.querySelector(".msig-controls").hidden = false;
    show(); // a reload may keep the controls where the reader left them
  }

  function filter(form) {
    const rows = [...document.querySelectorAll("[data-claim]")];
    const count = form.querySelector("[data-count]");
    const fields = [...form.querySelectorAll("select, input[type=search]")];
    function apply() {
      let visible = 0;
      for (const row of rows) {
        const fits = fields.every((field) => {
          const wanted = field.value.trim().toLowerCase();
          if (!wanted) return true;
          if (field.type === "search") return row.textContent.toLowerCase().includes(wanted);
          return row.dataset[field.name] === wanted;
        });
        row.hidden = !fits;
        visible += fits;
      }
      count.textContent = visible === rows.length ? `${rows.length} claims` : `${visible} of ${rows.length} claims`;
    }
    // A link such as scorecard.html?verdict=contradicted opens the page filtered.
    const asked = new URLSearchParams(location.search);
    for (const field of fields) if (asked.has(field.name)) field.value = asked.get(field.name);
    fields.forEach((field) => field.addEventListener("input", apply));
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    apply();
  }

  function start() {
    document.querySelectorAll("[data-msig-explorer]").forEach((root) => {
      explorer(root).catch((error) => console.error("explorer " + root.id, error));
    });
    document.querySelectorAll("form[data-msig-filter]").forEach(filter);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
