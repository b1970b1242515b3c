"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// close-ups: a split through what is visible, and whole multiples of pixels
function arrange(pair) {
  const [scroll, stack, slider] = [".scroll", ".stack", "input"].map((part) => pair.querySelector(part));
  const pixel = Math.max(1, Math.round(devicePixelRatio)) / devicePixelRatio;
  const zoom = Number(pair.querySelector("[aria-pressed=true]").dataset.zoom);
  for (const image of all("img", stack)) {
    image.style.width = `${image.getAttribute("width") * zoom * pixel}px`;
    image.style.height = `${image.getAttribute("height") * zoom * pixel}px`;
  }
  snap(scroll);
  split(scroll, stack, slider);
}

// a picture that starts between two pixels of the screen is blurred
function snap(scroll) {
  scroll.style.left = scroll.style.top = "0";
  const { left, top } = scroll.getBoundingClientRect();
  const [x, y] = [left + scrollX, top + scrollY].map((place) => Math.ceil(place * devicePixelRatio) / devicePixelRatio - place);
  scroll.style.left = `${x}px`;
  scroll.style.top = `${y}px`;
}

function split(scroll, stack, slider) {
  const visible = Math.min(scroll.clientWidth, stack.offsetWidth);
  stack.style.setProperty("--split", `${scroll.scrollLeft + (visible * slider.value) / 100}px`);
}

// once for each pair, before it is arranged
function connect(pair) {
  const [scroll, stack, slider] = [".scroll", ".stack", "input"].map((part) => pair.querySelector(part));
  slider.addEventListener("input", () => split(scroll, stack, slider));
  scroll.addEventListener("scroll", () => split(scroll, stack, slider));
  const drag = (event) => {
    if (!event.buttons) return;
    const place = event.clientX - scroll.getBoundingClientRect().left;
    slider.value = (100 * place) / Math.min(scroll.clientWidth, stack.offsetWidth);
    split(scroll, stack, slider);
  };
  stack.addEventListener("pointerdown", drag);
  stack.addEventListener("pointermove", drag);
  for (const image of all("img", stack)) image.draggable = false;
  for (const button of all(".zooms button", pair)) {
    button.addEventListener("click", () => {
      const [x, y] = [scroll.scrollLeft + scroll.clientWidth / 2, scroll.scrollTop + scroll.clientHeight / 2];
      const before = stack.offsetWidth;
      for (const other of all(".zooms button", pair)) other.setAttribute("aria-pressed", String(other === button));
      arrange(pair);
      const grown = stack.offsetWidth / before;
      scroll.scrollTo(x * grown - scroll.clientWidth / 2, y * grown - scroll.clientHeight / 2);
    });
  }
}
