"use strict";
const search = document.getElementById("search");
const found = (text, words) => words.every((word) => text.includes(word));
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const element of document.querySelectorAll("[data-text]")) {
    element.hidden = !found(element.dataset.text, words);
  }
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = !group.querySelector("[data-text]:not([hidden])");
  }
});
