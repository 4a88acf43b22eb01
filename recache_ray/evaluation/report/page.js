"use strict";
// The page holds every budget and metric; this shows one of each and remembers the choice in the address.
(() => {
  const slider = document.getElementById("budget");
  const budgets = slider.dataset.budgets.split(" ");
  const radios = [...document.querySelectorAll('input[name="metric"]')];
  const bands = document.getElementById("bands");

  const show = (selector, wanted) => {
    for (const element of document.querySelectorAll(selector)) element.classList.toggle("on", wanted(element.dataset));
  };

  const update = () => {
    const budget = budgets[Number(slider.value)];
    const metric = radios.find((radio) => radio.checked).value;
    slider.setAttribute("aria-valuetext", `k = ${budget}`);
    show("[data-budget]", (data) => data.budget === budget);
    show("[data-budgets]:not(input)", (data) => data.budgets.split(" ").includes(budget));
    show("[data-row]", (data) => data.row === budget);
    show("[data-metric]", (data) => data.metric === metric);
    document.body.classList.toggle("bands", bands.checked);
    history.replaceState(null, "", `#k=${budget}&metric=${metric}`);
  };

  const restore = () => {
    const state = new URLSearchParams(location.hash.slice(1));
    const position = budgets.indexOf(state.get("k"));
    if (position >= 0) slider.value = position;
    const radio = radios.find((each) => each.value === state.get("metric"));
    if (radio) radio.checked = true;
    update();
  };

  slider.addEventListener("input", update);
  bands.addEventListener("change", update);
  for (const radio of radios) radio.addEventListener("change", update);
  for (const box of document.querySelectorAll("[data-toggles]")) {
    box.addEventListener("change", () => {
      for (const series of document.querySelectorAll(`[data-series="${box.dataset.toggles}"]`)) {
        series.classList.toggle("hidden", !box.checked);
      }
    });
  }
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", restore);
  restore();

  // All videos show the same frame, so that they can be compared.
  const player = document.getElementById("player");
  if (!player) return;
  const frame = document.getElementById("frame");
  const play = document.getElementById("play");
  const count = Number(frame.max) + 1;
  let clock = null;

  const showFrame = () => {
    document.body.style.setProperty("--frame", frame.value);
    document.getElementById("shown").textContent = `${Number(frame.value) + 1} of ${count}`;
  };
  const stop = () => {
    clearInterval(clock);
    clock = null;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  const start = () => {
    clock = setInterval(() => {
      frame.value = (Number(frame.value) + 1) % count;
      showFrame();
    }, 1000 / Number(frame.dataset.fps));
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
  };
  play.addEventListener("click", () => (clock === null ? start() : stop()));
  frame.addEventListener("input", () => {
    stop();
    showFrame();
  });
  player.addEventListener("submit", (event) => event.preventDefault());
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) start();
})();
