// Words shrink until a slide holds all of it. What does not fit at the smallest size is marked, so
// that a test can find it: the slide has to be divided in the notebook's metadata.
const LARGEST = 30, SMALLEST = 21; // pixels of 720, for words; code is 0.72 of that

function overflows(page) {
  const lines = [...page.querySelectorAll("pre, .wide")];
  return page.scrollHeight > page.clientHeight || page.scrollWidth > page.clientWidth ||
    lines.some((line) => line.scrollWidth > line.clientWidth);
}
function fit(slide) {
  const page = slide.querySelector(":scope > .page");
  if (!page || page.dataset.size) return;
  let size = LARGEST;
  do page.style.setProperty("--size", `${size}px`);
  while (overflows(page) && (size -= 0.5) >= SMALLEST);
  page.dataset.size = Math.max(size, SMALLEST);
  page.toggleAttribute("data-overflow", overflows(page));
}
Reveal.on("ready", (event) => fit(event.currentSlide));
Reveal.on("slidechanged", (event) => fit(event.currentSlide));
Reveal.on("pdf-ready", () => document.querySelectorAll("section").forEach(fit));
Reveal.initialize({
  width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4, center: false, hash: true,
  transition: "none", slideNumber: "c/t", plugins: [RevealNotes],
  pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1, // `deck.html?print-pdf`, then print
});
