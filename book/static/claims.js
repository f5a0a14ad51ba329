/* The page of claims: a reader chooses verdicts; with none chosen, every claim is shown. */

(() => { // names of its own: the scripts of a page share theirs
  const list = document.querySelector(".claim-counts");
  const claims = [...document.querySelectorAll(".claim")];
  const parts = [...document.querySelectorAll("section.claims-of")];

  const group = document.createElement("fieldset");
  group.className = "claim-filter";
  const legend = document.createElement("legend");
  legend.textContent = "Show only";
  const status = document.createElement("p");
  status.setAttribute("role", "status");
  list.before(group);
  group.append(legend, list, status);

  const boxes = [...list.children].map((item) => {
    const box = document.createElement("input");
    const label = document.createElement("label");
    box.type = "checkbox";
    box.value = [...item.classList].find((name) => name.startsWith("claim-"));
    const words = item.querySelector("p");
    label.append(box, ...words.childNodes);
    words.append(label);
    box.addEventListener("change", show);
    return box;
  });

  function show() {
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    for (const claim of claims) {
      claim.hidden = chosen.length > 0 && !chosen.some((name) => claim.classList.contains(name));
    }
    for (const part of parts) part.hidden = !part.querySelector(".claim:not([hidden])");
    status.textContent = `${claims.filter((claim) => !claim.hidden).length} of ${claims.length} claims are shown.`;
  }

  /** A link to a claim or a part that is hidden shows everything first. */
  function reach() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target?.closest("[hidden]")) return;
    for (const box of boxes) box.checked = false;
    show();
    target.scrollIntoView();
  }

  window.addEventListener("hashchange", reach);
  show();
})();
