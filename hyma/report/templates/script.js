"use strict";

// A click on a column's head sorts every body of its table; what has no value stays last either way.
function sortBy(table, column, sign) {
  const key = (row) => {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    if (value === undefined) return cell.textContent.trim();
    return value === "" ? null : Number(value);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
  for (const body of table.tBodies) {
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * compare(a, b);
    });
    body.append(...rows.map(([, row]) => row));
  }
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const first = head.classList.contains("number") ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((one) => one.setAttribute("aria-sort", one === head ? order : "none"));
      sortBy(table, column, order === "ascending" ? 1 : -1);
    });
  });
}

for (const select of document.querySelectorAll("select[data-table]")) {
  const show = () => {
    for (const body of document.getElementById(select.dataset.table).tBodies) {
      body.hidden = body.dataset.method !== select.value;
    }
  };
  select.addEventListener("change", show);
  show(); // a browser may have kept an earlier choice
}

// Filters of one list of cards: a card is shown if it has the pressed value of each.
for (const count of document.querySelectorAll("[data-cards]")) {
  const cards = [...document.getElementById(count.dataset.cards).children];
  const filters = [...count.parentElement.querySelectorAll("[data-filter]")];
  const pressed = (filter) => filter.querySelector("[aria-pressed=true]").dataset.value;
  const show = () => {
    const wanted = filters.map((filter) => [filter.dataset.filter, pressed(filter)]);
    for (const card of cards) {
      card.hidden = wanted.some(([name, value]) => value !== "" && card.dataset[name] !== value);
    }
    count.textContent = `${cards.filter((card) => !card.hidden).length} of ${cards.length} shown`;
  };
  for (const filter of filters) {
    const buttons = [...filter.querySelectorAll("button")];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        buttons.forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
        show();
      });
    }
  }
  show();
}
