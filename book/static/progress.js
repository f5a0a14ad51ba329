/* Which chapters the reader has read to the end, kept in this browser only, shown in the map of the first page. */

const READ = "ganlib-read";

function pageOf(address) {
  return new URL(address, location.href).pathname.replace(/^.*\//, "").replace(/\.html$/, "");
}

function read() {
  try {
    return new Set(JSON.parse(localStorage.getItem(READ)) ?? []);
  } catch {
    return new Set(); // storage switched off, or another program's content
  }
}

function write(pages) {
  try {
    localStorage.setItem(READ, JSON.stringify([...pages].sort()));
  } catch {
    // storage switched off: the map then shows nothing, as before the first visit
  }
}

/** A chapter counts as read once what it asks to remember has been on the screen. */
function watch(end) {
  const watcher = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    write(read().add(pageOf(location.href)));
  });
  watcher.observe(end);
}

function show(map) {
  const rows = [...map.querySelectorAll("tbody tr")]
    .map((row) => ({ cell: row.cells[0], link: row.cells[0].querySelector("a[href]") }))
    .filter((row) => row.link);
  const status = document.createElement("p");
  status.className = "progress-status";
  status.setAttribute("role", "status");
  const forget = Object.assign(document.createElement("button"), { type: "button", textContent: "Start again" });
  forget.className = "progress-forget";
  forget.addEventListener("click", () => {
    write(new Set());
    draw();
  });
  (map.closest(".pst-scrollable-table-container") ?? map).after(status, forget);

  function draw() {
    const pages = read();
    let done = 0;
    for (const { cell, link } of rows) {
      const chapter = pages.has(pageOf(link.href));
      done += chapter;
      cell.querySelector(".progress-mark")?.remove();
      if (chapter) {
        const mark = Object.assign(document.createElement("span"), { className: "progress-mark", textContent: " \u2713 read" });
        cell.append(mark);
      }
    }
    status.textContent = done
      ? `You have read ${done} of ${rows.length} chapters to their end, as this browser remembers.`
      : "Chapters you have read to their end get a tick here; only this browser remembers.";
    forget.hidden = !done;
  }
  draw();
  addEventListener("storage", draw);
  addEventListener("pageshow", draw);
}

const end = document.querySelector("section#what-to-remember > h2");
const map = document.querySelector("table.progress-map");
if (map) show(map);
else if (end) watch(end);
