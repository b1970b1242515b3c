
(() => {
  document.documentElement.classList.add("js");
  for (const hidden of all("[hidden]")) hidden.hidden = false;
  const data = JSON.parse(document.getElementById("data").textContent);
  const filters = document.getElementById("filters");
  if (!filters) return;
  const [NAME, FOLDER, WORD, NUMBERS] = [0, 1, 2, 3];

  // the server has drawn the articles; those of later pages wait in templates, where their pictures are not decoded
  const shots = new Map();
  for (const later of all("template.later")) shots.set(Number(later.dataset.row), later.content.firstElementChild);
  for (const shot of all(".shot")) shots.set(Number(shot.dataset.row), shot);
  for (const shot of shots.values()) for (const pair of all(".pair", shot)) {
    for (const hidden of all("[hidden]", pair)) hidden.hidden = false;
    connect(pair);
  }
  const lists = {
    shots: { size: data.sizes[0], from: 0, places: [], draw: (place) => shots.get(place) },
    rows: { size: data.sizes[1], from: 0, places: [], draw: drawn },
  };

  function wanted() {
    const asked = Object.fromEntries(new FormData(filters));
    const column = NUMBERS + Number(asked.metric);
    const text = asked.text.toLowerCase();
    const kept = [...data.rows.keys()].filter((place) => {
      const row = data.rows[place];
      return (asked.folder === "" || row[FOLDER] === Number(asked.folder))
        && (asked.word === "" || row[WORD] === Number(asked.word))
        && (asked.least === "" || (row[column] !== null && row[column] >= Number(asked.least)))
        && (text === "" || row[NAME].toLowerCase().includes(text));
    });
    if (asked.sort === "name") return kept.sort((a, b) => (data.rows[a][NAME] < data.rows[b][NAME] ? -1 : 1));
    if (asked.sort === "") return kept;
    const { sign } = data.columns[asked.sort];
    const badness = (place) => { const x = data.rows[place][NUMBERS + Number(asked.sort)]; return x === null ? -Infinity : sign * x; };
    return kept.sort((a, b) => badness(b) - badness(a) || a - b);
  }

  function cell(content, kind) {
    const found = document.createElement("td");
    if (kind) found.className = kind;
    found.append(content);
    return found;
  }

  function drawn(place) {
    const [name, folder, word, ...numbers] = data.rows[place];
    const row = document.createElement("tr");
    let label = name;
    if (shots.has(place)) {
      label = document.createElement("button");
      label.type = "button";
      label.textContent = name;
      label.addEventListener("click", () => look(place));
    }
    row.append(cell(label), cell(data.folders[folder]), cell(data.words[word], `said said-${data.words[word].replace(" ", "-")}`));
    for (const number of numbers) row.append(cell(number === null ? "?" : String(number), "right"));
    return row;
  }

  function draw(name) {
    const list = lists[name];
    const into = document.getElementById(name);
    if (!into) return;
    const shown = list.places.slice(list.from, list.from + list.size);
    into.replaceChildren(...shown.map(list.draw));
    for (const pair of all(".pair", into)) arrange(pair);
    for (const pager of all(`.pager[data-list=${name}]`)) {
      const [back, on] = all("button", pager);
      back.disabled = list.from === 0;
      on.disabled = list.from + list.size >= list.places.length;
      pager.querySelector("output").textContent = shown.length
        ? `${list.from + 1} to ${list.from + shown.length} of ${list.places.length}` : "none";
    }
  }

  function show() {
    lists.rows.places = wanted();
    lists.shots.places = lists.rows.places.filter((place) => shots.has(place));
    for (const name of Object.keys(lists)) {
      lists[name].from = 0;
      draw(name);
    }
  }

  // from a row of the table to its pictures
  function look(place) {
    const list = lists.shots;
    list.from = Math.floor(list.places.indexOf(place) / list.size) * list.size;
    draw("shots");
    shots.get(place).focus();
  }

  for (const pager of all(".pager")) {
    const name = pager.dataset.list;
    for (const button of all("button", pager)) button.addEventListener("click", () => {
      lists[name].from += Number(button.dataset.step) * lists[name].size;
      draw(name);
    });
  }
  const over = document.getElementById("over");
  if (over) over.addEventListener("change", () => document.body.classList.toggle("plain", !over.checked));
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("input", show);
  window.addEventListener("resize", () => draw("shots"));
  show();
})();
