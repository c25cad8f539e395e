"use strict";
(() => {
  const data = JSON.parse(document.getElementById("case-data").textContent);
  const pictures = JSON.parse(document.getElementById("case-pictures").textContent);
  const $ = (id) => document.getElementById(id);
  const two = data.positive !== null;
  const shown = (x, digits) => (x === null || !Number.isFinite(x) ? "–" : x.toFixed(digits));

  // threshold: counts and shares are each the mean over runs, as everywhere on the page
  const share = (part, rest) => (part + rest > 0 ? part / (part + rest) : null);
  const mean = (values) => {
    const known = values.filter((x) => x !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
  };
  const of_run = (scores, threshold) => {
    let tp = 0, fp = 0, fn = 0, tn = 0;
    scores.forEach((score, i) => {
      if (score === null) return;
      const called = score >= threshold;
      if (data.label[i] === data.positive) called ? tp++ : fn++;
      else called ? fp++ : tn++;
    });
    const sensitivity = share(tp, fn), specificity = share(tn, fp);
    const both = sensitivity === null || specificity === null;
    return {
      tp, fp, fn, tn, sensitivity, specificity, ppv: share(tp, fp), npv: share(tn, fn),
      accuracy: share(tp + tn, fp + fn), balanced: both ? null : (sensitivity + specificity) / 2,
    };
  };
  const measure = (threshold) => {
    const runs = data.scores.map((scores) => of_run(scores, threshold));
    return Object.fromEntries(Object.keys(runs[0]).map((key) => [key, mean(runs.map((run) => run[key]))]));
  };
  const move = () => {
    const at = Number($("threshold").value), values = measure(at);
    const { sensitivity, specificity } = values;
    $("threshold-value").textContent = at.toFixed(2);
    for (const [name, value] of Object.entries(values)) {
      const whole = name.length === 2 && Number.isInteger(value);
      $(`at-${name}`).textContent = shown(value, whole ? 0 : name.length === 2 ? 1 : 3);
    }
    $("threshold").setAttribute("aria-valuetext",
      `${at.toFixed(2)}: sensitivity ${shown(sensitivity, 3)}, specificity ${shown(specificity, 3)}`);
  };
  if (two && $("threshold")) {
    $("threshold").addEventListener("input", move);
    move();
  }

  // table of cases
  const PAGE = 20;
  let order = "wrong", down = true, limit = PAGE;
  const rows = data.id.map((id, i) => ({
    i, id, label: data.classes[data.label[i]], called: data.classes[data.called[i]],
    score: data.shown[i], wrong: 1 - data.truth[i], fold: data.fold[i], diameter: data.diameter[i],
    picture: data.picture[i],
  }));
  const compare = (a, b) => {
    const x = a[order], y = b[order];
    if (x === null || y === null) return x === y ? a.i - b.i : x === null ? 1 : -1;
    const sign = typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
    return (down ? -sign : sign) || a.i - b.i;
  };
  const chosen = () => {
    const text = $("case-search").value.trim().toLowerCase(), kind = $("case-kind").value;
    return rows.filter((row) =>
      (!text || row.id.toLowerCase().includes(text)) &&
      (kind === "all" || (kind === "wrong" ? row.label !== row.called : row.label === kind.slice(6))));
  };
  const cell = (row, text, kind) => {
    const made = row.insertCell();
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const draw = () => {
    const found = chosen().sort(compare), body = document.createElement("tbody");
    for (const one of found.slice(0, limit)) {
      const row = body.insertRow(), first = cell(row, "");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "link";
      button.textContent = one.id;
      button.addEventListener("click", () => open(one));
      first.append(button);
      cell(row, one.label);
      cell(row, one.called, one.label === one.called ? "" : "miss");
      cell(row, shown(one.score, 3), "number");
      cell(row, shown(one.wrong, 3), "number");
      cell(row, String(one.fold), "number");
      if (data.measured) cell(row, shown(one.diameter, 1), "number");
    }
    $("cases").tBodies[0].replaceWith(body);
    for (const head of $("cases").tHead.rows[0].cells) {
      const own = head.dataset.key === order;
      head.setAttribute("aria-sort", own ? (down ? "descending" : "ascending") : "none");
    }
    $("case-count").textContent =
      `${Math.min(limit, found.length).toLocaleString("en")} of ${found.length.toLocaleString("en")} cases`;
    $("case-more").hidden = found.length <= limit;
  };
  const couplings = (one, without) => {
    const uniform = $("case-uniform"), section = $("case-couplings");
    uniform.textContent = pictures.uniform || "";
    uniform.hidden = without || !pictures.uniform;
    if (!section) return;
    const maps = without ? [] : pictures.maps[one.picture];
    section.hidden = maps.length === 0;
    $("case-maps").replaceChildren(...maps.map(([k, png], number) => {
      const name = `to ${data.classes[k]}, the ${number ? "true" : "predicted"} class`;
      const figure = document.createElement("figure"), image = document.createElement("img");
      const caption = document.createElement("figcaption");
      image.src = `data:image/png;base64,${png}`;
      image.alt = `Coupling map of ${one.id} ${name}`;
      caption.textContent = name;
      figure.append(caption, image);
      return figure;
    }));
  };
  const open = (one) => {
    const wrong = one.label === one.called ? "" : `, called ${one.called}`;
    $("case-title").textContent = one.id;
    $("case-text").textContent =
      `${one.label}${wrong}; ${data.scored} ${shown(one.score, 3)}; fold ${one.fold}` +
      (one.diameter === null ? "" : `; ${shown(one.diameter, 1)} mm`);
    const image = $("case-image"), stored = one.picture < 0 ? null : pictures.images[one.picture];
    image.hidden = stored === null;
    if (stored !== null) {
      image.src = `data:image/png;base64,${stored}`;
      image.alt = `${pictures.caption} of ${one.id}`;
    }
    $("case-caption").textContent = stored === null ? "No picture of this case is stored." : pictures.caption;
    couplings(one, stored === null);
    $("case-view").showModal();
  };
  for (const head of $("cases").tHead.rows[0].cells)
    head.firstElementChild.addEventListener("click", () => {
      down = head.dataset.key === order ? !down : head.dataset.first === "down";
      order = head.dataset.key;
      draw();
    });
  for (const [id, kind] of [["case-search", "input"], ["case-kind", "change"]])
    $(id).addEventListener(kind, () => { limit = PAGE; draw(); });
  $("case-more").addEventListener("click", () => { limit += 4 * PAGE; draw(); });
  $("case-close").addEventListener("click", () => $("case-view").close());
  draw();
})();
