(() => {
  document.documentElement.classList.add("js");
  for (const hidden of all("[hidden]")) hidden.hidden = false;
  for (const pair of all(".pair")) connect(pair);

  // one site and one input at a time; the address remembers which
  const tabs = all("[role=tab]");
  const inputs = all("input[name=input]");
  const state = { site: "1", input: "0" };

  function show() {
    for (const tab of tabs) {
      const chosen = tab.id === `tab-${state.site}`;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      document.getElementById(`panel-${tab.id.slice(4)}`).classList.toggle("chosen", chosen);
    }
    for (const view of all(".view")) view.classList.toggle("chosen", view.dataset.input === state.input);
    for (const radio of inputs) radio.checked = radio.value === state.input;
    for (const pair of all(".panel.chosen .view.chosen .pair")) arrange(pair);
  }

  function choose(change) {
    Object.assign(state, change);
    show();
    history.replaceState(null, "", `#site=${state.site}&input=${state.input}`);
  }

  function recall() {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (tabs.some((tab) => tab.id === `tab-${asked.get("site")}`)) state.site = asked.get("site");
    if (inputs.some((radio) => radio.value === asked.get("input"))) state.input = asked.get("input");
    show();
  }

  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => choose({ site: tab.id.slice(4) }));
    tab.addEventListener("keydown", (event) => {
      const last = tabs.length - 1;
      const target = { ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1, Home: 0, End: last }[event.key];
      if (target === undefined) return;
      event.preventDefault();
      const next = tabs[(target + tabs.length) % tabs.length];
      next.focus();
      choose({ site: next.id.slice(4) });
    });
  });
  for (const radio of inputs) radio.addEventListener("change", () => choose({ input: radio.value }));
  window.addEventListener("hashchange", recall);

  window.addEventListener("resize", show);

  // to take along
  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      } catch {
        getSelection().selectAllChildren(code);  // where a browser forbids it, one key is left to press
      }
    });
  }
  document.getElementById("save").addEventListener("click", () => {
    const data = JSON.parse(document.getElementById("diagnosis").textContent);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2) + "\n"], { type: "application/json" }));
    link.download = "diagnosis.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });

  recall();
})();
